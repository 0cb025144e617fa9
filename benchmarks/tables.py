"""Results as tables for people."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import rich.box
import rich.console
import rich.markup
import rich.table
import rich.text

from benchmarks.peers import LABELS

TESTED = 2  # values of the test split in a table, at most
PIPE_WIDTH = 120  # columns, where no terminal says how wide it is


def console(**arguments: Any) -> rich.console.Console:
    """A console that keeps tables in one piece when the output goes to a file or a pipe."""
    made = rich.console.Console(highlight=False, **arguments)
    if not made.is_terminal:
        made.width = max(made.width, PIPE_WIDTH)
    return made


def table(title: str, *columns: str) -> rich.table.Table:
    """An empty table; the first column is text, the others are numbers."""
    made = rich.table.Table(title=title, title_justify="left", box=rich.box.SIMPLE_HEAD)
    for i, column in enumerate(columns):
        made.add_column(column, justify="right" if i else "left", no_wrap=True)
    return made


def markdown(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of a page; the first column is text, the others are numbers."""
    marks = "|".join(["---", *["---:"] * (len(head) - 1)])
    lines = [
        "".join(f"| {cell} " if cell else "| " for cell in line) + "|" for line in (head, *rows)
    ]
    return "\n".join([lines[0], f"|{marks}|", *lines[1:]])


def page(show: Callable[[Any], object], measured: Mapping[str, Any]) -> str:
    """What a command prints, as Markdown, and where and when it was measured.

    Args:
        show: is given something that prints as a console does.
        measured: with `machine` and `versions`.
    """
    out = _Page()
    show(out)
    out.print(machine_line(measured))
    return "\n\n".join(out.parts)


class _Page:
    """Stands for a console."""

    def __init__(self) -> None:
        self.parts: list[str] = []

    def print(self, shown: Any = "", *, markup: bool = True) -> None:
        """Takes a table, or lines of text."""
        if isinstance(shown, rich.table.Table):
            head = [str(column.header).replace("\n", " ") for column in shown.columns]
            cells = zip(*(map(str, column.cells) for column in shown.columns), strict=True)
            self.parts += [f"**{shown.title}**", markdown(head, list(cells))]
        elif shown:
            text = rich.text.Text.from_markup(shown).plain if markup else str(shown)
            self.parts += [line.strip() for line in text.splitlines() if line.strip()]


def cost_row(name: str, speed: float, cost: Mapping[str, float] | None) -> list[str]:
    """A row of what something costs: steps/s, and how much longer a step takes; None: the base."""
    if cost is None:
        return [name, f"{speed:,.0f}", "", ""]
    return [name, f"{speed:,.0f}", f"{cost['median']:+.1%}", interval(cost, "+.1%")]


COST = ("steps/s", "time of a step", "low .. high")  # the columns of `cost_row`


def label(name: str) -> str:
    """What a contender is called in print."""
    return LABELS.get(name, name)


def show_workload(out: rich.console.Console, name: str, record: Mapping[str, Any]) -> None:
    """One workload's table, and under it what a reader must know of it."""
    if "skipped" in record:
        out.print(f"[bold]{name}[/]: left out. {rich.markup.escape(record['skipped'])}\n")
        return
    contenders = record["contenders"]
    tested = list(dict.fromkeys(key for e in contenders.values() for key in e.get("test", {})))
    made = table(
        f"{name}: {record['title']}, batch {record['batch_size']}, "
        f"rounds of {record['steps_per_round']} steps",
        "",
        "steps/s",
        "\n".join(f"x {label(record['reference'])}".rsplit(" ", 1)),
        "low .. high",
        "first step",
        "peak memory",
        *(f"test\n{key}" for key in tested[:TESTED]),
    )
    for contender, entry in contenders.items():
        if "steps_per_second" in entry:
            cells = row(contender, entry, tested[:TESTED])
            made.add_row(*cells, style="bold" if contender == "ours" else None)
    out.print(made)
    for line in remarks(contenders):
        out.print(f"  {rich.markup.escape(line)}")
    best = contenders.get("fit_best", {}).get("settings")
    if best:
        tried = sum("steps_per_second" in entry for entry in record.get("search", []))
        out.print(f"  Keras's best setting of {tried} tried: {keras_setting(best)}")
    compiled = contenders.get("ours", {}).get("settings", {}).get("compiled", {}).get("train")
    if compiled:
        out.print(f"  ours compiled as: {compiled}")
    out.print()


def remarks(contenders: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Who was left out and what is odd, a line for each reason."""
    said: dict[str, list[str]] = {}
    for contender, entry in contenders.items():
        for kind in ("skipped", "note"):
            if kind in entry:
                said.setdefault(str(entry[kind]).strip(), []).append(label(contender))
    return [f"{'; '.join(who)}: {what}" for what, who in said.items()]


def row(contender: str, entry: Mapping[str, Any], tested: Sequence[str]) -> list[str]:
    """A contender's cells: speed, ratio, first step, memory, and its values of the test split."""
    test = entry.get("test", {})
    return [
        label(contender),
        speed(entry["steps_per_second"]["median"]),
        f"{entry['ratio']['median']:.2f}" if "ratio" in entry else "",
        interval(entry["ratio"], ".2f") if "ratio" in entry else "",
        first_step(entry),
        f"{entry['peak_mb']:,.0f} MB" if "peak_mb" in entry else "",
        *(f"{test[key]:.4f}" if test.get(key) is not None else "" for key in tested),
    ]


def first_step(entry: Mapping[str, Any]) -> str:
    """Seconds to the first step, and those that choosing a way of compiling takes in a long run."""
    planned = entry.get("plan_seconds", 0.0)
    more = f" + {planned:.1f}" if planned >= 0.05 else ""
    return f"{entry['first_step_seconds']:.1f}{more} s"


def speed(steps: float) -> str:
    """Steps per second, with three digits or more."""
    return f"{steps:,.0f}" if steps >= 100 else f"{steps:.3g}"


def interval(values: Mapping[str, float], form: str) -> str:
    """`low .. high`."""
    return f"{values['low']:{form}} .. {values['high']:{form}}"


def keras_setting(settings: Mapping[str, Any]) -> str:
    """A setting of Keras `fit` in a line."""
    return (
        f"{settings['input']}, steps_per_execution={settings['steps_per_execution']}, "
        f"jit_compile={settings['jit_compile']}"
    )


def show_machine(out: rich.console.Console, measured: Mapping[str, Any]) -> None:
    """The machine, the versions and the date."""
    out.print(machine_line(measured))


def machine_line(measured: Mapping[str, Any]) -> str:
    """The machine, the versions, the date, and how busy the machine was."""
    machine = measured["machine"]
    versions = ", ".join(f"{k} {v}" for k, v in (measured.get("versions") or {}).items())
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB; "
        f"Python {machine['python']}, {versions}; {machine['date']}; "
        f"load before: {machine['load'][0]}"
    )
