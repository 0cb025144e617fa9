"""Results as a picture; needs matplotlib (the `benchmark` extra)."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import results
from benchmarks.tables import label

OURS = "#1f6fb4"
OTHERS = "#b9c0c8"
INK = "#30363d"

GRID = "#e5e8eb"
# A contender's colour and mark, for pictures that have several in one panel.
MARKS = {
    "ours": (OURS, "o"),
    "ours_bare": ("#7db3e0", "o"),
    "fit": ("#57606a", "s"),
    "fit_best": ("#d9822b", "D"),
    "fit_32": ("#d9822b", "D"),
    "orbit": ("#8250df", "^"),
    "hand": ("#2da44e", "v"),
}


def draw(
    measured: Mapping[str, Any],
    path: str | pathlib.Path,
    columns: Sequence[tuple[str, str, str]],
) -> None:
    """Draws one row of bars per workload into a PNG file.

    Args:
        measured: see `speed.measure`.
        path: of the file.
        columns: what is drawn: heading, the entry's key, how a number reads.

    Raises:
        ImportError: matplotlib is missing; says how to get it.
        ValueError: nothing was measured.
    """
    pyplot = load_pyplot()
    drawn = entries_of(measured)
    heights = [len(entries) for entries in drawn.values()]
    figure, axes = pyplot.subplots(
        len(drawn),
        len(columns),
        figsize=(13, 0.9 + sum(0.34 * n + 0.5 for n in heights)),
        squeeze=False,
        layout="constrained",
        gridspec_kw={
            "height_ratios": [n + 1 for n in heights],
            "width_ratios": [1.7] + [1] * (len(columns) - 1),
        },
    )
    for number, (name, entries) in enumerate(drawn.items()):
        row = axes[number]
        for axis, (heading, key, form) in zip(row, columns, strict=True):
            _bars(axis, entries, key, form)
            if number == 0:
                axis.set_title(heading, loc="left", fontsize=11, color=INK, pad=26)
        row[0].annotate(
            f"{name}: {measured['workloads'][name]['title']}",
            (0, 1),
            xytext=(0, 4),
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize=10,
            fontweight="bold",
            color=INK,
        )
        for axis in row[1:]:
            axis.set_yticklabels([])
    foot(figure, measured, list(drawn))
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def dots(measured: Mapping[str, Any], path: str | pathlib.Path) -> None:
    """Draws many workloads at a glance: a row each, a mark for each contender, on log scales.

    Args:
        measured: see `speed.measure`.
        path: of the PNG file.

    Raises:
        ImportError: matplotlib is missing; says how to get it.
        ValueError: nothing was measured.
    """
    pyplot = load_pyplot()
    drawn = entries_of(measured)
    columns = (
        ("speed, as a multiple of the reference's", "ratio", (1, 2, 5, 10, 20)),
        ("seconds to the first step", "first_step_seconds", (0.2, 0.5, 1, 2, 5, 10, 20, 50)),
        ("peak memory, MB", "peak_mb", (500, 700, 1000, 1500, 2000, 3000, 5000, 8000)),
    )
    figure, axes = pyplot.subplots(
        1,
        len(columns),
        figsize=(13, 1.4 + 0.5 * len(drawn)),
        sharey=True,
        layout="constrained",
        gridspec_kw={"width_ratios": [1.6, 1, 1]},
    )
    names = list(drawn)
    found = dict.fromkeys(c for entries in drawn.values() for c in entries)
    shown = [c for c in MARKS if c in found] + [c for c in found if c not in MARKS]
    for axis, (heading, key, ticks) in zip(axes, columns, strict=True):
        for number, contender in enumerate(shown):
            colour, mark = MARKS.get(contender, (OTHERS, "o"))
            shift = (number - (len(shown) - 1) / 2) * 0.13
            for row, name in enumerate(names):
                value = drawn[name].get(contender, {}).get(key)
                if value is None:
                    continue
                if isinstance(value, Mapping):
                    ends = [value["low"], value["high"]]
                    axis.plot(ends, [row + shift] * 2, color=colour, linewidth=1.2, alpha=0.6)
                axis.plot(
                    _middle(value), row + shift, mark, color=colour, markersize=6, linestyle="none"
                )
        axis.set_xscale("log")
        low, high = axis.get_xlim()
        axis.set_xlim(low / 1.2, high * 1.2)
        log_ticks(axis, "x", ticks)
        axis.set_title(heading, loc="left", fontsize=11, color=INK)
        axis.tick_params(length=0, colors=INK)
        axis.grid(axis="x", color=GRID)
        axis.set_axisbelow(True)
        axis.spines[["top", "right", "left", "bottom"]].set_visible(False)
        for edge in range(len(names) - 1):
            axis.axhline(edge + 0.5, color=GRID, linewidth=0.8)
    axes[0].axvline(1, color=INK, linewidth=1)
    references = [measured["workloads"][name]["reference"] for name in names]
    axes[0].set_yticks(
        range(len(names)),
        [f"{name}\nagainst {label(base)}" for name, base in zip(names, references, strict=True)],
        fontsize=8.5,
    )
    axes[0].set_ylim(len(names) - 0.5, -0.5)
    figure.legend(
        handles=[
            pyplot.Line2D([], [], color=MARKS[c][0], marker=MARKS[c][1], linestyle="none")
            for c in shown
            if c in MARKS
        ],
        labels=[label(c) for c in shown if c in MARKS],
        loc="outside upper left",
        ncols=len(shown),
        frameon=False,
        fontsize=9,
    )
    foot(figure, measured, names)
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def entries_of(measured: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Workload -> contender -> entry, of all that was timed.

    Raises:
        ValueError: that is nothing.
    """
    drawn = {
        name: {k: v for k, v in record["contenders"].items() if v.get("rounds")}
        for name, record in measured["workloads"].items()
        if "contenders" in record
    }
    drawn = {name: entries for name, entries in drawn.items() if entries}
    if not drawn:
        raise ValueError("no workload was measured, so there is nothing to draw.")
    return drawn


