"""The series of the scaling: every way of measuring, at sizes that teach nothing."""

import numpy as np
import pytest

from benchmarks import series, workloads

TINY = {"features": 4, "units": 4, "hidden": 1, "batch_size": 8, "rows": 64}


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setattr(series, "BASE", TINY)
    monkeypatch.setattr(series, "SECONDS", 0.001)
    monkeypatch.setattr(series, "FEW", 2)
    monkeypatch.setenv("GRADLOOP_CACHE_DIR", "")  # `measure` sets it; put back afterwards


@pytest.mark.parametrize("name", ["callbacks", "run", "data", "generator"])
def test_a_series_is_paired(name):
    values = {"callbacks": (2,), "run": (3,), "data": (1,), "generator": (1,)}[name]
    overrides = {"overrides": lambda n: {"rows": 64 * n}} if name in ("data", "generator") else {}
    if name == "generator":
        overrides["settings"] = lambda n: {"stream": "generator", "rows": 80}
    chosen = series.SERIES[name]._replace(values=values, contenders=("ours", "fit"), **overrides)
    (record,) = series.measure(chosen, name, rounds=2).values()
    for entry in record["contenders"].values():
        assert len(entry["rounds"]) == 2 and min(entry["rounds"]) > 0
    ours, fit = (record["contenders"][c] for c in ("ours", "fit"))
    pairs = [b / a for a, b in zip(ours["rounds"], fit["rounds"], strict=True)]
    assert ours["ratio"]["low"] == min(pairs) and record["reference"] == "fit"
    assert record["machine"]["cores"] and record["versions"]["tensorflow"]


def test_memory_is_read_from_a_process_of_its_own():
    chosen = series.SERIES["memory_run"]._replace(values=(5,), contenders=("ours",))
    (record,) = series.measure(chosen, "memory_run", rounds=1).values()
    assert 100 < record["contenders"]["ours"]["peak_mb"] < 10_000


def test_every_direction_reaches_the_job():
    for name, direction in series.SERIES.items():
        if name in ("batch", "width", "depth", "metrics"):
            for value in direction.values:
                job = workloads.get("wide", {**TINY, **direction.overrides(value)})
                weights = len(job.keras_model().trainable_variables) if name == "depth" else 0
                grown = {
                    "batch": job.batch_size,
                    "width": job.units,
                    "depth": weights,
                    "metrics": len(job.metrics()),
                }
                assert grown[name] == value


def test_plain_functions_as_metrics():
    job = workloads.get("wide", {**TINY, "metric_count": 2})
    exact, near = job.metrics()
    logits = np.eye(10, dtype=np.float32)[[3, 4, 9]]
    np.testing.assert_array_equal(exact(np.array([3, 5, 0]), logits), [1, 0, 0])
    np.testing.assert_array_equal(near(np.array([3, 5, 0]), logits), [1, 1, 0])
    assert (exact.__name__, near.__name__) == ("within_0", "within_1")
