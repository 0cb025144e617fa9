"""The exchange between workers: what the tables tell follows from what was measured."""

import pytest

from benchmarks import wire
from tests.benchmarks.files import MACHINE

MEASURED = {
    "machine": MACHINE,
    "versions": {"tensorflow": "2.21.0"},
    "workers": 2,
    "exchanges": {
        str(n): {"median": seconds, "low": seconds, "high": 2 * seconds}
        for n, seconds in zip(wire.SIZES, (1e-3, 1e-2, 1e-2, 1e-1, 2**26 / 1e9), strict=True)
    },
    "bfloat16": {"median": 2**25 / 1e9, "low": 0.02, "high": 0.05},
    "operations": 3e11,
}


def test_speed_is_that_of_the_gradients_bytes():
    assert wire.speed(MEASURED) == pytest.approx(1e9)
    lines = wire.to_markdown(MEASURED).splitlines()
    assert lines[2] == "| one number | 1 | 1 .. 2 | |"
    assert lines[-4:-1] == [
        "| 64 MB | 67.1 | 67.1 .. 134 | 1 |",
        "| 64 MB, sent as 32 MB of bfloat16 | 33.6 | 20 .. 50 | 1 |",
        "",
    ]


def test_the_page_says_where_and_when():
    assert wire.to_markdown(MEASURED).splitlines()[-1].startswith("P, 2 cores, 8 GB; Python 3.11, ")


def test_tokens_that_hide_an_exchange():
    """The backward pass of T tokens takes 4 P T / F, the exchange 8 P / B: equal at 2 F / B."""
    lines = wire.paper(MEASURED).splitlines()
    assert lines[2] == "| this loopback, measured | 1e+09 | 200,000 | 600 |"


def test_a_call_that_traces_is_not_timed():
    class Number:
        def numpy(self):
            calls.append(0)

    calls = []
    assert len(wire.timed(Number, 3)) == 3
    assert len(calls) == 5
