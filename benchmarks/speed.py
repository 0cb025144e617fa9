"""Measures the speed of the Trainer against its peers on the same work.

Every contender trains the same model from the same weights on the same batches, in a process of
its own; timed rounds take turns (A B C, B C A, ...) while all others sleep. Prints a table per
workload and puts it into speed.json beside those that the file has, so that workloads can be
measured apart; speed.png draws all of them. A run that was cut short goes on with --keep_hours.
Processes of the same loop differ by more than the rounds of one: with --together all contenders
share a process, which is kept beside the record of the workload.

    python -m benchmarks.speed --workloads=mnist,gpt --rounds=5 --out=benchmarks/results
"""

from __future__ import annotations

import datetime
import functools
import pathlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags, logging

from benchmarks import (
    cli,
    harness,
    machine,
    peers,
    plot,
    results,
    standing,
    tables,
    workloads,
)

CONTENDERS = ("ours", "fit", "fit_best", "orbit", "hand")


def define_flags() -> None:
    """This command's flags."""
    flags.DEFINE_list("workloads", list(workloads.WORKLOADS), "What to train.")
    flags.DEFINE_list(
        "contenders",
        list(CONTENDERS),
        f"Who trains, in the order of their turns, of {', '.join(peers.PEERS)}.",
    )
    flags.DEFINE_integer("rounds", 5, "Timed rounds of each contender.", lower_bound=1)
    flags.DEFINE_integer(
        "steps", None, "Steps of a round, about; by default each workload's own.", lower_bound=1
    )
    flags.DEFINE_string("data_dir", None, cli.DATA_DIR)
    flags.DEFINE_integer("seed", 0, "Of the initial weights.")
    flags.DEFINE_string("out", "results", "Folder for speed.json and speed.png.")
    flags.DEFINE_float(
        "keep_hours",
        0.0,
        "Workloads that the file has measured within so many hours are not measured again.",
        lower_bound=0.0,
    )
    flags.DEFINE_boolean(
        "together",
        False,
        "All contenders in one process; kept beside what was measured with a process each.",
    )
    flags.register_validator("workloads", cli.check_workloads)
    flags.register_validator("contenders", cli.check_contenders)


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    given = flags.FLAGS
    out = tables.console()
    path = pathlib.Path(given.out) / "speed.json"
    for name in given.workloads:
        if age(path, name) < given.keep_hours:
            logging.info("%s: kept, %.1f hours old", name, age(path, name))
            continue
        record = measure(
            name,
            given.contenders,
            rounds=given.rounds,
            steps=given.steps,
            data_dir=given.data_dir,
            seed=given.seed,
            together=given.together,
        )
        kept = beside(path, name, record) if given.together else record
        results.update(path, {name: kept}, order=list(workloads.WORKLOADS))
        tables.show_workload(out, name, record)
    tables.show_machine(out, machine.about())
    draw(path)
    return 0


def age(path: pathlib.Path, name: str) -> float:
    """Hours since ours was measured in a workload; infinite where it never was, or failed."""
    record = results.load(path)["workloads"].get(name, {}) if path.exists() else {}
    if "rounds" not in record.get("contenders", {}).get("ours", {}):
        return float("inf")
    then = datetime.datetime.fromisoformat(record["machine"]["date"])
    return (datetime.datetime.now(datetime.timezone.utc) - then).total_seconds() / 3600


def measure(
    name: str,
    contenders: Sequence[str],
    *,
    rounds: int,
    steps: int | None = None,
    data_dir: str | None = None,
    seed: int = 0,
    together: bool = False,
) -> dict[str, Any]:
    """Measures a workload.

    Args:
        name: of the workload.
        contenders: see `harness.measure`, as `rounds`, `data_dir` and `seed`.
        rounds: timed rounds of each contender.
        steps: of a round, about; None: the workload's own, which stand for a long run.
        data_dir: where data is looked for.
        seed: of the initial weights.
        together: whether all share a process.

    Returns:
        The record of `harness.measure`, with `machine`, `versions`, `threads`, the `seconds`
        that measuring took, and `others`: the share of the processors that was at work before
        and after it, when none of the contenders was.
    """
    begun = time.monotonic()
    facts: dict[str, Any] = machine.about()
    machine.settle(0.0)
    others = machine.at_work(1.0)
    record = harness.measure(
        name,
        contenders,
        rounds=rounds,
        steps=steps,
        data_dir=data_dir,
        seed=seed,
        long=steps is None,
        together=together,
        say=functools.partial(logging.info, "%s: %s", name),
    )
    for entry in record.get("contenders", {}).values():
        facts["threads"] = entry.pop("threads", facts.get("threads"))
        entry.pop("versions", None)
    others = max(others, machine.at_work(1.0))
    return {**record, **facts, "others": others, "seconds": time.monotonic() - begun}


def beside(path: pathlib.Path, name: str, shared: Mapping[str, Any]) -> dict[str, Any]:
    """The file's record of a workload, with what was measured in one process beside it.

    Raises:
        ValueError: the file has no such record.
    """
    known = results.load(path)["workloads"] if path.exists() else {}
    if "contenders" not in known.get(name, {}):
        raise ValueError(f"{path} has no record of {name} yet; measure it without --together first")
    parts = ("contenders", "machine", "versions", "others", "seconds")
    return {**known[name], "together": {part: shared[part] for part in parts}}


def draw(path: pathlib.Path) -> None:
    """Draws all that a file has, where matplotlib is there."""
    picture = path.with_suffix(".png")
    try:
        plot.dots(results.load(path), picture)
    except (ImportError, ValueError) as error:
        logging.warning("no picture: %s", error)
    else:
        logging.info("written: %s", picture)


to_markdown = standing.whole  # what `benchmarks.report` writes into the pages
headline = standing.headline


if __name__ == "__main__":
    define_flags()
    cli.run(main)
