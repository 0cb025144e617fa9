"""Results: what was measured as plain values, their statistics, and their JSON file."""

from __future__ import annotations

import json
import math
import pathlib
import re
import statistics
from collections.abc import Collection, Mapping, Sequence
from typing import Any

FORMAT = 1
REFERENCE = "fit"
_PLAIN_LIST = re.compile(r"\[[^\[\]{}\"]*\]")  # of numbers, whose commas stay between them


def reference(contenders: Collection[str]) -> str:
    """Whom the others are held against: Keras `fit`, or the hand-written loop where it cannot."""
    return REFERENCE if REFERENCE in contenders else "hand"


def circumstances(measured: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Machine, versions and threads of a workload: its own, or those of the whole file."""
    own = measured["workloads"].get(name, {})
    return {key: own.get(key, measured.get(key)) for key in ("machine", "versions", "threads")}


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median, extremes, and `noise`: the standard error of the median, relative to it.

    The standard error is 1.2533 sigma / sqrt(n) for normal values; sigma is taken as 1.4826 times
    the median absolute deviation, which one disturbed round does not move.
    """
    if not values:
        raise ValueError("values is empty; a spread needs at least one measured round.")
    middle = statistics.median(values)
    deviation = statistics.median(abs(value - middle) for value in values)
    error = 1.2533 * 1.4826 * deviation / math.sqrt(len(values))
    return {
        "median": middle,
        "low": min(values),
        "high": max(values),
        "noise": error / middle if middle else 0.0,
    }


def summarise(record: dict[str, Any], reference: str = REFERENCE) -> dict[str, Any]:
    """Adds to each contender of a workload its `steps_per_second` and its `ratio` to the reference.

    The ratio is paired: round i against the reference's round i, which ran next to it, so what
    disturbs the machine for longer than a round does not disturb the ratio.
    """
    record["reference"] = reference
    steps = record["steps_per_round"]
    others = record["contenders"]
    base = others.get(reference, {}).get("rounds")
    for contender in others.values():
        rounds = contender.get("rounds")
        if not rounds:
            continue
        contender["steps_per_second"] = spread([steps / seconds for seconds in rounds])
        if base:
            pairs = zip(base, rounds, strict=False)
            contender["ratio"] = spread([theirs / own for theirs, own in pairs])
        first, own = others.get(reference, {}).get("first_loss"), contender.get("first_loss")
        if None not in (first, own) and not math.isclose(own, first, rel_tol=1e-3):
            contender["note"] = (
                f"its first loss is {own:.6g}, that of {reference} {first:.6g}: it did not train "
                "the same model on the same batch"
            )
    return record


def save(path: str | pathlib.Path, measured: dict[str, Any]) -> None:
    """Writes results as JSON."""
    text = json.dumps(_finite({"format": FORMAT, **measured}), indent=1, allow_nan=False)
    text = _PLAIN_LIST.sub(lambda found: " ".join(found[0].split()), text)  # a line each
    pathlib.Path(path).write_text(text + "\n", encoding="utf-8")


def update(
    path: str | pathlib.Path, records: Mapping[str, Any], order: Sequence[str] = ()
) -> dict[str, Any]:
    """Puts workloads' records into a file, beside the others that it has.

    So the pieces of a long measurement can be run apart and make one file together.

    Args:
        path: of the file; it and its folder are made where they are missing.
        records: workload -> what was measured.
        order: of the workloads in the file; those it does not name come last.

    Returns:
        All that the file now has.
    """
    measured = load(path) if pathlib.Path(path).exists() else {}
    found = {**measured.get("workloads", {}), **records}
    ranks = {known: rank for rank, known in enumerate(order)}
    found = dict(sorted(found.items(), key=lambda item: ranks.get(item[0], len(ranks))))
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    save(path, {**measured, "workloads": found})
    return load(path)


def load(path: str | pathlib.Path) -> dict[str, Any]:
    """Reads results.

    Raises:
        ValueError: the file holds something else.
    """
    try:
        measured = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{path} is not JSON ({error}); give the JSON file of a benchmark."
        ) from None
    if not isinstance(measured, dict) or measured.get("format") != FORMAT:
        found = measured.get("format") if isinstance(measured, dict) else None
        raise ValueError(
            f"{path} has format {found!r}, this version reads {FORMAT}; measure again with it."
        )
    return measured


def _finite(tree: Any) -> Any:
    """The same with None for infinite and not-a-number, which JSON does not know."""
    if isinstance(tree, dict):
        return {key: _finite(value) for key, value in tree.items()}
    if isinstance(tree, (list, tuple)):
        return [_finite(value) for value in tree]
    return None if isinstance(tree, float) and not math.isfinite(tree) else tree
