"""Measures whether the automatic choice of how to compile is the best one, and what it costs.

For each workload the Trainer runs as a plain graph, with an XLA step, as one XLA loop, and as it
plans by itself for a long run; all on the same batches, each in a process of its own; the rounds
take turns and ratios are paired, as in benchmarks.speed. `stream` is the automatic choice on the
same rows from a `tf.data` pipeline, which are fed by chunks.

    python -m benchmarks.modes --workloads=digits,gpt --rounds=5 --out=results
"""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags, logging

from benchmarks import cli, harness, machine, plot, results, tables, workloads

AUTO = "auto"
# name -> settings of the contender (see benchmarks.peers.ours).
MODES: dict[str, dict[str, Any]] = {
    AUTO: {"jit": "auto", "plan": True},
    "graph": {"jit": False},
    "step": {"jit": "step"},
    "loop": {"jit": "loop"},
    "stream": {"jit": "auto", "plan": True, "stream": True},
}
# Steps of a round: half a second or so, in the slowest way too.
STEPS = {"digits": 2000, "mnist": 2000, "mnist_cnn": 4, "lstm": 12, "gpt": 12, "wide": 12}
TEN_MINUTES = 600.0
BAND = 0.03  # the choice may be so much slower than the best, and its trial cost so much of a run


def define_flags() -> None:
    """This command's flags."""
    flags.DEFINE_list("workloads", list(workloads.WORKLOADS), "What to train.")
    flags.DEFINE_list("modes", list(MODES), f"What to measure, besides {AUTO!r}.")
    flags.DEFINE_integer("rounds", 5, "Timed rounds of each.", lower_bound=1)
    flags.DEFINE_integer("steps", None, "Steps of a round, about.", lower_bound=1)
    flags.DEFINE_float(
        "pause",
        harness.PAUSE,
        "Seconds before each timed round, until the machine rests; 0 where it never does.",
    )
    flags.DEFINE_string("data_dir", None, "Folder with mnist.npz and a *.txt file.")
    flags.DEFINE_string("out", None, "Folder for modes.json and modes.png; none without it.")
    flags.register_validator("workloads", cli.check_workloads)
    flags.register_validator("modes", check_modes)


def check_modes(names: Sequence[str]) -> bool:
    """A flag validator: all are modes."""
    return bool(names) and all(cli.check_one(name, MODES) for name in names)


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    given = flags.FLAGS
    out = tables.console()
    measured: dict[str, Any] = {
        "machine": machine.facts(),
        "versions": machine.versions(),
        "workloads": {},
    }
    for workload in given.workloads:
        record = measure(
            workload,
            given.modes,
            rounds=given.rounds,
            steps=given.steps or STEPS[workload],
            data_dir=given.data_dir,
            pause=given.pause,
        )
        measured["workloads"][workload] = record
        show(out, workload, record)
    tables.show_machine(out, measured)
    if given.out is not None:
        folder = pathlib.Path(given.out)
        folder.mkdir(parents=True, exist_ok=True)
        results.save(folder / "modes.json", measured)
        plot.draw(measured, folder / "modes.png", COLUMNS)
        logging.info("written: %s", folder / "modes.json")
    return 1 if any("skipped" in record for record in measured["workloads"].values()) else 0


COLUMNS = (
    ("speed against the automatic choice", "ratio", "{:.2f}x"),
    ("seconds to the first step", "first_step_seconds", "{:.1f} s"),
    ("peak memory", "peak_mb", "{:,.0f} MB"),
)


def measure(
    workload: str,
    modes: Sequence[str],
    *,
    rounds: int,
    steps: int,
    data_dir: str | None,
    pause: float = harness.PAUSE,
) -> dict[str, Any]:
    """The record of a workload whose contenders are ways of compiling."""
    names = [AUTO, *(name for name in modes if name != AUTO)]
    return harness.measure(
        workload,
        names,
        rounds=rounds,
        steps=steps,
        data_dir=data_dir,
        specs={
            name: {"peer": "ours", "settings": {"features": ["metrics"], **MODES[name]}}
            for name in names
        },
        reference=AUTO,
        pause=pause,
        say=functools.partial(logging.info, "%s: %s", workload),
    )


def verdict(record: Mapping[str, Any]) -> tuple[str, float, float]:
    """(the fastest way, how much faster it is than the automatic choice, noise of that)."""
    ratios = {
        name: entry["ratio"]
        for name, entry in record["contenders"].items()
        if "ratio" in entry and name not in (AUTO, "stream")
    }
    best = max(ratios, key=lambda name: ratios[name]["median"])
    return best, ratios[best]["median"] - 1.0, ratios[best]["noise"]


def show(out: Any, workload: str, record: dict[str, Any]) -> None:
    """The table, and what it says of the choice."""
    if "skipped" in record:
        out.print(f"{workload}: {record['skipped']}")
        return
    made = tables.table(
        f"{workload}: {record['title']}, rounds of {record['steps_per_round']} steps",
        "compiled as",
        "steps/s",
        f"x {AUTO}",
        "low .. high",
        "noise",
        "first step",
        "peak memory",
    )
    for name, entry in record["contenders"].items():
        if "ratio" not in entry:
            out.print(f"{name}: {entry.get('skipped', 'not measured')}")
            continue
        ratio = entry["ratio"]
        made.add_row(
            name,
            f"{entry['steps_per_second']['median']:,.1f}",
            f"{ratio['median']:.3f}",
            tables.interval(ratio, ".3f"),
            f"{ratio['noise']:.1%}",
            f"{entry['first_step_seconds']:.1f} s",
            f"{entry['peak_mb']:,.0f} MB" if "peak_mb" in entry else "",
        )
    out.print(made)
    settings = record["contenders"][AUTO].get("settings", {})
    if plan := settings.get("plan"):
        share = plan["seconds"] / TEN_MINUTES
        out.print(f"  chosen: {plan['mode']} ({plan['reason']})", markup=False)
        out.print(f"  its trial took {plan['seconds']:.1f} s, {share:.1%} of ten minutes")
    best, ahead, noise = verdict(record)
    within = "within" if ahead <= BAND else "NOT within"
    out.print(
        f"  the best is {best}, {ahead:+.1%} (noise {noise:.1%}) against the choice: {within} "
        f"{BAND:.0%}\n"
    )


if __name__ == "__main__":
    define_flags()
    cli.run(main)
