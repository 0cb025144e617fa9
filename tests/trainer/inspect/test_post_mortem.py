"""Planted faults: the step, the operation, the layer, the line; and the state goes back."""

import numpy as np
import pytest
import tensorflow as tf

import layers as L
import optimizers
from trainer import Trainer
from trainer.handle import Handle
from trainer.inspect import NaNPostMortem
from trainer.precision.loss_scale import LossScale
from trainer.precision.policy import Precision

X = np.random.default_rng(0).normal(size=(64, 4)).astype("float32") + 5.0
Y = X[:, :1]
BAD = 45  # a row of batch 5 of 8 rows, which step 6 takes


class Log(L.Layer):
    def call(self, x):
        return tf.math.log(x)


class Root(L.Layer):
    """Finite forward, infinite backward at 0."""

    def call(self, x):
        return tf.sqrt(tf.abs(x))


class Gate(L.Layer):
    """A relu that makes 0 of NaN, as TensorFlow's own does outside XLA."""

    def call(self, x):
        return tf.where(x > 0, x, 0.0)


class Masked(L.Layer):
    """Makes -inf at every step, which does no harm."""

    def call(self, x):
        return tf.where(x > 1e9, tf.math.log(x * 0.0), x)


def spoilt(value):
    x = X.copy()
    x[BAD, 2] = value
    return x


def trainer(*layers, rate=1e-4, jit=False, **how):
    model = L.Sequential([*layers, L.Dense(1)])
    return Trainer(model, loss="mse", optimizer=optimizers.SGD(rate), jit=jit, **how)


def fit(made, x, post=None, **how):
    post = post or NaNPostMortem(None, verbose=0)
    how = {"batch_size": 8, "shuffle": False, "verbose": 0, "callbacks": [post], **how}
    return made.fit(x, Y, **how), post.found


def weights(made):
    return [v.numpy() for v in made.task.variables]


every_mode = pytest.mark.parametrize("jit", [False, "step", "loop"])


@every_mode
def test_the_log_of_zero(jit, tmp_path):
    made = trainer(Masked(), Log(), jit=jit)
    post = NaNPostMortem(tmp_path, verbose=0)
    history, found = fit(made, spoilt(0.0), post, epochs=3)
    assert (found.step, found.values, found.data) == (6, ["loss"], [])
    first = found.births[0]
    assert (first.op, first.layer, first.phase) == ("Log", "model/layers/1", "forward")
    assert "test_post_mortem.py" in first.line and "1 -inf of 32 values" in first.made
    assert found.variables[:2] == ["model/layers/2/kernel", "model/layers/2/bias"]
    assert history.stopped == "loss is not finite at step 6"

    # The state is that after five steps, to the bit; the batch and it are on disk.
    plain = trainer(Masked(), Log(), jit=jit)
    fit(plain, X, steps=5)
    for a, b in zip(weights(made), weights(plain), strict=True):
        np.testing.assert_array_equal(a, b)
    batch = np.load(tmp_path / "step_6" / "batch.npz")
    np.testing.assert_array_equal(batch["batch[0]"], spoilt(0.0)[40:48])
    saved = np.load(tmp_path / "step_6" / "state.npz")
    np.testing.assert_array_equal(saved["model.layers.2.kernel"], plain.task.model.layers[2].kernel)
    assert "Log in model/layers/1" in (tmp_path / "step_6" / "report.txt").read_text()


@every_mode
def test_a_gradient_that_breaks_while_the_loss_is_finite(jit):
    """The step that broke the weights is named, not the next, whose loss shows it."""
    made = trainer(L.Dense(4, use_bias=False), Root(), jit=jit)
    x = X.copy()
    x[BAD] = 0.0
    _, found = fit(made, x)
    assert found.step == 6
    first = found.births[0]
    assert (first.layer, first.phase) == ("model/layers/1", "backward")
    assert "the loss showed it at step 7" in found.notes[0]
    assert np.isfinite(np.concatenate([w.ravel() for w in weights(made)])).all()


@every_mode
def test_weights_that_break_while_every_loss_is_finite(jit):
    """The loss never shows that the kernel is lost."""
    made = trainer(L.Dense(4), Gate(), jit=jit)
    history, found = fit(made, spoilt(np.nan), epochs=2)
    assert np.isfinite(history.steps["loss"]).all()
    assert (found.step, found.values) == (6, ["model/layers/0/kernel"])
    assert found.data[0].startswith("batch[0] has 1 value that is not finite")
    assert history.stopped == "model/layers/0/kernel is not finite at step 6"
    assert np.isfinite(np.concatenate([w.ravel() for w in weights(made)])).all()


@every_mode
def test_a_learning_rate_that_explodes(jit):
    """The loss's own square overflows, at the latest of the finite steps' losses."""
    _, found = fit(trainer(L.Dense(4), rate=10.0, jit=jit), X, epochs=2)
    first = found.births[0]
    assert (found.step, found.values, found.data) == (3, ["loss"], [])
    assert (first.op, first.layer, first.phase) == ("Square", "", "forward")
    assert first.line.endswith("in mean_squared_error")
    backward = [b for b in found.births if b.phase == "backward"]
    assert {b.layer for b in backward} == {"model/layers/0", "model/layers/1"}
    assert all(b.line == "" for b in backward)
    assert {"model/layers/0/kernel", "model/layers/1/kernel"} <= set(found.variables)
    assert any("rising" in note for note in found.notes)
    assert found.trail[-2] > 1e3 * found.trail[0] and not np.isfinite(found.trail[-1])


