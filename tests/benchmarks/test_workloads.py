"""Every workload does one job in all its forms: with the Trainer, in Keras, written by hand."""

import dataclasses
import functools
import itertools
import pathlib

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import workloads
from benchmarks.data import cifar10, mnist
from layers import regularization
from trainer.random import Seeds

NAMES = [*workloads.WORKLOADS, *workloads.OTHERS]
SUPERVISED = [n for n in NAMES if isinstance(workloads.get(n), workloads.Supervised)]
CUSTOM = [n for n in NAMES if isinstance(workloads.get(n), workloads.Custom)]
# Attributes that make a job smaller and leave its code as it is.
SMALLER = {
    "wide": {"units": 16},
    "cifar10": {"blocks": 1},
    "distillation": {"teacher_epochs": 1},
    "fine_tuning": {"pretraining_epochs": 1},
    "policy_gradient": {"most_steps": 20},
    # At its own rate, what rounding does to normalized batches of 2 rows grows from step to step.
    "resnet": {"blocks": 1, "rows": 64, "learning_rate": 1e-3},
    "unet": {"widths": (4, 8), "rows": 64},
}
ROWS = 6
MODES = (False, "step", "loop")
# By how much the loss of half precision may be from float32's, relative to it or to 1: a few units
# in the last place, 0.8 % in bfloat16 and 0.1 % in float16.
BAND = {"mixed_bfloat16": 2e-2, "mixed_float16": 4e-3}


def pytest_generate_tests(metafunc):
    """Each workload in one way, all ways in turns; in all ways with --everything."""
    choices = {"precision": list(BAND), "jit": MODES, "by_xla": MODES[1:]}
    asked = [choice for choice in choices if choice in metafunc.fixturenames]
    if not asked:
        return
    ways = list(itertools.product(*(choices[choice] for choice in asked)))
    everything = metafunc.config.getoption("everything")
    found = [
        (name, *way)
        for number, name in enumerate(workloads.WORKLOADS)
        for way in (ways if everything else [ways[number % len(ways)]])
    ]
    metafunc.parametrize(("name", *asked), found)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """No network, and one block of a GPT, which takes half as long to compile as two."""
    noise = np.random.default_rng(0).integers(0, 256, [ROWS, 28, 28], np.uint8)
    labels = np.arange(ROWS)
    monkeypatch.setattr(mnist, "_download", lambda path: [noise, labels, noise, labels])
    colors = np.random.default_rng(0).integers(0, 256, [ROWS, 32, 32, 3], np.uint8)
    monkeypatch.setattr(cifar10, "_download", lambda path: [(colors, labels)] * 2)
    monkeypatch.setattr("benchmarks.workloads.gpt.BLOCKS", 1)


def job(name):
    """The workload, the first rows of its data, and weights to begin with."""
    return workloads.get(name, SMALLER.get(name)), *beginnings(name)


@functools.cache
def beginnings(name):
    """The first rows of the data, and weights to begin with."""
    workload = workloads.get(name, SMALLER.get(name))
    data = workload.data()
    arrays = {field.name: getattr(data, field.name) for field in dataclasses.fields(data)}
    data = type(data)(**{key: None if a is None else a[:ROWS] for key, a in arrays.items()})
    return data, workload.initial_weights(data, seed=3)


def train(workload, data, weights, jit, **settings):
    """Three updates on batches of 2 rows; returns the history and the weights then."""
    jit = {"train": jit, "evaluate": False}
    trainer = workload.trainer(data, weights, jit=jit, **settings)
    x, y = data.head(ROWS)
    history = trainer.fit(x, y, batch_size=2, shuffle=False, verbose=0)
    assert trainer.programs.choices["train"].mode == (jit["train"] or "graph")
    assert trainer.programs.guard.table().count("traced in") == 1
    return history, workload.get_weights(trainer)


@pytest.mark.parametrize("name", NAMES)
def test_settings_are_complete(name):
    workload = workloads.get(name)
    assert workload.name == name and workload.title == workloads.find(name)[1]
    assert type(workload).__doc__
    assert min(workload.batch_size, workload.epochs, workload.round_steps) > 0
    assert workload.expected or name in workloads.OTHERS


@pytest.mark.parametrize("name", SUPERVISED)
def test_both_models_are_equal_with_the_same_weights(name):
    workload, data, weights = job(name)
    rng = np.random.default_rng(0)
    twin, model = workload.keras_model(), workload.model()
    model(data.x_train)  # builds
    weights = [w + rng.normal(0, 0.1, w.shape).astype(np.float32) for w in weights]
    twin.set_weights(weights)
    model.set_weights(weights)
    expected = np.asarray(twin(data.x_train))
    np.testing.assert_allclose(model(data.x_train).numpy(), expected, rtol=1e-5, atol=1e-5)
    own = workload.loss()(data.y_train, tf.constant(expected))
    np.testing.assert_allclose(own, workload.keras_loss()(data.y_train, expected), rtol=1e-6)
    assert float(workload.optimizer().learning_rate) == pytest.approx(workload.learning_rate)
    assert float(workload.keras_optimizer().learning_rate) == pytest.approx(workload.learning_rate)


