"""The loss scale of one optimizer: settings, decisions, and who overflowed when."""

import numpy as np
import pytest
import tensorflow as tf

from trainer.context import StepContext
from trainer.precision.loss_scale import LossScale, Scaler
from trainer.precision.overflows import Overflow
from trainer.random import Seeds


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"initial_scale": 1000.0}, "1024"),
        ({"initial_scale": 0.0}, "initial_scale=0.0"),
        ({"initial_scale": "high"}, "initial_scale='high'"),
        ({"maximum": float("inf")}, "maximum=inf"),
        ({"minimum": 2.0**16}, "outside"),
        ({"dynamic_growth_steps": 0}, "dynamic_growth_steps=0"),
    ],
)
def test_wrong_settings_are_refused(how, words):
    with pytest.raises(ValueError, match=words):
        LossScale(**how)


def _train(run, settings, factors, model, optimizer, parts=1):
    """One update per factor: gradients of mean(factor * w . x) by an ordinary step."""
    scaler = Scaler(settings, "optimizer", {"w": model.w, "b": model.b})
    seen = []
    for step, factor in enumerate(factors):

        def update(batch, step=step):
            ctx = StepContext(Seeds(0, step), parts=parts, scaler=lambda o: scaler)
            ctx.minimize(
                lambda p: tf.reduce_sum(model(p["x"]) * p["factor"][:, None], -1),
                batch,
                optimizer,
                [model.w, model.b],
            )
            return ctx.scalars

        x = np.ones((4, 3), "float32")
        batch = {"x": x, "factor": np.full(4, factor, "float32")}
        scalars = run(update, batch)
        seen.append((float(scalars["loss_scale"]), int(scalars["skipped"])))
    return scaler, seen


def test_the_scale_moves_as_the_rule_says(run, linear, sgd):
    """Doubles after two finite updates in a row, halves and starts anew at one that is not."""
    bad, good = float("inf"), 1.0
    factors = [good, bad, good, good, good, bad, bad, good]
    scaler, seen = _train(
        run, LossScale(8.0, dynamic_growth_steps=2, minimum=2.0), factors, linear(), sgd()
    )
    assert seen == [(8, 0), (8, 1), (4, 0), (4, 0), (8, 0), (8, 1), (4, 1), (2, 0)]
    assert int(scaler.skipped) == int(scaler.forward) == 3
    assert scaler.overflows() == [
        Overflow("w", 3, 2, 7, "optimizer"),
        Overflow("b", 3, 2, 7, "optimizer"),
    ]


def test_limits_and_a_static_scale(run, linear, sgd):
    bad = float("nan")
    narrow = LossScale(4.0, dynamic_growth_steps=1, minimum=2.0, maximum=8.0)
    _, seen = _train(run, narrow, [1.0, 1.0, 1.0, bad, bad, bad, bad], linear(), sgd())
    assert [scale for scale, _ in seen] == [4, 8, 8, 8, 4, 2, 2]
    _, seen = _train(run, LossScale(64.0, dynamic=False), [1.0, bad, 1.0], linear(), sgd())
    assert seen == [(64, 0), (64, 1), (64, 0)]


@pytest.mark.parametrize("parts", [1, 2])
def test_a_skipped_update_leaves_everything(run, linear, sgd, parts):
    """The weights are those of the finite updates alone."""
    one, two = linear(), linear()
    _train(run, LossScale(), [1.0, float("inf"), 2.0], one, sgd(), parts)
    _train(run, LossScale(), [1.0, 2.0], two, sgd(), parts)
    np.testing.assert_array_equal(one.w, two.w)
    np.testing.assert_array_equal(one.b, two.b)


class Climber:
    """As SAM: goes to the worst point near by, and back before it applies."""

    def __init__(self, inner):
        self.inner = inner

    def perturb(self, gradients, variables):
        self.origin = [v.read_value() for v in variables]
        for g, v in zip(gradients, variables, strict=True):
            v.assign_add(0.1 * g)

    def apply(self, gradients, variables):
        for v, value in zip(variables, self.origin, strict=True):
            v.assign(value)
        self.inner.apply(gradients, variables)


def test_two_gradients_are_undone_where_the_second_overflows(run, linear, sgd):
    """The first gradient is finite; at the perturbed point the loss is not."""
    model = linear()
    before = model.w.numpy()
    scaler = Scaler(LossScale(), "optimizer", {"w": model.w, "b": model.b})

    def step(x):
        ctx = StepContext(Seeds(0, 0), scaler=lambda o: scaler)

        def loss_fn(x):
            moved = tf.reduce_any(tf.not_equal(model.w, before))
            return tf.reduce_sum(model(x), -1) * tf.where(moved, np.float32("inf"), 1.0)

        ctx.minimize(loss_fn, x, Climber(sgd()), [model.w, model.b])
        return ctx.scalars["skipped"]

    assert float(run(step, np.ones((4, 3), "float32"))) == 1.0
    np.testing.assert_array_equal(model.w, before)
    assert [row.variable for row in scaler.overflows()] == ["w", "b"]