@every_mode
def test_an_update_that_overflows(jit):
    """The gradient is finite, and so is the loss; the rate times the gradient is not."""
    _, found = fit(trainer(rate=1e38, jit=jit), X)
    first = found.births[0]
    assert (found.step, first.op, first.phase) == (1, "Mul", "update")
    assert found.values == found.variables == ["model/layers/0/kernel", "model/layers/0/bias"]


@every_mode
def test_an_update_that_overflows_within_one_kernel(jit):
    """Adam's kernel squares the gradient: the slot is lost first, and a later loss shows it."""
    model = L.Sequential([L.Dense(1)])
    made = Trainer(model, loss="mse", optimizer=optimizers.Adam(1e-3), jit=jit)
    x = X.copy()
    x[BAD] = 1e15
    _, found = fit(made, x)
    assert found.step == 6 and found.births == []
    assert found.variables == ["optimizer/_slots/velocity/0"]
    assert "the optimizer's own kernel made it" in found.notes[0]


@every_mode
@pytest.mark.parametrize("scale", [None, "dynamic"])
def test_an_overflow_in_float16(jit, scale):
    """The loss scale has no part in it: the layer's own product overflows."""
    precision = "mixed_float16" if scale else Precision("float16", loss_scale=None)
    made = trainer(L.Dense(4, kernel_initializer="ones"), precision=precision, jit=jit)
    x = X.copy()
    x[BAD] = 6e4
    _, found = fit(made, x)
    assert found.step == 6 and found.data == []
    first = found.births[0]
    assert (first.op, first.layer, first.phase) == ("MatMul", "model/layers/0", "forward")
    assert "core.py" in first.line and "4 +inf of 32 values float16[8, 4]" in first.made
    kernels = ["model/layers/0/kernel", "model/layers/0/bias"]
    assert found.variables[:2] == ([] if scale else kernels)  # a scale leaves the update out


@every_mode
def test_a_loss_scale_on_its_way_down_is_no_fault(jit):
    made = trainer(precision="mixed_float16", gradient_norm=True, jit=jit)
    history, found = fit(made, 20.0 * X)
    assert history.steps["skipped"][0] and not np.isfinite(history.steps["gradient_norm"][0])
    assert found is None and history.stopped is None


@every_mode
def test_replays_run_at_the_scale_of_then_and_leave_it(jit):
    """The scale moves in every step; what was left out until the bad step counts, and no more."""
    precision = Precision("float16", loss_scale=LossScale(2.0**15, dynamic_growth_steps=1))

    def make():
        return trainer(precision=precision, jit=jit, rate=1e-3)

    made, plain = make(), make()
    _, found = fit(made, spoilt(np.nan))
    assert found.step == 6
    fit(plain, X, steps=5)
    ours, theirs = made.overflows(), plain.overflows()
    assert theirs.scales["optimizer"] < 2.0**15 and theirs.skipped["optimizer"] > 1
    assert (ours.scales, ours.skipped, ours.rows) == (theirs.scales, theirs.skipped, theirs.rows)
    assert not any("only as compiled" in note for note in found.notes)


@every_mode
def test_nan_in_the_data(jit):
    _, found = fit(trainer(jit=jit), spoilt(np.nan))
    assert found.step == 6 and found.data == [
        "batch[0] has 1 value that is not finite, first in row 5"
    ]
    assert found.births == []
    assert found.variables == ["model/layers/0/kernel", "model/layers/0/bias"]


def test_a_run_that_is_well_is_left_alone(capsys):
    history, found = fit(trainer(Masked()), X, NaNPostMortem("never"), epochs=2)
    assert found is None and history.stopped is None
    assert capsys.readouterr().out == ""


def test_what_was_found_is_printed_and_training_can_go_on(capsys):
    made = trainer(Log())
    fit(made, spoilt(0.0), NaNPostMortem(None))
    said = capsys.readouterr().out
    assert "step 6 broke: loss not finite" in said and "first by Log in model/layers/0" in said
    history, found = fit(made, X)
    assert found is None and len(history.steps["loss"]) == 8


def test_a_state_that_was_broken_long_before_is_said(tmp_path, capsys):
    made = trainer()
    made.prepare(X, Y).close()
    made.task.model.trainable_variables[1].assign([np.nan])
    _, found = fit(made, X, NaNPostMortem(tmp_path))
    assert found.variables == ["model/layers/0/bias"]
    assert "broken before step 0" in found.notes[0]
    assert "batch and state" not in capsys.readouterr().out and not any(tmp_path.iterdir())


def test_of_several_workers_one_writes_and_all_find(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(Handle, "chief", False)
    history, found = fit(trainer(Log()), spoilt(0.0), NaNPostMortem(tmp_path))
    assert found.step == 6 and history.stopped == "loss is not finite at step 6"
    assert capsys.readouterr().out == "" and not any(tmp_path.iterdir())
