"""Measures what the instruments cost: each while training, against none, and each that runs once.

One process trains the same model with and without an instrument in turns, a `fit` of so many steps
each, and pairs neighbouring rounds: the machine's moods meet both. With --images it also draws the
pictures of docs/healthy.md.

    python -m benchmarks.instruments --workload=digits --rounds=5
"""

from __future__ import annotations

import functools
import pathlib
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from absl import flags, logging

from benchmarks import cli, machine, results, tables, turns, workloads

NONE = "none"
ALL = "all of these"


def watching(folder: str) -> dict[str, Callable[[], tuple[dict[str, Any], list[Any]]]]:
    """Name -> what makes an instrument: arguments of Trainer, and callbacks."""
    from trainer import Every, TensorBoard, inspect
    from trainer.callbacks import NormMonitor

    def post_mortem() -> Any:
        return inspect.NaNPostMortem(f"{folder}/post_mortem", verbose=0)

    def rewind() -> Any:
        return inspect.RewindOnSpike()

    def board(**options: Any) -> Any:
        return TensorBoard(f"{folder}/logs", **options)

    def histograms() -> Any:
        return board(histogram_freq=Every(steps=500))

    def norms() -> Any:
        return NormMonitor(Every(steps=100))

    return {
        NONE: lambda: ({}, []),
        "gradient_norm=True, each step": lambda: ({"gradient_norm": True}, []),
        "NaNPostMortem": lambda: ({}, [post_mortem()]),
        "RewindOnSpike": lambda: ({}, [rewind()]),
        "NormMonitor, each 100 steps": lambda: ({}, [norms()]),
        "TensorBoard, each step": lambda: ({}, [board()]),
        "TensorBoard, and histograms each 500": lambda: ({}, [histograms()]),
        ALL: lambda: (
            {"gradient_norm": True},
            [post_mortem(), rewind(), norms(), histograms()],
        ),
    }


def define_flags() -> None:
    """This command's flags."""
    flags.DEFINE_string("workload", "digits", "What to train.")
    flags.DEFINE_integer("rounds", 5, "Timed rounds of each.", lower_bound=1)
    flags.DEFINE_integer("steps", 2000, "Steps of a round.", lower_bound=1)
    flags.DEFINE_enum("jit", "graph", ["graph", "step", "loop"], "How all are compiled.")
    flags.DEFINE_string("data_dir", None, "Folder with the data, where there is no network.")
    flags.DEFINE_string("out", None, "Folder for instruments.json; none is written without it.")
    flags.DEFINE_string("images", None, "Folder for the pictures; none are drawn without it.")
    flags.register_validator("workload", cli.check_workload)


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    given = flags.FLAGS
    workload = workloads.get(given.workload)
    data = workload.data(given.data_dir)
    jit = False if given.jit == "graph" else given.jit
    cost = measure(workload, data, rounds=given.rounds, steps=given.steps, jit=jit)
    once = measure_once(workload, data, jit=jit, images=given.images)
    out = tables.console()
    show(out, workload.name, cost, once, given.steps)
    measured = {
        **machine.about(),
        "jit": given.jit,
        "workload": workload.name,
        "steps": given.steps,
        "training": cost,
        "once": once,
    }
    tables.show_machine(out, measured)
    if given.out is not None:
        folder = pathlib.Path(given.out)
        folder.mkdir(parents=True, exist_ok=True)
        results.save(folder / "instruments.json", measured)
    return 0


