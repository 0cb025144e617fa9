"""Where the time went: parts that add up to the whole."""

import time

import numpy as np
import pytest

import layers as L
from trainer import Callback, Every, Trainer
from trainer.clock import PARTS, Clock, TimeSpent

X = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")


def test_every_moment_counts_once():
    begun = time.perf_counter()
    clock = Clock()
    with clock.during("input"):
        with clock.during("callbacks"):
            time.sleep(0.02)
        time.sleep(0.01)
    clock.enter("host")
    found = clock.read()
    assert sum(found.values()) == pytest.approx(time.perf_counter() - begun, abs=2e-3)
    assert found["callbacks"] >= 0.02 and found["input"] >= 0.01 and found["setup"] < 0.01
    clock.move(0.015, "callbacks", "compile")
    assert clock.seconds["compile"] == 0.015


def test_parts_of_a_fit_add_up_and_name_what_was_slow(tmp_path):
    class Slow(Callback):
        when = Every(steps=8)

        def __call__(self, report):
            assert sum(report.time.values()) == pytest.approx(report.seconds, rel=0.5, abs=0.5)
            time.sleep(0.1)

    def batches():
        for i in range(0, 64, 8):
            time.sleep(0.02)
            yield X[i : i + 8], X[i : i + 8, :1]

    trainer = Trainer(L.Dense(1), loss="mse", optimizer="sgd", checkpoint=tmp_path)
    begun = time.perf_counter()
    history = trainer.fit(
        batches, epochs=2, verbose=0, callbacks=[Slow()], validation_data=(X, X[:, :1])
    )
    wall = time.perf_counter() - begun
    assert set(history.time) == set(PARTS)
    assert history.time.total == pytest.approx(wall, rel=0.02)
    assert history.time["callbacks"] >= 0.2 and history.time["input"] >= 0.1
    assert min(history.time[k] for k in ("compile", "validation", "checkpoint", "step")) > 0


def test_as_text():
    spent = TimeSpent({"input": 1.0, "step": 2.0, "host": 0.001})
    assert list(spent) == ["step", "input", "host"] and spent.line == "3.0 s: step 67%, input 33%"
    assert repr(spent).splitlines()[0].split()[:3] == ["step", "2.00", "s"]
    assert TimeSpent({}).line == "0.0 s: "
