"""Statistics and the JSON file."""

import math

import numpy as np
import pytest

from benchmarks import results


def record():
    """A workload: `ours` twice as fast as `fit`, while the machine slows down by half."""
    return {
        "title": "t",
        "batch_size": 32,
        "steps_per_round": 100,
        "contenders": {
            "fit": {"rounds": [1.0, 1.0, 2.0], "first_loss": 2.0},
            "ours": {"rounds": [0.5, 0.5, 1.0], "first_loss": 2.0},
            "orbit": {"skipped": "not installed"},
        },
    }


def test_spread_of_known_values():
    found = results.spread([3.0, 1.0, 2.0, 10.0, 2.0])
    assert (found["median"], found["low"], found["high"]) == (2.0, 1.0, 10.0)
    # deviations from 2: 1 1 0 8 0, their median 1
    assert found["noise"] == pytest.approx(1.2533 * 1.4826 / math.sqrt(5) / 2)
    assert results.spread([4.0])["noise"] == 0.0
    with pytest.raises(ValueError, match="empty"):
        results.spread([])


def test_noise_is_the_standard_error_of_the_median():
    rng = np.random.default_rng(0)
    rows = rng.normal(100, 5, [2000, 41])
    claimed = np.median([results.spread(row.tolist())["noise"] for row in rows])
    assert claimed == pytest.approx(np.median(rows, axis=1).std() / 100, rel=0.1)


def test_ratios_are_paired_by_round():
    summary = results.summarise(record())["contenders"]
    assert summary["fit"]["ratio"] == {"median": 1.0, "low": 1.0, "high": 1.0, "noise": 0.0}
    assert summary["ours"]["ratio"]["low"] == summary["ours"]["ratio"]["high"] == 2.0
    assert summary["ours"]["steps_per_second"]["median"] == 200.0
    assert summary["orbit"] == {"skipped": "not installed"}


def test_another_first_loss_is_noted():
    given = record()
    given["contenders"]["ours"]["first_loss"] = 2.1
    summary = results.summarise(given)["contenders"]
    assert "did not train the same" in summary["ours"]["note"]
    assert "note" not in summary["fit"]


def test_without_the_reference_there_are_no_ratios():
    given = record()
    del given["contenders"]["fit"]
    summary = results.summarise(given)["contenders"]
    assert "ratio" not in summary["ours"] and summary["ours"]["steps_per_second"]["high"] == 200


def test_json_round_trip(tmp_path):
    measured = {"machine": {"cores": 2}, "workloads": {"w": results.summarise(record())}}
    results.save(tmp_path / "r.json", measured)
    assert results.load(tmp_path / "r.json") == {"format": results.FORMAT, **measured}


def test_json_has_no_nan(tmp_path):
    results.save(tmp_path / "r.json", {"losses": [1.0, float("nan"), float("inf")]})
    assert results.load(tmp_path / "r.json")["losses"] == [1.0, None, None]


@pytest.mark.parametrize("text", ["not json", "[]", '{"format": 999}'])
def test_other_files_are_refused(tmp_path, text):
    path = tmp_path / "r.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"r\.json"):
        results.load(path)


def test_lists_of_numbers_stay_on_a_line_and_are_read_as_they_were(tmp_path):
    measured = {"rounds": [1.5, 2, None], "names": ["a, [b]", "c"], "nested": [[1], [{"x": [2]}]]}
    results.save(tmp_path / "x.json", measured)
    assert '"rounds": [ 1.5, 2, null ]' in (tmp_path / "x.json").read_text()
    assert results.load(tmp_path / "x.json") == {"format": results.FORMAT, **measured}
