"""Building makes variables once, from one batch, and draws as the trainer's seed says."""

import numpy as np
import pytest

import layers
import losses
from trainer import Trainer
from trainer.building import Building
from trainer.data.source import open_source


def _task():
    model = layers.Sequential([layers.Dense(4), layers.Dense(2)])
    return Trainer(
        model, loss=losses.SparseCategoricalCrossentropy(from_logits=True), optimizer="adam"
    ).task


def test_weights_are_a_function_of_the_seed(data):
    found = []
    for seed in (0, 0, 1):
        task = _task()
        building = Building(task, seed, 1)
        building.build("train", open_source(data[0], np.zeros(53, int), batch_size=8), None, 8)
        found.append(task.model.get_weights()[0])
        assert [verb for verb, _ in building.specs] == ["train"]
    np.testing.assert_array_equal(found[0], found[1])
    assert not np.array_equal(found[0], found[2])


def test_it_builds_once_and_checks_labels_each_time(data, monkeypatch):
    task, calls = _task(), []
    monkeypatch.setattr(task, "build", lambda batch, verb: calls.append(verb))
    building = Building(task, 0, 1)
    source = open_source(data[0], np.zeros(53, int), batch_size=8)
    for verb in ("train", "train", "evaluate"):
        building.build(verb, source, None, 8)
    assert calls == ["train", "evaluate"]
    task = _task()
    building = Building(task, 0, 1)
    building.build("train", source, np.zeros(53, int), 8)
    with pytest.raises(ValueError, match="y_own"):
        building.build("train", source, np.full(53, 7), 8, argument="y_own")
