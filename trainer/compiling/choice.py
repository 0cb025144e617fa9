"""Choice: a way of compiling, why it was taken, and what was tried before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

MODES = ("graph", "step", "loop")
SAID = {
    "graph": "a TensorFlow graph",
    "step": "an XLA step in a TensorFlow loop",
    "loop": "one XLA loop",
}


class Trial(NamedTuple):
    """One way of compiling that was tried, or left out.

    Attributes:
        mode: "graph", "step" or "loop".
        compile_seconds: its first call: tracing is done, compiling and one step are in it.
        step_seconds: median over the rounds.
        call_seconds: what a call costs beside its steps.
        ratio: its time over the graph's, the median of pairs of neighboring rounds.
        noise: standard error of that ratio.
        note: why it was not timed, or "".
    """

    mode: str
    compile_seconds: float | None = None
    step_seconds: float | None = None
    call_seconds: float | None = None
    ratio: float | None = None
    noise: float | None = None
    note: str = ""


class Choice(NamedTuple):
    """A way of compiling, and why.

    Attributes:
        mode: "graph", "step" or "loop".
        reason: in one line.
        settled: False where it holds only for this length of a run; a longer one decides anew.
        trials: what was measured for it; empty where the graph or the user decided.
        seconds: what the trial took.
        peak_bytes: of a step's activations, as its graph tells it.
    """

    mode: str
    reason: str
    settled: bool = True
    trials: tuple[Trial, ...] = ()
    seconds: float = 0.0
    peak_bytes: float = 0.0

    def entry(self) -> dict[str, Any]:
        """Plain values, for a file or a checkpoint."""
        return {**self._asdict(), "trials": [trial._asdict() for trial in self.trials]}

    @classmethod
    def of(cls, entry: Mapping[str, Any]) -> Choice:
        """The choice that gave this entry.

        Raises:
            KeyError, TypeError: it is none.
        """
        trials = tuple(Trial(**trial) for trial in entry["trials"])
        return cls(**{**entry, "trials": trials})

    def table(self) -> str:
        """What was tried, what it took, and what was kept, as text for a terminal."""
        rows = [("", "first call", "a step", "a call", "x graph", "")]
        for trial in self.trials or (Trial(self.mode),):
            kept = ["kept"] if trial.mode == self.mode else []
            rows.append(
                (
                    SAID[trial.mode],
                    _seconds(trial.compile_seconds),
                    _seconds(trial.step_seconds),
                    _seconds(trial.call_seconds),
                    ""
                    if trial.ratio is None or trial.noise is None
                    else f"{trial.ratio:.3f} +- {trial.noise:.3f}",
                    "; ".join([*kept, *filter(None, [trial.note])]),
                )
            )
        lines = _columns(rows)
        took = f" (the trial took {_seconds(self.seconds)})" if self.seconds else ""
        lines.append(f"compiled as {SAID[self.mode]}: {self.reason}{took}")
        if self.peak_bytes:
            megabytes = self.peak_bytes / 1e6
            lines.append(f"activations of a step: about {megabytes:,.3g} MB at their peak")
        return "\n".join(lines)


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of text in columns: the first and the last left-aligned, the others right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            text.ljust(width) if i in (0, len(row) - 1) else text.rjust(width)
            for i, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _seconds(value: float | None) -> str:
    if value is None:
        return ""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value / 1e-6:.3g} us"
