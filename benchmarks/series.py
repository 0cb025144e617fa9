"""The series of `benchmarks.scaling`: a small job made larger in one direction at a time.

All contenders of a point live in one process and take turns; memory is read from a process each.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import pathlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from benchmarks import child, harness, machine, processes, results, turns, workloads
from benchmarks.data import Data

CONTENDERS = ("ours", "fit", "fit_32", "hand")
# contender -> its peer and settings: all with metrics, none with a progress bar. Ours is compiled
# as in long runs of steps this small: no time goes into finding that out.
SPECS: dict[str, dict[str, Any]] = {
    "ours": {"peer": "ours_bare", "settings": {"jit": "loop"}},
    "fit": {"peer": "fit"},
    "fit_32": {
        "peer": "fit",
        "settings": {"input": "tf.data", "steps_per_execution": 32, "jit_compile": True},
    },
    "hand": {"peer": "hand"},
}
BASE = {"features": 64, "units": 64, "hidden": 2, "batch_size": 32, "rows": 32_000}
SECONDS = 0.25  # of one contender's turn
FEW = 20  # steps that tell how many make a turn
MEGABYTE = 1_000_000 // (4 * BASE["features"])  # rows of data
STEP, MEMORY = "microseconds a step", "peak memory, MB"


class Series(NamedTuple):
    """One direction in which the job grows.

    Attributes:
        title: what grows.
        values: how large it gets.
        overrides: of the workload, by a value.
        settings: of the peers, by a value.
        contenders: who can be compared in it.
        quantity: what is measured.
        how: "turns" of steps, runs from "nothing", turns over the "whole" data, or the memory of
            processes that go on ("memory, run") or begin anew ("memory, data").
    """

    title: str
    values: Sequence[int]
    overrides: Callable[[int], dict[str, Any]] = lambda value: {}
    settings: Callable[[int], dict[str, Any]] = lambda value: {}
    contenders: Sequence[str] = CONTENDERS
    quantity: str = STEP
    how: str = "turns"


SERIES = {
    "run": Series(  # compiled as such runs are: a compilation is in them
        "steps of a run, from nothing",
        (10, 100, 1000, 3000),
        settings=lambda n: {"jit": "auto"},
        how="nothing",
    ),
    "batch": Series(
        "rows of a batch",
        (16, 64, 256, 1024, 4096),
        lambda n: {"batch_size": n, "rows": max(32_000, 20 * n)},
    ),
    "width": Series("units of a layer", (16, 64, 256, 1024), lambda n: {"units": n}),
    "depth": Series("variables", (4, 16, 48, 96), lambda n: {"hidden": n // 2 - 1}),
    "metrics": Series("metrics", (1, 2, 4, 8), lambda n: {"metric_count": n}),
    "callbacks": Series(
        "callbacks that read the loss of every step",
        (1, 2, 4, 8, 16),
        settings=lambda n: {"listeners": n},
        contenders=("ours", "fit"),
    ),
    "data": Series(
        "MB of data, batch 256",
        (1, 4, 16, 64),
        lambda n: {"rows": n * MEGABYTE, "batch_size": 256},
        how="whole",
    ),
    "dataset": Series(
        "MB of a tf.data stream, batch 256",
        (16, 64, 256),
        lambda n: {"batch_size": 256},
        settings=lambda n: {"stream": "dataset", "rows": n * MEGABYTE},
        how="whole",
    ),
    "generator": Series(
        "MB of a generator, batch 256",
        (16, 64, 256),
        lambda n: {"batch_size": 256},
        settings=lambda n: {"stream": "generator", "rows": n * MEGABYTE},
        contenders=("ours", "fit"),
        how="whole",
    ),
    "memory_run": Series("steps of a run", (100, 1000, 10_000), quantity=MEMORY, how="memory, run"),
    "memory_data": Series(
        "MB of data, batch 1,024",
        (4, 16, 64, 256),
        lambda n: {"rows": n * MEGABYTE, "batch_size": 1024},
        contenders=("ours", "fit", "hand"),
        quantity=MEMORY,
        how="memory, data",
    ),
    "memory_dataset": Series(
        "MB of a tf.data stream, batch 1,024",
        (16, 64, 256, 1024, 4096),
        lambda n: {"batch_size": 1024, "rows": 32 * 1024},
        settings=lambda n: {"stream": "dataset", "rows": n * MEGABYTE},
        contenders=("ours", "fit", "hand"),
        quantity=MEMORY,
        how="memory, data",
    ),
    "memory_generator": Series(
        "MB of a generator, batch 1,024",
        (16, 64, 256, 1024),
        lambda n: {"batch_size": 1024, "rows": 32 * 1024},
        settings=lambda n: {"stream": "generator", "rows": n * MEGABYTE},
        contenders=("ours", "fit"),
        quantity=MEMORY,
        how="memory, data",
    ),
}


def point(series: str, value: int) -> str:
    """What a point of a series is called in a file: each is a workload of its own."""
    return f"{series} {value}"


def measure(
    series: Series, name: str, *, rounds: int, say: Callable[[str], None] = lambda text: None
) -> dict[str, dict[str, Any]]:
    """The records of a series, as `results.summarise` makes them, by `point`."""
    facts = machine.about()
    facts["threads"] = machine.threads()
    records = {}
    with turns.nothing_known() as folder:
        for value, contenders in _points(series, rounds, folder):
            record = {
                "title": f"{series.title}: {value:,}",
                "steps_per_round": 1,
                "contenders": contenders,
            }
            records[point(name, value)] = {**results.summarise(record), **facts}
            say(f"{series.title}: {value:,}")
    return records


def _points(
    series: Series, rounds: int, folder: pathlib.Path
) -> Iterator[tuple[int, dict[str, dict[str, Any]]]]:
    """(value, contender -> entry) of each point."""
    if series.how == "memory, run":
        yield from _memory_of_runs(series, folder)
        return
    for value in series.values:
        if series.how == "memory, data":
            yield value, _memory_of_data(series, value, folder)
        else:
            job = workloads.get("wide", {**BASE, **series.overrides(value)})
            data = job.data()
            weights = job.initial_weights(data, 0)
            if series.how == "nothing":
                if value == series.values[0]:  # the first imports
                    _runs(series, job, data, weights, value, 1)
                seconds = _runs(series, job, data, weights, value, min(rounds, 3))
            else:
                seconds = _turns(series, job, data, weights, value, rounds)
            yield value, {c: {"rounds": times} for c, times in seconds.items()}
            gc.collect()


def _make(series: Series, contender: str, job: Any, data: Data, weights: Any, value: int) -> Any:
    from benchmarks import peers

    spec = _spec(series, contender, value)
    return peers.get(spec["peer"])(job, data, weights, spec["settings"])


def _spec(series: Series, contender: str, value: int) -> dict[str, Any]:
    spec = SPECS[contender]
    return {**spec, "settings": {**spec.get("settings", {}), **series.settings(value)}}


def _turns(
    series: Series, job: Any, data: Data, weights: Any, value: int, rounds: int
) -> dict[str, list[float]]:
    """Seconds of a step of each, in turns of calls that train some steps."""
    peers, sizes = {}, {}
    for contender in series.contenders:
        peers[contender] = peer = _make(series, contender, job, data, weights, value)
        peer.train(FEW)  # compiles
        begun = time.perf_counter()
        peer.train(FEW)
        wanted = max(FEW, round(SECONDS * FEW / (time.perf_counter() - begun)))
        rows = peer.rows(None)
        size = harness.round_size(rows, job.batch_size, wanted)
        if series.how == "whole":
            epoch = -(-rows // job.batch_size)
            size = (None, max(1, wanted // epoch), max(1, wanted // epoch) * epoch)
        sizes[contender] = size
        peer.train(size[0], size[1])  # warms up at this size

    def turn(contender: str) -> float:
        batches, epochs, steps = sizes[contender]
        begun = time.perf_counter()
        peers[contender].train(batches, epochs)
        return (time.perf_counter() - begun) / steps

    return turns.taken({name: functools.partial(turn, name) for name in peers}, rounds)


def _runs(
    series: Series, job: Any, data: Data, weights: Any, value: int, rounds: int
) -> dict[str, list[float]]:
    """Seconds of a step in runs of `value` steps that make their model and compile, too."""
    seconds: dict[str, list[float]] = {contender: [] for contender in series.contenders}
    batches, epochs, steps = harness.round_size(len(data.x_train), job.batch_size, value)
    for _ in range(rounds):
        for contender, times in seconds.items():
            begun = time.perf_counter()
            _make(series, contender, job, data, weights, value).train(batches, epochs)
            times.append((time.perf_counter() - begun) / steps)
        gc.collect()
    return seconds


def _memory_of_runs(
    series: Series, folder: pathlib.Path
) -> Iterator[tuple[int, dict[str, dict[str, Any]]]]:
    """Peak memory of a process each, which trains on and on."""
    with _processes(series, 0, folder) as running:
        done = 0
        for value in series.values:
            arguments = {"batches": None, "epochs": max(1, (value - done) // 1000)}
            if value < 1000:
                arguments = {"batches": value, "epochs": 1}
            yield value, _peaks(running, **arguments)
            done = value


def _memory_of_data(series: Series, value: int, folder: pathlib.Path) -> dict[str, dict[str, Any]]:
    """Peak memory of a process each, which trains an epoch."""
    with _processes(series, value, folder) as running:
        return _peaks(running, batches=None, epochs=1)


def _peaks(running: Mapping[str, processes.Process], **arguments: Any) -> dict[str, dict[str, Any]]:
    for process in running.values():  # all at once: nothing is timed
        process.send("train", **arguments)
    for process in running.values():
        process.receive()
    return {
        contender: {"peak_mb": processes.ask(process, "finish")["peak_mb"]}
        for contender, process in running.items()
    }


@contextlib.contextmanager
def _processes(
    series: Series, value: int, folder: pathlib.Path
) -> Iterator[dict[str, processes.Process]]:
    """A process for each contender, with its model made and one step trained."""
    overrides = {**BASE, **series.overrides(value)}
    job = workloads.get("wide", overrides)
    own = folder / f"memory-{value}"
    own.mkdir()
    child.prepare(job, job.data(), own, 0)
    common = {"workload": "wide", "overrides": overrides, "folder": str(own)}
    made = {
        c: processes.Process(c, {**common, **_spec(series, c, value)}, own / f"{c}.log")
        for c in series.contenders
    }
    try:
        for do in ("load", "start"):
            for process in made.values():
                process.send(do)
            for process in made.values():
                process.receive()
        yield made
    finally:
        for process in made.values():
            process.close()
