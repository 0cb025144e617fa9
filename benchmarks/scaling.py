"""Measures how the cost of a step grows: with the length of a run, batch, model, metrics, data.

A dense network of a few thousand weights, whose steps cost little but what the loop costs, is made
larger in one direction at a time. All contenders of a point live in one process and take turns;
memory is read from a process each. Writes scaling.json, series by series, and scaling.png.

    python -m benchmarks.scaling --series=batch,depth --out=benchmarks/results
"""

from __future__ import annotations

import pathlib
import textwrap
import time
from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags, logging

from benchmarks import cli, plot, quiet, results, standing, tables
from benchmarks.series import MEMORY, SERIES, Series, measure, point


def define_flags() -> None:
    """This command's flags."""
    flags.DEFINE_list("series", list(SERIES), "What grows.")
    flags.DEFINE_integer("rounds", 5, "Timed rounds; 3 of runs from nothing.", lower_bound=1)
    flags.DEFINE_string("out", "results", "Folder for scaling.json and scaling.png.")
    flags.register_validator(
        "series", lambda names: bool(names) and all(cli.check_one(name, SERIES) for name in names)
    )


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    given = flags.FLAGS
    out = tables.console()
    path = pathlib.Path(given.out) / "scaling.json"
    order = [point(name, value) for name in SERIES for value in SERIES[name].values]
    with quiet.quiet_import():
        import tensorflow  # noqa: F401
    for name in given.series:
        begun = time.monotonic()
        records = measure(SERIES[name], name, rounds=given.rounds, say=logging.info)
        logging.info("%s: measured in %.0f s", name, time.monotonic() - begun)
        measured = results.update(path, records, order)
        show(out, measured, name)
    draw(measured, path.with_suffix(".png"))
    logging.info("written: %s", path)
    return 0


def show(out: Any, measured: Mapping[str, Any], name: str) -> None:
    """A series as a table."""
    series = SERIES[name]
    head, rows = cells(measured, name)
    made = tables.table(
        f"{series.quantity}, by {series.title}", *(textwrap.fill(cell, 16) for cell in head)
    )
    for row in rows:
        made.add_row(*row)
    out.print(made)


def cells(measured: Mapping[str, Any], name: str) -> tuple[list[str], list[list[str]]]:
    """The head and the rows of a series' table; a series that was not measured has no rows."""
    series = SERIES[name]
    others = [c for c in series.contenders if c != "ours"]
    head = [series.title, "ours", *map(tables.label, others)]
    if series.quantity != MEMORY:
        head.append("ours x Keras fit (low .. high)")
    rows = []
    for value in series.values:
        entries = measured["workloads"].get(point(name, value), {}).get("contenders")
        if entries is None:
            continue
        found = [reading(entries.get(c, {}), series) for c in ("ours", *others)]
        row = [f"{value:,}", *("" if f is None else amount(f["median"]) for f in found)]
        if series.quantity != MEMORY:
            ratio = entries["ours"]["ratio"]
            row.append(f"{ratio['median']:.1f} ({tables.interval(ratio, '.1f')})")
        rows.append(row)
    return head, rows


def reading(entry: Mapping[str, Any], series: Series) -> dict[str, float] | None:
    """Median, low and high of what a series measures of a contender; None: not measured."""
    if series.quantity == MEMORY:
        found = entry.get("peak_mb")
        return None if found is None else dict.fromkeys(("median", "low", "high"), found)
    return results.spread([1e6 * s for s in entry["rounds"]]) if "rounds" in entry else None


