"""Rewinding: exact, bounded, deterministic, from memory and from disk."""

import types

import numpy as np
import pytest

import layers as L
import optimizers
from trainer import At, Callback, Every, Trainer, state
from trainer.callbacks import CallbackError
from trainer.checkpoint import Checkpoint
from trainer.inspect import RewindOnSpike

RNG = np.random.default_rng(0)
X = RNG.normal(size=(800, 3)).astype("float32")
Y = X @ RNG.normal(size=(3, 1)).astype("float32") + RNG.normal(size=(800, 1)).astype("float32")


def spoilt(*steps, value=1e4):
    """Targets that are far off in the batches of some steps (8 rows, counted from 1)."""
    y = Y.copy()
    for step in steps:
        y[8 * (step - 1) : 8 * step] = value
    return y


def trainer(jit=False, **how):
    return Trainer(L.Dense(1), loss="mse", optimizer=optimizers.Adam(0.01), jit=jit, **how)


def fit(made, y, rewind=None, x=X, more=(), **how):
    callbacks = [*more, *([] if rewind is None else [rewind])]
    how = {"steps": 100, "batch_size": 8, "shuffle": False, "verbose": 0, **how}
    return made.fit(x, y, callbacks=callbacks, **how)


def values(made):
    return {k: v.numpy() for k, v in state.variables(made.task).items()}


def rewinder(**how):
    return RewindOnSpike(**{"every": 10, "margin": 0, "patience": 2, "most": 3, **how})


@pytest.mark.parametrize("jit", [False, "step", "loop"])
def test_what_follows_is_as_if_the_batches_had_not_been_there(jit):
    rewound, rewind = trainer(jit), rewinder()
    history = fit(rewound, spoilt(53, 54, 55), rewind)
    (made,) = rewind.rewinds
    assert (made.spike, made.back_to, made.goes_on) == (53, 50, 61)
    assert made.value > 1e6 and made.usual < 10 and history.stopped is None
    assert rewound.step == 100 and len(history.steps["loss"]) == 100

    kept = np.r_[0:400, 480:800]  # without the batches of steps 51 to 60
    plain = trainer(jit)
    fit(plain, Y[kept], x=X[kept], steps=90)
    for (name, a), b in zip(values(rewound).items(), values(plain).values(), strict=True):
        np.testing.assert_array_equal(a, b, name)


def test_the_epoch_is_that_of_the_steps_that_count():
    history = fit(trainer(), spoilt(53, 54), rewinder(), steps=None, epochs=1)
    loss = history.steps["loss"]
    counted = np.r_[loss[:50], loss[60:]]
    np.testing.assert_allclose(history.history["loss"], [counted.mean()], rtol=1e-6)


def test_one_step_that_is_far_off_is_no_spike_but_nan_is():
    rewind = rewinder()
    fit(trainer(), spoilt(53, value=30.0), rewind)
    assert rewind.rewinds == []
    x = X.copy()
    x[8 * 52] = np.nan
    made = trainer()
    fit(made, Y, rewind, x=x)
    assert [r.spike for r in rewind.rewinds] == [53]
    assert all(np.isfinite(v).all() for v in values(made).values())


def test_a_run_that_is_resumed_after_a_spike_rewinds_as_an_uninterrupted_one(tmp_path):
    """It was killed between two spikes: the first is remembered, the second is found again."""

    class Killed(Callback):
        when = At(70)

        def __call__(self, report):
            raise MemoryError("as if killed")

    found = []
    for cut in (False, True):
        how = {"checkpoint": Checkpoint(tmp_path / str(cut), when=Every(steps=13))}
        if cut:
            with pytest.raises(CallbackError, match="as if killed"):
                fit(trainer(**how), spoilt(53, 54, 83, 84), more=[rewinder(), Killed()])
        made, rewind = trainer(**how), rewinder()
        history = fit(made, spoilt(53, 54, 83, 84), rewind)
        assert [(r.spike, r.back_to) for r in rewind.rewinds] == [(53, 50), (83, 80)]
        found.append({**values(made), "losses": history.steps["loss"]})
    for name, a in found[0].items():
        np.testing.assert_array_equal(a, found[1][name], name)


