"""Window against sums in exact arithmetic, and the identity that cuts do not change a bit."""

import math

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from trainer import metrics
from trainer.metrics.windows import scalars
from trainer.sums import Sums


def rows(n, seed=0):
    rng = np.random.default_rng(seed)
    scale = 10.0 ** rng.uniform(-12, 12, n)  # so wide that the order of adding shows in float64
    return (rng.normal(size=n) * scale).astype("f"), rng.integers(0, 64, n).astype("f")


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6))
def test_cuts_do_not_change_a_bit(sizes):
    total, count = rows(sum(sizes))
    whole, cut = metrics.Window(), metrics.Window()
    whole.add({"loss": Sums(total, count)})
    for part in np.split(np.arange(sum(sizes)), np.cumsum(sizes)[:-1]):
        cut.add({"loss": Sums(total[part], count[part])})
    assert whole.values() == cut.values()


def test_adds_in_float64():
    total = np.full(100_000, 0.1, "f")
    window = metrics.Window()
    for part in np.split(total, 10):
        window.add({"loss": Sums(part, np.ones_like(part))})
    exact = math.fsum(total.tolist()) / len(total)
    assert window.values()["loss"] == pytest.approx(exact, rel=1e-10)


def test_ten_million_updates_do_not_drift():
    window = metrics.Window()
    totals, counts = np.full(100_000, 0.1, "f"), np.ones(100_000, "f")
    for _ in range(100):
        window.add({"loss": Sums(totals, counts)})
    assert window.sums["loss"].count == 10_000_000
    assert window.values()["loss"] == pytest.approx(float(np.float32(0.1)), rel=1e-9)


def test_uses_each_metrics_own_result():
    window = metrics.Window({"rmse": metrics.RootMeanSquaredError(), "n": metrics.Sum("n")})
    pair = (np.array([6.0, 2.0]), np.array([1.0, 1.0]))
    window.add({"rmse": pair, "n": pair, "loss": pair})
    assert window.values() == {"rmse": 2.0, "n": 8.0, "loss": 4.0}
    steps = window.step_values({"rmse": pair, "n": pair, "loss": pair})
    np.testing.assert_allclose(steps["rmse"], np.sqrt([6.0, 2.0]))
    np.testing.assert_allclose(steps["n"], [6.0, 2.0])
    np.testing.assert_allclose(steps["loss"], [6.0, 2.0])
    assert window.values()["loss"] == 4.0  # asking for steps added nothing


class Trace(metrics.Metric):
    """The share of a confusion matrix that is on its diagonal."""

    def __call__(self, y_true, y_pred, sample_weight=None):
        return {"table": tf.math.confusion_matrix(y_true, y_pred, 3, dtype=tf.float32)}

    def result(self, sums):
        return float(np.trace(sums["table"]) / np.sum(sums["table"]))


def test_carries_sums_of_any_structure():
    metric = Trace("trace")
    window = metrics.Window({"trace": metric})
    window.add({}, {"trace": metric([0, 1], [0, 1])})
    window.add({}, {"trace": metric([0, 1], [0, 2])})  # takes the place of the other
    stacked = tf.nest.map_structure(lambda t: t[tf.newaxis], metric([2, 2], [2, 2]))
    window.add({"trace": stacked})  # as rows of one step
    assert window.values() == {"trace": 0.75}
    assert window.step_values({"trace": stacked}) == {}


def test_values_that_are_arrays_are_told_by_entry():
    values = {"loss": np.float64(1.0), "by_class": np.array([0.5, 1.0]), "table": np.eye(2)}
    assert scalars(values) == {"loss": 1.0, "by_class_0": 0.5, "by_class_1": 1.0}


def test_reset_opens_a_new_window():
    window = metrics.Window()
    assert window.values() == {}
    window.add({"loss": (np.array([4.0]), np.array([1.0]))})
    window.reset()
    window.add({"loss": (np.array([2.0]), np.array([1.0]))})
    assert window.values() == {"loss": 2.0}


def test_memory_goes_on_bit_for_bit():
    metric = Trace("trace")
    total, count = rows(50)
    whole, first, second = (metrics.Window({"trace": metric}) for _ in range(3))
    whole.add({"loss": Sums(total, count)}, {"trace": metric([0, 1], [0, 2])})
    first.add({"loss": Sums(total[:31], count[:31])}, {"trace": metric([0, 1], [0, 2])})
    second.load_memory(first.memory())
    assert second.values() == first.values()
    second.add({"loss": Sums(total[31:], count[31:])})
    assert second.values() == whole.values()
    first.add({"loss": Sums(total, count)})
    assert second.values() == whole.values()  # nothing is shared


def test_a_step_that_counts_nothing_adds_nothing():
    window = metrics.Window()
    window.add({"loss": (np.array([0.0, 3.0]), np.array([0.0, 2.0]))})
    assert window.values() == {"loss": 1.5}


def test_refuses_another_structure():
    window = metrics.Window()
    window.add({}, {"loss": Sums(1.0, 1.0)})
    with pytest.raises(ValueError, match="'loss': 3 sums were added to a window that holds 2"):
        window.add({"loss": (np.ones(1), np.ones(1), np.ones(1))})
