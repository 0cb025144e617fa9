"""Checkpoints as tables for people."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import rich.box
import rich.console
import rich.table
import rich.text

from trainer.checkpoint.errors import CheckpointError
from trainer.checkpoint.manifest import Manifest
from trainer.checkpoint.place import Place
from trainer.checkpoint.proof import tree_difference
from trainer.checkpoint.reading import Checkpoints
from trainer.learning_rates import is_rate

_PIPE_WIDTH = 120  # columns, where no terminal says how wide it is
_METRICS = 4  # values logged that a list has room for


def show_list(checkpoints: Checkpoints) -> None:
    """One row for each checkpoint, those that were set aside below."""
    rows: list[tuple[str, Manifest | None]] = []
    for name in checkpoints.names():
        try:
            rows.append((name, checkpoints.manifest(name)))
        except CheckpointError:
            rows.append((name, None))
    logged = list(dict.fromkeys(k for _, m in rows if m is not None for k in m.metrics))
    shown = sorted(logged, key=is_rate)[:_METRICS]
    made = _table("name", "step", "when (UTC)", "MB", *shown, "")
    for name, manifest in rows:
        if manifest is None:
            _add(made, name, *[""] * (3 + len(shown)), "manifest CORRUPT")
            continue
        values = [_number(manifest.metrics.get(key)) for key in shown]
        size, when = f"{manifest.nbytes / 1e6:,.1f}", manifest.time[:19].replace("T", " ")
        mark = "pinned" if checkpoints.pinned(name) else ""
        _add(made, name, f"{manifest.step:,}", when, size, *values, mark)
    out = _console()
    out.print(made)
    for name in checkpoints.aside():
        out.print(f"set aside: {name}")


def show_manifest(path: str, manifest: Manifest, pattern: re.Pattern[str] | None) -> None:
    """What a checkpoint says of itself, and its values."""
    out = _console()
    out.print(f"{path}: step {manifest.step:,}, {manifest.time[:19]} UTC", markup=False)
    facts = _table("", "")
    for key, value in manifest.header.items() if isinstance(manifest.header, dict) else ():
        text = value if isinstance(value, str) else json.dumps(value)
        _add(facts, str(key), text if len(text) < 600 else f"{text[:600]} ...")
    for key, value in manifest.metrics.items():
        _add(facts, key, _number(value))
    _add(facts, "weights_sha256", manifest.weights_sha256)
    facts.columns[1].justify, facts.columns[1].no_wrap = "left", False
    out.print(facts)
    chosen = {n: v for n, v in manifest.values.items() if pattern is None or pattern.search(n)}
    made = _table("value", "shape", "dtype", "kB", "share", "")
    total = sum(value.nbytes for value in manifest.values.values()) or 1
    for name, value in chosen.items():
        share, mark = f"{value.nbytes / total:.1%}", "weight" if value.weight else ""
        size = f"{value.nbytes / 1e3:,.1f}"
        _add(made, name, str(list(value.shape)), value.dtype, size, share, mark)
    out.print(made)
    out.print(f"{len(chosen)} of {len(manifest.values)} values, {total / 1e6:,.1f} MB in all")


def show_diff(a: Place, b: Place, most: int) -> bool:
    """What differs, the largest differences first; whether anything does."""
    (first, mine), (second, theirs) = (p.checkpoints.load(p.name) for p in (a, b))
    out = _console()
    rows = []
    for name in mine.keys() & theirs.keys():
        x, y = first.values[name], second.values[name]
        if (x.shape, x.dtype) != (y.shape, y.dtype):
            rows.append((np.inf, name, f"{x.dtype} {list(x.shape)}, {y.dtype} {list(y.shape)}", ""))
        elif x.sha256 != y.sha256:
            rows.append(_difference(name, mine[name].numpy(), theirs[name].numpy()))
    rows.sort(key=lambda row: (row[1].startswith("_run/"), -row[0]))  # the run's own last
    made = _table("value", "largest difference", "relative")
    for _, name, absolute, relative in rows[:most]:
        _add(made, name, absolute, relative)
    same = len(mine.keys() & theirs.keys()) - len(rows)
    out.print(f"{a.path} and {b.path}: {same} values alike, {len(rows)} differ", markup=False)
    if rows:
        out.print(made)
    if len(rows) > most:
        out.print(f"and {len(rows) - most} more (--most)")
    for where, only in (
        (a.path, mine.keys() - theirs.keys()),
        (b.path, theirs.keys() - mine.keys()),
    ):
        for name in sorted(only)[:most]:
            out.print(f"only in {where}: {name}", markup=False)
    other = tree_difference(first.plain, second.plain, "")
    if other is not None:
        out.print(f"first other difference: {other}", markup=False)
    return bool(rows) or other is not None or mine.keys() != theirs.keys()


def _difference(name: str, x: Any, y: Any) -> tuple[float, str, str, str]:
    if x.dtype.kind in "OSU":
        return np.inf, name, "not numbers", ""
    wide = np.complex128 if x.dtype.kind == "c" else np.float64
    x, y = np.asarray(x).astype(wide), np.asarray(y).astype(wide)
    with np.errstate(invalid="ignore"):
        gaps = np.where((x == y) | (np.isnan(x) & np.isnan(y)), 0.0, np.abs(x - y))
    if not np.isfinite(gaps).all():
        return np.inf, name, "not finite", ""
    largest, scale = float(gaps.max(initial=0)), float(np.abs(x).max(initial=0))
    return largest, name, f"{largest:.3g}", f"{largest / scale:.3g}" if scale else ""


def _console() -> rich.console.Console:
    made = rich.console.Console(highlight=False)
    if not made.is_terminal:
        made.width = max(made.width, _PIPE_WIDTH)
    return made


def _table(*columns: str) -> rich.table.Table:
    made = rich.table.Table(box=rich.box.SIMPLE_HEAD)
    for i, column in enumerate(columns):
        made.add_column(column, justify="right" if i else "left", overflow="fold")
    return made


def _add(table: rich.table.Table, *cells: str) -> None:
    """A row of plain text: brackets are brackets, and a file's names send nothing else along."""
    table.add_row(*(rich.text.Text("".join(filter(str.isprintable, cell))) for cell in cells))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.5g}"
