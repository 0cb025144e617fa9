"""What an examination found: pass, warn, fail or not judged, each with the way out."""

from __future__ import annotations

from typing import NamedTuple

import rich.box
from rich.console import Console
from rich.table import Table
from rich.text import Text

_STYLES = {"pass": "green", "warn": "yellow", "fail": "bold red", "skip": "dim"}
MARKS = tuple(_STYLES)


class Finding(NamedTuple):
    """The outcome of one check.

    Attributes:
        check: its name.
        mark: "pass", "warn", "fail", or "skip" where it could not be judged.
        text: what was seen, with the figures.
        way_out: what to do about it; "" where there is nothing to do.
    """

    check: str
    mark: str
    text: str
    way_out: str = ""


class Diagnosis:
    """All findings of an examination, in order.

    Attributes:
        findings: one for each check.
        seconds: how long it took.

    Example:
        >>> found = Diagnosis([Finding("gradients", "fail", "none reaches w", "use w")], 1.0)
        >>> found.healthy, found["gradients"].mark
        (False, 'fail')
    """

    def __init__(self, findings: list[Finding], seconds: float) -> None:
        self.findings = findings
        self.seconds = seconds

    @property
    def healthy(self) -> bool:
        """Whether no check failed or warned."""
        return not self.blamed

    @property
    def blamed(self) -> list[str]:
        """Names of the checks that failed or warned."""
        return [f.check for f in self.findings if f.mark in ("fail", "warn")]

    def __getitem__(self, check: str) -> Finding:
        return next(f for f in self.findings if f.check == check)

    def table(self) -> Table:
        """The findings as a table for a terminal."""
        table = Table(box=rich.box.SIMPLE_HEAD, pad_edge=False)
        table.add_column("")
        table.add_column("check", no_wrap=True)
        table.add_column("what was seen", overflow="fold")
        for finding in self.findings:
            seen = Text(finding.text)
            if finding.way_out:
                seen.append(f"\n→ {finding.way_out}", style="cyan")
            mark = Text(finding.mark, style=_STYLES[finding.mark])
            table.add_row(mark, finding.check, seen)
        return table

    def show(self, console: Console | None = None) -> None:
        """Prints the table."""
        console = console or Console()
        console.print(self.table())
        count = {mark: sum(f.mark == mark for f in self.findings) for mark in MARKS}
        said = ", ".join(f"{n} {mark}" for mark, n in count.items() if n)
        console.print(f"{said}  ({self.seconds:.1f} s)")

    def __str__(self) -> str:
        console = Console(width=100, no_color=True, force_terminal=False)
        with console.capture() as text:
            self.show(console)
        return text.get()

    def __repr__(self) -> str:
        marks = ", ".join(f"{f.check}: {f.mark}" for f in self.findings)
        return f"Diagnosis({marks})"
