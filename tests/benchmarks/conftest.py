"""Helpers of the benchmarks' tests."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

from benchmarks import machine

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def rested(request, monkeypatch):
    """Nobody waits for processors that rest: beside other tests they never do."""
    if request.module.__name__.rpartition(".")[2] != "test_machine":
        monkeypatch.setattr(machine, "at_work", lambda seconds: 0.0)


@pytest.fixture
def run_module():
    """Runs `python -m module arguments...` at the root; returns the completed process."""

    def run(module, *arguments, seconds=300):
        return subprocess.run(
            [sys.executable, "-m", module, *map(str, arguments)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=seconds,
            env={**os.environ, "COLUMNS": "100"},
            check=False,
        )

    return run
