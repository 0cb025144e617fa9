"""Quality over seeds: what is trained, what counts as reached, and what the tables say of it."""

import dataclasses
import io
import types

import pytest

from benchmarks import quality, results, tables, workloads
from tests.benchmarks.files import MACHINE


@pytest.fixture
def measured():
    """Two workloads: one that reaches all it should, one whose second seed does not."""
    record = {"title": "t", "machine": MACHINE, "versions": {}, "seconds": [30.0, 90.0, 60.0]}
    good = {"expected": {"accuracy": 0.9}, "at_most": [], "found": {"accuracy": [0.95, 0.9, 0.99]}}
    bad = {"expected": {"loss": 2.0}, "at_most": ["loss"], "found": {"loss": [1.9, 2.01, 1.8]}}
    return {"workloads": {"good": {**record, **good}, "bad": {**record, **bad}}}


def test_every_seed_has_to_reach_what_is_expected(measured):
    good, bad = quality.rows(measured)
    assert good["reached"] and good["expected"] == "at least 0.9" and good["minutes"] == 1.0
    assert not bad["reached"] and bad["expected"] == "at most 2"


def test_tables_say_median_spread_and_what_was_not_reached(measured):
    text = io.StringIO()
    quality.show(tables.console(file=text), measured)
    (line,) = (line for line in text.getvalue().splitlines() if line.strip().startswith("bad"))
    assert line.split() == [
        "bad",
        "loss",
        "1.9",
        "1.8",
        "..",
        "2.01",
        "at",
        "most",
        "2",
        "NO",
        "1.0",
    ]
    page = quality.to_markdown(measured)
    assert "P, 2 cores, 8 GB" in page
    assert "| `good`: t | 3 | accuracy | 0.95 | 0.9 .. 0.99 | at least 0.9 | yes | 1.0 |" in page


def test_a_workload_without_its_data_is_left_out_and_the_others_go_on(monkeypatch, tmp_path):
    """Told, and by the exit code."""
    reached = {
        "title": "t",
        "expected": {"a": 1.0},
        "at_most": [],
        "seconds": [1.0],
        "found": {"a": [1.0]},
    }

    def measure(workload, seeds, **_):
        if workload.name == "mnist":
            raise FileNotFoundError("MNIST is not here")
        return {**reached, "machine": MACHINE, "versions": {}}

    monkeypatch.setattr(quality, "measure", measure)
    given = types.SimpleNamespace(
        workloads=["mnist", "digits"], seeds=1, data_dir=None, out=str(tmp_path)
    )
    monkeypatch.setattr(quality.flags, "FLAGS", given)
    assert quality.main([]) == 1
    assert list(results.load(tmp_path / "quality.json")["workloads"]) == ["digits"]
    given.workloads = ["digits"]
    assert quality.main([]) == 0


def test_what_states_no_quality_is_refused():
    with pytest.raises(ValueError, match=r"'wide' states no quality.*--workload=wide"):
        quality.measure(workloads.get("wide"), 1)


def test_seeds_train_apart_and_one_file_holds_all(tmp_path):
    workload = workloads.get("digits", {"epochs": 15})
    data = workload.data()
    data = dataclasses.replace(data, x_train=data.x_train[:256], y_train=data.y_train[:256])
    workload.data = lambda data_dir: data
    said = []
    record = quality.measure(workload, 2, say=said.append)
    first, second = record["found"]["accuracy"]
    assert 0.3 < first < 1 and 0.3 < second < 1 and first != second
    assert len(said) == 2 and said[1].startswith("digits, seed 1: accuracy")
    path = tmp_path / "quality.json"
    for name in ("vae", "digits"):
        results.update(path, {name: record}, order=["digits", "vae"])
    assert list(results.load(path)["workloads"]) == ["digits", "vae"]
