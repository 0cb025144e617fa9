"""Measures layers: forward and backward of each against its Keras twin.

Both are compiled alike, in a TensorFlow graph and by XLA, with the same weights, in one process;
rounds take turns, ratios are paired round by round. The backward pass computes the gradients of
the weights and of the inputs. Prints a table and writes layers.json and layers.png.

    python -m benchmarks.layers --layers=LSTM,GRU --rounds=9 --out=results

On a machine that others use too, `--clock=processor` counts the time this process ran.
"""

from __future__ import annotations

import pathlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from absl import flags, logging

from benchmarks import cli, machine, plot, quiet, results, tables

OURS, KERAS = "ours", "keras"
SECONDS = 0.1  # of a round
ALLOWED = 1.05  # more than so many times Keras's time is marked
SEQUENCE, IMAGES = (32, 64, 128), (32, 28, 28, 32)
CLOCKS = {"wall": time.perf_counter, "processor": time.process_time}


class Subject(NamedTuple):
    """A layer to measure: made with `lib` for `layers` and for `keras.layers`."""

    make: Callable[[Any], Any]
    shape: tuple[int, ...]
    integers: int = 0  # inputs are drawn below this number


def subjects() -> dict[str, Subject]:
    """What is measured, by the name of its row."""
    return {
        "Dense": Subject(lambda lib: lib.Dense(512, "relu"), (128, 512)),
        "Dense on sequences": Subject(lambda lib: lib.Dense(512, "gelu"), SEQUENCE),
        "Conv1D": Subject(lambda lib: lib.Conv1D(128, 3, padding="same"), SEQUENCE),
        "Conv2D": Subject(lambda lib: lib.Conv2D(32, 3, activation="relu"), IMAGES),
        "Conv2D groups": Subject(lambda lib: lib.Conv2D(32, 3, groups=4), IMAGES),
        "Conv2DTranspose": Subject(lambda lib: lib.Conv2DTranspose(16, 3, strides=2), IMAGES),
        "DepthwiseConv2D": Subject(lambda lib: lib.DepthwiseConv2D(3), IMAGES),
        "SeparableConv2D": Subject(lambda lib: lib.SeparableConv2D(32, 3), IMAGES),
        "MaxPooling2D": Subject(lambda lib: lib.MaxPooling2D(2), IMAGES),
        "AveragePooling2D": Subject(lambda lib: lib.AveragePooling2D(2), IMAGES),
        "GlobalAveragePooling2D": Subject(lambda lib: lib.GlobalAveragePooling2D(), IMAGES),
        "BatchNormalization": Subject(lambda lib: lib.BatchNormalization(), IMAGES),
        "LayerNormalization": Subject(lambda lib: lib.LayerNormalization(), SEQUENCE),
        "RMSNormalization": Subject(lambda lib: lib.RMSNormalization(), SEQUENCE),
        "GroupNormalization": Subject(lambda lib: lib.GroupNormalization(8), IMAGES),
        "Activation gelu": Subject(lambda lib: lib.Activation("gelu"), SEQUENCE),
        "Softmax": Subject(lambda lib: lib.Softmax(), SEQUENCE),
        "Dropout": Subject(lambda lib: lib.Dropout(0.1), SEQUENCE),
        "Embedding": Subject(lambda lib: lib.Embedding(10_000, 128), (32, 64), 10_000),
        "SimpleRNN": Subject(lambda lib: lib.SimpleRNN(128, return_sequences=True), SEQUENCE),
        "GRU": Subject(lambda lib: lib.GRU(128, return_sequences=True), SEQUENCE),
        "LSTM": Subject(lambda lib: lib.LSTM(128, return_sequences=True), SEQUENCE),
        "LSTM last output": Subject(lambda lib: lib.LSTM(128), SEQUENCE),
        "Bidirectional LSTM": Subject(
            lambda lib: lib.Bidirectional(lib.LSTM(64, return_sequences=True)), SEQUENCE
        ),
        "Attention": Subject(attention, SEQUENCE),
        "Attention causal": Subject(lambda lib: attention(lib, use_causal_mask=True), SEQUENCE),
        "Attention grouped": Subject(grouped, SEQUENCE),
        "Attention of 1024": Subject(
            lambda lib: attention(lib, use_causal_mask=True), (1, 1024, 128)
        ),
    }


