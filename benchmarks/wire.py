"""Measures what travels between workers, and tells when computing hides that.

Processes on the loopback of one machine add up a number (the latency of an exchange) and gradients
of several sizes (its speed), as a step of many workers does.

    python -m benchmarks.wire --workers=2 --rounds=20
"""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from absl import flags, logging

from benchmarks import cli, machine, quiet, results, tables

SIZES = (1, 1 << 18, 1 << 20, 1 << 22, 1 << 24)  # float32 numbers
NETWORKS = {"10 Gbit/s Ethernet": 1.2e9, "100 Gbit/s": 1.2e10, "NVLink, 300 GB/s": 3e11}  # bytes/s
FAST = 1e14  # operations a second of a fast GPU
_SECONDS = 200


def define_flags() -> None:
    """This command's flags."""
    flags.DEFINE_integer("workers", 2, "Processes.", lower_bound=2)
    flags.DEFINE_integer("rounds", 20, "Timed exchanges of each size.", lower_bound=1)
    flags.DEFINE_string("out", None, "Folder for wire.json; none is written without it.")
    flags.DEFINE_bool("one", False, "Be one of the workers, as TF_CONFIG says (for the command).")


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    given = flags.FLAGS
    if given.one:
        print(json.dumps(exchanges(given.rounds)), flush=True)
        return 0
    measured = machine.about()
    measured |= run(given.workers, given.rounds)
    out = tables.console()
    out.print(to_markdown(measured))
    out.print(paper(measured))
    if given.out is not None:
        folder = pathlib.Path(given.out)
        folder.mkdir(parents=True, exist_ok=True)
        results.save(folder / "wire.json", measured)
        logging.info("written: %s", folder / "wire.json")
    return 0


def run(workers: int, rounds: int) -> dict[str, Any]:
    """Starts the workers; what the first of them measured.

    Returns:
        `{"workers": n, "exchanges": {numbers: spread of seconds}, "bfloat16": spread of seconds,
        "operations": per second}`.
    """
    from trainer.launch.ports import free_ports, tf_config

    ports = free_ports(workers)
    command = [sys.executable, "-m", "benchmarks.wire", "--one", f"--rounds={rounds}"]
    started = [
        subprocess.Popen(
            command,
            env={**os.environ, "TF_CONFIG": tf_config(ports, i), "TF_CPP_MIN_LOG_LEVEL": "3"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(workers)
    ]
    try:
        said = [process.communicate(timeout=_SECONDS) for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()
    for process, (_, errors) in zip(started, said, strict=True):
        if process.returncode:
            raise RuntimeError(f"a worker ended with code {process.returncode}:\n{errors[-2000:]}")
    return {"workers": workers, **json.loads(said[0][0].splitlines()[-1])}


def exchanges(rounds: int) -> dict[str, Any]:
    """What one of the workers measures: all of them must call it."""
    with quiet.quiet_import():
        import tensorflow as tf
    strategy = tf.distribute.MultiWorkerMirroredStrategy()

    def adding(numbers: int, dtype: Any = tf.float32) -> Callable[[], Any]:
        own = tf.ones([numbers], dtype)

        def one() -> Any:
            context = tf.distribute.get_replica_context()
            return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(own))

        return tf.function(lambda: tf.reduce_sum(strategy.run(one)), autograph=False)

    a = tf.random.normal([1024, 1024])
    product = tf.function(lambda: tf.reduce_sum(a @ a), autograph=False)
    times = {str(n): results.spread(timed(adding(n), rounds)) for n in SIZES}
    halves = timed(adding(max(SIZES), tf.bfloat16), rounds)
    return {
        "exchanges": times,
        "bfloat16": results.spread(halves),  # as many numbers as in the largest
        "operations": 2 * 1024**3 / results.spread(timed(product, rounds))["median"],
    }


def timed(fn: Callable[[], Any], rounds: int) -> list[float]:
    """Seconds of each call, after one that traces and one that warms up."""
    found = []
    for turn in range(rounds + 2):
        begun = time.perf_counter()
        fn().numpy()
        if turn > 1:
            found.append(time.perf_counter() - begun)
    return found


def speed(measured: Mapping[str, Any]) -> float:
    """Bytes a second of the largest exchange."""
    numbers = max(SIZES)
    return 4 * numbers / measured["exchanges"][str(numbers)]["median"]


def to_markdown(measured: Mapping[str, Any]) -> str:
    """What an exchange took, by its size."""

    def row(what: str, entry: Mapping[str, float], size: int) -> list[str]:
        """What was added up, of so many bytes that are sent."""
        milliseconds = {key: 1e3 * value for key, value in entry.items()}
        fast = "" if size == 4 else f"{size / entry['median'] / 1e9:.2g}"
        middle = f"{milliseconds['median']:.3g}"
        return [what, middle, tables.interval(milliseconds, ".3g"), fast]

    rows = []
    for numbers, entry in measured["exchanges"].items():
        size = 4 * int(numbers)
        rows.append(row("one number" if size == 4 else f"{size / 2**20:g} MB", entry, size))
    sent = 2 * max(SIZES)
    name = f"{2 * sent / 2**20:g} MB, sent as {sent / 2**20:g} MB of bfloat16"
    rows.append(row(name, measured["bfloat16"], sent))
    head = [f"{measured['workers']} processes, loopback", "ms", "low .. high", "GB/s"]
    return f"{tables.markdown(head, rows)}\n\n{tables.machine_line(measured)}"


def paper(measured: Mapping[str, Any]) -> str:
    """Tokens a worker from which on the backward pass hides the exchange: 2 F / B.

    Of P parameters and T tokens the backward pass takes 4 P T operations, the exchange 8 P bytes.
    """
    own = measured["operations"]
    rows = [
        [name, f"{wire:.2g}", f"{2 * FAST / wire:,.0f}", f"{2 * own / wire:,.0f}"]
        for name, wire in {"this loopback, measured": speed(measured), **NETWORKS}.items()
    ]
    head = ["network", "B", f"F = {FAST:.0e} (a fast GPU)", f"F = {own:.1e} (measured here)"]
    return tables.markdown(head, rows)


if __name__ == "__main__":
    define_flags()
    cli.run(main)
