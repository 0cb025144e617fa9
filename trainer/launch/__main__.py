"""Runs a training script as several workers on this machine, and restarts them if one is lost.

    python -m trainer.launch --workers=2 train.py [arguments of the script]

Each worker is a process with its own TF_CONFIG, for a script that makes a
tf.distribute.MultiWorkerMirroredStrategy and passes it on as Trainer(..., strategy=...). Worker 0
is the chief: it alone writes. Flags of the launcher stand before the script, the script's after it.

When a worker dies, freezes or is signalled, the others are ended and all start again from the
newest checkpoint, at most --max_restarts times. SIGTERM and Ctrl-C are passed on to the workers,
which write a last checkpoint; nothing is restarted then.

Exit codes: 0 all workers are done; 143, 130 stopped by SIGTERM, Ctrl-C; 78 the workers do not agree
on settings, code or data; 124 a worker froze; 75 a worker lost another that ended as if all were
well; 128 + n a worker was ended by signal n; else the code of the worker that failed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence

from absl import app, flags

from trainer.launch.crew import Limits
from trainer.launch.supervisor import supervise


def define_flags() -> None:
    """This command's flags."""
    waits = Limits()
    flags.DEFINE_integer("workers", 2, "How many.", lower_bound=1)
    flags.DEFINE_boolean("module", False, "The script is the name of a module, as of python -m.")
    flags.DEFINE_integer("max_restarts", 3, "How often all are started again.", lower_bound=0)
    flags.DEFINE_float(
        "heartbeat_seconds",
        waits.heartbeat,
        "A worker that gives no sign of life for so long is frozen.",
    )
    flags.DEFINE_float(
        "end_seconds",
        waits.end,
        "How long the others may take to end after a worker was lost.",
    )
    flags.DEFINE_float(
        "grace_seconds",
        waits.grace,
        "How long the workers may take for a last checkpoint after a signal; more than "
        "Checkpoint(grace_seconds=).",
    )
    flags.DEFINE_float(
        "pause_seconds",
        waits.pause,
        "The longest pause before a restart; the first is 1 s, each later one twice as long.",
    )
    flags.DEFINE_integer(
        "gpus_per_worker",
        0,
        "Each worker sees so many GPUs of its own (CUDA_VISIBLE_DEVICES); 0 leaves that alone.",
        lower_bound=0,
    )
    for name in ("heartbeat_seconds", "end_seconds", "grace_seconds", "pause_seconds"):
        flags.register_validator(name, lambda value: value > 0, "it must be above 0.")


def main(argv: Sequence[str]) -> int:
    """Runs the script that is named, and returns the exit code."""
    given = flags.FLAGS
    if len(argv) < 2:
        raise app.UsageError("name the script to run: python -m trainer.launch [flags] train.py")
    if not given.module and not os.path.isfile(argv[1]):
        raise app.UsageError(f"there is no file {argv[1]!r}; for a module's name pass --module.")
    limits = Limits(
        heartbeat=given.heartbeat_seconds,
        end=given.end_seconds,
        grace=given.grace_seconds,
        pause=given.pause_seconds,
    )
    return supervise(
        ["module" if given.module else "script", *argv[1:]],
        given.workers,
        max_restarts=given.max_restarts,
        limits=limits,
        environment=lambda index: gpus(index, given.gpus_per_worker),
    )


def gpus(index: int, each: int) -> Mapping[str, str]:
    """The environment in which a worker sees its own GPUs alone."""
    if not each:
        return {}
    return {"CUDA_VISIBLE_DEVICES": ",".join(str(index * each + i) for i in range(each))}


if __name__ == "__main__":
    define_flags()
    flags.FLAGS.set_gnu_getopt(False)  # what stands after the script is the script's
    app.run(main, argv=sys.argv)
