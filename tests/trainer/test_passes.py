"""Passes over data: in order, whole, and stopped where asked."""

import numpy as np
import pytest

from trainer import Trainer, passes
from trainer.data.source import open_source


@pytest.fixture
def trainer(linear, data):
    made = Trainer(linear(), loss="mse", optimizer="sgd", jit=False)
    made.evaluate(*data, batch_size=8, verbose=0)  # builds
    return made


def test_evaluate_is_over_all_rows_and_stops_where_asked(trainer, data):
    source = open_source(*data, batch_size=8)
    model = trainer.task.model
    found = passes.evaluate(trainer.task, trainer.programs, source, 1)
    want = np.mean((data[0] @ model.w.numpy() + model.b.numpy() - data[1]) ** 2)
    assert found["loss"] == pytest.approx(want, rel=1e-5)
    assert passes.evaluate(trainer.task, trainer.programs, source, 1, lambda: True) is None


def test_workers_hear_of_each_other_amid_a_long_pass(trainer, data, monkeypatch):
    """512 slow steps in one call would be taken for a stall."""

    class Two:
        workers, count = 2, 1
        calls: list = []

        def fewest(self, n, end):
            self.calls.append(n)
            return n

    monkeypatch.setattr(trainer.programs, "replicas", Two())
    monkeypatch.setattr(passes.Pace, "limit", lambda self: 2 if self._last else 1)
    passes.evaluate(trainer.task, trainer.programs, open_source(*data, batch_size=8), 1)
    assert Two.calls == [1, 2, 2, 1, 1]


def test_predict_is_in_order(trainer, data):
    model = trainer.task.model
    found = passes.predict(trainer.programs, open_source((data[0],), batch_size=8))
    want = data[0] @ model.w.numpy() + model.b.numpy()
    np.testing.assert_allclose(found, want, rtol=1e-5, atol=1e-6)


def test_the_first_segment(data):
    assert passes.first_segment(open_source(*data, batch_size=8)).steps == 6
