"""Strategies: which is used, which is refused, and what workers say to each other."""

import json

import numpy as np
import pytest
import tensorflow as tf

import layers
from tests.trainer.pairs import together
from trainer import Trainer
from trainer.data import source
from trainer.distribution.replica import Split
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
        (tf.distribute.ParameterServerStrategy, "makes updates again when a worker is lost"),
        (tf.distribute.experimental.ParameterServerStrategy, "makes updates again"),
        (tf.distribute.experimental.CentralStorageStrategy, "is not known to be exact; use Mirr"),
    ):
        with pytest.raises(ValueError, match=why):
            Replicas(object.__new__(kind))  # most cannot be made here
    model = layers.Dense(1)
    with pytest.raises(ValueError, match="jit='loop' with 2 replicas"):
        Trainer(model, loss="mse", optimizer="sgd", strategy=two, jit="loop")


def test_a_worker_reads_the_rows_that_its_replicas_take(two):
    """Also where batches are taken in more parts than asked for, or were larger before."""
    trainer = Trainer(layers.Dense(1), loss="mse", optimizer="sgd", strategy=two, accumulate=4)
    replicas, programs = trainer._replicas, trainer.programs
    replicas.workers, replicas._local, replicas._first = 2, 1, 1
    programs.steps.rows["train"] = 32  # of the calls before
    for parts, rows, full in ((4, 16, 16), (8, 32, 32), (4, 6, 6), (4, 6, 32)):
        programs.steps.parts = parts
        taken = Split.of_rows(rows, 2, parts, 32)  # as `spread_step` shares it
        assert programs.steps.own("train")(rows, full) == (taken.spans(1) or [(0, rows)])
    assert programs.steps.own("evaluate")(9, 9) == [(5, 9)]


def test_of_data_held_out_ones_own_rows_are_read(two, monkeypatch):
    asked = []

    def rows(self, *given):
        asked.append(given)
        return [(0, given[0])]

    monkeypatch.setattr(Replicas, "rows", rows)
    monkeypatch.setattr(source, "default_budget", lambda: 0)  # arrays stay on the host
    trainer = Trainer(layers.Dense(1), loss="mse", optimizer="sgd", strategy=two, jit=False)
    x, y = np.ones([20, 3], "float32"), np.ones([20, 1], "float32")
    trainer.fit(x, y, batch_size=8, validation_data=(x[:6], y[:6]), verbose=0)
    assert {rows for rows, parts, full in asked} == {8, 4, 6}


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