@pytest.mark.parametrize("name", CUSTOM)
def test_the_step_by_hand_is_the_task_s(name):
    """From the same weights on the same batches with the same noise, in plain graphs.

    Two optimizers take gradients that agree to rounding, of which Adam makes steps of the learning
    rate's size where a gradient is next to nothing: so nearly all weights are compared.
    """
    workload, data, weights = job(name)
    history, trained = train(workload, data, weights, jit=False)
    by_hand = workload.by_hand(data, weights)
    step = tf.function(lambda batch, number: by_hand.step(batch, Seeds(0, number)))
    arrays = [a for a in data.head(ROWS) if a is not None]
    for number in range(ROWS // 2):
        batch = tuple(tf.constant(a[2 * number :][:2]) for a in arrays)
        found = step(batch if len(batch) > 1 else batch[0], tf.constant(number))
        assert any("loss" in key for key in found)
        for key, value in found.items():
            np.testing.assert_allclose(value, history.steps[key][number], rtol=1e-4, err_msg=key)
    moved = [np.max(np.abs(a - b)) for a, b in zip(trained, weights, strict=True)]
    assert max(moved) > 1e-4
    for a, b in zip(trained, by_hand.get_weights(), strict=True):
        assert np.mean(np.abs(a - b) > 1e-5) < 0.01


@pytest.fixture
def portable_noise(monkeypatch):
    """Draws that XLA makes as plain graphs do; TensorFlow's own differ for the same seed."""
    draw = tf.random.stateless_uniform

    def uniform(shape, seed, minval=0, maxval=1, dtype=tf.float32, **named):
        if dtype == tf.uint32:
            return draw(shape, seed, minval=minval, maxval=maxval, dtype=dtype, **named)
        high = tf.bitwise.right_shift(regularization.random_bits(shape, seed), np.uint32(8))
        return minval + (maxval - minval) * tf.cast(high, dtype) * 2.0**-24

    monkeypatch.setattr(tf.random, "stateless_uniform", uniform)
    monkeypatch.setattr(
        tf.random,
        "stateless_normal",
        lambda shape, seed, **named: regularization.normal(shape, seed),
    )


def test_every_way_of_compiling_trains_the_same(name, by_xla, portable_noise):
    """Adam's first steps divide gradients by their own size, so weights whose gradient is rounding
    error may part by the learning rate: losses are compared, and nearly all weights."""
    workload, data, start = job(name)
    plain, expected = train(workload, data, start, False)
    history, weights = train(workload, data, start, by_xla)
    losses = [key for key in plain.steps if key.endswith("loss")]
    assert losses
    for key in losses:
        np.testing.assert_allclose(history.steps[key], plain.steps[key], rtol=2e-4, err_msg=key)
    for a, b in zip(weights, expected, strict=True):
        assert np.mean(np.abs(a - b) > 1e-4) < 0.02


def test_half_precision_trains_in_every_way(name, precision, jit, portable_noise):
    """The first loss is float32's up to rounding; all are finite; every model moves.

    That they go on as Keras's do is for tests/parity/test_precision.py to show.
    """
    workload, data, start = job(name)
    exact, _ = train(workload, data, start, False)
    history, weights = train(workload, data, start, jit, precision=precision)
    for key in (key for key in exact.steps if key.endswith("loss")):
        got, want = history.steps[key], exact.steps[key]
        assert np.isfinite(got).all(), key
        assert abs(got[0] - want[0]) <= BAND[precision] * max(1.0, abs(want[0])), key
    left_out = [v for key, v in history.steps.items() if key.endswith("skipped")]
    assert bool(left_out) == (precision == "mixed_float16")
    assert not any(skipped[-1] for skipped in left_out)  # the scale has come down, if it had to
    moved = [np.max(np.abs(a - b)) for a, b in zip(weights, start, strict=True)]
    assert max(moved) > 1e-4 and np.isfinite(moved).all()


def test_keras_adds_up_the_gradient_rows_of_an_embedding():
    """The first step of Adam moves every weight by the learning rate, however often it is used."""
    workload = workloads.get("gpt")
    for optimizer in (workload.keras_optimizer(), workload.optimizer()):
        table = tf.Variable(tf.zeros([3, 1]))
        optimizer.build([table])
        uses = tf.IndexedSlices(tf.ones([51, 1]), [0] * 50 + [1], tf.constant([3, 1]))
        optimizer.apply([uses], [table])
        np.testing.assert_allclose(table[:, 0], [-1e-3, -1e-3, 0], rtol=1e-4)


def test_help_lists_them_all(run_module):
    shown = "".join(run_module("benchmarks", "--help").stdout.split())  # lines end at hyphens, too
    for name, (_, title) in (workloads.WORKLOADS | workloads.OTHERS).items():
        assert f"{name}: {title}".replace(" ", "") in shown
    for file in ("mnist.npz", "*.txt", "cifar-10-batches-bin"):
        assert file in shown


def test_the_page_of_custom_steps_lists_them():
    page = pathlib.Path(workloads.__file__).parents[2] / "docs" / "custom_step.md"
    text = page.read_text(encoding="utf-8")
    for name in CUSTOM:
        assert f"(../benchmarks/workloads/{name}.py)" in text


def test_unknown_names_and_overrides():
    with pytest.raises(ValueError, match=r"'mnits' is not one of digits.*Did you mean 'mnist'"):
        workloads.get("mnits")
    with pytest.raises(ValueError, match="not one of") as caught:
        workloads.get("zzzz")
    assert "Did you mean" not in str(caught.value)
    assert workloads.get("digits", {"batch_size": 7}).batch_size == 7
    assert workloads.get("digits").batch_size == 32
