"""Trains over replicas and workers in every way, and compares with one device.

Six small trainings over 1, 2 and 4 logical devices and over 2 processes, compiled in each way,
with and without accumulation, clipping, a loss scale and float16: 648 cases of 100 steps, every
fourth of them on the ragged end of an epoch. All weights, slots, averages and statistics are
compared with those of one device that trains in the same mode. Each case is put into exactness.json
as it ends, beside those that the file has, so that pieces and a run that was cut short make one.

    python -m benchmarks.exactness --out=benchmarks/results                 # all: about an hour
    python -m benchmarks.exactness --out=benchmarks/results --workloads=mlp,cnn
    python -m benchmarks.exactness --out=benchmarks/results --missing       # go on
"""

from __future__ import annotations

import itertools
import pathlib
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from absl import flags, logging

from benchmarks import cli, machine, quiet, results

WORKLOADS = ("mlp", "cnn", "text", "rnn", "attention", "gan")
WHERE = ("1", "2", "4", "workers")
SECONDS = 90, 15  # that processes may take: to start, and for each case


def define_flags() -> None:
    """This command's flags."""
    flags.DEFINE_list("workloads", list(WORKLOADS), "What to train.")
    flags.DEFINE_list("where", list(WHERE), "On 1, 2, 4 logical devices, or by 2 workers.")
    flags.DEFINE_bool("missing", False, "Train only the cases that the file lacks.")
    flags.DEFINE_integer("count", None, "At most so many cases.", lower_bound=1)
    flags.DEFINE_string("out", "results", "Folder for exactness.json.")
    for name, known in (("workloads", WORKLOADS), ("where", WHERE)):
        flags.register_validator(
            name, lambda given, known=known: all(cli.check_one(one, known) for one in given)
        )


def main(argv: Sequence[str]) -> int:
    """Runs the command; the exit code is 1 where a case differs."""
    given, begun = flags.FLAGS, time.monotonic()
    path = pathlib.Path(given.out) / "exactness.json"
    cases = asked(given.workloads, given.where, path if given.missing else None)[: given.count]
    bad = compare(cases, path)
    print(f"{len(cases)} cases, {len(bad)} differ, {time.monotonic() - begun:.0f} s")
    print("\n".join(bad))
    return int(bool(bad))


def compare(cases: Sequence[Any], path: pathlib.Path) -> list[str]:
    """Trains the cases and puts each into the file; gives the names of those that differ."""
    bad = []
    for number, (case, far) in enumerate(trained(cases), 1):
        keep(path, case, far)
        differs = not far <= case.close  # NaN differs
        if differs:
            bad.append(case.name)
        verdict = " DIFFERS" if differs else ""
        logging.info("%d of %d: %s: %.1e%s", number, len(cases), case.name, far, verdict)
    return bad


def asked(workloads: Sequence[str], where: Sequence[str], known: pathlib.Path | None) -> list[Any]:
    """The cases to train; of a file `known`, only those that it lacks."""
    with quiet.quiet_import():
        from tests.distributed import matrix
    found: set[str] = set()
    if known is not None and known.exists():
        records = results.load(known)["workloads"].values()
        found = {name for record in records for name in record["cases"]}
    return [
        case
        for case in matrix.everything()
        if case.workload in workloads and case.where in where and case.name not in found
    ]


def trained(cases: Sequence[Any]) -> Iterator[tuple[Any, float]]:
    """Each case, and how far it ended from one device; those of workers in one go by workload."""
    from tests.distributed import matrix
    from tests.distributed.workloads import distance

    matrix.four_devices()
    for (where, _), group in itertools.groupby(cases, lambda case: (case.where, case.workload)):
        these = list(group)
        with tempfile.TemporaryDirectory() as folder:
            place = pathlib.Path(folder)
            if where == "workers":
                start, each = SECONDS
                matrix.of_workers(these, place, seconds=start + each * len(these))
            for case in these:
                if where == "workers":
                    found = dict(np.load(place / f"{case.name}-0.npz"))
                else:
                    found, _ = matrix.train(case, matrix.mirrored(matrix.REPLICAS[where]))
                yield case, float(distance(found, matrix.alone(case)[0]))


def keep(path: pathlib.Path, case: Any, far: float) -> None:
    """Puts a case into the file."""
    before = results.load(path)["workloads"] if path.exists() else {}
    cases = {**before.get(case.workload, {}).get("cases", {})}
    cases[case.name] = {"far": far, "allowed": case.close}
    record = {**machine.about(), "cases": dict(sorted(cases.items()))}
    results.update(path, {case.workload: record}, WORKLOADS)


def to_markdown(measured: Mapping[str, Any]) -> str:
    """How far the cases ended from one device, by what is allowed them."""
    records = measured["workloads"]
    cases = [case for record in records.values() for case in record["cases"].values()]
    parts = []
    for allowed in sorted({case["allowed"] for case in cases}):
        far = [case["far"] for case in cases if case["allowed"] == allowed]
        # What is not a number stands in the file as none.
        bad = sum(value is None or value > allowed for value in far)
        furthest = max((value for value in far if value is not None), default=float("nan"))
        parts.append(
            f"{len(far)} of which at most {allowed:g} is asked, {bad} of them further away, the "
            f"furthest {furthest:.1e}"
        )
    dates = sorted(record["machine"]["date"][:10] for record in records.values())
    when = " to ".join(dict.fromkeys((dates[0], dates[-1])))
    return f"{len(cases)} cases have been trained: {'; '.join(parts)} ({when})."


if __name__ == "__main__":
    define_flags()
    cli.run(main)
