"""Strategies over logical CPUs."""

import pytest

from benchmarks.replicated import matrix


@pytest.fixture(scope="session")
def mirrored():
    """`mirrored(n)`: a strategy of n logical CPUs."""
    return matrix.mirrored
