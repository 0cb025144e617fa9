"""Measures what the comforts cost: everything on, and each feature alone, against the bare loop.

All contenders are this project's Trainer on the same batches, 500 steps to a compiled call, in one
process; the rounds take turns and ratios are paired.

    python -m benchmarks.overhead --workload=mnist --rounds=7
"""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags, logging

from benchmarks import cli, harness, machine, results, tables

BARE = "bare"
# name -> the features of the contender (see benchmarks.peers.ours).
FEATURES: dict[str, list[str]] = {
    BARE: [],
    "metrics": ["metrics"],
    "progress": ["progress"],
    "tensorboard": ["tensorboard"],
    "checkpoint": ["checkpoint"],
    "gradient_norm": ["gradient_norm"],
    "histograms": ["histograms"],
    "histograms_100": ["histograms_100"],
    "norms_100": ["norms_100"],
    "norms_1": ["norms_1"],
    "json_steps": ["json_steps"],
    "all": ["metrics", "progress", "tensorboard"],
}
STEPS_PER_CALL = 500
# --jit -> the Trainer's argument.
JIT: dict[str, str | bool] = {"loop": "loop", "step": "step", "graph": False, "auto": "auto"}


def define_flags() -> None:
    """This command's flags."""
    flags.DEFINE_string("workload", "mnist", "What to train.")
    flags.DEFINE_list("features", list(FEATURES), f"What to measure, besides {BARE!r}.")
    flags.DEFINE_integer("rounds", 7, "Timed rounds of each.", lower_bound=1)
    flags.DEFINE_integer("steps", None, "Steps of a round, about.", lower_bound=1)
    flags.DEFINE_enum(
        "jit", "loop", list(JIT), "How all are compiled; one way, so that only features differ."
    )
    flags.DEFINE_integer("steps_per_call", STEPS_PER_CALL, "Of a compiled call.", lower_bound=1)
    flags.DEFINE_string("data_dir", None, cli.DATA_DIR)
    flags.DEFINE_string("out", None, "Folder for overhead.json; none is written without it.")
    flags.register_validator("workload", cli.check_workload)
    flags.register_validator("features", check_features)


def check_features(names: Sequence[str]) -> bool:
    """A flag validator: all are features."""
    return bool(names) and all(cli.check_one(name, FEATURES) for name in names)


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    given = flags.FLAGS
    about = machine.about()  # before: how busy the machine was
    record = measure(
        given.workload,
        given.features,
        rounds=given.rounds,
        steps=given.steps,
        steps_per_call=given.steps_per_call,
        jit=JIT[given.jit],
        data_dir=given.data_dir,
    )
    out = tables.console()
    show(out, given.workload, record, given.steps_per_call)
    measured = {
        **about,
        "steps_per_call": given.steps_per_call,
        "jit": given.jit,
        "workloads": {given.workload: record},
    }
    tables.show_machine(out, measured)
    if given.out is not None:
        folder = pathlib.Path(given.out)
        folder.mkdir(parents=True, exist_ok=True)
        results.save(folder / "overhead.json", measured)
        logging.info("written: %s", folder / "overhead.json")
    return 1 if "skipped" in record else 0


def measure(
    workload: str,
    features: Sequence[str],
    *,
    rounds: int,
    steps: int | None,
    steps_per_call: int,
    jit: str | bool,
    data_dir: str | None,
) -> dict[str, Any]:
    """The record of a workload whose contenders are features of the Trainer."""
    names = [BARE, *(name for name in features if name != BARE)]
    specs = {
        name: {
            "peer": "ours",
            "settings": {
                "features": FEATURES[name],
                "steps_per_call": steps_per_call,
                "jit": jit,
            },
        }
        for name in names
    }
    return harness.measure(
        workload,
        names,
        rounds=rounds,
        steps=steps,
        data_dir=data_dir,
        specs=specs,
        reference=BARE,
        together=True,
        say=functools.partial(logging.info, "%s: %s", workload),
    )


def show(out: Any, workload: str, record: dict[str, Any], steps_per_call: int) -> None:
    """The table: how much longer a step takes than in the bare loop."""
    if "skipped" in record:
        out.print(f"{workload}: {record['skipped']}")
        return
    made = tables.table(
        f"{workload}: cost of features at {steps_per_call} steps a call",
        "feature",
        *tables.COST,
    )
    for name, entry in record["contenders"].items():
        if "ratio" not in entry:
            out.print(f"{name}: {entry.get('skipped', 'not measured')}")
            continue
        made.add_row(
            *tables.cost_row(name, entry["steps_per_second"]["median"], _cost(name, entry["ratio"]))
        )
    out.print(made)


def _cost(name: str, ratio: Mapping[str, float]) -> dict[str, float] | None:
    """How much longer a step takes, where `ratio` is of speeds; None for the bare loop."""
    if name == BARE:
        return None
    at = {"median": "median", "low": "high", "high": "low"}
    return {key: 1 / ratio[other] - 1 for key, other in at.items()}


def to_markdown(measured: Mapping[str, Any]) -> str:
    """What `show` prints, for a page."""

    def shown(out: Any) -> None:
        for name, record in measured["workloads"].items():
            show(out, name, record, measured["steps_per_call"])

    return tables.page(shown, measured)


if __name__ == "__main__":
    define_flags()
    cli.run(main)
