"""Ours and its twin on the same batches: what is compared, and what the table says of it."""

import dataclasses
import io
import types

import numpy as np
import pytest

from benchmarks import parity, results, tables, workloads
from tests.benchmarks.files import MACHINE

RECORD = {
    "title": "t",
    "against": "hand",
    "machine": MACHINE,
    "versions": {},
    "steps": 105,
    "twins": 3,
    "averages": {
        parity.OURS: {"1": 0.0, "100": 1e-3, "105": 2e-3},
        parity.AGAIN: {"1": 0.0, "100": 3e-3, "105": 4e-3},
    },
    "differences": {
        parity.OURS: {"1": 1e-8, "100": 2e-6, "105": 3e-6},
        parity.AGAIN: {"1": 1e-7, "100": 1e-5, "105": 4e-5},
    },
    "most": {parity.OURS: 5e-7, parity.AGAIN: 6e-7},
    "loss_difference": {parity.OURS: 7e-6, parity.AGAIN: 8e-6},
    "curves": {k: {"steps": [1, 2], "losses": [2.0, 1.0]} for k in (parity.OURS, parity.OTHER)},
}


@pytest.mark.parametrize("name", ["digits", "vae"])
def test_ours_and_the_other_one_go_the_same_way(name, monkeypatch):
    """150 rows leave a short batch; the last step is no mark of its own."""
    monkeypatch.setattr(parity, "MARKS", (1, 10, 1000))
    workload = workloads.get(name)
    data = workload.data()
    short = {"x_train": data.x_train[:150], "y_train": data.head(150)[1]}
    record = parity.measure(workload, dataclasses.replace(data, **short), 12, seconds=60.0)
    own = record["differences"][parity.OURS]
    assert list(own) == ["1", "10", "12"] and record["steps"] == 12
    assert own["1"] < 1e-6 and own["12"] < 1e-4
    assert 0 < record["differences"][parity.AGAIN]["12"] < 1e-4
    assert record["twins"] == 3 and "averages" not in record
    assert record["loss_difference"][parity.OURS] < 1e-4
    assert record["against"] == {"digits": "fit", "vae": "hand"}[name]
    curves = record["curves"]
    assert curves[parity.OURS]["steps"] == list(range(1, 13))
    np.testing.assert_allclose(
        curves[parity.OURS]["losses"], curves[parity.OTHER]["losses"], rtol=1e-4
    )


def test_moving_averages_are_no_weights(monkeypatch):
    """Of three twins, one whose averages alone go elsewhere."""
    ours = parity.Course([1.0, 1.0], {1: [np.ones(2), np.zeros(1)]}, [True, False])
    courses = [ours] * 3 + [ours._replace(weights={1: [np.ones(2) + 1e-3, np.full(1, 5.0)]})]
    monkeypatch.setattr(parity, "_enough", lambda run, steps, seconds: ours)
    monkeypatch.setattr(parity, "by_trainer", lambda *_: None)
    monkeypatch.setattr(parity, "by_fit", lambda *_: lambda steps: courses.pop(0))
    workload = workloads.get("digits")
    record = parity.measure(workload, workload.data(), 2, seconds=1.0)
    assert record["differences"] == {
        parity.OURS: {"1": 0.0},
        parity.AGAIN: {"1": pytest.approx(1e-3)},
    }
    assert record["averages"] == {parity.OURS: {"1": 0.0}, parity.AGAIN: {"1": 5.0}}
    starts = parity.moved([np.ones(4, np.float32), np.array([2])], 3, seed=0)
    assert len({tuple(start[0]) for start in starts}) == 3 and all(s[1] == 2 for s in starts)


@pytest.mark.parametrize("name", ["resnet", "simclr"])
def test_what_is_trained_is_told_from_averages(name):
    """In the order of the weights; ResNet has two for each of its 7 normalizations."""
    workload = workloads.get(name, {"blocks": 1, "rows": 64})
    data = workload.data()
    trainer = workload.trainer(data, workload.initial_weights(data, 0))
    trained, weights = workload.trained(trainer), workload.get_weights(trainer)
    assert len(trained) == len(weights) and any(trained)
    averages = [v for m in _models(trainer) for v in m.non_trainable_variables]
    assert trained.count(False) == len(averages) == {"resnet": 14, "simclr": 0}[name]


def _models(trainer):
    names = ("model", "encoder", "projection")
    return [getattr(trainer.task, name) for name in names if hasattr(trainer.task, name)]


def test_a_workload_without_its_data_is_left_out_and_the_others_go_on(monkeypatch, tmp_path):
    def measure(workload, data, steps, **_):
        return RECORD

    def offline(path):
        raise FileNotFoundError("MNIST is not here")

    monkeypatch.setattr("benchmarks.data.mnist._download", offline)
    monkeypatch.setattr(parity, "measure", measure)
    given = types.SimpleNamespace(
        workloads=["mnist", "digits"], steps=1, seconds=1.0, seed=0, data_dir=None, out=tmp_path
    )
    monkeypatch.setattr(parity.flags, "FLAGS", given)
    assert parity.main([]) == 1
    assert list(results.load(tmp_path / "parity.json")["workloads"]) == ["digits"]
    given.workloads = ["digits"]
    assert parity.main([]) == 0


def test_slow_workloads_make_fewer_steps(monkeypatch):
    ran = []
    ticks = iter(range(100))
    monkeypatch.setattr(parity.time, "perf_counter", lambda: float(next(ticks)))

    def run(steps):
        ran.append(steps)
        return parity.Course([0.0] * steps, {}, [])

    parity._enough(run, 1000, seconds=30.0)  # 0.2 s a step: 100 take 20 s, 1,000 too long
    assert ran == [1, 6, 100, 105]


def test_thinned_curves_keep_the_mean():
    kept = parity._thinned(list(np.arange(1000.0)))
    assert len(kept["steps"]) == parity.POINTS and kept["steps"][-1] == 1000
    begin = kept["steps"][-2]
    assert kept["losses"][-1] == pytest.approx(np.arange(begin, 1000).mean(), rel=1e-5)


def test_tables_and_picture(tmp_path):
    measured = results.update(tmp_path / "parity.json", {"w": RECORD})
    page = parity.to_markdown(measured)
    row = "| `w` | hand-written loop | 1.0e-08 | 2.0e-06 | 3.0e-06 (105) | 5.0e-07 | 4.0e-05 |"
    assert row in page and "| 2e-03 (4e-03) | 7.0e-06 | 105 |" in page
    plain = {key: value for key, value in RECORD.items() if key not in ("averages", "twins")}
    assert parity.cells(plain)[5:8] == ["4.0e-05 (one)", "", "7.0e-06"]
    text = io.StringIO()
    parity.show(tables.console(file=text), measured)
    assert "3.0e-06 (105)" in text.getvalue()
    parity.draw(measured, tmp_path / "parity.png")
    assert (tmp_path / "parity.png").stat().st_size > 5000
