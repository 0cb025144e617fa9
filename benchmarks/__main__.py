"""Trains a model with this project's Trainer, then shows it beside Keras fit.

First a visible run: progress, validation after every epoch, every step in TensorBoard. Then the
same work is done by the Trainer, by Keras fit and by Keras fit at the best of its settings, each in
a process of its own, from the same weights, on the same batches, in turns; a table compares speed,
quality and the weights themselves.

    python -m benchmarks                            digits: about a minute, no network
    python -m benchmarks --workload=gpt --epochs=2  a small GPT on Python's own sources
    python -m benchmarks --workload=mnist --data_dir=DIR
"""

from __future__ import annotations

import datetime
import pathlib
import shlex
from collections.abc import Sequence

import rich.markup
from absl import flags, logging

from benchmarks import cli, quiet, tables, workloads


def define_flags() -> None:
    """This command's flags."""
    known = workloads.WORKLOADS | workloads.OTHERS
    listed = "; ".join(f"{name}: {title}" for name, (_, title) in known.items())
    flags.DEFINE_string("workload", "digits", f"What to train. {listed}.")
    flags.DEFINE_integer("epochs", None, "Passes over the data; by default the workload's own.")
    flags.DEFINE_integer("batch_size", None, "Rows of a step; by default the workload's own.")
    flags.DEFINE_float("learning_rate", None, "Adam's; by default the workload's own.")
    flags.DEFINE_string("data_dir", None, cli.DATA_DIR)
    flags.DEFINE_string(
        "log_dir",
        "runs",
        "TensorBoard logs go into a new folder in here.",
        allow_override=True,  # absl's own, for log files that nobody writes here
    )
    flags.DEFINE_integer("seed", 0, "Of weights, shuffling and random layers.", lower_bound=0)
    flags.DEFINE_list(
        "peers",
        None,
        "Who is compared: fit, fit_best, hand, orbit; empty for none. By default Keras fit and its "
        "best setting, or the hand-written loop where fit cannot say the step.",
    )
    flags.DEFINE_integer("rounds", 3, "Timed rounds of the comparison.", lower_bound=1)
    for name in ("epochs", "batch_size"):
        flags.register_validator(
            name, lambda value: value is None or value > 0, "it must be a whole number above 0."
        )
    flags.register_validator(
        "learning_rate", lambda value: value is None or value > 0, "it must be above 0."
    )
    flags.register_validator("workload", cli.check_workload)
    flags.register_validator("peers", cli.check_peers)


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    given = flags.FLAGS
    overrides = {"batch_size": given.batch_size, "learning_rate": given.learning_rate}
    overrides = {name: value for name, value in overrides.items() if value is not None}
    workload = workloads.get(given.workload, overrides)
    epochs = given.epochs or workload.epochs
    out = tables.console()
    with quiet.quiet_import():
        import tensorflow  # noqa: F401

    from benchmarks import showcase

    data = workload.data(given.data_dir)
    rows = len(data.x_train)
    steps = epochs * -(-rows // workload.batch_size)
    out.print(
        f"[bold]{workload.title}[/]: {rows:,} examples, batch {workload.batch_size}, "
        f"{epochs} epoch{'s' if epochs > 1 else ''}, {steps:,} steps"
    )
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    log_dir = pathlib.Path(given.log_dir) / f"{workload.name}-{stamp}"
    trainer = showcase.train(workload, data, epochs=epochs, seed=given.seed, log_dir=log_dir)
    test = workload.quality(trainer, data)
    reached = ", ".join(f"{name} {value:.4f}" for name, value in test.items())
    expected = ", ".join(f"{name} {value:g}" for name, value in workload.expected.items())
    note = f" (expected after {workload.epochs} epochs: {expected} or better)"
    out.print(f"Test: {reached}{note if expected and epochs == workload.epochs else ''}\n")
    fit = [peer for peer in ("fit", "fit_best") if peer in workload.peers]
    peers = (fit or ["hand"]) if given.peers is None else given.peers
    if sample := workload.sample(trainer, data):
        out.print(f"{rich.markup.escape(sample)}\n")
    if peers:
        record = showcase.compare(
            workload,
            data,
            ["ours", *peers],
            epochs=epochs,
            rounds=given.rounds,
            seed=given.seed,
            overrides=overrides,
            say=logging.info,
        )
        showcase.show(out, record)
    out.print(
        f"TensorBoard: every step is in {log_dir}; view it with\n"
        f"  tensorboard --logdir {shlex.quote(str(log_dir))}"
    )
    return 0


if __name__ == "__main__":
    define_flags()
    cli.run(main)
