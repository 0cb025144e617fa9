"""Measures whether the automatic choice of how to compile is the best one, and what it costs.

For each workload the training loop runs as a plain graph, with an XLA step, as one XLA loop, and as
it is planned for a long run, with the same weights and batches. All of them live in one process and
take turns of a tenth of a second, so that what disturbs the machine for longer disturbs all alike;
ratios are paired within a round. The fastest turn of each is told too: where others use the
processors, it is the one that was disturbed least. Each workload is put into modes.json beside
those that the file has, so they can be measured apart.

    python -m benchmarks.modes --workloads=digits,gpt --rounds=15 --out=results
"""

from __future__ import annotations

import functools
import pathlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from absl import flags, logging

from benchmarks import cli, machine, plot, results, standing, tables, turns, workloads

AUTO = "auto"
# name -> the Trainer's argument.
MODES: dict[str, Any] = {AUTO: "auto", "graph": False, "step": "step", "loop": "loop"}
ROWS = 1920  # of the data, which all ways run through again and again
TEN_MINUTES = 600.0
COLUMNS = (
    ("speed against the automatic choice", "ratio", "{:.2f}x"),
    ("seconds to the first step", "first_step_seconds", "{:.1f} s"),
)
BAND = 0.03  # the choice may be so much slower than the best, and its trial cost so much of a run


def define_flags() -> None:
    """This command's flags."""
    flags.DEFINE_list("workloads", list(workloads.WORKLOADS), "What to train.")
    flags.DEFINE_list("modes", list(MODES), f"What to measure, besides {AUTO!r}.")
    flags.DEFINE_integer("rounds", 15, "Timed rounds.", lower_bound=1)
    flags.DEFINE_float("seconds", 0.1, "Of each one's turn in a round.", lower_bound=0.001)
    flags.DEFINE_string("data_dir", None, cli.DATA_DIR)
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
    for name in given.workloads:
        record = measure(
            workloads.get(name),
            given.modes,
            rounds=given.rounds,
            seconds=given.seconds,
            data_dir=given.data_dir,
            say=functools.partial(logging.info, "%s: %s", name),
        )
        record |= machine.about()
        show(out, name, record)
        if given.out is not None:
            path = pathlib.Path(given.out) / "modes.json"
            measured = results.update(path, {name: record}, order=list(workloads.WORKLOADS))
            plot.draw(measured, path.with_suffix(".png"), COLUMNS)
            logging.info("written: %s", path)
    tables.show_machine(out, machine.about())
    return 0


class Contender:
    """One way of compiling a workload.

    Args:
        workload: what is trained.
        data: its arrays.
        weights: to begin with.
        mode: a name of `MODES`.
    """

    def __init__(self, workload: Any, data: Any, weights: Any, mode: str) -> None:
        from trainer import passes

        self.trainer = workload.trainer(data, weights, jit=MODES[mode])
        rows = max(ROWS, 8 * workload.batch_size)
        x, y = data.head(rows)
        begun = time.perf_counter()
        self.plan: Any = None
        if mode == AUTO:
            self.plan = self.trainer.plan(x, y, batch_size=workload.batch_size)
        source = self.trainer.prepare(x, y, batch_size=workload.batch_size, shuffle=False)
        self._segment = passes.first_segment(source)
        self._loop = self.trainer.programs.loop("train", source.fetch, self._segment, None)
        self._loop(self._segment.args, 0, 1)
        self.first_step_seconds = time.perf_counter() - begun
        self._calls = 1  # of a turn,
        self._steps = 1  # and steps of a call

    def turn(self) -> float:
        """Seconds of one step, over some calls of the compiled loop."""
        begun = time.perf_counter()
        for _ in range(self._calls):
            self._loop(self._segment.args, 0, self._steps)
        return (time.perf_counter() - begun) / (self._calls * self._steps)

    def settle(self, seconds: float) -> None:
        """Warms up, and learns how many steps make a turn."""
        self.turn()
        most = min(self._segment.steps, self._loop.capacity)
        for _ in range(2):
            wanted = max(1, round(seconds / self.turn()))
            self._steps = min(wanted, most)
            self._calls = max(1, round(wanted / self._steps))