def log_ticks(axis: Any, which: str, ticks: Sequence[float]) -> None:
    """A log scale whose ticks read as plain numbers; those that lie within the data are shown."""
    line = axis.xaxis if which == "x" else axis.yaxis
    (axis.set_xscale if which == "x" else axis.set_yscale)("log")
    low, high = axis.get_xlim() if which == "x" else axis.get_ylim()
    line.set_ticks([t for t in ticks if low <= t <= high])
    line.set_major_formatter(lambda value, _: f"{value:,.10g}")
    line.set_minor_locator(load_pyplot().NullLocator())


def load_pyplot() -> Any:
    """Matplotlib's pyplot, drawing into files.

    Raises:
        ImportError: matplotlib is missing; says how to get it.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise ImportError(
            "matplotlib is needed to draw; install the extra: pip install '.[benchmark]'"
        ) from error
    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def foot(figure: Any, measured: Mapping[str, Any], names: Sequence[str]) -> None:
    """The machines, the version and the days, in small print."""
    found = [results.circumstances(measured, name) for name in names]
    machines = dict.fromkeys(
        f"{each['machine']['processor']}, {each['machine']['cores']} cores" for each in found
    )
    versions = found[-1]["versions"] or {}
    days = sorted({each["machine"]["date"][:10] for each in found})
    figure.supxlabel(
        f"{' and '.join(machines)};{chr(10) if len(machines) > 1 else ' '}TensorFlow "
        f"{versions.get('tensorflow', '?')}; {' to '.join(days[:1] + days[1:][-1:])}. Median of "
        "interleaved rounds; lines: slowest and fastest round.",
        fontsize=8,
        color="#6b7280",
        x=0.01,
        ha="left",
    )


def _bars(axis: Any, entries: Mapping[str, Any], key: str, form: str) -> None:
    names = list(entries)
    values = [entries[name].get(key) for name in names]
    widths = [_middle(value) for value in values]
    errors = [
        (value["median"] - value["low"], value["high"] - value["median"])
        if isinstance(value, Mapping)
        else (0.0, 0.0)
        for value in values
    ]
    colours = [OURS if name.startswith("ours") else OTHERS for name in names]
    positions = range(len(names))
    axis.barh(positions, widths, color=colours, height=0.72)
    axis.set_yticks(positions, [label(name) for name in names], fontsize=9, color=INK)
    axis.invert_yaxis()
    axis.set_xticks([])
    axis.tick_params(length=0)
    for side in ("top", "right", "bottom"):
        axis.spines[side].set_visible(False)
    axis.spines["left"].set_color("#d0d7de")
    longest = max([w + e[1] for w, e in zip(widths, errors, strict=True)] or [1.0]) or 1.0
    if form.format(longest) == form.format(0.0):
        longest *= 1000.0  # what reads as nothing is drawn as nothing
    axis.set_xlim(0, longest * 1.22)
    for y, width, (low, high), value in zip(positions, widths, errors, values, strict=True):
        if high or low:
            axis.plot([width - low, width + high], [y, y], color=INK, linewidth=1.2)
        text = form.format(width) if value is not None else "not measured"
        axis.text(width + high + longest * 0.015, y, text, va="center", fontsize=9, color=INK)


def _middle(value: Any) -> float:
    return float(value["median"]) if isinstance(value, Mapping) else float(value or 0.0)