def measure(
    workload: Any, data: Any, *, rounds: int, steps: int, jit: Any
) -> dict[str, dict[str, Any]]:
    """Name -> steps a second, and the extra time of a step against none, paired by round."""
    with tempfile.TemporaryDirectory() as folder:
        runs: dict[str, Callable[[int], float]] = {}
        for name, make in watching(folder).items():
            arguments, callbacks = make()
            trainer = workload.trainer(data, jit=jit, **arguments)
            runs[name] = _runner(trainer, callbacks, data, workload.batch_size)
            runs[name](max(600, steps // 10))  # compiles, also what is due each 500 steps
        seconds = turns.taken(
            {name: functools.partial(run, steps) for name, run in runs.items()},
            rounds,
            before=lambda: machine.settle(0.2, most=2.0),
        )
    found = {}
    for name, own in seconds.items():
        extra = [mine / none - 1.0 for none, mine in zip(seconds[NONE], own, strict=True)]
        found[name] = {
            "steps_per_second": steps / statistics.median(own),
            "extra": {"median": statistics.median(extra), "low": min(extra), "high": max(extra)},
        }
    return found


def _runner(
    trainer: Any, callbacks: list[Any], data: Any, batch_size: int
) -> Callable[[int], float]:
    import tensorflow as tf

    x, y = tf.constant(data.x_train), tf.constant(data.y_train)  # fit copies arrays at each call

    def run(steps: int) -> float:
        begun = time.perf_counter()
        trainer.fit(
            x,
            y,
            batch_size=batch_size,
            steps=trainer.step + steps,
            callbacks=callbacks,
            verbose=0,
        )
        return time.perf_counter() - begun

    return run


def measure_once(
    workload: Any, data: Any, *, jit: Any, images: str | None
) -> dict[str, dict[str, Any]]:
    """Name -> seconds and what came out, of the instruments that run once."""
    from trainer import inspect

    x, y, size = data.x_train, data.y_train, workload.batch_size

    def trainer() -> Any:
        return workload.trainer(data, jit=jit)

    instruments: dict[str, Callable[[], Any]] = {
        "doctor": lambda: inspect.doctor(trainer(), x, y, batch_size=size, verbose=0),
        "fit(dry_run=True)": lambda: trainer().fit(x, y, batch_size=size, dry_run=True, verbose=0),
        "learning_rate_range": lambda: inspect.learning_rate_range(
            trainer(), x, y, batch_size=size
        ),
        "batch_size_range": lambda: inspect.batch_size_range(
            trainer(), x, y, largest=512, seconds=0.5
        ),
        "gradient_noise": lambda: inspect.gradient_noise(trainer(), x, y, batch_size=size),
        "compare, 20 steps": lambda: inspect.compare(
            trainer(), _other(trainer()), x, y, batch_size=size
        ),
    }
    found = {}
    for name, run in instruments.items():
        begun = time.perf_counter()
        outcome = run()
        found[name] = {"seconds": time.perf_counter() - begun, "found": _short(outcome)}
        if images is not None and hasattr(outcome, "plot"):
            path = pathlib.Path(images) / f"{name.split(',')[0]}.png"
            outcome.plot(path)
            logging.info("drawn: %s", path)
    return found


def _other(trainer: Any) -> Any:
    """The trainer, with a learning rate that is a thousandth larger."""
    rate = trainer.task.optimizer.learning_rate
    trainer.task.optimizer.learning_rate = float(rate) * 1.001
    return trainer


def _short(outcome: Any) -> str:
    if hasattr(outcome, "scale"):
        return f"noise scale {outcome.scale:.3g} examples"
    if hasattr(outcome, "suggestion"):
        value = outcome.suggestion
        return f"suggests {value:.2g}" if isinstance(value, float) else f"suggests {value}"
    if hasattr(outcome, "blamed"):
        return f"blames {', '.join(outcome.blamed) or 'nothing'}"
    return repr(outcome).split(":", maxsplit=1)[0].split("(", maxsplit=1)[0][:80]


def show(out: Any, workload: str, cost: dict[str, Any], runs: dict[str, Any], steps: int) -> None:
    """Both tables."""
    table = tables.table(
        f"{workload}: instruments while training, rounds of {steps} steps",
        "instrument",
        *tables.COST,
    )
    for name, entry in cost.items():
        extra = None if name == NONE else entry["extra"]
        table.add_row(*tables.cost_row(name, entry["steps_per_second"], extra))
    out.print(table)
    table = tables.table(f"{workload}: instruments that run once", "instrument", "seconds", "found")
    for name, entry in runs.items():
        table.add_row(name, f"{entry['seconds']:.1f}", entry["found"])
    out.print(table)


def to_markdown(measured: Mapping[str, Any]) -> str:
    """What `show` prints, for a page."""
    steps = measured["steps"]
    return tables.page(
        lambda out: show(out, measured["workload"], measured["training"], measured["once"], steps),
        measured,
    )


if __name__ == "__main__":
    define_flags()
    np.seterr(all="ignore")
    cli.run(main)
