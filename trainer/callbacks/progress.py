"""Progress: how far the run is, on a terminal or in a log file."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from trainer.callbacks.base import Callback, Control, Report, Run
from trainer.callbacks.triggers import Every, Trigger, Validated
from trainer.learning_rates import is_rate

SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
ASCII_SPINNER = "|/-\\"


class Progress(Callback):
    """Shows the run: a bar on a terminal, plain lines elsewhere.

    On a terminal one bar is drawn below everything else that is printed; every epoch that ends
    leaves one line above it. Where the output is no terminal there is one line per epoch, and one
    every 10 seconds within long epochs. A run asked for in steps has one bar for all of them, and
    leaves a line wherever it was validated.

    Args:
        verbose: 0 shows nothing, 1 a bar where there is a terminal, 2 one line per epoch; "auto"
            is 1.
    """

    chief_only = True

    def __init__(self, verbose: int | str = "auto") -> None:
        if verbose not in ("auto", 0, 1, 2):
            raise ValueError(f"verbose={verbose!r}: it must be 0, 1, 2 or 'auto'.")
        self.verbose = 1 if verbose == "auto" else int(verbose)
        self.when: Trigger = Every(epochs=1) | Validated()
        self._display: _Bar | _Lines | None = None

    def on_train_begin(self, run: Run) -> None:
        """Looks at where the output goes, and begins to draw."""
        self._display, self.when = None, Every(epochs=1) | Validated()
        if self.verbose == 0:
            return
        console = Console(file=sys.stdout, highlight=False)
        bar = self.verbose == 1 and console.is_terminal and not console.is_dumb_terminal
        if bar:
            self.when = Every(seconds=0.25) | self.when
        elif self.verbose == 1:
            self.when = Every(seconds=10) | self.when
        self._display = _Bar(console, run) if bar else _Lines(run)

    def __call__(self, report: Report) -> Control | None:
        """Draws what has changed."""
        if self._display is not None:
            self._display.update(report)
        return None

    def on_train_end(self, report: Report) -> None:
        """Takes the bar away and leaves the last line."""
        display, self._display = self._display, None
        if display is not None:
            display.close(report)


def with_progress(
    callbacks: Callback | Sequence[Callback] | None, verbose: str | int
) -> list[Callback]:
    """The callbacks as a list, with a `Progress` before them where `verbose` asks for one."""
    given = [callbacks] if isinstance(callbacks, Callback) else list(callbacks or ())
    if not verbose or any(isinstance(c, Progress) for c in given):
        return given
    return [Progress(verbose=1 if verbose == "auto" else int(verbose)), *given]


class _State:
    """Where the run stands, in the words of both displays."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.by_steps = run.epochs is None and run.total_steps is not None
        self.began = 0.0  # seconds, of what the bar measures: the epoch, or the run
        self.start = run.start_step
        self.shown = run.start_step  # the last step that has a line
        self.report: Report | None = None
        self.fresh = False  # the epoch of the report has its line; the next one is beginning

    def done(self) -> int:
        if self.report is None or self.fresh:
            return 0
        if not self.by_steps and self.report.epoch_step is not None:
            return self.report.epoch_step
        return self.report.step - self.start

    def total(self) -> int | None:
        if self.by_steps:
            assert self.run.total_steps is not None
            return self.run.total_steps - self.run.start_step
        return self.run.steps_per_epoch

    def title(self) -> str:
        if self.by_steps:
            return "Step"
        report, epochs = self.report, self.run.epochs
        number = 1 if report is None else report.epoch + (self.fresh or not report.epoch_end)
        if report is None and self.run.steps_per_epoch:
            number += self.run.step // self.run.steps_per_epoch
        return f"Epoch {number:>{len(str(epochs))}}/{epochs}" if epochs else f"Epoch {number}"

    def count(self) -> str:
        done, total = self.done(), self.total()
        return f"{done:,} steps" if total is None else f"{done:>{len(f'{total:,}')},}/{total:,}"

    def speed(self) -> str:
        rate = self.report.steps_per_second if self.report else None
        if not rate:
            return ""
        if rate >= 1:
            return f"{rate:,.{0 if rate >= 100 else 1}f} steps/s"
        return f"{1 / rate:.1f} s/step"

    def left(self) -> str:
        """Time left of the epoch, and of the run where that is more."""
        report, total = self.report, self.total()
        if report is None or not report.steps_per_second or total is None:
            return ""
        left = max(0, total - self.done()) / report.steps_per_second
        text = f"{_clock(left)} left"
        if not self.by_steps and self.run.total_steps is not None:
            whole = (self.run.total_steps - report.step) / report.steps_per_second
            if whole > left + 1:
                text += f", {_clock(whole)} in all"
        return text

    def logs(self) -> Mapping[str, float]:
        """What a bar shows: a validation belongs to the line that stays, not to the next epoch."""
        if self.report is None:
            return {}
        return {k: v for k, v in self.report.logs.items() if k not in self.report.validation}

    def take(self, report: Report) -> None:
        self.report, self.fresh = report, False

    def notable(self, report: Report) -> bool:
        """Whether the report is worth a line that stays."""
        return bool(report.validation) if self.by_steps else report.epoch_end

    def close_epoch(self, report: Report) -> None:
        self.shown = report.step
        if not self.by_steps and report.epoch_end:
            self.start, self.began, self.fresh = report.step, report.seconds, True


