"""A diagnosis: what is blamed, and the table."""

import io

import pytest
from rich.console import Console

from trainer.inspect import Diagnosis, Finding


def diagnosis(*marks):
    findings = [Finding(f"check {i}", m, f"text {i}", "mend it") for i, m in enumerate(marks)]
    return Diagnosis(findings, 1.25)


def test_warnings_and_failures_are_blamed():
    found = diagnosis("pass", "warn", "skip", "fail")
    assert found.blamed == ["check 1", "check 3"] and not found.healthy
    assert diagnosis("pass", "skip").healthy
    assert found["check 3"].mark == "fail"
    with pytest.raises(StopIteration):
        found["other"]


def test_the_table_holds_every_line():
    found = diagnosis("pass", "fail")
    out = io.StringIO()
    found.show(Console(file=out, width=80))
    for text in (out.getvalue(), str(found)):
        assert "check 0" in text and "text 1" in text and "→ mend it" in text
        assert "1 pass, 1 fail  (1.2 s)" in text
    assert repr(found) == "Diagnosis(check 0: pass, check 1: fail)"
