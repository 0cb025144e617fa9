"""The speed table of the pages: figures from the record, and a true word on who is first."""

import pytest

from benchmarks import results, standing
from tests.benchmarks.files import MACHINE


def measured(others=0.02, plan_seconds=0.0, **rounds):
    entry = {
        "first_step_seconds": 2.0,
        "plan_seconds": plan_seconds,
        "first_loss": 1.0,
        "peak_mb": 512.0,
        "test": {"loss": 0.3},
        "settings": {"compiled": {"train": "loop (because)"}},
    }
    contenders = {name: {**entry, "rounds": seconds} for name, seconds in rounds.items()}
    contenders["orbit"] = {"skipped": "Orbit is not installed (why)\nand more"}
    record = {"title": "a model", "batch_size": 32, "steps_per_round": 1000}
    record = results.summarise({**record, "contenders": contenders}, results.reference(rounds))
    record |= {"machine": MACHINE, "versions": {"tensorflow": "2.21.0"}, "others": others}
    return {"workloads": {"w": record, "x": {"title": "t", "skipped": "no data"}}}


def test_headline():
    page = standing.headline(measured(ours=[0.5, 0.4], fit=[2.0, 2.0]))
    assert "| w: a model | 2,250 | 4.50 (4.00 .. 5.00) | – | – | – |" in page
    assert "P, 2 cores, 8 GB; Python 3.11, tensorflow 2.21.0; 2030-01-01." in page
    assert "Others were at work" not in page


def test_whole():
    page = standing.whole(measured(0.35, 1.25, ours=[0.5, 0.4], hand=[2.0, 2.0]))
    assert "### w: a model" in page and "Batch 32, 2 rounds of 1,000 steps." in page
    assert (
        "| ours, everything on | 2,250 | 4.50 | 4.00 .. 5.00 | 2.0 + 1.2 s | 512 MB | 0.3000 |"
        in page
    )
    assert "x hand-written loop" in page and "Orbit: Orbit is not installed (why)." in page
    assert "and more" not in page
    assert (
        "Ours was compiled as: loop (because)." in page and "x is not in the table. no data" in page
    )
    assert "Others were at work on the machine beside w (35%)." in page


@pytest.mark.parametrize(
    ("ours", "fit", "said"),
    [
        ([1, 1, 1], [2, 2, 2], "Ours is first in every round; the next is Keras fit"),
        ([1, 1, 3], [2, 2, 2], "first by the median, not in every round"),
        ([3, 3, 1], [2, 2, 2], "**Ours is not first**: it is 0.67 x (0.67 .. 2.00) of Keras fit;"),
        ([3, 3, 3], [2, 2, 2], f"0.67 x (0.67 .. 0.67) of Keras fit. {standing.UNKNOWN}"),
    ],
)
def test_who_is_first(ours, fit, said):
    assert said in standing.whole(measured(ours=ours, fit=fit))


def test_the_reason_stands_where_it_is_known(monkeypatch):
    monkeypatch.setitem(standing.WHY, "w", "It is the layers' own.")
    assert "Keras fit. It is the layers' own." in standing.whole(measured(ours=[3], fit=[2]))
    assert "layers' own" not in standing.whole(measured(ours=[1], fit=[2]))


@pytest.mark.parametrize(
    ("shared", "said"),
    [
        ([1, 2, 3], "Keras fit. With both in one process it is 1.00 x (0.67 .. 2.00), on P."),
        # Behind there too: that is no reason.
        ([3, 3, 3], f"{standing.UNKNOWN} With both in one process it is 0.67 x (0.67 .. 0.67)"),
    ],
)
def test_what_one_process_makes_of_it(shared, said):
    given = measured(ours=[3, 3, 3], fit=[2, 2, 2])
    beside = {"ours": {"rounds": shared}, "fit": {"rounds": [2, 2, 2]}}
    given["workloads"]["w"]["together"] = {"contenders": beside, "machine": MACHINE}
    assert said in standing.whole(given)


def test_a_workload_that_ours_could_not_do_is_not_passed_over():
    given = measured(ours=[1], fit=[2])
    given["workloads"]["w"]["contenders"]["ours"] = {"skipped": "its process ended\nlong"}
    assert "w is not in the table. ours: its process ended" in standing.whole(given)
