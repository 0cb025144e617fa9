"""Measures what the length of a call and the way of feeding are worth.

Neither is searched over: a longer call should never be slower, nor data on the device than the same
data by chunks. For each workload, compiled as "auto" chooses, calls of several lengths read arrays
on the device, and the longest reads them by chunks too, in the way of arrays that are too large for
the device. All live in one process and take turns; ratios are paired within a round. Each workload
is put into feeding.json beside those that the file has.

    python -m benchmarks.feeding --workloads=digits,gpt --out=results
"""

from __future__ import annotations

import functools
import pathlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from absl import flags, logging

from benchmarks import cli, machine, results, standing, tables, turns, workloads

CALLS = (1, 10, 100, 1000)
CHUNKS = "chunks"
_MOST_SECONDS = 2.0  # of a call that is measured; `fit` itself keeps them to half a second


def define_flags() -> None:
    """This command's flags."""
    flags.DEFINE_list("workloads", ["digits", "mnist", "lstm", "gpt"], "What to train.")
    flags.DEFINE_integer("rounds", 15, "Timed rounds.", lower_bound=1)
    flags.DEFINE_float("seconds", 0.3, "Of each one's turn in a round.", lower_bound=0.001)
    flags.DEFINE_string("data_dir", None, "Folder with mnist.npz and a *.txt file.")
    flags.DEFINE_string("out", None, "Folder for feeding.json; none without it.")
    flags.register_validator("workloads", cli.check_workloads)


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    given = flags.FLAGS
    out = tables.console()
    for name in given.workloads:
        record = measure(
            workloads.get(name),
            rounds=given.rounds,
            seconds=given.seconds,
            data_dir=given.data_dir,
            say=functools.partial(logging.info, "%s: %s", name),
        )
        record |= machine.about()
        show(out, name, record)
        if given.out is not None:
            path = pathlib.Path(given.out) / "feeding.json"
            results.update(path, {name: record}, order=list(workloads.WORKLOADS))
            logging.info("written: %s", path)
    tables.show_machine(out, machine.about())
    return 0


class Contender:
    """A way of reading arrays, in calls of a length.

    Args:
        trainer: built.
        source: the data, of equal batches.
        steps: of a call.
    """

    def __init__(self, trainer: Any, source: Any, steps: int) -> None:
        self._trainer, self._source, self._steps = trainer, source, steps
        self._epoch, self._reader = 0, source.reader(0)
        self._calls = 1  # of a turn

    def turn(self) -> float:
        """Seconds of one step, over some calls."""
        begun = time.perf_counter()
        for _ in range(self._calls):
            self._call()
        return (time.perf_counter() - begun) / (self._calls * self._steps)

    def settle(self, seconds: float) -> float:
        """Warms up, and learns how many calls make a turn; the seconds of a step, roughly."""
        for _ in range(2):
            self.turn()
        step = self.turn()
        self._calls = max(1, round(seconds / (step * self._steps)))
        return step

    def close(self) -> None:
        """Ends the reading."""
        self._reader.close()
        self._source.close()

    def _call(self) -> None:
        """As `fit` does: a segment that ends before the call does ends the call."""
        left = self._steps
        while left:
            segment = self._reader.take(left)
            if segment is None:
                self._reader.close()
                self._epoch += 1
                self._reader = self._source.reader(self._epoch)
                continue
            loop = self._trainer.programs.loop("train", self._source.fetch, segment, None)
            loop(segment.args, 0, segment.steps)
            left -= segment.steps


def measure(
    workload: Any,
    *,
    rounds: int,
    seconds: float,
    data_dir: str | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """The record of a workload whose contenders are lengths of calls; one step is a round."""
    record: dict[str, Any] = {"title": workload.title, "steps_per_round": 1, "contenders": {}}
    try:
        data = workload.data(data_dir)
    except FileNotFoundError as error:
        return {**record, "skipped": str(error)}
    x, y = _repeated(data.head(CALLS[-1] * workload.batch_size), CALLS[-1] * workload.batch_size)
    weights = workload.initial_weights(data, seed=0)
    with turns.nothing_known():
        planner = workload.trainer(data, weights, jit="auto")
        mode = planner.plan(x, y, batch_size=workload.batch_size).mode
    jit = False if mode == "graph" else mode

    def made(steps: int, chunks: bool) -> Contender:
        trainer = workload.trainer(data, weights, jit=jit)
        return Contender(trainer, _source(trainer, x, y, workload.batch_size, chunks), steps)

    contenders: dict[str, Contender] = {}
    step = 0.0
    for steps in CALLS:
        if step * steps > _MOST_SECONDS:
            break
        name = longest = str(steps)
        contenders[name] = made(steps, chunks=False)
        step = contenders[name].settle(seconds)
        say(f"{steps} steps a call: {1 / step:,.1f} steps/s")
    contenders[CHUNKS] = made(int(longest), chunks=True)
    contenders[CHUNKS].settle(seconds)
    times = turns.taken({name: made.turn for name, made in contenders.items()}, rounds)
    for contender in contenders.values():
        contender.close()
    record["contenders"] = {name: {"rounds": times[name]} for name in contenders}
    record |= {"mode": mode, "longest": longest}
    return results.summarise(record, longest)


def _source(trainer: Any, x: Any, y: Any, batch_size: int, chunks: bool) -> Any:
    from trainer.data.source import open_source

    source = trainer.prepare(x, y, batch_size=batch_size, shuffle=True)
    if not chunks:
        return source
    source.close()
    return open_source(x, y, batch_size=batch_size, shuffle=True, budget_bytes=0)


def _repeated(arrays: Any, rows: int) -> Any:
    """As many rows as that, from the first on and again."""
    import numpy as np
    import tensorflow as tf

    return tf.nest.map_structure(lambda a: np.take(a, np.arange(rows) % len(a), axis=0), arrays)


def show(out: Any, workload: str, record: Mapping[str, Any]) -> None:
    """The table."""
    if "skipped" in record:
        out.print(f"{workload}: {record['skipped']}")
        return
    made = tables.table(
        f"{workload}: {record['title']}, compiled as {record['mode']}",
        "steps of a call",
        "steps/s",
        f"x {record['longest']} on the device",
        "low .. high",
        "noise",
    )
    for name, entry in record["contenders"].items():
        ratio = entry["ratio"]
        made.add_row(
            f"{record['longest']}, by chunks" if name == CHUNKS else name,
            tables.speed(entry["steps_per_second"]["median"]),
            f"{ratio['median']:.3f}",
            tables.interval(ratio, ".3f"),
            f"{ratio['noise']:.1%}",
        )
    out.print(made)


def to_markdown(measured: Mapping[str, Any]) -> str:
    """The table of a page: each workload in calls of each length, and by chunks."""
    lengths = [f"{n:,}" for n in CALLS]
    head = ["steps/s, steps of a call", "compiled as", *lengths, "by chunks", "x the longest call"]
    rows = []
    timed = {n: r for n, r in measured["workloads"].items() if "skipped" not in r}
    for record in timed.values():
        entries = record["contenders"]
        speeds = {k: tables.speed(e["steps_per_second"]["median"]) for k, e in entries.items()}
        ratio = entries[CHUNKS]["ratio"]
        rows.append(
            [
                record["title"],
                record["mode"],
                *(speeds.get(str(n), "") for n in CALLS),
                speeds[CHUNKS],
                f"{ratio['median']:.2f} (noise {ratio['noise']:.1%})",
            ]
        )
    where = standing.circumstances(measured, timed)
    return f"{tables.markdown(head, rows)}\n\n{where}"


if __name__ == "__main__":
    define_flags()
    cli.run(main)
