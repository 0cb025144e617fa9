"""Measures what checkpoints cost: how much longer steps take, how long a save holds training up.

Each way of saving is held against the same loop that does not save, in a process of its own, on the
same batches; rounds take turns and ratios are paired, as in benchmarks.speed. A round is some
cycles of a save and so many steps: where saving goes on beside the steps, what it takes from them
is in the cycle. Then each is restored in a new process. Prints a table and writes saving.json and
saving.png.

    python -m benchmarks.saving --every=100 --rounds=5 --out=results
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

from benchmarks import cli, harness, machine, plot, results, tables, workloads

WORKLOAD = "wide"
# contender -> the loop without saving, the peer, its settings.
CONTENDERS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "ours_loop": ("ours_loop", "saving_ours", {"features": ["metrics"]}),
    "ours_checkpoint": ("ours_loop", "saving_ours", {"kind": "checkpoint"}),
    "hand_loop": ("hand_loop", "saving_hand", {}),
    "hand_sync": ("hand_loop", "saving_hand", {"kind": "sync"}),
    "hand_async": ("hand_loop", "saving_hand", {"kind": "async"}),
    "fit_loop": ("fit_loop", "saving_fit", {}),
    "fit_model": ("fit_loop", "saving_fit", {"kind": "model"}),
    "fit_weights": ("fit_loop", "saving_fit", {"kind": "weights"}),
    "fit_backup": ("fit_loop", "saving_fit", {"kind": "backup"}),
    "orbit_loop": ("orbit_loop", "saving_orbit", {}),
    "orbit_manager": ("orbit_loop", "saving_orbit", {"kind": "manager"}),
}
SAVERS = [name for name, (base, *_) in CONTENDERS.items() if base != name]
# --jit -> the Trainer's argument.
JIT: dict[str, str | bool] = {"loop": "loop", "step": "step", "graph": False}
# What is drawn; see `plot.COLUMNS`.
COLUMNS = (
    ("time of a step, saving / not saving", "cost", "{:.2f}x"),
    ("milliseconds a save holds training up", "pause_ms", "{:,.0f} ms"),
    ("seconds to restore", "restore_seconds", "{:.2f} s"),
    ("memory beyond the loop's, MB", "extra_mb", "{:,.0f} MB"),
)


def define_flags() -> None:
    """This command's flags."""
    flags.DEFINE_list("savers", SAVERS, "Who saves; the loop without is added to each.")
    flags.DEFINE_integer("every", 100, "Steps from one save to the next.", lower_bound=1)
    flags.DEFINE_integer("saves", 2, "Of a timed round.", lower_bound=1)
    flags.DEFINE_integer("rounds", 5, "Timed rounds of each.", lower_bound=1)
    flags.DEFINE_integer("units", 2048, "Of a layer: what is saved grows by its square.")
    flags.DEFINE_integer("batch_size", 64, "Rows of a step.", lower_bound=1)
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
    facts = machine.facts()  # before: how busy the machine was
    record = measure(
        given.savers,
        every=given.every,
        saves=given.saves,
        rounds=given.rounds,
        jit=JIT[given.jit],
        overrides={"units": given.units, "batch_size": given.batch_size},
        say=logging.info,
    )
    measured = {
        "machine": facts,
        "versions": machine.versions(),
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
    saves: int,
    rounds: int,
    jit: str | bool,
    overrides: Mapping[str, Any],
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Measures ways of saving.

    Args:
        savers: names of `SAVERS`.
        every: steps from one save to the next.
        saves: of a timed round.
        rounds: timed rounds.
        jit: how the Trainer compiles.
        overrides: attributes of the workload that are set otherwise.
        say: is told what happens, a line at a time.

    Returns:
        A record as `harness.measure` makes it. A saver has besides: `cost`, a spread of the time of
        a step, saving over not saving; `save_seconds`, what a save takes from the loop;
        `pause_ms`, a spread of how long it holds the loop up; `bytes` of a checkpoint;
        `restore_seconds`; `extra_mb`, peak memory beyond that of the loop.
    """
    chosen: dict[str, dict[str, Any]] = {}
    for saver in savers:
        for name in (CONTENDERS[saver][0], saver):
            _, peer, settings = CONTENDERS[name]
            chosen[name] = {
                "peer": peer,
                "settings": {"jit": jit, **settings} if peer == "saving_ours" else dict(settings),
                "overrides": {},
            }
    workload = workloads.get(WORKLOAD, overrides)
    sized = {**overrides, "rows": every * workload.batch_size}  # an epoch is a cycle
    for spec in chosen.values():
        spec["settings"]["every"] = every
        spec["overrides"] = sized
    with tempfile.TemporaryDirectory(prefix="benchmark-saving-") as place:
        folder = pathlib.Path(place)
        spec = {"workload": WORKLOAD, "folder": place, "overrides": sized}
        helper = harness.Process("prepare", spec, folder / "prepare.log")
        try:
            harness.ask(helper, "prepare", data_dir=None, seed=0)
        finally:
            helper.close()
        with harness.open_field(WORKLOAD, folder, chosen, say) as field:
            harness.start(field)
            harness.race(field, rounds=rounds, batches=None, epochs=saves, steps=saves * every)
            racing = [contender.name for contender in field.contenders]
        for name in racing:
            if name in SAVERS:
                found = restored(name, chosen[name], field.records[name], folder, say)
                field.records[name].update(found)
    record = {
        "title": workload.title,
        "batch_size": workload.batch_size,
        "every": every,
        "steps_per_round": saves * every,
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
    process = harness.Process(
        f"{name}-restore",
        {"workload": WORKLOAD, "folder": str(folder), **spec},
        folder / f"{name}-restore.log",
    )
    try:
        harness.ask(process, "load")
        seconds = harness.ask(process, "restore", folder=record["noted"][-1]["folder"])["seconds"]
    except harness.Failed as failure:
        return {"note": f"it could not be restored: {failure}"}
    finally:
        process.close()
    say(f"{name}: restored in {seconds:.2f} s")
    return {"restore_seconds": seconds}


def summarise(record: dict[str, Any]) -> dict[str, Any]:
    """Adds what a save costs to each saver, held against its own loop round by round."""
    reference = {name: CONTENDERS[name][0] for name in record["contenders"]}
    results.summarise(record, reference)
    steps = record["steps_per_round"]
    for name, entry in record["contenders"].items():
        if not entry.get("rounds"):
            continue
        entry["step_ms"] = results.spread([1e3 * s / steps for s in entry["rounds"]])
        base = record["contenders"].get(reference[name], {})
        if name == reference[name] or not base.get("rounds"):
            continue
        pairs = list(zip(entry["rounds"], base["rounds"], strict=False))
        entry["cost"] = results.spread([own / without for own, without in pairs])
        saves = steps / record["every"]
        entry["save_seconds"] = results.spread([(own - no) / saves for own, no in pairs])
        pauses = [1e3 * seconds for noted in entry["noted"] for seconds in noted["pauses"]]
        entry["pause_ms"] = results.spread(pauses)
        entry["bytes"] = entry["noted"][-1]["bytes"]
        entry["extra_mb"] = _peak(entry) - _peak(base)
    return record


def _peak(entry: Mapping[str, Any]) -> float:
    return statistics.median(noted["round_peak_mb"] for noted in entry["noted"])


def show(out: rich.console.Console, record: Mapping[str, Any]) -> None:
    """The table, and under it what a reader must know of it."""
    made = tables.table(
        f"{record['title']}, batch {record['batch_size']}: a save every {record['every']} steps",
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
        if "step_ms" in entry:
            style = "bold" if name == "ours_checkpoint" else None
            made.add_row(*_row(name, entry), style=style)
    out.print(made)
    for name, entry in record["contenders"].items():
        for kind in ("skipped", "note"):
            if kind in entry:
                reason = rich.markup.escape(str(entry[kind]).splitlines()[0])
                out.print(f"  {tables.label(name)}: {reason}")
    out.print(
        "  saving: how much longer a step takes than in the loop that heads its group; a save: "
        "what one takes from the loop in all.\n"
        "  pause: median (and most) of the call that saves; ours and async write beside the steps "
        "that follow.\n"
        "  restore: in a new process, files in the page cache; ours also verifies every hash.\n"
        "  memory: peak beyond that of the loop without. Ours alone syncs to the disk and hashes."
    )


def _row(name: str, entry: Mapping[str, Any]) -> list[str]:
    cells = [tables.label(name), f"{entry['step_ms']['median']:.1f}"]
    if "cost" not in entry:
        return cells
    cost, pause = entry["cost"], entry["pause_ms"]
    restore = entry.get("restore_seconds")
    return [
        f"  {cells[0]}",
        cells[1],
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
    record = measured["workloads"][WORKLOAD]
    savers = {name: entry for name, entry in record["contenders"].items() if "cost" in entry}
    drawn = {**measured, "workloads": {WORKLOAD: {**record, "contenders": savers}}}
    try:
        plot.draw(drawn, folder / "saving.png", COLUMNS)
    except (ImportError, ValueError) as error:
        logging.warning("no picture: %s", error)
    else:
        logging.info("written: %s", folder / "saving.png")


if __name__ == "__main__":
    define_flags()
    cli.run(main)
