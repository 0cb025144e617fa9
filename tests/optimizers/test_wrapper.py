"""What every wrapper hands on: rate, slots, variables, build, and refusals."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import optimizers
from optimizers import schedules

WRAPPERS = {
    "ema": lambda inner: optimizers.EMA(inner, 0.5),
    "swa": lambda inner: optimizers.SWA(inner, start=1),
    "lookahead": lambda inner: optimizers.Lookahead(inner, 2),
    "skip": optimizers.SkipNotFinite,
    "accumulate": lambda inner: optimizers.Accumulate(inner, 1),
    "transform": lambda inner: optimizers.Transform(inner, optimizers.ClipGlobalNorm(1e9)),
    "groups": lambda inner: optimizers.Groups({"...": inner}),
}


@pytest.mark.parametrize("name", WRAPPERS)
def test_what_is_handed_on(name):
    wrapped = WRAPPERS[name](optimizers.Adam(0.1))
    weight = tf.Variable([1.0, 2.0], name="w")
    assert not wrapped.built
    wrapped.build([weight])
    wrapped.build([weight])
    assert wrapped.built and wrapped.weight_names == ["w"] and wrapped.schedule is None
    assert wrapped.weights[0] is weight
    wrapped.learning_rate = 0.5
    assert float(wrapped.learning_rate) == 0.5
    wrapped.apply([tf.ones([2])], [weight])
    assert int(wrapped.iterations) == 1
    np.testing.assert_allclose(wrapped.slot("momentum", weight), [0.1, 0.1], rtol=1e-6)
    assert all(v is not weight for v in wrapped.variables)
    later = tf.Variable([3.0], name="later")
    wrapped.add([later])
    wrapped.apply([tf.ones([2]), tf.ones([1])], [weight, later])
    assert float(later[0]) < 3.0 and wrapped.weight_names == ["w", "later"]
    assert len(wrapped.evaluation_values()) == 2


@pytest.mark.parametrize("name", WRAPPERS)
@pytest.mark.parametrize("jit", [False, True])
def test_in_a_compiled_loop_as_alone(name, jit, rng):
    """The weights are those without the wrapper (Lookahead: with it, eagerly)."""
    grads = tf.constant(rng.normal(size=(9, 3)), tf.float32)
    alone, wrapped = tf.Variable([1.0, 2.0, 3.0]), tf.Variable([1.0, 2.0, 3.0])
    inner = optimizers.SGD(schedules.ExponentialDecay(0.1, 5, 0.5), 0.9)
    optimizer = WRAPPERS[name](optimizers.SGD(schedules.ExponentialDecay(0.1, 5, 0.5), 0.9))
    if name == "lookahead":
        inner = WRAPPERS[name](inner)
    optimizer.build([wrapped])
    for g in grads:
        inner.apply([g], [alone])

    @tf.function(jit_compile=jit)
    def loop():
        def body(i):
            optimizer.apply([tf.gather(grads, i)], [wrapped])
            return (i + 1,)

        tf.while_loop(lambda i: i < 9, body, (tf.constant(0),))

    loop()
    np.testing.assert_allclose(wrapped, alone, rtol=2e-6)


def test_only_our_optimizers_are_wrapped():
    with pytest.raises(TypeError, match="'adam' is none of ours; EMA goes around"):
        optimizers.EMA("adam")
    wrapped = optimizers.EMA(optimizers.SGD())
    wrapped.build([tf.Variable(1.0)])
    with pytest.raises(ValueError, match="was not built for the variable 'other:0'"):
        wrapped.slot("average", tf.Variable(1.0, name="other"))
    with pytest.raises(NotImplementedError, match="Wrapper must define around"):
        optimizers.Wrapper(optimizers.SGD()).apply([tf.ones([])], [tf.Variable(1.0)])
    assert not hasattr(wrapped, "perturb")


def test_everything_is_in_one_checkpoint(tmp_path):
    def make():
        optimizer = optimizers.EMA(
            optimizers.Lookahead(optimizers.SkipNotFinite(optimizers.Adam(0.1)), 2), 0.5
        )
        weight = tf.Variable([1.0, 2.0])
        optimizer.build([weight])
        return optimizer, weight

    (first, weight), (second, _) = make(), make()
    for _ in range(3):
        first.apply([tf.constant([1.0, -1.0])], [weight])
    path = tf.train.Checkpoint(optimizer=first).save(str(tmp_path / "c"))
    tf.train.Checkpoint(optimizer=second).restore(path).assert_existing_objects_matched()
    assert len(first.variables) == 2 + 2 + 1 + 1 + 2
    for a, b in zip(first.variables, second.variables, strict=True):
        np.testing.assert_array_equal(a, b)
