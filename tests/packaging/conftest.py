"""Where the sources are."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def root():
    """The project's folder."""
    return ROOT


@pytest.fixture(scope="session")
def sources(root):
    """Every Python file of the four packages, as paths relative to the project's folder."""
    found = [
        path.relative_to(root)
        for package in ("trainer", "layers", "losses", "optimizers")
        for path in sorted((root / package).rglob("*.py"))
    ]
    assert found, "no sources found: the test looks in the wrong place"
    return found
