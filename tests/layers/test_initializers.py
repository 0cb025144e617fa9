"""Initialisers against Keras's distributions, and as pure functions of their seed."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from layers import initializers

SEED = tf.constant([3, 4])
RANDOM = [
    "glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_uniform", "lecun_normal",
    "random_normal", "random_uniform", "truncated_normal", "variance_scaling", "uniform", "normal",
]  # fmt: skip


@pytest.mark.parametrize("name", RANDOM)
def test_distribution_is_keras(name):
    shape = (3, 3, 40, 90)
    keras.utils.set_random_seed(0)  # else both samples part too far by chance once in a while
    ours = initializers.get(name)(shape, seed=SEED).numpy().ravel()
    theirs = np.ravel(keras.initializers.get(name)(shape))
    levels = np.linspace(0, 1, 9)
    spread = theirs.std()
    np.testing.assert_allclose(
        np.quantile(ours, levels)[1:-1], np.quantile(theirs, levels)[1:-1], atol=0.04 * spread
    )
    if "normal" not in name or name in ("glorot_normal", "truncated_normal"):
        np.testing.assert_allclose(ours.max(), theirs.max(), rtol=0.01)  # both are bounded


@pytest.mark.parametrize("name", [*RANDOM, "orthogonal"])
def test_pure_function_of_the_seed(name):
    make = initializers.get(name)
    one = make((20, 10), seed=SEED).numpy()
    # XLA draws other floats from a seed; weights are always made eagerly.
    compiled = tf.function(lambda s: make((20, 10), seed=s))(SEED)
    np.testing.assert_array_equal(one, make((20, 10), seed=SEED))
    np.testing.assert_allclose(one, compiled, atol=1e-6)
    assert not np.array_equal(one, make((20, 10), seed=SEED + 1))


def test_an_own_seed_fixes_the_values():
    make = initializers.GlorotUniform(seed=4)
    np.testing.assert_array_equal(make((3, 4)), make((3, 4), seed=SEED))
    assert repr(make) == "GlorotUniform(seed=4)"


@pytest.mark.parametrize("shape", [(6, 4), (4, 6), (3, 2, 4)])
def test_orthogonal_rows_or_columns(shape):
    q = initializers.Orthogonal(2.0)(shape, seed=SEED).numpy().reshape(-1, shape[-1])
    small = q @ q.T if q.shape[0] < q.shape[1] else q.T @ q
    np.testing.assert_allclose(small, 4 * np.eye(len(small)), atol=1e-5)


def test_constants():
    assert initializers.get("zeros")((2,)).numpy().tolist() == [0, 0]
    assert initializers.get("ones")((2,)).numpy().tolist() == [1, 1]
    assert initializers.Constant([1, 2])((2, 2)).numpy().tolist() == [[1, 2], [1, 2]]
    np.testing.assert_array_equal(initializers.Identity(3.0)((2, 3)), 3 * np.eye(2, 3))


def test_callables_classes_and_keras_instances_are_taken():
    assert initializers.get(lambda shape, dtype: tf.ones(shape))((2,)).numpy().tolist() == [1, 1]
    seen = initializers.get(lambda shape, dtype, seed: tf.cast(seed, tf.float32))
    assert seen((2,), seed=SEED).numpy().tolist() == [3, 4]
    assert initializers.get(initializers.Ones)((1,)).numpy() == 1
    assert initializers.get(keras.initializers.Ones())((1,)).numpy() == 1
    with pytest.raises(ValueError, match="must return shape"):
        initializers.get(lambda shape, dtype: tf.ones([7]))((2,))


def test_what_is_refused():
    with pytest.raises(ValueError, match="GlorotUniform"):
        initializers.get("glorot_unifrm")
    with pytest.raises(TypeError, match="an initializer must be"):
        initializers.get(3)
    with pytest.raises(ValueError, match="mode must be one of"):
        initializers.VarianceScaling(mode="fan")
    with pytest.raises(ValueError, match="at least two axes"):
        initializers.Orthogonal()((3,), seed=SEED)
