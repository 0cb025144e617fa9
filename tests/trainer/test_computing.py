"""A precision at work: built once, in force while traced, looked after once a mode."""

from contextlib import nullcontext

import pytest
import tensorflow as tf

import layers
import optimizers
from trainer import LossScale, Precision, Task
from trainer.computing import Computing


class Two(Task):
    def __init__(self):
        super().__init__()
        self.model = layers.Dense(2)
        self.model(tf.ones([1, 3]))
        self.optimizers = {"a": optimizers.SAM(optimizers.SGD()), "b": optimizers.Adam()}


def _computing(precision, said=None):
    task = Two()
    warn = (lambda text: None) if said is None else said.append
    return task, Computing(task, precision, nullcontext, warn)


def test_each_outermost_optimizer_gets_one_scale_and_keeps_it():
    task, computing = _computing(Precision("float16", loss_scale=LossScale(8.0)))
    computing.build()
    first = computing.scalers.of(task.optimizers["a"])
    computing.build()
    assert computing.scalers.of(task.optimizers["a"]) is first
    paths = {path.rsplit("/", 1)[0] for path in computing.scalers.variables}
    assert paths == {"loss_scale/optimizers/a", "loss_scale/optimizers/b"}


@pytest.mark.parametrize("precision", [None, Precision(), Precision("bfloat16")])
def test_no_scale_where_none_is_needed(precision):
    task, computing = _computing(precision)
    computing.build()
    assert computing.scalers.of(task.optimizers["a"]) is None
    assert computing.scalers.variables == {}
    assert "not scaled" in str(computing.scalers.overflows)


def test_a_mode_is_looked_at_once():
    said = []
    _, computing = _computing(Precision("bfloat16"), said)
    spec = tf.TensorSpec([2, 2])
    graph = tf.function(tf.matmul).get_concrete_function(spec, spec).graph
    for mode in ("graph", "graph"):
        computing.look(graph, mode)
    assert len(said) == 1
    assert "float32 MatMul" in said[0]