def test_rewinds_are_bounded(caplog):
    rewind = rewinder(most=1)
    history = fit(trainer(), spoilt(43, 44, 73, 74), rewind)
    assert len(rewind.rewinds) == 1 and "1 rewinds were made already" in history.stopped
    assert [r for r in caplog.messages if "back to the state of step 40" in r]


def test_from_checkpoints_as_from_memory(tmp_path):
    """At the checkpoint's step memory and disk hold the same."""
    found = []
    for folder in (None, tmp_path):
        how = {} if folder is None else {"checkpoint": Checkpoint(folder, when=Every(steps=50))}
        made, rewind = trainer(**how), rewinder(checkpoints=folder)
        fit(made, spoilt(53, 54), rewind)
        assert [r.back_to for r in rewind.rewinds] == [50]
        found.append(values(made))
    for name, a in found[0].items():
        np.testing.assert_array_equal(a, found[1][name], name)


@pytest.mark.parametrize("disk", [False, True])
def test_the_loss_scale_goes_back_as_well(disk, tmp_path):
    """The spike's batches overflow in float16, and drove the scale down while they lasted."""
    how = {"checkpoint": Checkpoint(tmp_path, when=Every(steps=50))} if disk else {}
    made = trainer(precision="mixed_float16", **how)
    rewind = rewinder(checkpoints=tmp_path if disk else None)
    x = X.copy()
    x[8 * 52 : 8 * 58] = 3e4
    history = fit(made, Y, rewind, x=x)
    assert [r.back_to for r in rewind.rewinds] == [50]
    scale = history.steps["loss_scale"]
    assert scale[59] < scale[49] and (scale[60:] == scale[49]).all()
    assert made.overflows().skipped["optimizer"] == history.steps["skipped"][:50].sum()


def test_without_a_state_the_run_ends(tmp_path):
    made = trainer(checkpoint=Checkpoint(tmp_path, when=Every(steps=90)))
    history = fit(made, spoilt(53, 54), rewinder(checkpoints=tmp_path))
    assert "no state from before it" in history.stopped


def test_arguments_are_checked():
    for wrong, words in (
        ({"every": 0}, "every=0.*from 1 on"),
        ({"every": "10"}, "every='10'.*whole number"),
        ({"margin": -1}, "margin=-1.*from 0 on"),
        ({"window": 5}, "window=5"),
        ({"deviations": -1.0}, "deviations=-1.0"),
        ({"monitor": "val_loss"}, "values of each step"),
    ):
        with pytest.raises(ValueError, match=words):
            RewindOnSpike(**wrong)


def looked_at(losses, *cuts, **how):
    """A rewinder that has seen losses in so many looks, and the spike it found."""
    rewind, found = rewinder(every=1000, **how), []
    rewind._rewind = lambda report, spike, loss, usual: found.append((spike, loss, usual))
    for part in np.split(np.arange(len(losses)), cuts):
        steps = {"step": part + 1, "loss": np.asarray(losses)[part]}
        rewind(types.SimpleNamespace(steps=steps))
        if found:
            break
    return rewind, found[0] if found else None


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 7, 30])
def test_a_loss_that_is_not_finite_is_a_spike_from_its_own_step_on(value, place):
    losses = 1.0 + 0.1 * RNG.normal(size=40)
    losses[place] = value
    _, found = looked_at(losses, 20, 37, patience=3)
    assert found[0] == place + 1


def test_what_is_usual_is_held_to_numpy():
    """All within, some above for a moment, and a spike that two looks share."""
    losses = 1.0 + 0.1 * RNG.normal(size=300)
    losses[[70, 71, 151]] = 50.0
    losses[198:210] = 60.0
    rewind, (spike, loss, usual) = looked_at(losses, 100, 200, patience=3, window=50)
    assert (spike, loss) == (199, 60.0)
    counted = np.delete(losses[:198], [70, 71, 151])[-50:]
    assert list(rewind._losses) == counted.tolist()
    assert usual == pytest.approx(np.median(counted))  # that of the last block
    bound = usual + 10 * 1.4826 * np.median(np.abs(counted - usual))
    assert rewind._bound() == pytest.approx((usual, bound))


def test_memory_is_kept():
    rewind = rewinder()
    fit(trainer(), spoilt(53, 54), rewind)
    other = rewinder()
    other.load_memory(rewind.memory())
    assert other.rewinds == rewind.rewinds and other.memory() == rewind.memory()
