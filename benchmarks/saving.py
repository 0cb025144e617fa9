"""Measures what checkpoints cost: how much longer steps take, how long a save holds training up.

Each way of saving has a process of its own, on the same batches. A round is two cycles of so many
steps, one with a save and one without, right after each other; ratios are of such pairs, and rounds
take turns as in benchmarks.speed. Then each is restored in a new process. Prints a table and writes
saving.json and saving.png.

    python -m benchmarks.saving --every=100 --rounds=4 --out=results
"""

from __future__ import annotations

import pathlib
import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import rich.console
import rich.markup
from absl import flags, logging

from benchmarks import cli, harness, machine, plot, processes, results, tables, workloads

WORKLOAD = "wide"
# contender -> the peer, and its kind of saving.
SAVERS: dict[str, tuple[str, str]] = {
    "ours_checkpoint": ("saving_ours", "checkpoint"),
    "hand_sync": ("saving_hand", "sync"),
    "hand_async": ("saving_hand", "async"),
    "fit_model": ("saving_fit", "model"),
    "fit_weights": ("saving_fit", "weights"),
    "fit_backup": ("saving_fit", "backup"),
    "orbit_manager": ("saving_orbit", "manager"),
}
# --jit -> the Trainer's argument.
JIT: dict[str, str | bool] = {"loop": "loop", "step": "step", "graph": False}
# What is drawn; see `plot.COLUMNS`.
COLUMNS = (
    ("time of a step, saving / not saving", "cost", "{:.2f}x"),
    ("pause of training", "pause_ms", "{:,.0f} ms"),
    ("time to restore", "restore_seconds", "{:.2f} s"),
    ("memory for a save", "extra_mb", "{:,.0f} MB"),
)


def define_flags() -> None:
    """This command's flags."""
    flags.DEFINE_list("savers", list(SAVERS), "Who saves.")
    flags.DEFINE_integer(
        "every", 100, "Steps of a cycle: from one save to the next.", lower_bound=1
    )
    flags.DEFINE_integer("rounds", 4, "Timed rounds of each.", lower_bound=1)
    flags.DEFINE_integer("units", 2048, "Of a layer: what is saved grows by its square.")
    flags.DEFINE_integer("batch_size", 32, "Rows of a step.", lower_bound=1)
    flags.DEFINE_enum("jit", "loop", list(JIT), "How ours is compiled, saving or not.")
    flags.DEFINE_string("out", None, "Folder for saving.json and saving.png; none without it.")
    flags.register_validator("savers", check_savers)
    flags.register_validator("units", lambda value: value > 0, "it must be above 0.")


def check_savers(names: Sequence[str]) -> bool:
    """A flag validator: all are ways to save."""
    return bool(names) and all(cli.check_one(name, SAVERS) for name in names)


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    given = flags.FLAGS
    about = machine.about()  # before: how busy the machine was
    record = measure(
        given.savers,
        every=given.every,
        rounds=given.rounds,
        jit=JIT[given.jit],
        overrides={"units": given.units, "batch_size": given.batch_size},
        say=logging.info,
    )
    measured = {
        **about,
        "workloads": {WORKLOAD: record},
    }
    out = tables.console()
    show(out, record)
    tables.show_machine(out, measured)
    if given.out is not None:
        write(measured, pathlib.Path(given.out))
    return 0


