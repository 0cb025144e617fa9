"""Measures the losses: each against Keras's, and the chunked cross-entropy against the fused one.

Values and gradients of each loss are computed in one process, ours and Keras's in turns; ratios are
paired. For a large vocabulary the last layer is part of what is measured: the fused kernel on all
logits, the naive form with one-hot targets, and `losses.chunked_crossentropy`; memory is that of a
process of its own for each.

    python -m benchmarks.losses --rounds=7 --vocabulary=50000
"""

from __future__ import annotations

import multiprocessing
import pathlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from absl import flags, logging

from benchmarks import cli, machine, quiet, results, tables

OURS, KERAS = "ours", "keras"
FUSED, NAIVE, CHUNKED = "fused", "naive", "chunked"
SECONDS = 0.1  # of a round of a small loss
# name in both packages -> the kind of arguments.
LOSSES: dict[str, str] = {
    "mean_squared_error": "real",
    "mean_absolute_error": "real",
    "huber": "real",
    "log_cosh": "real",
    "cosine_similarity": "real",
    "poisson": "positive",
    "kl_divergence": "chances",
    "binary_crossentropy": "bits",
    "categorical_crossentropy": "chances",
    "sparse_categorical_crossentropy": "labels",
    "binary_focal_crossentropy": "bits",
    "categorical_focal_crossentropy": "chances",
    "hinge": "bits",
    "categorical_hinge": "chances",
    "dice": "bits",
    "circle": "embeddings",
    "ctc": "sequences",
}


def define_flags() -> None:
    """This command's flags."""
    flags.DEFINE_list("losses", list(LOSSES), "Which to compare with Keras's; empty for none.")
    flags.DEFINE_integer("rounds", 7, "Timed rounds of each.", lower_bound=1)
    flags.DEFINE_integer("rows", 256, "Examples of a batch.", lower_bound=1)
    flags.DEFINE_integer("width", 100, "Numbers of an example.", lower_bound=2)
    flags.DEFINE_bool("xla", True, "Whether to compile by XLA; otherwise a TensorFlow graph.")
    flags.DEFINE_integer("vocabulary", 50_000, "Classes of the large one; 0 leaves it out.")
    flags.DEFINE_integer("tokens", 4096, "Rows of the large one.", lower_bound=1)
    flags.DEFINE_integer("units", 256, "What the last layer is applied to.", lower_bound=1)
    flags.DEFINE_integer("chunk", 1024, "Rows whose logits exist at a time.", lower_bound=1)
    flags.DEFINE_string("out", None, "Folder for losses.json; none is written without it.")
    flags.register_validator("losses", check_losses)


def check_losses(names: Sequence[str]) -> bool:
    """A flag validator: all are losses of both packages."""
    return all(cli.check_one(name, LOSSES) for name in names)


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    given = flags.FLAGS
    with quiet.quiet_import():
        import tensorflow  # noqa: F401
    out = tables.console()
    measured: dict[str, Any] = {
        **machine.about(),
        "xla": given.xla,
        "losses": {},
    }
    for name in given.losses:
        logging.info("%s", name)
        measured["losses"][name] = against_keras(
            name, given.rows, given.width, given.xla, given.rounds
        )
    if measured["losses"]:
        show_losses(out, measured["losses"], given.xla)
    if given.vocabulary:
        sizes = {
            "tokens": given.tokens,
            "units": given.units,
            "vocabulary": given.vocabulary,
            "chunk": given.chunk,
            "xla": given.xla,
        }
        measured["vocabulary"] = sizes | {"contenders": vocabulary(sizes, given.rounds)}
        show_vocabulary(out, measured["vocabulary"])
    tables.show_machine(out, measured)
    if given.out is not None:
        folder = pathlib.Path(given.out)
        folder.mkdir(parents=True, exist_ok=True)
        results.save(folder / "losses.json", measured)
        logging.info("written: %s", folder / "losses.json")
    return 0


def against_keras(name: str, rows: int, width: int, xla: bool, rounds: int) -> dict[str, Any]:
    """Seconds of value and gradient, ours and Keras's: medians, and the paired ratio."""
    import keras

    import losses

    args = arguments(LOSSES[name], rows, width)
    config = {"axis": -1} if name == "dice" else {}
    runs = {
        OURS: graded(lambda *a: getattr(losses, name)(*a, **config), args, xla),
        KERAS: graded(lambda *a: getattr(keras.losses, name)(*a, **config), args, xla),
    }
    return paired(runs, rounds, KERAS)


def vocabulary(sizes: Mapping[str, Any], rounds: int) -> dict[str, Any]:
    """Time in turns, and the memory of a process of its own, of each way to a large softmax."""
    names = (FUSED, CHUNKED, NAIVE)
    found = paired({name: large(name, sizes) for name in names}, rounds, FUSED)
    context = multiprocessing.get_context("spawn")
    for name in names:
        with context.Pool(1) as pool:
            found[name]["extra_mb"] = pool.apply(memory, (name, dict(sizes)))
    return found


