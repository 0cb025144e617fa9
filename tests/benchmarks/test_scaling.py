"""Tables and the picture of the scaling."""

import io

import pytest

from benchmarks import compare, results, scaling, series, tables
from tests.benchmarks.files import MACHINE


def measured(slower=1.0):
    """Ours takes 10 us whatever the size, fit 100; and the memory of two runs."""
    facts = {"machine": MACHINE, "versions": {"tensorflow": "2.21.0"}, "threads": {}}
    records = {}
    for value in series.SERIES["batch"].values:
        contenders = {
            "ours": {"rounds": [k * 1e-5 * slower for k in (1, 1.1, 1)]},
            "fit": {"rounds": [k * 1e-4 for k in (1, 1.1, 1)]},
        }
        record = {"title": "t", "steps_per_round": 1, "contenders": contenders}
        records[series.point("batch", value)] = {**results.summarise(record), **facts}
    for value in series.SERIES["memory_run"].values[:2]:
        record = {"title": "t", "contenders": {"ours": {"peak_mb": 900.0 * slower}}}
        records[series.point("memory_run", value)] = {**record, **facts}
    return {"workloads": records}


def test_tables_say_what_was_measured():
    head, rows = scaling.cells(measured(), "batch")
    assert head[:3] == ["rows of a batch", "ours", "Keras fit"] and len(rows) == 5
    assert rows[0] == ["16", "10", "100", "", "", "10.0 (10.0 .. 10.0)"]
    assert scaling.cells(measured(), "width")[1] == []
    page = scaling.to_markdown(measured())
    assert "| 4,096 | 10 | 100 | | | 10.0 (10.0 .. 10.0) |" in page
    assert "| 1,000 | 900 | | | |" in page and "P, 2 cores" in page
    stream = io.StringIO()
    scaling.show(tables.console(file=stream), measured(), "memory_run")
    assert "900" in stream.getvalue()


def test_the_page_says_where_ours_is_not_first():
    assert "not first" not in scaling.to_markdown(measured())
    slow = measured()
    slow["workloads"]["batch 64"]["contenders"]["ours"]["rounds"] = [2e-4, 2.2e-4, 2e-4]
    (line,) = scaling.behind(slow, "batch")
    assert line.startswith("**Ours is not first**: at 64 it is 0.50 x (0.50 .. 0.50) of Keras fit.")
    assert line in scaling.to_markdown(slow)
    assert scaling.behind(measured(), "memory_run") == []


def test_picture(tmp_path):
    matplotlib = pytest.importorskip("matplotlib")
    scaling.draw(measured(), tmp_path / "s.png")
    pixels = matplotlib.image.imread(tmp_path / "s.png")
    assert ((pixels[..., 2] > pixels[..., 0] + 0.3).mean()) > 1e-4  # the line of ours


def test_a_planted_slowdown_is_told_point_by_point():
    found = list(compare.compare(measured(), measured(slower=1.5)))
    worse = {(c.workload, c.quantity) for c in found if c.verdict == "worse"}
    speeds = {(f"batch {n}", "speed / fit") for n in series.SERIES["batch"].values}
    assert worse == speeds | {(f"memory_run {n}", "memory, MB") for n in (100, 1000)}
    assert all(c.verdict == "same" for c in compare.compare(measured(), measured()))