def measure(
    savers: Sequence[str],
    *,
    every: int,
    rounds: int,
    jit: str | bool,
    overrides: Mapping[str, Any],
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Measures ways of saving.

    Args:
        savers: names of `SAVERS`.
        every: steps of a cycle.
        rounds: timed rounds.
        jit: how the Trainer compiles.
        overrides: attributes of the workload that are set otherwise.
        say: is told what happens, a line at a time.

    Returns:
        A record as `harness.measure` makes it. A saver has besides: `step_ms`, a spread of the time
        of a step without; `cost`, one of the time with over that without; `save_seconds`, what a
        save takes from the loop; `pause_ms`, a spread of how long its call lasts; `bytes` of a
        checkpoint; `restore_seconds`; `extra_mb`, peak memory beyond that of a cycle without.
    """
    workload = workloads.get(WORKLOAD, overrides)
    sized = {**overrides, "rows": every * workload.batch_size}  # an epoch is a cycle
    chosen: dict[str, dict[str, Any]] = {
        name: {
            "peer": SAVERS[name][0],
            "settings": {"kind": SAVERS[name][1], "every": every, "jit": jit},
            "overrides": sized,
        }
        for name in savers
    }
    for name, spec in chosen.items():
        if name != "ours_checkpoint":
            spec["settings"].pop("jit")
    with tempfile.TemporaryDirectory(prefix="benchmark-saving-") as place:
        folder = pathlib.Path(place)
        spec = {"workload": WORKLOAD, "folder": place, "overrides": sized}
        helper = processes.Process("prepare", spec, folder / "prepare.log")
        try:
            processes.ask(helper, "prepare", data_dir=None, seed=0)
        finally:
            helper.close()
        with harness.open_field(WORKLOAD, folder, chosen, say) as field:
            harness.start(field)
            harness.race(field, rounds=rounds, batches=None, epochs=1, steps=every)
            racing = [contender.name for contender in field.contenders]
        for name in racing:
            found = restored(name, chosen[name], field.records[name], folder, say)
            field.records[name].update(found)
    record = {
        "title": workload.title,
        "batch_size": workload.batch_size,
        "steps_per_round": every,
        "contenders": {name: field.records[name] for name in chosen},
    }
    return summarise(record)


def restored(
    name: str,
    spec: Mapping[str, Any],
    record: Mapping[str, Any],
    folder: pathlib.Path,
    say: Callable[[str], None],
) -> dict[str, Any]:
    """Seconds that a new process takes to restore what the last round saved."""
    process = processes.Process(
        f"{name}-restore",
        {"workload": WORKLOAD, "folder": str(folder), **spec},
        folder / f"{name}-restore.log",
    )
    try:
        processes.ask(process, "load")
        seconds = processes.ask(process, "restore", folder=record["noted"][-1]["folder"])["seconds"]
    except processes.Failed as failure:
        return {"note": f"it could not be restored: {failure}"}
    finally:
        process.close()
    say(f"{name}: restored in {seconds:.2f} s")
    return {"restore_seconds": seconds}


def summarise(record: dict[str, Any]) -> dict[str, Any]:
    """Adds what a save costs to each, held against its own loop round by round."""
    steps = record["steps_per_round"]
    for entry in record["contenders"].values():
        if not entry.get("rounds"):
            continue
        noted = entry["noted"]
        pairs = [(own, here["without"]) for own, here in zip(entry["rounds"], noted, strict=True)]
        entry["step_ms"] = results.spread([1e3 * without / steps for _, without in pairs])
        entry["cost"] = results.spread([own / without for own, without in pairs])
        entry["save_seconds"] = results.spread([own - without for own, without in pairs])
        entry["pause_ms"] = results.spread([1e3 * s for here in noted for s in here["pauses"]])
        entry["extra_mb"] = statistics.median(here["extra_mb"] for here in noted)
        entry["bytes"] = noted[-1]["bytes"]
    return record


def show(out: rich.console.Console, record: Mapping[str, Any]) -> None:
    """The table, and under it what a reader must know of it."""
    made = tables.table(
        f"{record['title']}, batch {record['batch_size']}: a save every "
        f"{record['steps_per_round']} steps",
        "",
        "a step\nms",
        "saving",
        "low .. high",
        "a save\ns",
        "pause\nms",
        "most\nms",
        "disk\nMB",
        "restore\ns",
        "memory\nMB",
    )
    for name, entry in record["contenders"].items():
        if "cost" in entry:
            style = "bold" if name == "ours_checkpoint" else None
            made.add_row(*_row(name, entry), style=style)
    out.print(made)
    for name, entry in record["contenders"].items():
        for kind in ("skipped", "note"):
            if kind in entry:
                reason = rich.markup.escape(str(entry[kind]).splitlines()[0])
                out.print(f"  {tables.label(name)}: {reason}")
    out.print(
        "  a step: in the loop without; saving: how much longer it takes with; a save: what one "
        "takes from the loop\n  in all. pause: median (and most) of the call that saves; ours and "
        "async go on writing beside the steps.\n"
        "  restore: in a new process, files in the page cache; ours also verifies every hash.\n"
        "  memory: peak beyond that of a cycle without. Ours alone syncs to the disk and hashes.\n"
        "  The copy of the state that async makes at its first save and keeps is in both cycles."
    )


def _row(name: str, entry: Mapping[str, Any]) -> list[str]:
    cost, pause = entry["cost"], entry["pause_ms"]
    restore = entry.get("restore_seconds")
    return [
        tables.label(name),
        f"{entry['step_ms']['median']:.1f}",
        f"{cost['median'] - 1:+.1%}",
        f"{cost['low'] - 1:+.1%} .. {cost['high'] - 1:+.1%}",
        f"{entry['save_seconds']['median']:.2f}",
        f"{pause['median']:,.0f}",
        f"{pause['high']:,.0f}",
        f"{entry['bytes'] / 1e6:,.0f}",
        "" if restore is None else f"{restore:.2f}",
        f"{entry['extra_mb']:+,.0f}",
    ]


def write(measured: Mapping[str, Any], folder: pathlib.Path) -> None:
    """Writes saving.json and, where matplotlib is there, saving.png."""
    folder.mkdir(parents=True, exist_ok=True)
    results.save(folder / "saving.json", dict(measured))
    logging.info("written: %s", folder / "saving.json")
    try:
        plot.draw(measured, folder / "saving.png", COLUMNS)
    except (ImportError, ValueError) as error:
        logging.warning("no picture: %s", error)
    else:
        logging.info("written: %s", folder / "saving.png")


def to_markdown(measured: Mapping[str, Any]) -> str:
    """What `show` prints, for a page."""
    return tables.page(lambda out: show(out, measured["workloads"][WORKLOAD]), measured)


if __name__ == "__main__":
    define_flags()
    cli.run(main)
