"""Strategies: which is used, which is refused, and what workers say to each other."""

import json

import pytest
import tensorflow as tf

import layers
from tests.trainer.pairs import together
from trainer import Trainer
from trainer.distribution.replicas import Replicas, worker_index


@pytest.fixture(scope="module")
def two():
    names = [d.name for d in tf.config.list_logical_devices("CPU")[:2]]
    return tf.distribute.MirroredStrategy(names, tf.distribute.ReductionToOneDevice())


def test_the_strategy_whose_scope_is_open_is_used(two):
    assert Replicas().count == 1
    assert not Replicas().spread
    with two.scope():
        assert Replicas().strategy is two
    assert not Replicas(tf.distribute.OneDeviceStrategy("CPU:0")).spread


def test_one_worker_agrees_with_itself(two):
    replicas = Replicas(two)
    assert (replicas.workers, replicas.worker, replicas.fewest(5)) == (1, 0, 5)
    assert replicas.agree(1.0, 2.0).tolist() == [[1.0, 2.0]]
    assert worker_index(two) == 0


def test_what_cannot_be_exact_is_refused(two):
    with pytest.raises(TypeError, match=r"a tf\.distribute\.Strategy"):
        Replicas("mirrored")
    for kind, why in (
        (tf.distribute.TPUStrategy, "not supported yet: its replicas are traced as one"),
        (tf.distribute.ParameterServerStrategy, "makes updates again when a worker is lost"),
    ):
        with pytest.raises(ValueError, match=why):
            Replicas(object.__new__(kind))  # neither can be made here
    model = layers.Dense(1)
    with pytest.raises(ValueError, match="jit='loop' with 2 replicas"):
        Trainer(model, loss="mse", optimizer="sgd", strategy=two, jit="loop")


def test_one_of_several_workers_without_a_strategy_is_refused(two, monkeypatch):
    """Each would train by itself and write the same files."""
    for places, kind in ((["a:1", "b:1"], "worker"), (["a:1"], "worker"), (["a:1", "b:1"], "ps")):
        told = {"cluster": {"worker": places}, "task": {"type": kind, "index": 0}}
        monkeypatch.setenv("TF_CONFIG", json.dumps(told))
        if len(places) > 1 and kind == "worker":
            with pytest.raises(ValueError, match=r"one of 2 workers \(a:1, b:1\), and Trainer got"):
                Replicas()
            assert Replicas(two).strategy is two  # as it was asked for
        else:
            assert Replicas().count == 1


def test_data_that_ends_for_some_workers_alone_is_refused():
    """As many steps as all can make; the end must be everybody's."""

    def fewest(*says):
        return together(lambda desk: Replicas.fewest(desk, *says[desk.worker]))

    assert fewest((5,), (3,)) == [3, 3]
    assert fewest((5, 5), (3, 5)) == [3, 3]
    assert fewest((5, 5), (5, 5)) == [5, 5]
    for errors in (fewest((5, 5), (8,)), fewest((0, 0), (8,))):
        assert all("ends on worker 0 before it does on worker 1" in str(e) for e in errors)
    assert Replicas().fewest(7, 7) == 7