def attention(lib: Any, **call: Any) -> Any:
    """Self-attention of four heads as a layer of one input."""
    return _Self(lib.MultiHeadAttention(4, 32), call)


def grouped(lib: Any) -> Any:
    """Self-attention of four query heads over two heads of keys and values."""
    if lib.__name__ == "layers":
        return _Self(lib.GroupedQueryAttention(32, 4, num_key_value_heads=2), {})
    return _Self(lib.GroupQueryAttention(32, 4, 2), {})


class _Self:
    """An attention layer over its own input; all else is the layer's."""

    def __init__(self, layer: Any, call: Mapping[str, Any]) -> None:
        self._layer, self._call = layer, call

    def __call__(self, x: Any, training: bool = False) -> Any:
        return self._layer(x, x, training=training, **self._call)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._layer, name)


def define_flags() -> None:
    """This command's flags."""
    flags.DEFINE_list("layers", [], "Which rows; all by default.")
    flags.DEFINE_list("modes", ["graph", "xla"], "Ways of compiling: graph, xla.")
    flags.DEFINE_integer("rounds", 7, "Timed rounds of each.", lower_bound=1)
    flags.DEFINE_enum("clock", "wall", list(CLOCKS), "What is counted.")
    flags.DEFINE_string("out", "results", "Folder for layers.json and layers.png.")
    flags.register_validator("layers", lambda names: all(cli.check_one(n, known) for n in names))
    flags.register_validator(
        "modes", lambda names: all(cli.check_one(n, ("graph", "xla")) for n in names)
    )


known = list(subjects())


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    given = flags.FLAGS
    with quiet.quiet_import():
        import tensorflow  # noqa: F401
    out = tables.console()
    measured = measure(given.layers or known, given.modes, given.rounds, given.clock)
    show(out, measured)
    tables.show_machine(out, measured)
    folder = pathlib.Path(given.out)
    folder.mkdir(parents=True, exist_ok=True)
    results.save(folder / "layers.json", measured)
    draw(measured, folder / "layers.png")
    logging.info("written: %s", folder / "layers.json")
    return 0


def measure(
    names: Sequence[str], modes: Sequence[str], rounds: int, clock: str = "wall"
) -> dict[str, Any]:
    """Seconds of forward and backward, ours and Keras's, and the paired ratio."""
    found: dict[str, Any] = {}
    for name in names:
        found[name] = {}
        for mode in modes:
            record = one(subjects()[name], mode, rounds, clock)
            found[name][mode] = record
            logging.info("%s, %s: %.2f x", name, mode, record["ratio"]["median"])
    return {
        **machine.about(),
        "threads": machine.threads(),
        "rounds": rounds,
        "clock": clock,
        "layers": found,
    }


def one(subject: Subject, mode: str, rounds: int, clock: str) -> dict[str, Any]:
    """One layer in one mode: seconds of each, and the ratio ours / Keras's of each round."""
    runs, _ = contenders(subject, mode)
    now, counts = CLOCKS[clock], {}
    for name, run in runs.items():
        _ready(run())  # traced and compiled
        begun = time.perf_counter()
        _ready(run())
        counts[name] = max(1, int(SECONDS / (time.perf_counter() - begun)))
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds):
        for name in sorted(runs, reverse=bool(number % 2)):
            begun = now()
            for _ in range(counts[name]):
                last = runs[name]()
            _ready(last)
            seconds[name].append((now() - begun) / counts[name])
    pairs = zip(seconds[OURS], seconds[KERAS], strict=True)
    return {
        **{name: results.spread(own) for name, own in seconds.items()},
        "ratio": results.spread([a / b for a, b in pairs]),
    }


