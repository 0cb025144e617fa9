"""Calls grow to half a second, and no further."""

import itertools

import pytest

from trainer.pace import CALL_SECONDS, Pace


@pytest.mark.parametrize("step_seconds", [1e-5, 1e-3, 0.2, 2.0])
def test_calls_grow_to_the_wanted_length(step_seconds):
    pace, sizes = Pace(), []
    for i in range(12):
        sizes.append(pace.limit())
        pace.add(sizes[-1], 1.0 if i == 0 else sizes[-1] * step_seconds, compiled=i == 0)
    assert sizes[0] == 1
    assert sizes[-1] == pytest.approx(max(1, CALL_SECONDS / step_seconds), rel=0.01, abs=1)
    assert all(b <= 8 * a for a, b in itertools.pairwise(sizes))
    assert pace.step_seconds == pytest.approx(step_seconds)


def test_compiling_tells_nothing_of_the_pace():
    pace = Pace()
    pace.add(1, 30.0, compiled=True)
    assert pace.step_seconds is None
    pace.add(4, 0.004, compiled=False)
    pace.add(1, 30.0, compiled=True)
    assert pace.step_seconds == pytest.approx(1e-3)
