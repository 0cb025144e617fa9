"""The walk finds every variable once, under a stable path, in modules of ours and of Keras."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from trainer import state


class Inner(tf.Module):
    def __init__(self):
        super().__init__()
        self.w = tf.Variable([1.0], name="w")
        self.frozen = tf.Variable([2.0], trainable=False)


class Outer(tf.Module):
    def __init__(self):
        super().__init__()
        self.parts = [Inner(), {"deep": (Inner(),)}]
        self.shared = self.parts[0]
        self.head = keras.Sequential([keras.layers.Dense(2), keras.layers.BatchNormalization()])
        self.head.build((None, 3))


def test_paths_name_each_variable_once():
    found = state.variables(Outer())
    assert list(found)[:4] == [
        "parts/0/w",
        "parts/0/frozen",
        "parts/1/deep/0/w",
        "parts/1/deep/0/frozen",
    ]
    heads = [path for path in found if path.startswith("head/")]
    assert heads[:2] == ["head/0_kernel", "head/1_bias"]
    assert len(heads) == 6
    assert len({id(v) for v in found.values()}) == len(found)


@pytest.mark.parametrize(
    "clash",
    [
        {"a/b": tf.Variable(1.0), "a": {"b": tf.Variable(2.0)}},
        {1: tf.Variable(1.0), "1": tf.Variable(2.0)},
    ],
)
def test_no_variable_hides_another(clash):
    with pytest.raises(ValueError, match="two variables have the path"):
        state.variables(clash)


def test_two_instances_have_the_same_paths():
    """Keras numbers its automatic names through the process; the paths must not."""
    assert list(state.variables(Outer())) == list(state.variables(Outer()))


def test_trainable_variables_sees_keras_layers_inside_a_module():
    """TensorFlow's own property is empty for those."""
    outer = Outer()
    names = [state.name_of(v).rsplit("/", 1)[-1] for v in state.trainable_variables(outer)]
    assert names == ["w", "w", "kernel", "bias", "gamma", "beta"]
    outer.head.layers[1].trainable = False
    assert len(state.trainable_variables(outer)) == 4


def test_model_variables_leave_out_the_optimizer():
    class Holder(tf.Module):
        def __init__(self):
            super().__init__()
            self.model = Inner()
            self.optimizer = keras.optimizers.Adam()
            self.optimizer.build([self.model.w])

    holder = Holder()
    assert list(state.model_variables(holder)) == ["model/w", "model/frozen"]
    assert len(state.variables(holder)) == 6  # and iterations, learning rate, two slots


def test_untouched_puts_back_old_and_new_variables():
    class Lazy(Inner):
        made = None

        def __call__(self):
            if self.made is None:
                self.made = tf.Variable([5.0])
            self.made.assign_add([1.0])
            self.w.assign([9.0])

    module = Lazy()
    with pytest.raises(KeyError), state.untouched(module):
        module()
        raise KeyError
    np.testing.assert_array_equal(module.w, [1.0])
    np.testing.assert_array_equal(module.made, [5.0])


def test_regularisers_are_counted_once():
    outer = Outer()
    outer.head = keras.Sequential([keras.layers.Dense(1, use_bias=False, kernel_regularizer="l2")])
    outer.head.build((None, 3))
    (loss,) = state.regularization_losses(outer)
    kernel = outer.head.layers[0].kernel.numpy().astype(np.float64)
    np.testing.assert_allclose(loss, 0.01 * np.sum(kernel**2), rtol=1e-6)


def test_random_generators_are_found():
    class Noisy(tf.Module):
        def __init__(self):
            super().__init__()
            self.rng = tf.random.Generator.from_seed(3)
            self.same = {"again": self.rng}

    found = state.variables(Noisy())
    assert list(found) == ["rng/state"]
    assert found["rng/state"].dtype == tf.int64


def test_names_of_keras_variables_do_not_tell_how_many_there_were():
    import keras

    def names():
        model = keras.Sequential([keras.Input([2]), keras.layers.Dense(3)])
        optimizer = keras.optimizers.Adam()
        optimizer.build(model.trainable_variables)
        return list(state.variables({"model": model, "optimizer": optimizer}))

    assert names() == names()
    assert "optimizer/3_velocity" in names()
