"""Trains over replicas and workers in every way, and compares with one device.

Six small trainings over 1, 2 and 4 logical devices and over 2 processes, compiled in each way,
with and without accumulation, clipping, a loss scale and float16: 648 cases of 100 steps, every
fourth of them on the ragged end of an epoch. All weights, slots, averages and statistics are
compared with those of one device that trains in the same mode; where float16 rounds other sums,
also those of one device with those of one device of whose data one number differs by one unit of
float16. Each case is put into exactness.json as it ends, beside those that the file has, so that
pieces and a run that was cut short make one; a case of which the file asks something else than is
asked now counts as missing.

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
    for number, (case, far, nudged) in enumerate(trained(cases), 1):
        keep(path, case, far, nudged)
        differs = not far <= case.close  # NaN differs
        if differs:
            bad.append(case.name)
        verdict = " DIFFERS" if differs else ""
        logging.info("%d of %d: %s: %.1e%s", number, len(cases), case.name, far, verdict)
    return bad


def asked(workloads: Sequence[str], where: Sequence[str], known: pathlib.Path | None) -> list[Any]:
    """The cases to train; of a file `known`, only those that it lacks."""
    with quiet.quiet_import():
        from benchmarks.replicated import matrix
    found: set[tuple[str, float]] = set()
    if known is not None and known.exists():
        records = results.load(known)["workloads"].values()
        found = {(name, case["allowed"]) for r in records for name, case in r["cases"].items()}
    return [
        case
        for case in matrix.everything()
        if case.workload in workloads
        and case.where in where
        and (case.name, case.close) not in found
    ]


def trained(cases: Sequence[Any]) -> Iterator[tuple[Any, float, float | None]]:
    """Each case, how far it ended from one device, and maybe how far that does from itself.

    Those of workers are trained in one go by workload.
    """
    from benchmarks.replicated import matrix
    from benchmarks.replicated.trainings import distance

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
                    found = matrix.trained_by(0, case.name, place)
                else:
                    found, _ = matrix.train(case, matrix.mirrored(matrix.REPLICAS[where]))
                far = distance(found, matrix.alone(case)[0])
                yield case, far, matrix.nudged(case) if case.rounded else None


def keep(path: pathlib.Path, case: Any, far: float, nudged: float | None) -> None:
    """Puts a case into the file."""
    before = results.load(path)["workloads"] if path.exists() else {}
    cases = {**before.get(case.workload, {}).get("cases", {})}
    cases[case.name] = {"far": far, "allowed": case.close}
    if nudged is not None:
        cases[case.name]["nudged"] = nudged
    record = {**machine.about(), "cases": dict(sorted(cases.items()))}
    results.update(path, {case.workload: record}, WORKLOADS)


def to_markdown(measured: Mapping[str, Any]) -> str:
    """How far the cases ended from one device, by what is allowed them."""
    records = measured["workloads"]
    cases = [case for record in records.values() for case in record["cases"].values()]
    parts = []
    for allowed in sorted({case["allowed"] for case in cases}):
        these = [case for case in cases if case["allowed"] == allowed]
        far = [case["far"] for case in these]
        # What is not a number stands in the file as none.
        bad = sum(value is None or value > allowed for value in far)
        furthest = max((value for value in far if value is not None), default=float("nan"))
        text = (
            f"{len(far)} of which at most {allowed:g} is asked, {bad} of them further away, the "
            f"furthest {furthest:.1e}"
        )
        nudged = [
            case["nudged"] for case in cases if case["allowed"] == allowed and "nudged" in case
        ]
        if nudged:
            text += (
                f" (one device from itself, where one number of its data differs by one unit of "
                f"float16: {max(nudged):.1e})"
            )
        parts.append(text)
    dates = sorted(record["machine"]["date"][:10] for record in records.values())
    when = " to ".join(dict.fromkeys((dates[0], dates[-1])))
    return f"{len(cases)} cases have been trained: {'; '.join(parts)} ({when})."


if __name__ == "__main__":
    define_flags()
    cli.run(main)