def measure(
    workload: Any,
    modes: Sequence[str],
    *,
    rounds: int,
    seconds: float,
    data_dir: str | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """The record of a workload whose contenders are ways of compiling; one step is a round."""
    record: dict[str, Any] = {"title": workload.title, "steps_per_round": 1, "contenders": {}}
    try:
        data = workload.data(data_dir)
    except FileNotFoundError as error:
        return {**record, "skipped": str(error)}
    contenders: dict[str, Contender] = {}
    with turns.nothing_known():
        weights = workload.initial_weights(data, seed=0)
        for mode in [AUTO, *(name for name in modes if name != AUTO)]:
            contenders[mode] = made = Contender(workload, data, weights, mode)
            made.settle(seconds)
            say(f"{mode}: first step after {made.first_step_seconds:.1f} s")
    times = turns.taken({mode: made.turn for mode, made in contenders.items()}, rounds)
    for mode, made in contenders.items():
        record["contenders"][mode] = {
            "rounds": times[mode],
            "fastest": min(times[mode]),
            "first_step_seconds": made.first_step_seconds,
            "settings": {"plan": made.plan and made.plan.entry()},
        }
    return results.summarise(record, AUTO)


def verdict(record: Mapping[str, Any]) -> tuple[str, float, float, float]:
    """(the fastest way, by how much it beats the chosen one, noise of that, by its fastest turn).

    The choice runs the program that its way runs when asked for, so the two of that name are held
    against each other: what parts a program from itself is not the choice's fault.
    """
    entries = record["contenders"]
    chosen = entries[AUTO]["settings"]["plan"]["mode"]
    chosen = chosen if chosen in entries else AUTO
    best = fastest_way(record)
    pairs = zip(entries[chosen]["rounds"], entries[best]["rounds"], strict=True)
    ratio = results.spread([own / least for own, least in pairs])
    fastest = min(entries[AUTO]["fastest"], entries[chosen]["fastest"])
    fastest /= min(entry["fastest"] for entry in entries.values())
    return best, ratio["median"] - 1.0, ratio["noise"], fastest - 1.0


def against_auto(record: Mapping[str, Any]) -> str:
    """By how much the fastest way beats auto's own rounds, and the noise of that, in words.

    Where the fastest way is the chosen one, this is what parts a program from itself.
    """
    best = fastest_way(record)
    ratio = record["contenders"][best]["ratio"]
    return f"{best} {ratio['median'] - 1.0:+.1%} (noise {ratio['noise']:.1%})"


def fastest_way(record: Mapping[str, Any]) -> str:
    """The way that was the fastest when asked for."""
    ways = {name: entry for name, entry in record["contenders"].items() if name != AUTO}
    return max(ways, key=lambda name: ways[name]["ratio"]["median"])


def show(out: Any, workload: str, record: dict[str, Any]) -> None:
    """The table, and what it says of the choice."""
    if "skipped" in record:
        out.print(f"{workload}: {record['skipped']}")
        return
    made = tables.table(
        f"{workload}: {record['title']}",
        "compiled as",
        "steps/s",
        f"x {AUTO}",
        "low .. high",
        "noise",
        "fastest",
        "first step",
    )
    for name, entry in record["contenders"].items():
        ratio = entry["ratio"]
        made.add_row(
            name,
            f"{entry['steps_per_second']['median']:,.1f}",
            f"{ratio['median']:.3f}",
            tables.interval(ratio, ".3f"),
            f"{ratio['noise']:.1%}",
            f"{1 / entry['fastest']:,.1f}",
            f"{entry['first_step_seconds']:.1f} s",
        )
    out.print(made)
    plan = record["contenders"][AUTO]["settings"]["plan"]
    share = plan["seconds"] / TEN_MINUTES
    out.print(f"  chosen: {plan['mode']} ({plan['reason']})", markup=False)
    out.print(f"  its trial took {plan['seconds']:.1f} s, {share:.1%} of ten minutes")
    best, ahead, noise, fastest = verdict(record)
    within = "within" if ahead <= BAND else "NOT within"
    out.print(
        f"  the best is {best}, {ahead:+.1%} (noise {noise:.1%}) against the choice: {within} "
        f"{BAND:.0%}; by the fastest turns {fastest:+.1%}"
    )
    out.print(f"  against the rounds of {AUTO!r} itself: {against_auto(record)}\n")


def to_markdown(measured: Mapping[str, Any]) -> str:
    """The table of a page: each workload in each way, and what was chosen."""
    head = ["steps/s", "graph", "XLA step", "XLA loop", "chosen", "the best against it"]
    head += ["against auto's own rounds", "trial"]
    rows = []
    timed = {n: r for n, r in measured["workloads"].items() if "skipped" not in r}
    for record in timed.values():
        entries = record["contenders"]
        plan = entries[AUTO]["settings"]["plan"]
        best, ahead, noise, _ = verdict(record)
        rows.append(
            [
                record["title"],
                *(
                    tables.speed(entries[mode]["steps_per_second"]["median"])
                    if mode in entries
                    else ""
                    for mode in MODES
                    if mode != AUTO
                ),
                plan["mode"],
                "itself" if best == plan["mode"] else f"{best} {ahead:+.1%} (noise {noise:.1%})",
                against_auto(record),
                f"{plan['seconds']:.1f} s, {plan['seconds'] / TEN_MINUTES:.1%}",
            ]
        )
    where = standing.circumstances(measured, timed)
    return f"{tables.markdown(head, rows)}\n\n{where}"


if __name__ == "__main__":
    define_flags()
    cli.run(main)
