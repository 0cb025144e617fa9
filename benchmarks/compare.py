"""Tells what got slower, or larger, from one results file to another, beyond the noise.

Where both files have the same reference, Keras fit or the hand-written loop, speeds are compared as
ratios to it, because it ran in turns with the rest on the same machine; otherwise as steps per
second, as in modes.json and overhead.json, whose contenders are all ours. Ends with exit code 1
when something of ours got slower.

    python -m benchmarks.compare before/speed.json after/speed.json
    python -m benchmarks.compare before/modes.json after/modes.json
"""

from __future__ import annotations

import dataclasses
import math
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from absl import app

from benchmarks import results, tables

SMALLEST = 0.03  # a change of speed below this is never called one
ERRORS = 3.0  # how many standard errors it must exceed
FEWEST = 3  # rounds that tell how much noise there is
ONCE = 0.25  # the limit for fewer, and for what is measured once: first step and memory
FOREIGN = ("fit", "hand", "keras", "orbit")  # how names begin that are not ours


@dataclasses.dataclass(frozen=True)
class Change:
    """One quantity before and after.

    Attributes:
        workload: its name.
        contender: its name.
        quantity: what changed.
        before: in the first file.
        after: in the second.
        gain: relative change for the better; -0.1 means 10% slower (or larger).
        limit: the change that noise can explain.
    """

    workload: str
    contender: str
    quantity: str
    before: float
    after: float
    gain: float
    limit: float

    @property
    def verdict(self) -> str:
        """`worse`, `better`, or `same`."""
        if abs(self.gain) <= self.limit:
            return "same"
        return "better" if self.gain > 0 else "worse"


def compare(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    """The changes of all that both files hold."""
    for workload, record in after["workloads"].items():
        then = before["workloads"].get(workload, {})
        earlier, base = then.get("contenders", {}), record.get("reference")
        for contender, entry in record.get("contenders", {}).items():
            if contender in earlier:
                paired = contender != base == then.get("reference") and not is_ours(str(base))
                yield from _changes(
                    workload, contender, earlier[contender], entry, base if paired else None
                )


def is_ours(contender: str) -> bool:
    """Whether it is ours: all are whose names do not begin with the word for another's loop."""
    return re.split(r"[\W_]", contender)[0] not in FOREIGN


def _changes(
    workload: str,
    contender: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    reference: str | None,
) -> Iterator[Change]:
    paired = reference is not None and "ratio" in before and "ratio" in after
    key, quantity = ("ratio", f"speed / {reference}") if paired else ("steps_per_second", "steps/s")
    if key in before and key in after:
        old, new = before[key], after[key]
        limit = max(SMALLEST, ERRORS * math.hypot(old["noise"], new["noise"]))
        if min(len(before["rounds"]), len(after["rounds"])) < FEWEST:
            limit = max(limit, ONCE)
        gain = new["median"] / old["median"] - 1
        yield Change(workload, contender, quantity, old["median"], new["median"], gain, limit)
    for key, quantity in (("first_step_seconds", "first step, s"), ("peak_mb", "memory, MB")):
        if key in before and key in after:
            gain = before[key] / after[key] - 1
            yield Change(workload, contender, quantity, before[key], after[key], gain, ONCE)


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """What makes the two files hard to compare: another machine, other versions or threads."""
    found: dict[str, None] = {}  # a set that keeps its order: most workloads tell the same
    for workload in after["workloads"].keys() & before["workloads"].keys():
        then, now = (results.circumstances(file, workload) for file in (before, after))
        for name in ("processor", "cores", "python"):
            old, new = then["machine"].get(name), now["machine"].get(name)
            if old != new:
                found[f"{name}: {old} -> {new}"] = None
        for group in ("versions", "threads"):
            if then[group] != now[group]:
                found[f"{group}: {then[group]} -> {now[group]}"] = None
    return list(found)


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    if len(argv) != 3:
        raise app.UsageError(
            f"give two results files, before and after; got {len(argv) - 1}.", exitcode=2
        )
    try:
        before, after = (results.load(path) for path in argv[1:])
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    out = tables.console()
    for difference in differences(before, after):
        out.print(f"Not the same {difference}")
    changes = list(compare(before, after))
    if not changes:
        out.print("The files have no measured contender of a workload in common.")
        return 2
    made = tables.table("", "workload", "contender", "quantity", "before", "after", "change", "")
    colours = {"worse": "red", "better": "green", "same": "dim"}
    for c in changes:
        made.add_row(
            c.workload,
            tables.label(c.contender),
            c.quantity,
            f"{c.before:,.3g}" if c.before < 100 else f"{c.before:,.0f}",
            f"{c.after:,.3g}" if c.after < 100 else f"{c.after:,.0f}",
            f"{c.gain:+.1%} (noise {c.limit:.1%})",
            f"[{colours[c.verdict]}]{c.verdict}[/]",
        )
    out.print(made)
    worse = [c for c in changes if c.verdict == "worse" and is_ours(c.contender)]
    for c in worse:
        out.print(f"{c.workload}, {tables.label(c.contender)}: {c.quantity} {c.gain:+.1%}")
    if not worse:
        out.print("Nothing of ours got worse beyond the noise.")
    return 1 if worse else 0


if __name__ == "__main__":
    app.run(main)
