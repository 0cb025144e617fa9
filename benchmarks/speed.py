"""Measures the speed of the Trainer against its peers on the same work.

Every contender trains the same model from the same weights on the same batches, in a process of
its own; timed rounds take turns (A B C, B C A, ...) while all others sleep. Prints a table per
workload and writes results.json and results.png.

    python -m benchmarks.speed --workloads=mnist,mnist_cnn --rounds=5 --out=results
"""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

from absl import flags, logging

from benchmarks import cli, harness, machine, peers, plot, results, tables, workloads


def define_flags() -> None:
    """This command's flags."""
    flags.DEFINE_list("workloads", list(workloads.WORKLOADS), "What to train.")
    flags.DEFINE_list("contenders", list(peers.PEERS), "Who trains, in the order of their turns.")
    flags.DEFINE_integer("rounds", 5, "Timed rounds of each contender.", lower_bound=1)
    flags.DEFINE_integer(
        "steps", None, "Steps of a round, about; by default each workload's own.", lower_bound=1
    )
    flags.DEFINE_string("data_dir", None, "Folder with mnist.npz and a *.txt file.")
    flags.DEFINE_integer("seed", 0, "Of the initial weights.")
    flags.DEFINE_string("out", "results", "Folder for results.json and results.png.")
    flags.register_validator("workloads", cli.check_workloads)
    flags.register_validator("contenders", cli.check_contenders)


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    given = flags.FLAGS
    out = tables.console()
    measured = measure(
        given.workloads,
        given.contenders,
        rounds=given.rounds,
        steps=given.steps,
        data_dir=given.data_dir,
        seed=given.seed,
        done=lambda name, record: tables.show_workload(out, name, record),
    )
    tables.show_machine(out, measured)
    write(measured, pathlib.Path(given.out))
    return 0


def measure(
    names: Sequence[str],
    contenders: Sequence[str],
    *,
    rounds: int,
    steps: int | None = None,
    data_dir: str | None = None,
    seed: int = 0,
    done: Callable[[str, dict[str, Any]], None] = lambda name, record: None,
) -> dict[str, Any]:
    """Measures several workloads, one after the other.

    Args:
        names: of the workloads.
        contenders: see `harness.measure`, as `rounds`, `steps`, `data_dir` and `seed`.
        rounds: timed rounds of each contender.
        steps: of a round, about; None: each workload's own, which stand for a long run.
        data_dir: where data is looked for.
        seed: of the initial weights.
        done: is told each workload's record as soon as it is there.
    """
    measured: dict[str, Any] = {
        "machine": machine.facts(),
        "versions": machine.versions(),
        "rounds": rounds,
        "workloads": {},
    }
    for name in names:
        record = harness.measure(
            name,
            contenders,
            rounds=rounds,
            steps=steps,
            data_dir=data_dir,
            seed=seed,
            long=steps is None,
            say=functools.partial(logging.info, "%s: %s", name),
        )
        for entry in record.get("contenders", {}).values():
            measured["threads"] = entry.pop("threads", measured.get("threads"))
            entry.pop("versions", None)
        measured["workloads"][name] = record
        done(name, record)
    return measured


def write(measured: dict[str, Any], folder: pathlib.Path) -> None:
    """Writes results.json and, where matplotlib is there, results.png."""
    folder.mkdir(parents=True, exist_ok=True)
    results.save(folder / "results.json", measured)
    logging.info("written: %s", folder / "results.json")
    try:
        plot.draw(measured, folder / "results.png")
    except (ImportError, ValueError) as error:
        logging.warning("no picture: %s", error)
    else:
        logging.info("written: %s", folder / "results.png")


if __name__ == "__main__":
    define_flags()
    cli.run(main)
