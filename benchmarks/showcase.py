"""The main job's two halves: a visible run of the Trainer, and the comparison with Keras fit."""

from __future__ import annotations

import os
import pathlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import rich.console
import rich.markup

from benchmarks import child, harness, results, tables
from benchmarks.data import Data
from benchmarks.workloads import Workload

PARITY_BATCHES = 20  # after which weights are compared a second time


def train(
    workload: Workload, data: Data, *, epochs: int, seed: int, log_dir: str | os.PathLike[str]
) -> Any:
    """Trains as a user would; returns the Trainer."""
    from trainer.callbacks import TensorBoard

    trainer = workload.trainer(data, seed=seed)
    workload.fit(
        trainer,
        data,
        epochs=epochs,
        validation_data=workload.validation(data),
        callbacks=[TensorBoard(log_dir)],
    )
    return trainer


def compare(
    workload: Workload,
    data: Data,
    contenders: Sequence[str],
    *,
    epochs: int,
    rounds: int,
    seed: int,
    overrides: Mapping[str, Any],
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Lets the contenders train from the same weights on the same batches, without shuffling.

    Each makes one step, then `PARITY_BATCHES` more; the weights are compared after both. Then a
    round to warm up and timed rounds, all of them together about `epochs` epochs.

    Returns:
        A record as `harness.measure` makes it; contenders have `difference`, the largest
        difference of any weight to the reference's after one step and after the further ones.
    """
    differences: dict[str, list[float]] = {}
    reference = results.reference([c for c in contenders if harness.can(c, workload)])
    with tempfile.TemporaryDirectory(prefix=f"benchmark-{workload.name}-") as place:
        folder = pathlib.Path(place)
        child.prepare(workload, data, folder, seed)

        def part(field: harness.Field) -> None:
            """Compares the weights after the first step, and after more."""
            first = _weights(field, folder)
            for _ in field.each("train", batches=PARITY_BATCHES, epochs=1):
                pass
            for now in (first, _weights(field, folder)):
                for name in now.keys() - {reference} if reference in now else ():
                    differing = largest_difference(now[name], now[reference])
                    differences.setdefault(name, []).append(differing)

        rows = len(data.x_train)
        record = harness.compete(
            workload,
            folder,
            rows,
            contenders,
            rounds=rounds,
            steps=max(1, epochs * -(-rows // workload.batch_size) // (rounds + 1)),
            specs={name: {"overrides": dict(overrides)} for name in contenders},
            grid="short",
            long=True,  # ours plans, as Keras's best setting is looked for
            between=part,
            say=say,
        )
    for name, found in differences.items():
        record["contenders"][name]["difference"] = found
    return record


def _weights(field: harness.Field, folder: pathlib.Path) -> dict[str, list[np.ndarray]]:
    path = str(folder / "now.npz")
    return {
        name: child.load_weights(answer["path"])
        for name, answer in field.each("weights", path=path)
    }


def largest_difference(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> float:
    """The largest absolute difference of two lists of arrays."""
    return max(float(np.max(np.abs(x - y))) for x, y in zip(a, b, strict=True))


def show(out: rich.console.Console, record: Mapping[str, Any]) -> None:
    """The comparison as a table with a column per contender."""
    entries = {k: v for k, v in record["contenders"].items() if "steps_per_second" in v}
    made = tables.table(
        f"The same {record['title']}, from the same weights on the same batches",
        "",
        *(tables.label(name) for name in entries),
    )
    for heading, cell in _rows(record):
        cells = [cell(entry) for entry in entries.values()]
        if any(cells):
            made.add_row(heading, *cells)
    out.print(made)
    for line in tables.remarks(record["contenders"]):
        out.print(rich.markup.escape(line))
    settings = record["contenders"].get("fit_best", {}).get("settings")
    if settings:
        tried = len(record.get("search", []))
        out.print(f"Keras's best setting of {tried} tried: {tables.keras_setting(settings)}")
    out.print(
        f"{_rounds(max(len(e['rounds']) for e in entries.values()))} of "
        f"{record['steps_per_round']:,} steps, in turns.\n"
        if entries
        else ""
    )


def _rounds(number: int) -> str:
    return "Speeds are of one round" if number == 1 else f"Speeds are medians of {number} rounds"


def _difference(entry: Mapping[str, Any], number: int) -> str:
    found = entry.get("difference", [])
    return f"{found[number]:.1e}" if len(found) > number else ""


def _rows(record: Mapping[str, Any]) -> list[tuple[str, Callable[[Mapping[str, Any]], str]]]:
    """Heading, and how an entry's number reads."""
    reference = tables.label(record["reference"])
    names = {name: None for e in record["contenders"].values() for name in e.get("test", {})}

    def test(name: str) -> Callable[[Mapping[str, Any]], str]:
        return lambda e: f"{e['test'][name]:.4f}" if name in e.get("test", {}) else ""

    return [
        ("steps per second", lambda e: f"{e['steps_per_second']['median']:,.0f}"),
        (f"against {reference}", lambda e: f"{e['ratio']['median']:.2f}x" if "ratio" in e else ""),
        ("first step after", lambda e: f"{e['first_step_seconds']:.1f} s"),
        ("final training loss", lambda e: f"{e['losses'][-1]:.4f}"),
        *((f"test {name}", test(name)) for name in names),
        (f"weights differ from {reference}, 1 step", lambda e: _difference(e, 0)),
        (f"after {PARITY_BATCHES} more", lambda e: _difference(e, 1)),
        ("peak memory", lambda e: f"{e['peak_mb']:,.0f} MB" if "peak_mb" in e else ""),
    ]