def amount(value: float) -> str:
    """A number with three digits, or whole."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def draw(measured: Mapping[str, Any], path: pathlib.Path) -> None:
    """Draws all series that a file has as small multiples on log scales.

    Raises:
        ImportError: matplotlib is missing; says how to get it.
    """
    pyplot = plot.load_pyplot()
    names = [name for name in SERIES if cells(measured, name)[1]]
    columns = min(3, len(names))
    lines = -(-len(names) // columns)
    figure, axes = pyplot.subplots(
        lines,
        columns,
        figsize=(4.2 * columns, 0.9 + 2.9 * lines),
        squeeze=False,
        layout="constrained",
    )
    for axis, name in zip(axes.flat, names, strict=False):
        panel(axis, measured, name)
    for axis in axes.flat[len(names) :]:
        axis.set_visible(False)
    handles: dict[str, Any] = {}
    for axis in axes.flat:
        handles.update(zip(*axis.get_legend_handles_labels()[::-1], strict=True))
    figure.legend(
        handles.values(),
        handles.keys(),
        loc="outside upper left",
        ncols=len(handles),
        frameon=False,
        fontsize=9,
    )
    plot.foot(
        figure,
        measured,
        [
            point(n, v)
            for n in names
            for v in SERIES[n].values
            if point(n, v) in measured["workloads"]
        ],
    )
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def panel(axis: Any, measured: Mapping[str, Any], name: str) -> None:
    """One series."""
    series = SERIES[name]
    highest, lowest = 0.0, float("inf")
    for contender in series.contenders:
        colour, mark = plot.MARKS[contender]
        points = []
        for value in series.values:
            entries = measured["workloads"].get(point(name, value), {}).get("contenders", {})
            found = reading(entries.get(contender, {}), series)
            if found is not None:
                points.append((value, found["median"], found["low"], found["high"]))
        if not points:
            continue
        x, middle, low, high = zip(*points, strict=True)
        axis.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
        front = contender == "ours"
        axis.plot(
            x,
            middle,
            color=colour,
            marker=mark,
            markersize=5,
            label=tables.label(contender) if not front else "ours",
            linewidth=2.2 if front else 1.3,
            zorder=3 if front else 2,
        )
        highest, lowest = max(highest, *high), min(lowest, *low)
    plot.log_ticks(axis, "x", series.values)
    axis.set_ylim(lowest / 1.5, highest * 1.5)
    within = highest / lowest
    marks = (1,) if within > 100 else (1, 2, 5) if within > 3 else (1, 1.5, 2, 3, 4, 5, 6, 7, 8)
    plot.log_ticks(axis, "y", [mark * 10**power for power in range(7) for mark in marks])
    axis.set_title(series.title, loc="left", fontsize=10, color=plot.INK)
    axis.set_ylabel(series.quantity, fontsize=8, color=plot.INK)
    axis.tick_params(length=0, labelsize=8, colors=plot.INK)
    axis.grid(color=plot.GRID)
    axis.set_axisbelow(True)
    axis.spines[["top", "right", "left", "bottom"]].set_visible(False)


def to_markdown(measured: Mapping[str, Any]) -> str:
    """A table of each series."""
    parts, firsts = [], {}
    for name, series in SERIES.items():
        head, rows = cells(measured, name)
        if rows:
            title = f"**{series.title[0].upper()}{series.title[1:]}**, {series.quantity}:"
            parts += [title, tables.markdown(head, rows), *behind(measured, name)]
            kind = " (memory)" if "memory" in series.quantity else ""
            firsts[point(name, int(rows[0][0].replace(",", "")))] = f"*{series.title}{kind}*"
    return "\n\n".join([standing.circumstances(measured, firsts, firsts), *parts])


def behind(measured: Mapping[str, Any], name: str) -> list[str]:
    """A line that says where a series' steps are not the fastest of all, if anywhere."""
    found = []
    for value in SERIES[name].values:
        entries = measured["workloads"].get(point(name, value), {}).get("contenders", {})
        others = {c: e for c, e in entries.items() if c != "ours" and "rounds" in e}
        if not others or "rounds" not in entries.get("ours", {}):
            continue
        leads = {c: standing.lead(entries["ours"], e) for c, e in others.items()}
        nearest = min(leads, key=lambda c: leads[c]["median"])
        if leads[nearest]["median"] < 1.0:
            by = f"{leads[nearest]['median']:.2f} x ({tables.interval(leads[nearest], '.2f')})"
            found.append(f"at {value:,} it is {by} of {tables.label(nearest)}")
    return [f"**Ours is not first**: {'; '.join(found)}."] if found else []


if __name__ == "__main__":
    define_flags()
    cli.run(main)