def large(name: str, sizes: Mapping[str, Any]) -> Callable[[], Any]:
    """Loss and gradients of the last layer over a large vocabulary, as a compiled function."""
    import tensorflow as tf

    import losses

    rng = np.random.default_rng(0)
    n, d, k = sizes["tokens"], sizes["units"], sizes["vocabulary"]
    labels = tf.constant(rng.integers(0, k, n))
    hidden = tf.Variable(rng.normal(size=(n, d)), dtype=tf.float32)
    kernel = tf.Variable(rng.normal(size=(d, k)) / d**0.5, dtype=tf.float32)

    def values() -> tf.Tensor:
        if name == CHUNKED:
            return losses.chunked_crossentropy(labels, hidden, kernel, chunk=sizes["chunk"])
        logits = tf.matmul(hidden, kernel)
        if name == FUSED:
            return losses.sparse_categorical_crossentropy(labels, logits, True)
        return -tf.reduce_sum(tf.one_hot(labels, k) * tf.nn.log_softmax(logits), -1)

    @tf.function(jit_compile=sizes["xla"] or None, autograph=False)
    def run() -> Any:
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(values())
        return total, tape.gradient(total, [hidden, kernel])

    return run


def memory(name: str, sizes: Mapping[str, Any]) -> float:
    """How much a few steps add to the memory of this process at its peak, MB."""
    with quiet.quiet_import():
        run = large(name, sizes)
    before = machine.peak_mb()
    for _ in range(3):
        run()[0].numpy()
    return machine.peak_mb() - before


def graded(function: Callable[..., Any], args: Sequence[Any], xla: bool) -> Callable[[], Any]:
    """Values and the gradient of their sum to the predictions, as a compiled function."""
    import tensorflow as tf

    @tf.function(jit_compile=xla or None, autograph=False)
    def run(*args: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(args[-1])
            values = function(*args)
        return values, tape.gradient(values, args[-1])

    return lambda: run(*args)


def paired(
    runs: Mapping[str, Callable[[], Any]], rounds: int, reference: str
) -> dict[str, dict[str, Any]]:
    """Times every one in each round, beginning with another each time."""
    counts = {}
    for name, run in runs.items():
        _ready(run())  # traced and compiled
        begun = time.perf_counter()
        _ready(run())
        counts[name] = max(1, int(SECONDS / (time.perf_counter() - begun)))
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    order = list(runs)
    for _ in range(rounds):
        for name in order:
            begun = time.perf_counter()
            for _ in range(counts[name]):
                last = runs[name]()
            _ready(last)
            seconds[name].append((time.perf_counter() - begun) / counts[name])
        order = [*order[1:], order[0]]
    return {
        name: {
            "seconds": results.spread(own),
            "ratio": results.spread([a / b for a, b in zip(own, seconds[reference], strict=True)]),
        }
        for name, own in seconds.items()
    }


def arguments(kind: str, rows: int, width: int) -> list[Any]:
    """Targets and predictions of a kind of loss."""
    import tensorflow as tf

    rng = np.random.default_rng(0)
    real = rng.normal(size=(2, rows, width))
    chances = np.exp(real) / np.exp(real).sum(-1, keepdims=True)
    labels = rng.integers(0, width, rows)
    made: dict[str, Callable[[], Any]] = {
        "real": lambda: real,
        "positive": lambda: np.abs(real) + 0.1,
        "chances": lambda: (np.eye(width)[labels], chances[1]),
        "labels": lambda: (labels, chances[1]),
        "bits": lambda: (real[0] > 0, np.clip(np.abs(real[1]) / 4, 0.01, 0.99)),
        "embeddings": lambda: (
            labels % 10,
            real[0] / np.linalg.norm(real[0], axis=-1, keepdims=True),
        ),
        "sequences": lambda: (
            rng.integers(1, 30, (max(1, rows // 16), width // 4)),
            rng.normal(size=(max(1, rows // 16), width, 30)),
        ),
    }
    y_true, y_pred = made[kind]()
    integers = kind in ("labels", "embeddings", "sequences")
    return [
        tf.constant(y_true, tf.int32 if integers else tf.float32),
        tf.constant(y_pred, tf.float32),
    ]


def show_losses(out: Any, measured: Mapping[str, Any], xla: bool) -> None:
    """The table: microseconds, and how much longer than Keras's."""
    how = "XLA" if xla else "a TensorFlow graph"
    made = tables.table(
        f"value and gradient, in {how}", "loss", "ours", "Keras", "time / Keras's", "low .. high"
    )
    for name, entry in measured.items():
        ratio = entry[OURS]["ratio"]
        made.add_row(
            name,
            *(f"{1e6 * entry[who]['seconds']['median']:,.0f} us" for who in (OURS, KERAS)),
            f"{ratio['median']:.2f}",
            tables.interval(ratio, ".2f"),
        )
    out.print(made)


def show_vocabulary(out: Any, record: Mapping[str, Any]) -> None:
    """The table: time and memory beside the fused kernel's."""
    made = tables.table(
        f"cross-entropy of {record['tokens']:,} rows over {record['vocabulary']:,} classes, "
        f"{record['units']} units, chunks of {record['chunk']}",
        "",
        "time",
        "time / fused",
        "low .. high",
        "memory added",
    )
    for name, entry in record["contenders"].items():
        made.add_row(
            name,
            f"{1e3 * entry['seconds']['median']:,.0f} ms",
            f"{entry['ratio']['median']:.2f}",
            tables.interval(entry["ratio"], ".2f"),
            f"{entry['extra_mb']:,.0f} MB",
        )
    out.print(made)


def _ready(result: Any) -> None:
    """Waits for a result."""
    import tensorflow as tf

    for tensor in tf.nest.flatten(result):
        tensor.numpy()


def to_markdown(measured: Mapping[str, Any]) -> str:
    """What the command prints, for a page."""

    def shown(out: Any) -> None:
        if measured["losses"]:
            show_losses(out, measured["losses"], measured["xla"])
        if "vocabulary" in measured:
            show_vocabulary(out, measured["vocabulary"])

    return tables.page(shown, measured)


if __name__ == "__main__":
    define_flags()
    cli.run(main)
