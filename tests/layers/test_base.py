"""The base layer: order of weights, frozen parts, seeds, dtypes, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import layers as L


def penalty(weight):
    return tf.reduce_sum(weight + 2)


class Scale(L.Layer):
    def __init__(self, inner=None):
        super().__init__()
        self.zulu = inner
        self.more = [L.Dense(2), {"deep": L.Dense(3)}]

    def build(self, input_shape):
        self.moving = self.add_weight("moving", [1], "ones", trainable=False)
        self.beta = self.add_weight("beta", [2], "zeros", regularizer=penalty)
        self.alpha = self.add_weight("alpha", [1], "ones")

    def call(self, x):
        x = self.more[0](x) * self.cast(self.alpha)
        return self.more[1]["deep"](x)


def test_weights_are_in_keras_order_not_by_name():
    layer = Scale()
    layer(tf.zeros([1, 4]))
    names = [v.name.split("/")[-1].split(":")[0] for v in layer.weights]
    assert names == ["beta", "alpha", "moving", "kernel", "bias", "kernel", "bias"]
    assert [tuple(v.shape) for v in layer.weights[3:]] == [(4, 2), (2,), (2, 3), (3,)]
    assert [v is w for v, w in zip(layer.non_trainable_variables, layer.weights[2:3], strict=True)]
    assert float(layer.losses[0]) == 4.0


def test_a_shared_layer_counts_once_and_a_frozen_child_is_not_trained():
    shared = L.Dense(4)
    model = L.Sequential([shared, shared, L.Dense(2)])
    model(tf.zeros([1, 4]))
    assert len(model.weights) == 4
    shared.trainable = False
    assert [id(v) for v in model.trainable_variables] == [id(v) for v in model.layers[2].weights]
    assert [id(v) for v in model.non_trainable_variables] == [id(v) for v in shared.weights]
    model.trainable = True
    assert len(model.trainable_variables) == 4


def test_a_plain_module_between_layers_is_walked():
    class Plain(tf.Module):
        def __init__(self):
            super().__init__()
            self.b = L.Dense(3)
            self.a = tf.Variable(1.0)

        def __call__(self, x):
            return self.b(x) * self.a

    model = L.Sequential([Plain()])
    model(tf.zeros([1, 2]))
    assert [v.shape.rank for v in model.weights] == [0, 2, 1]


def test_initial_weights_obey_the_seed_source_and_the_global_seed():
    def kernel(source=None):
        layer = L.Dense(3)
        layer.seed_source = source
        layer(tf.zeros([1, 4]))
        return layer.get_weights()[0]

    seeded = kernel(lambda: tf.constant([1, 2]))
    np.testing.assert_array_equal(seeded, kernel(lambda: tf.constant([1, 2])))
    assert not np.array_equal(seeded, kernel(lambda: tf.constant([1, 3])))
    tf.random.set_seed(3)
    one = kernel()
    tf.random.set_seed(3)
    np.testing.assert_array_equal(one, kernel())
    assert not np.array_equal(one, kernel())


def test_an_explicit_seed_is_mixed_in():
    one, two = L.Dropout(0.5, seed=1), L.Dropout(0.5, seed=2)
    for layer in (one, two):
        layer.seed_source = lambda: tf.constant([1, 2])
    assert not np.array_equal(one.next_seed(one.seed), two.next_seed(two.seed))


def test_compute_dtype_can_change_at_any_time_and_casts_weights_and_inputs():
    layer = L.Dense(3)
    x = np.ones([2, 4])
    assert layer(x).dtype == tf.float32
    layer.compute_dtype = tf.float16
    assert layer.compute_dtype == "float16" and layer(x).dtype == tf.float16
    assert layer.kernel.dtype == tf.float32
    for wrong in ("int32", "float23", None):
        with pytest.raises(ValueError, match="compute_dtype must be a floating dtype"):
            layer.compute_dtype = wrong


def test_build_by_shape_then_call_keeps_the_weights():
    layer = L.Dense(3)
    layer.build((None, 4))
    kernel = layer.kernel
    layer(tf.zeros([2, 4]))
    assert layer.kernel is kernel and layer.built
    with pytest.raises(ValueError, match="size is unknown"):
        L.Dense(3).build((None, None))


def test_lists_numbers_and_nests_are_taken():
    class Add(L.Layer):
        def call(self, inputs, other):
            return inputs["a"] + inputs["b"][0] + other

    layer = Add()
    layer.compute_dtype = "bfloat16"
    y = layer({"a": np.ones(2), "b": (tf.ones(2),)}, np.ones(2))
    assert y.dtype == tf.bfloat16
    assert L.Activation("relu")([-1.0, 2.0]).numpy().tolist() == [0.0, 2.0]


def test_set_weights_before_building_says_so():
    with pytest.raises(ValueError, match="not built yet"):
        L.Dense(2).set_weights([np.zeros([2, 2]), np.zeros(2)])


def test_training_reaches_call_only_where_it_is_taken():
    class Seen(L.Layer):
        def call(self, x, training=False):
            return training

    assert Seen()(tf.zeros(1), training=True) is True
    assert Seen()(tf.zeros(1)) is False


def test_repr_shows_what_differs_from_the_defaults():
    assert repr(L.Dense(3)) == "Dense(units=3)"
    assert repr(L.Dense(3, "relu", kernel_initializer="he_normal")) == (
        "Dense(units=3, activation='relu', kernel_initializer='he_normal')"
    )
    assert repr(L.Embedding(3, 2)) == "Embedding(input_dim=3, output_dim=2)"
