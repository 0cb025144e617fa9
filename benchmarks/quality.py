"""Trains workloads with several seeds and holds what they reach against what is expected.

A seed is that of the initial weights, of the order of the data and of all noise. Prints a table and
puts each workload into quality.json beside those that the file has. Ends with exit code 1 if a seed
did not reach what its workload expects, or the data of one are not there.

    python -m benchmarks.quality --workloads=digits,vae --seeds=3 --out=benchmarks/results
"""

from __future__ import annotations

import pathlib
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from absl import flags, logging

from benchmarks import cli, machine, results, standing, tables, workloads


def define_flags() -> None:
    """This command's flags."""
    flags.DEFINE_list("workloads", list(workloads.WORKLOADS), "What to train.")
    flags.DEFINE_integer("seeds", 3, "How many seeds: 0, 1, 2, ...", lower_bound=1)
    flags.DEFINE_string("data_dir", None, cli.DATA_DIR)
    flags.DEFINE_string("out", "results", "Folder for quality.json.")
    flags.register_validator("workloads", cli.check_workloads)


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    given = flags.FLAGS
    path = pathlib.Path(given.out) / "quality.json"
    measured: dict[str, Any] = {"workloads": {}}
    left_out: list[str] = []
    for name in given.workloads:
        workload = workloads.get(name)
        try:
            record = measure(workload, given.seeds, data_dir=given.data_dir, say=logging.info)
        except FileNotFoundError as error:
            logging.error("%s is left out: %s", name, error)
            left_out.append(name)
            continue
        results.update(path, {name: record}, order=list(workloads.WORKLOADS))
        measured["workloads"][name] = record
    out = tables.console()
    show(out, measured)
    tables.show_machine(out, machine.about())
    return 0 if not left_out and all(row["reached"] for row in rows(measured)) else 1


def measure(
    workload: workloads.Workload,
    seeds: int,
    *,
    data_dir: str | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Trains a workload with the seeds 0, 1, ...

    Returns:
        `found`, name -> what each seed reached; `seconds` of each; and what was expected.

    Raises:
        ValueError: the workload expects nothing.
        FileNotFoundError: its data are not there.
    """
    if not workload.expected:
        raise ValueError(
            f"workload {workload.name!r} states no quality to be reached; see what it reaches by "
            f"python -m benchmarks --workload={workload.name}"
        )
    record: dict[str, Any] = {
        "title": workload.title,
        "epochs": workload.epochs,
        "expected": dict(workload.expected),
        "at_most": [name for name in workload.at_most if name in workload.expected],
        **machine.about(),
        "seconds": [],
        "found": {name: [] for name in workload.expected},
    }
    data = workload.data(data_dir)
    for seed in range(seeds):
        begun = time.perf_counter()
        trainer = workload.trainer(data, seed=seed)
        workload.fit(trainer, data, epochs=workload.epochs, verbose=0)
        record["seconds"].append(time.perf_counter() - begun)
        reached = workload.quality(trainer, data)
        for name, values in record["found"].items():
            values.append(float(reached[name]))
        told = ", ".join(f"{name} {values[-1]:.4g}" for name, values in record["found"].items())
        say(f"{workload.name}, seed {seed}: {told} after {record['seconds'][-1]:.0f} s")
    return record


def rows(measured: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What was expected of each workload, one row for each name."""
    for workload, record in measured["workloads"].items():
        for name, expected in record["expected"].items():
            values, low = record["found"][name], name in record["at_most"]
            yield {
                "workload": workload,
                "title": record["title"],
                "name": name,
                "expected": f"{'at most' if low else 'at least'} {expected:g}",
                "values": values,
                "reached": all(v <= expected if low else v >= expected for v in values),
                "minutes": statistics.median(record["seconds"]) / 60,
            }


def cells(row: Mapping[str, Any]) -> list[str]:
    """A row as text."""
    values = row["values"]
    return [
        row["name"],
        f"{statistics.median(values):.4g}",
        f"{min(values):.4g} .. {max(values):.4g}",
        row["expected"],
        "yes" if row["reached"] else "NO",
        f"{row['minutes']:.1f}",
    ]


HEADINGS = ("quality", "median", "low .. high", "expected", "reached", "minutes")


def show(out: Any, measured: Mapping[str, Any]) -> None:
    """The table for a terminal."""
    made = tables.table("What workloads reach, over their seeds", "", *HEADINGS)
    for row in rows(measured):
        style = None if row["reached"] else "red"
        made.add_row(row["workload"], *cells(row), style=style)
    out.print(made)


def to_markdown(measured: Mapping[str, Any]) -> str:
    """The table for a page."""
    lines = [
        [f"`{row['workload']}`: {row['title']}", f"{len(row['values'])}", *cells(row)]
        for row in rows(measured)
    ]
    table = tables.markdown(["workload", "seeds", *HEADINGS], lines)
    return f"{table}\n\n{standing.circumstances(measured, measured['workloads'])}"


if __name__ == "__main__":
    define_flags()
    cli.run(main)