class _Bar:
    """One live bar, redrawn only when a report comes: no thread of its own."""

    def __init__(self, console: Console, run: Run) -> None:
        self._state = _State(run)
        self._console = console
        self._ascii = not (console.encoding or "").lower().startswith("utf")
        self._two_lines = False
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._live.start()
        self._live.update(
            Text(f"{self._state.title()}  getting ready …", style="dim"), refresh=True
        )

    def update(self, report: Report) -> None:
        state = self._state
        state.take(report)
        if state.notable(report):
            self._console.print(self._line())
            state.close_epoch(report)
            if report.step == state.run.total_steps or report.epoch == state.run.epochs:
                self._live.update(Text(""), refresh=True)
                return
        self._live.update(self._draw(), refresh=True)

    def close(self, report: Report) -> None:
        state = self._state
        self._live.update(Text(""), refresh=False)
        self._live.stop()
        state.take(report)
        if report.step > state.shown:
            self._console.print(self._line())

    def _draw(self) -> Any:
        """The bar, and the values beside or below it."""
        state = self._state
        done, total = state.done(), state.total()
        head: list[Any] = [Text(state.title(), style="bold")]
        tail = [Text(state.count(), style="green")]
        if total:
            tail.append(Text(f"{min(1.0, done / total):4.0%}", style="magenta"))
        if state.speed():
            tail.append(Text(f"{state.speed():>13}"))
        if state.left():
            tail.append(Text(state.left(), style="cyan"))
        values = _values(state.logs())
        used = sum(len(t) + 2 for t in head + tail)
        beside = sum(len(t) + 2 for t in values)
        self._two_lines |= used + 22 + beside > self._console.width  # once below, it stays there
        room = self._console.width - used - (0 if self._two_lines else beside)
        if total:
            head.append(_bar(done, total, max(8, min(40, room - 2))))
        else:
            frames = ASCII_SPINNER if self._ascii else SPINNER
            head.append(Text(frames[int(time.monotonic() * 8) % len(frames)], style="green"))
        if not self._two_lines:
            return _row([*head, *tail, *values])
        below = _pack(values, self._console.width, " " * (len(head[0]) + 2))
        return Group(_row([*head, *tail]), *below)

    def _line(self) -> Any:
        """The line that stays."""
        state = self._state
        report = state.report
        assert report is not None
        head = Text(state.title(), style="bold")
        facts = [Text(t, style=s) for t, s in _facts(state, report)]
        first = head + Text("  ")
        return Group(*_pack([*facts, *_values(report.logs)], self._console.width, first))


class _Lines:
    """Plain text, one line at a time."""

    def __init__(self, run: Run) -> None:
        self._state = _State(run)

    def update(self, report: Report) -> None:
        state = self._state
        state.take(report)
        if state.notable(report):
            self._line(report)
            state.close_epoch(report)
        elif not report.epoch_end:
            total = state.total()
            share = f"{min(1.0, state.done() / total):4.0%}" if total else ""
            self._print([state.count(), share, state.speed(), state.left()], report)
            state.shown = report.step

    def close(self, report: Report) -> None:
        self._state.take(report)
        if report.step > self._state.shown:
            self._line(report)

    def _line(self, report: Report) -> None:
        self._print([text for text, _ in _facts(self._state, report)], report)

    def _print(self, facts: list[str], report: Report) -> None:
        values = [str(value) for value in _values(report.logs)]
        print("  ".join(t for t in [self._state.title(), *facts, *values] if t), flush=True)


def _facts(state: _State, report: Report) -> list[tuple[str, str]]:
    """What a finished epoch is said to have been: (text, style)."""
    whole = report.epoch_end and not state.by_steps
    steps = f"{state.done():,} steps" if whole else state.count()
    took = _duration(report.seconds - state.began)
    facts = [(steps, "green"), (f"{took:>6}", "cyan")]
    return [*facts, (f"{state.speed():>13}", "")] if state.speed() else facts


def _values(logs: Mapping[str, float]) -> list[Text]:
    return [
        Text.assemble((name, "dim"), " ", (format_value(value), "bold"))
        for name, value in logs.items()
        if not is_rate(name)  # in the logs, but not worth a column
    ]


def format_value(value: float) -> str:
    """Four decimals where they say enough, so that the lines of epochs stand in columns."""
    size = abs(value)
    if size == 0 or 1e-3 <= size < 1e5:
        return f"{value:.4f}"
    return f"{value:.3e}"


def _bar(done: int, total: int, width: int) -> ProgressBar:
    return ProgressBar(total=total, completed=min(done, total), width=width, complete_style="green")


def _row(parts: list[Any]) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    for _ in parts:
        table.add_column(no_wrap=True)
    table.add_row(*parts)
    return table


def _pack(parts: list[Text], width: int, first: str | Text) -> list[Text]:
    """Lines of parts, none of them broken; each line begins where the first one's parts do."""
    line = first.copy() if isinstance(first, Text) else Text(first)
    indent = len(line)
    lines = []
    for part in parts:
        if len(line) > indent and len(line) + len(part) > width:
            lines.append(line)
            line = Text(" " * indent)
        line = line + part + Text("  ")
    return [*lines, line]


def _clock(seconds: float) -> str:
    """0:07, 12:34, 1:02:03."""
    whole = round(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    if hours:
        return f"{hours}:{minutes:02}:{whole % 60:02}"
    return f"{minutes}:{whole % 60:02}"


def _duration(seconds: float) -> str:
    """0.83 s, 12.3 s, 12:34."""
    if seconds < 60:
        return f"{seconds:.{2 if seconds < 9.995 else 1}f} s"
    return _clock(seconds)
