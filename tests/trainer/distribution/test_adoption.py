"""Variables made outside a strategy are moved into it; what replicas cannot share is refused."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import optimizers
from trainer import Task, state
from trainer.distribution.adoption import adopt


@pytest.fixture(scope="module")
def two():
    names = [d.name for d in tf.config.list_logical_devices("CPU")[:2]]
    return tf.distribute.MirroredStrategy(names, tf.distribute.ReductionToOneDevice())


class Held(Task):
    def __init__(self):
        super().__init__()
        self.w = tf.Variable([1.0, 2.0], name="w")
        self.tied = [self.w, {"deep": (self.w, tf.Variable(3, name="n"))}]
        self.keras = keras.layers.Dense(2)
        self.keras.build([None, 2])
        self.optimizer = optimizers.Adam(0.5)


def test_variables_made_before_are_moved_into_the_strategy(two):
    task = Held()
    before = {path: v.numpy() for path, v in state.variables(task).items()}
    kernel = task.keras.kernel
    adopt(task, two)
    after = state.variables(task)
    assert list(after) == list(before)
    for path, variable in after.items():
        np.testing.assert_array_equal(variable.numpy(), before[path])
        assert variable.distribute_strategy is two, path
    assert task.tied[0] is task.w and task.tied[1]["deep"][0] is task.w
    assert task.keras.kernel is kernel  # Keras's own variable, around another one
    again = dict(after)
    adopt(task, two)  # nothing is left to be moved
    assert all(state.variables(task)[path] is v for path, v in again.items())


def test_what_replicas_cannot_share_is_refused(two):
    with two.scope():
        task = Held()
        task.count = tf.Variable(
            13,
            synchronization=tf.VariableSynchronization.ON_READ,
            aggregation=tf.VariableAggregation.SUM,
        )
    with pytest.raises(ValueError, match=r"'count' is kept by each replica"):
        adopt(task, two)
    task = Held()
    task.optimizer.build([task.w])
    with pytest.raises(ValueError, match="was built outside the strategy"):
        adopt(task, two)
    task = Held()
    task.noise = tf.random.Generator.from_seed(1)
    with pytest.raises(ValueError, match=r"ctx\.seed"):
        adopt(task, two)


def test_random_layers_of_keras_draw_alike_on_all_replicas_and_that_is_said(two, caplog):
    class Noisy(Task):
        def __init__(self):
            super().__init__()
            self.model = keras.Sequential([keras.layers.Dropout(0.5)])

    adopt(Noisy(), two)
    assert "random layers at 'model'" in caplog.text and "get the same noise" in caplog.text
    with pytest.raises(ValueError, match=r"as Replication\(seeds='example'\) asks; use random"):
        adopt(Noisy(), two, by_example=True)
    caplog.clear()
    adopt(Held(), two)
    assert not caplog.text
