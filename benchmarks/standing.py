"""The speed table as Markdown for the pages, with a line under each workload on who is first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks import results, tables

# Workload -> why ours is not first, or not by much, where it is known.
CONVOLUTIONS = (
    "Nearly all of a step is convolutions, for which all contenders call the same kernels: no loop "
    "can save their time."
)
WHY = {
    "lstm": "Nearly all of a step is the products of the recurrence.",
    "mnist_cnn": CONVOLUTIONS,
    "resnet": CONVOLUTIONS,
    "unet": CONVOLUTIONS,
}
UNKNOWN = "Why was not looked into."
BUSY = 0.1  # share of the processors from which on others' work is mentioned
MANNERS = {
    "fit": "Keras `fit`",
    "fit_best": "its best setting",
    "orbit": "Orbit",
    "hand": "by hand",
}


def headline(measured: Mapping[str, Any]) -> str:
    """A row per workload: the speed of ours, and how many times that is each other's."""
    head = ["", "ours, steps/s", *(f"x {name}" for name in MANNERS.values())]
    rows = []
    for name, entries in timed(measured).items():
        ours = entries["ours"]
        cells = [multiple(ours, entries.get(other)) for other in MANNERS]
        title = f"{name}: {measured['workloads'][name]['title']}"
        rows.append([title, tables.speed(ours["steps_per_second"]["median"]), *cells])
    return f"{tables.markdown(head, rows)}\n\n{circumstances(measured, timed(measured))}"


def whole(measured: Mapping[str, Any]) -> str:
    """Every workload and contender."""
    parts = [circumstances(measured, timed(measured))]
    for name, entries in timed(measured).items():
        record = measured["workloads"][name]
        reference = record["reference"]
        tested = list(dict.fromkeys(key for e in entries.values() for key in e.get("test", {})))
        head = ["", "steps/s", f"x {tables.label(reference)}", "low .. high", "first step"]
        head += ["peak memory", *(f"test {key}" for key in tested[: tables.TESTED])]
        rows = [
            tables.row(contender, entry, tested[: tables.TESTED])
            for contender, entry in entries.items()
        ]
        rounds = max(len(entry["rounds"]) for entry in entries.values())
        about = (
            f"Batch {record['batch_size']}, {rounds} rounds of {record['steps_per_round']:,} steps."
        )
        lines = [about, standing(name, entries, record.get("together")), *said(record)]
        title = f"### {name}: {record['title']}"
        parts += [title, tables.markdown(head, rows), " ".join(lines)]
    for name in sorted(measured["workloads"].keys() - timed(measured).keys()):
        record = measured["workloads"][name]
        ours = record.get("contenders", {}).get("ours", {"skipped": "it was not measured"})
        why = record.get("skipped", f"ours: {ours.get('skipped')}").splitlines()[0]
        parts.append(f"{name} is not in the table. {why}")
    return "\n\n".join(parts)


def timed(measured: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Workload -> contender -> entry, where ours was measured."""
    found = {
        name: {c: entry for c, entry in record["contenders"].items() if entry.get("rounds")}
        for name, record in measured["workloads"].items()
        if "contenders" in record
    }
    return {name: entries for name, entries in found.items() if "ours" in entries}


def lead(ours: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, float]:
    """How many times as fast as another ours is, round by round."""
    pairs = zip(other["rounds"], ours["rounds"], strict=False)
    return results.spread([theirs / own for theirs, own in pairs])


def multiple(ours: Mapping[str, Any], other: Mapping[str, Any] | None) -> str:
    """`lead` in a cell; a dash for who was not measured."""
    if other is None:
        return "–"
    found = lead(ours, other)
    return f"{found['median']:.2f} ({tables.interval(found, '.2f')})"


def standing(
    name: str, entries: Mapping[str, Any], together: Mapping[str, Any] | None = None
) -> str:
    """Whether ours is first; if not, by how much, and why where that is known.

    Args:
        name: of the workload.
        entries: contender -> entry, each of a process of its own.
        together: what was measured with all in one process, if it was. That ours is not behind
            there is a reason by itself: processes differ by more than their rounds show.
    """
    leads = {
        other: lead(entries["ours"], entry)
        for other, entry in entries.items()
        if not other.startswith("ours")
    }
    if not leads:
        return "Nobody else was measured."
    nearest = min(leads, key=lambda other: leads[other]["median"])
    found = leads[nearest]
    who = tables.label(nearest)
    by = f"{found['median']:.2f} x ({tables.interval(found, '.2f')})"
    if found["low"] > 1.0:
        return f"Ours is first in every round; the next is {who}, of which it is {by}."
    if found["median"] >= 1.0:
        return f"Ours is first by the median, not in every round; it is {by} of {who}."
    overlap = "; the rounds of both overlap" if found["high"] > 1.0 else ""
    reasons = [WHY[name]] if name in WHY else []
    if together and {"ours", nearest} <= together["contenders"].keys():
        shared = lead(*(together["contenders"][one] for one in ("ours", nearest)))
        said = f"{shared['median']:.2f} x ({tables.interval(shared, '.2f')})"
        where = together["machine"]["processor"]
        if shared["high"] < 1.0 and not reasons:
            reasons.append(UNKNOWN)
        reasons.append(f"With both in one process it is {said}, on {where}.")
    return f"**Ours is not first**: it is {by} of {who}{overlap}. {' '.join(reasons or [UNKNOWN])}"


def said(record: Mapping[str, Any]) -> list[str]:
    """Keras's best setting, how ours was compiled, and who was left out."""
    contenders = record["contenders"]
    lines = [f"{line.splitlines()[0].rstrip('.')}." for line in tables.remarks(contenders)]
    best = contenders.get("fit_best", {}).get("settings")
    if best:
        tried = sum("steps_per_second" in entry for entry in record.get("search", []))
        lines.append(f"Keras's best setting of {tried} tried: {tables.keras_setting(best)}.")
    compiled = contenders["ours"].get("settings", {}).get("compiled", {}).get("train")
    return [*lines, f"Ours was compiled as: {compiled}."] if compiled else lines


def circumstances(
    measured: Mapping[str, Any], names: Iterable[str], titles: Mapping[str, str] | None = None
) -> str:
    """Where and when workloads were measured: a line for each machine and versions.

    Where there are several, each says which workloads are its own, by their `titles` if given.
    """
    found: dict[tuple[str, str], list[tuple[str, float, str]]] = {}  # day, others' work, workload
    for name in names:
        about = results.circumstances(measured, name)
        machine = about["machine"]
        versions = ", ".join(f"{k} {v}" for k, v in (about["versions"] or {}).items())
        key = (
            f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gb']} GB",
            f"Python {machine['python']}, {versions}",
        )
        others = measured["workloads"][name].get("others", 0.0)
        found.setdefault(key, []).append((machine["date"][:10], others, name))
    lines = []
    for (where, versions), when in found.items():
        days = sorted({day for day, _, _ in when})
        line = f"{where}; {versions}; {days[0]}{f' to {days[-1]}' if len(days) > 1 else ''}."
        if len(found) > 1:
            line = f"{', '.join((titles or {}).get(name, name) for _, _, name in when)}: {line}"
        busy = [f"{name} ({share:.0%})" for _, share, name in when if share > BUSY]
        if busy:
            line += f" Others were at work on the machine beside {', '.join(busy)}."
        lines.append(line)
    return "\n\n".join(lines)
