"""The examples in docstrings run, and print what they say."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

ROOT = Path(__file__).resolve().parents[2]
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS | doctest.FAIL_FAST


def modules_with_examples():
    """Dotted names of the modules whose text has at least one example."""
    for package in ("trainer", "layers", "losses", "optimizers"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if ">>> " in path.read_text(encoding="utf-8"):
                parts = path.relative_to(ROOT).with_suffix("").parts
                yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.mark.parametrize("name", list(modules_with_examples()))
def test_examples_in(name, tmp_path, monkeypatch):
    module = importlib.import_module(name)
    monkeypatch.chdir(tmp_path)  # examples that write files write them here
    printed = []
    attempted = 0
    finder = doctest.DocTestFinder(exclude_empty=True)
    for case in finder.find(module, name, extraglobs={"tf": tf, "np": np}):
        runner = doctest.DocTestRunner(optionflags=FLAGS, verbose=False)
        attempted += runner.run(case, out=printed.append).attempted
    assert not printed, "".join(printed)
    assert attempted, f"{name} has '>>> ' but no example was found: is it in a docstring?"


def test_a_wrong_example_is_seen():
    printed = []
    parser = doctest.DocTestParser()
    case = parser.get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, 0)
    doctest.DocTestRunner(optionflags=FLAGS).run(case, out=printed.append)
    assert "Expected" in "".join(printed)
