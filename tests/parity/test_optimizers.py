"""Our optimizers and Keras's own, inside our Trainer, against the same optimizer in Keras `fit`."""

from __future__ import annotations

import numpy as np
import pytest

import optimizers

# TensorFlow's Adam kernel computes 1 - beta_2 in float32 (0.00099998713), where Keras rounds 0.001:
# 1.3e-5 of the second moment, 6e-6 of the step. Our written rule (`fused = False`) is Keras's.
DRIFT = {"adam": 1e-5, "adamw": 1e-5}
FORMS = [("layers", "ours"), ("keras", "keras")]
# Each rule and argument is held to Keras in tests/optimizers/test_against_keras.py.
OPTIMIZERS = {
    "nesterov": ("SGD", {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True}),
    "adam": ("Adam", {"learning_rate": 0.01}),
    "adamw": ("AdamW", {"learning_rate": 0.01, "weight_decay": 0.1}),
    "rmsprop": ("RMSprop", {"learning_rate": 0.01}),
    "rmsprop-centred": ("RMSprop", {"learning_rate": 0.01, "momentum": 0.9, "centered": True}),
    "muon": ("Muon", {"learning_rate": 0.01}),
}
CASES = [(name, *FORMS[0]) for name in OPTIMIZERS]
CASES += [(name, *FORMS[1]) for name in ("nesterov", "adam", "adamw")]


@pytest.mark.parametrize(("name", "model", "objects"), CASES)
def test_two_epochs(both, name, model, objects):
    """Weights after 1 and 16 steps, and the epoch losses, on the MLP.

    Seen: first update 7e-7 (ours with TensorFlow's Adam kernel; else 0), weights 5e-6 (else 2e-7).
    """
    pair = both("mlp", OPTIMIZERS[name], fit={"epochs": 2}, model=model, objects=objects)
    pair.agree(drift=DRIFT.get(name, 2e-6) if objects == "ours" else 2e-6)


@pytest.mark.parametrize("name", ["nesterov", "adam", "rmsprop"])
def test_embeddings(both, name):
    """A sparse gradient means what the dense one does: rows that no word names move too.

    Seen: first update 7e-7, weights 5e-6 for Adam's kernel, 3e-7 for the others.
    """
    both("text-single", OPTIMIZERS[name], fit={"epochs": 2}).agree(drift=DRIFT.get(name, 2e-6))


@pytest.mark.parametrize("name", ["adam", "adamw", "rmsprop"])
def test_drift_of_200_steps(both, monkeypatch, two_hundred, name):
    """200 steps of the written rules, which divide by a root and so amplify small differences.

    Seen: 0 for all three; 7e-7 in epochs of 61 rows. With TensorFlow's kernel Adam drifts by 8e-6,
    and AdamW by 4e-6 until, in one run near step 190, a ReLU unit passed zero a step apart: 9e-3.
    """
    monkeypatch.setattr(optimizers.Adam, "fused", False)
    both("mlp", OPTIMIZERS[name], fit=two_hundred("mlp")).agree(drift=1e-5)


@pytest.mark.parametrize(
    ("clip", "model", "objects"),
    [
        ("clipnorm", "layers", "ours"),
        ("clipvalue", "layers", "ours"),
        ("global_clipnorm", "layers", "ours"),
        ("global_clipnorm", "keras", "keras"),
    ],
)
def test_clipping(both, keras_fit, clip, model, objects):
    """The three ways of clipping, each so tight that every step is clipped.

    Seen: weights 5e-8, losses 2e-8.
    """
    optimizer = ("SGD", {"learning_rate": 0.5, clip: 0.02})
    pair = both("mlp", optimizer, model=model, objects=objects)
    pair.agree()
    free = keras_fit("mlp", ("SGD", {"learning_rate": 0.5}))
    assert np.abs(free.first[0] - pair.keras.first[0]).max() > 1e-3


@pytest.mark.parametrize("clip", ["clipnorm", "global_clipnorm"])
def test_clipping_of_embeddings(both, clip):
    """Sparse gradients. (Of words that occur twice: see test_divergences.)

    Seen: weights 4e-8, losses 1e-7.
    """
    both("text-single", ("SGD", {"learning_rate": 10.0, clip: 1e-3})).agree()


SCHEDULES = [
    ("ExponentialDecay", {"initial_learning_rate": 0.1, "decay_steps": 3, "decay_rate": 0.8}),
    ("PiecewiseConstantDecay", {"boundaries": [3, 9], "values": [0.1, 0.05, 0.01]}),
    ("PolynomialDecay", {"initial_learning_rate": 0.1, "decay_steps": 10, "power": 2.0}),
    (
        "CosineDecay",
        {
            "initial_learning_rate": 0.0,
            "decay_steps": 8,
            "warmup_target": 0.1,
            "warmup_steps": 4,
            "alpha": 0.1,
        },
    ),
]


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: f"{s[0]}{len(s[1])}")
def test_schedules(both, schedule):
    """The rate of each of 16 steps, seen through the weights.

    Seen: weights 9e-8, losses 1.3e-7.
    """
    optimizer = ("SGD", {"learning_rate": schedule, "momentum": 0.9})
    both("mlp", optimizer, fit={"epochs": 2}).agree()


def test_schedule_of_keras(both):
    """A Keras optimizer with a Keras schedule inside our Trainer, which reports its rate.

    Seen: weights 6e-8, losses 1e-8.
    """
    pair = both("mlp", ("Adam", {"learning_rate": SCHEDULES[0]}), model="keras", objects="keras")
    pair.agree()
    rates = pair.ours.trained.history.steps["learning_rate"]
    np.testing.assert_allclose(rates, 0.1 * 0.8 ** (np.arange(8) / 3), 1e-6)


@pytest.mark.parametrize(("model", "objects"), FORMS, ids=["ours", "keras"])
def test_moving_average_that_overwrites(both, model, objects):
    """EMA of the weights, written back every 4 updates (the last of 16 is one of them).

    Seen: weights 5e-8, losses 8e-8.
    """
    optimizer = (
        "SGD",
        {"learning_rate": 0.1, "use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 4},
    )
    both("mlp", optimizer, fit={"epochs": 2}, model=model, objects=objects).agree()


@pytest.mark.parametrize("name", ["nesterov", "adam"])
def test_slots(both, name):
    """After an epoch the optimizer's own variables agree too: ours, and Keras's in our Trainer.

    Seen: Adam's velocity 1.3e-5 (see test_two_epochs), all others 3e-7.
    """
    ours, inside = (both("mlp", OPTIMIZERS[name], model=m, objects=o).ours for m, o in FORMS)
    ours, inside = ours.trained.task.optimizer, inside.trained.task.optimizer
    want = both("mlp", OPTIMIZERS[name]).keras.trained.optimizer
    assert int(ours.iterations) == int(inside.iterations) == int(want.iterations) == 8
    assert len(ours.variables) == len(inside.variables) == len(want.variables)
    # Ours stand slot by slot, Keras's variable by variable.
    slots = [slot for group in zip(*ours.slots.values(), strict=True) for slot in group]
    for got in (slots, inside.variables[2:]):
        for a, b in zip(got, want.variables[2:], strict=True):
            scale = np.abs(np.asarray(b)).max()
            np.testing.assert_allclose(np.asarray(a), np.asarray(b), 2e-5, 5e-6 * scale)
