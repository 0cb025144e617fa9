"""Results as a picture; needs matplotlib (the `benchmark` extra)."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.tables import label

OURS = "#1f6fb4"
OTHERS = "#b9c0c8"
INK = "#30363d"

# What is drawn: heading, the entry's key, how a number reads.
COLUMNS = (
    ("speed against Keras fit", "ratio", "{:.2f}x"),
    ("seconds to the first step", "first_step_seconds", "{:.1f} s"),
    ("peak memory", "peak_mb", "{:,.0f} MB"),
)


def draw(
    measured: Mapping[str, Any],
    path: str | pathlib.Path,
    columns: Sequence[tuple[str, str, str]] = COLUMNS,
) -> None:
    """Draws one row of bars per workload into a PNG file.

    Args:
        measured: see `speed.measure`.
        path: of the file.
        columns: what is drawn, as `COLUMNS` has it.

    Raises:
        ImportError: matplotlib is missing; says how to get it.
        ValueError: nothing was measured.
    """
    pyplot = load_pyplot()
    drawn = {
        name: {k: v for k, v in record["contenders"].items() if v.get("rounds")}
        for name, record in measured["workloads"].items()
        if "contenders" in record
    }
    drawn = {name: entries for name, entries in drawn.items() if entries}
    if not drawn:
        raise ValueError("no workload was measured, so there is nothing to draw.")
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
    machine = measured["machine"]
    figure.supxlabel(
        f"{machine['processor']}, {machine['cores']} cores; TensorFlow "
        f"{measured.get('versions', {}).get('tensorflow', '?')}; {machine['date'][:10]}. Median of "
        "interleaved rounds; whiskers: slowest and fastest round.",
        fontsize=8,
        color="#6b7280",
        x=0.01,
        ha="left",
    )
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


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