def contenders(subject: Subject, mode: str) -> tuple[dict[str, Callable[[], Any]], dict[str, Any]]:
    """Compiled functions of the two, and their layers with equal weights."""
    import keras
    import tensorflow as tf

    import layers

    rng = np.random.default_rng(0)
    if subject.integers:
        x = tf.constant(rng.integers(0, subject.integers, subject.shape), tf.int32)
    else:
        x = tf.constant(rng.normal(size=subject.shape), tf.float32)
    made = {OURS: subject.make(layers), KERAS: subject.make(keras.layers)}
    for layer in made.values():
        layer(x)
    if made[KERAS].trainable_variables:
        made[OURS].set_weights(made[KERAS].get_weights())
    return {name: graded(layer, x, mode) for name, layer in made.items()}, made


def graded(layer: Any, x: Any, mode: str) -> Callable[[], Any]:
    """The output's weighted sum, and its gradients by weights and inputs, compiled."""
    import tensorflow as tf

    variables = [getattr(v, "value", v) for v in layer.trainable_variables]
    variables = [v if isinstance(v, tf.Variable) else w for v, w in zip(
        variables, layer.trainable_variables, strict=True
    )]  # fmt: skip
    floating = x.dtype.is_floating
    wave = tf.constant(np.random.default_rng(1).normal(size=layer(x).shape), tf.float32)

    @tf.function(jit_compile=(mode == "xla") or None, autograph=False)
    def run(x: Any) -> Any:
        with tf.GradientTape() as tape:
            if floating:
                tape.watch(x)
            total = tf.reduce_sum(layer(x, training=True) * wave)
        found = tape.gradient(total, [*variables, *([x] if floating else [])])
        return total, [tf.convert_to_tensor(g) for g in found]

    return lambda: run(x)


def best(record: Mapping[str, Any]) -> float:
    """Our time over Keras's, each in its faster mode."""
    return min(r[OURS]["median"] for r in record.values()) / min(
        r[KERAS]["median"] for r in record.values()
    )


def show(out: Any, measured: Mapping[str, Any]) -> None:
    """The table: milliseconds, and how many times Keras's time."""
    made = tables.table(
        f"forward and backward, {measured['clock']} time",
        "layer",
        "mode",
        "ours",
        "Keras",
        "time / Keras's",
        "low .. high",
        "best / Keras's best",
    )
    for name, record in measured["layers"].items():
        for number, (mode, entry) in enumerate(record.items()):
            ratio = entry["ratio"]
            slower = ratio["median"] > ALLOWED
            made.add_row(
                name if number == 0 else "",
                mode,
                *(f"{1e3 * entry[who]['median']:,.2f} ms" for who in (OURS, KERAS)),
                f"{ratio['median']:.2f}" + (" !" if slower else ""),
                tables.interval(ratio, ".2f"),
                f"{best(record):.2f}" if number == 0 else "",
            )
    out.print(made)


def draw(measured: Mapping[str, Any], path: pathlib.Path) -> None:
    """How many times Keras's time each layer takes, as a PNG file."""
    pyplot = plot.load_pyplot()
    names = list(measured["layers"])
    figure, axis = pyplot.subplots(figsize=(8, 1.2 + 0.3 * len(names)), layout="constrained")
    colours = {"graph": plot.INK, "xla": plot.OURS}
    for mode, colour in colours.items():
        rows = [i for i, name in enumerate(names) if mode in measured["layers"][name]]
        ratios = [measured["layers"][names[i]][mode]["ratio"] for i in rows]
        for i, ratio in zip(rows, ratios, strict=True):
            axis.plot([ratio["low"], ratio["high"]], [i, i], color=colour, linewidth=1)
        axis.plot([r["median"] for r in ratios], rows, "o", color=colour, label=mode)
    axis.axvline(1.0, color=plot.OTHERS, zorder=0)
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis()
    axis.set_xscale("log")
    marks = (0.5, 0.7, 1.0, 1.4, 2.0)
    axis.set_xticks(marks, [f"{m:g}" for m in marks])
    axis.minorticks_off()
    axis.set_xlabel("time of forward and backward / Keras's")
    axis.legend(frameon=False)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def _ready(result: Any) -> None:
    """Waits for a result."""
    result[0].numpy()


def to_markdown(measured: Mapping[str, Any]) -> str:
    """What `show` prints, for a page."""
    return tables.page(lambda out: show(out, measured), measured)


if __name__ == "__main__":
    define_flags()
    cli.run(main)
