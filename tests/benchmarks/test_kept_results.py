"""The kept results are of all workloads, as they are now."""

import pytest

from benchmarks import quality, report, results, standing, workloads

FILES = ("speed", "quality", "parity", "modes")


@pytest.mark.parametrize("name", FILES)
def test_every_workload_was_measured(name):
    records = results.load(report.RESULTS / f"{name}.json")["workloads"]
    missing = [
        workload
        for workload in workloads.WORKLOADS
        if workload not in records or "skipped" in records[workload]
    ]
    assert not missing, f"measure them: python -m benchmarks.{name} --workloads={','.join(missing)}"


@pytest.mark.parametrize("name", FILES)
def test_titles_are_those_of_the_workloads(name):
    records = results.load(report.RESULTS / f"{name}.json")["workloads"]
    for workload, record in records.items():
        assert record["title"] == workloads.find(workload)[1]


def test_quality_is_held_against_what_is_expected_now():
    measured = results.load(report.RESULTS / "quality.json")
    for name, record in measured["workloads"].items():
        workload = workloads.get(name)
        assert record["epochs"] == workload.epochs, name
        assert record["expected"] == dict(workload.expected), name
        low = [key for key in workload.at_most if key in workload.expected]
        assert record["at_most"] == low, name
        assert all(len(found) >= 3 for found in record["found"].values()), name
    assert all(row["reached"] for row in quality.rows(measured))


def test_the_page_says_why_wherever_ours_is_not_first():
    measured = results.load(report.RESULTS / "speed.json")
    assert standing.UNKNOWN not in standing.whole(measured)
