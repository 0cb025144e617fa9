"""Measures updates alone: optimizers of ours against Keras's, and against the memory's bandwidth.

The same number of parameters lies in few or in many variables; ten updates make one compiled
call, in a plain graph or in one XLA program; timed rounds take turns. "x limit" is how many times
longer an update takes than reading weights, gradients and slots and writing weights and slots
would at the speed of a plain copy on all cores. Each measurement is put into
optimizers.json beside what the file has, so that pieces, and a run that was cut short, make one;
all of it is printed and drawn.

    python -m benchmarks.optimizers --optimizers=Adam,Lion --variables=10,100 --out=results
"""

from __future__ import annotations

import concurrent.futures
import functools
import itertools
import pathlib
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from absl import flags, logging

from benchmarks import cli, machine, plot, quiet, results, tables, turns

UPDATES = 10  # in one call
# What a slow first compilation would make of 1,000 matrices is not the question here.
MATRICES = ("SOAP", "Shampoo")
CONFIGS: dict[str, dict[str, Any]] = {
    "SGD": {"momentum": 0.9},
    "RMSprop": {},
    "AdamW": {},
    "Muon": {},
}


def define_flags() -> None:
    """This command's flags."""
    flags.DEFINE_list("optimizers", [], "Which; by default all but SOAP and Shampoo.")
    flags.DEFINE_list("variables", ["10", "100", "1000"], "Numbers of variables.")
    flags.DEFINE_list("modes", ["graph", "xla"], "Ways of compiling: graph, xla.")
    flags.DEFINE_integer("parameters", 5_000_000, "In all variables together.", lower_bound=1000)
    flags.DEFINE_integer("rounds", 5, "Timed calls of each contender.", lower_bound=1)
    flags.DEFINE_boolean("keras", True, "Whether Keras's optimizers are measured beside ours.")
    flags.DEFINE_string("out", "results", "Folder for optimizers.json and optimizers.png.")
    flags.register_validator(
        "modes", lambda names: all(cli.check_one(name, ("graph", "xla")) for name in names)
    )


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    given = flags.FLAGS
    with quiet.quiet_import():
        import optimizers
    chosen = given.optimizers or [n for n in optimizers.names() if n not in MATRICES]
    for name in chosen:
        cli.check_one(name, optimizers.names())
    path = pathlib.Path(given.out) / "optimizers.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    for count, name in itertools.product(map(int, given.variables), chosen):
        measured = measure(
            [name],
            [count],
            given.modes,
            parameters=given.parameters,
            rounds=given.rounds,
            beside=given.keras,
            say=logging.info,
        )
        if path.exists():
            measured = joined(results.load(path), measured, list(optimizers.names()))
        results.save(path, measured)  # at once: all together take an hour
    measured = results.load(path)
    out = tables.console()
    show(out, measured)
    tables.show_machine(out, measured)
    draw(measured, path.with_suffix(".png"))
    return 0


def measure(
    names: Sequence[str],
    counts: Sequence[int],
    modes: Sequence[str],
    *,
    parameters: int,
    rounds: int,
    beside: bool = True,
    say: Callable[..., None] = lambda *args: None,
) -> dict[str, Any]:
    """Milliseconds per update of every optimizer, number of variables and mode."""
    speed = copy_speed()
    rows = []
    for count in counts:
        for name in names:
            for mode in modes:
                row = one(name, count, mode, parameters, rounds, beside)
                row["limit_ms"] = row.pop("bytes") / speed * 1e3
                row["of_limit"] = row["ours_ms"] / row["limit_ms"]
                rows.append(row)
                say("%s", summary(row))
    return {
        **machine.about(),
        "threads": machine.threads(),
        "parameters": parameters,
        "rounds": rounds,
        "copy_gb_per_s": speed / 1e9,
        "rows": rows,
    }


def joined(
    earlier: Mapping[str, Any], measured: Mapping[str, Any], order: Sequence[str]
) -> dict[str, Any]:
    """What was measured, and the rows that an earlier file has beside it.

    Those of another processor or of another number of parameters are left out.

    Args:
        earlier: from the file.
        measured: now.
        order: of the optimizers.
    """

    def key(row: Mapping[str, Any]) -> tuple[int, int, str]:
        return order.index(row["optimizer"]), row["variables"], row["mode"]

    alike = all(earlier[name] == measured[name] for name in ("parameters", "threads")) and all(
        earlier["machine"][name] == measured["machine"][name] for name in ("processor", "cores")
    )
    rows = {key(row): row for row in [*(earlier["rows"] if alike else ()), *measured["rows"]]}
    return {**measured, "rows": [rows[place] for place in sorted(rows)]}


def one(
    name: str, count: int, mode: str, parameters: int, rounds: int, beside: bool
) -> dict[str, Any]:
    """One optimizer, ours and Keras's in turns, on variables of their own."""
    import keras

    import optimizers

    config = CONFIGS.get(name, {})
    contenders = {"ours": getattr(optimizers, name)(**config)}
    if beside and hasattr(keras.optimizers, name):
        contenders["keras"] = getattr(keras.optimizers, name)(**config)
    row: dict[str, Any] = {"optimizer": name, "variables": count, "mode": mode}
    calls: dict[str, Callable[[], None]] = {}
    for who, optimizer in contenders.items():
        calls[who], moved = program(optimizer, count, parameters, mode)
        started = time.perf_counter()
        calls[who]()
        row[f"{who}_first_s"] = time.perf_counter() - started
        calls[who]()
        if who == "ours":
            row["bytes"] = moved

    def turn(who: str) -> float:
        started = time.perf_counter()
        calls[who]()
        return (time.perf_counter() - started) / UPDATES

    seconds = turns.taken({who: functools.partial(turn, who) for who in calls}, rounds)
    for who, values in seconds.items():
        row[f"{who}_ms"] = statistics.median(values) * 1e3
        row[f"{who}_low_ms"], row[f"{who}_high_ms"] = min(values) * 1e3, max(values) * 1e3
    if "keras" in seconds:
        pairs = zip(seconds["keras"], seconds["ours"], strict=True)
        row["ratio"] = statistics.median(k / o for k, o in pairs)
    return row


def program(
    optimizer: Any, count: int, parameters: int, mode: str
) -> tuple[Callable[[], None], float]:
    """A compiled call of ten updates, and the bytes that one update has to move."""
    import tensorflow as tf

    shape = shape_of(parameters // count)
    rng = np.random.default_rng(0)
    values = np.float32(rng.normal(size=shape) * 0.1)
    kind: Any = tf.Variable
    if type(optimizer).__module__.startswith("keras."):
        import keras

        kind = keras.Variable
    weights = [kind(values, name=f"kernel_{i}") for i in range(count)]
    grads = [tf.Variable(values * 0.1, trainable=False) for _ in range(count)]
    optimizer.build(weights)

    @tf.function(jit_compile=mode == "xla")
    def call() -> Any:
        def body(i: Any) -> tuple[Any]:
            optimizer.apply([tf.convert_to_tensor(g) for g in grads], weights)
            return (i + 1,)

        return tf.while_loop(lambda i: i < UPDATES, body, (tf.constant(0),), parallel_iterations=1)

    size = 4 * count * int(np.prod(shape))
    kept = (
        sum(v.dtype.size * v.shape.num_elements() for v in optimizer.variables)
        if (kind is tf.Variable)
        else 0
    )

    def run() -> None:
        call()[0].numpy()  # waits for the end

    return run, 3 * size + 2 * kept


def shape_of(size: int) -> tuple[int, int]:
    """The most nearly square matrix of at most `size` numbers."""
    side = int(size**0.5)
    return side, size // side


def copy_speed() -> float:
    """Bytes read and written per second by a copy of 80 MB on all cores, the best of five."""
    cores = machine.cores()
    sources = np.array_split(np.ones(20_000_000, np.float32), cores)
    targets = [np.empty_like(part) for part in sources]
    best = float("inf")
    with concurrent.futures.ThreadPoolExecutor(cores) as threads:
        for _ in range(5):
            started = time.perf_counter()
            list(threads.map(np.copyto, targets, sources))
            best = min(best, time.perf_counter() - started)
    return 2 * sum(part.nbytes for part in sources) / best


def summary(row: dict[str, Any]) -> str:
    """One measurement in a line."""
    beside = f", Keras {row['keras_ms']:.2f} ms ({row['ratio']:.2f}x)" if "ratio" in row else ""
    return (
        f"{row['optimizer']} {row['variables']} {row['mode']}: {row['ours_ms']:.2f} ms{beside}, "
        f"{row['of_limit']:.1f} x limit, first call {row['ours_first_s']:.1f} s"
    )


def show(out: Any, measured: Mapping[str, Any]) -> None:
    """The table."""
    made = tables.table(
        f"updates of {measured['parameters']:,} parameters; a copy moves "
        f"{measured['copy_gb_per_s']:.1f} GB/s",
        "optimizer",
        "variables",
        "mode",
        "ms",
        "Keras ms",
        "x Keras",
        "x limit",
        "first call s",
        "Keras's",
    )
    for row in measured["rows"]:
        made.add_row(
            row["optimizer"],
            f"{row['variables']:,}",
            row["mode"],
            f"{row['ours_ms']:.2f}",
            f"{row['keras_ms']:.2f}" if "keras_ms" in row else "",
            f"{row['ratio']:.2f}" if "ratio" in row else "",
            f"{row['of_limit']:.1f}",
            f"{row['ours_first_s']:.1f}",
            f"{row['keras_first_s']:.1f}" if "keras_first_s" in row else "",
        )
    out.print(made)


def draw(measured: dict[str, Any], path: pathlib.Path) -> None:
    """One panel for each number of variables and mode: a bar of ours, one of Keras's, the limit."""
    pyplot = plot.load_pyplot()
    panels: dict[tuple[int, str], list[dict[str, Any]]] = {}
    for row in measured["rows"]:
        panels.setdefault((row["variables"], row["mode"]), []).append(row)
    tallest = max(map(len, panels.values()))
    figure, axes = pyplot.subplots(
        1,
        len(panels),
        figsize=(3.4 * len(panels) + 1, 1.2 + 0.42 * tallest),
        squeeze=False,
        sharex=True,
        layout="constrained",
    )
    for axis, ((count, mode), rows) in zip(axes[0], panels.items(), strict=True):
        places = np.arange(len(rows))
        axis.barh(places - 0.2, [r["ours_ms"] for r in rows], 0.38, color=plot.OURS, label="ours")
        axis.barh(
            places + 0.2,
            [r.get("keras_ms", np.nan) for r in rows],
            0.38,
            color=plot.OTHERS,
            label="Keras",
        )
        for place, row in zip(places, rows, strict=True):
            axis.plot([row["limit_ms"]] * 2, [place - 0.42, place + 0.42], color=plot.INK, lw=1.2)
        axis.set_yticks(places, [r["optimizer"] for r in rows], fontsize=8)
        axis.invert_yaxis()
        axis.set_title(f"{count:,} variables, {mode}", fontsize=10, loc="left")
        axis.set_xscale("log")  # Muon's products take a hundred times what SGD takes
        axis.xaxis.set_minor_formatter(pyplot.NullFormatter())
        axis.set_xlabel("ms per update (line: a copy's bandwidth)", fontsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0][0].legend(fontsize=8, frameon=False)
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def first_call(row: Mapping[str, Any]) -> str:
    """Seconds of the first call of ours, and of Keras's where it was measured."""
    theirs = f" ({row['keras_first_s']:.1f})" if "keras_first_s" in row else ""
    return f"{row['ours_first_s']:.1f}{theirs}"


def to_markdown(measured: Mapping[str, Any]) -> str:
    """A line for each optimizer, for a page."""
    kinds = sorted({(row["variables"], row["mode"]) for row in measured["rows"]})
    lines: dict[str, dict[tuple[int, str], str]] = {}
    for row in measured["rows"]:
        beside = f"{row['ratio']:.2f}" if "ratio" in row else "-"
        cell = f"{row['ours_ms']:.1f} / {beside} / {row['of_limit']:.1f} / {first_call(row)}"
        lines.setdefault(row["optimizer"], {})[row["variables"], row["mode"]] = cell
    head = ["", *(f"{count:,} {'XLA' if mode == 'xla' else mode}" for count, mode in kinds)]
    rows = [[name, *(cells.get(kind, "") for kind in kinds)] for name, cells in lines.items()]
    return "\n\n".join(
        [
            f"Updates of {measured['parameters']:,} parameters in so many variables: milliseconds "
            "/ times as fast as Keras's / times what a copy at "
            f"{measured['copy_gb_per_s']:.1f} GB/s would take / seconds of the first call, which "
            "traces and compiles (in brackets Keras's).",
            tables.markdown(head, rows),
            tables.machine_line(measured),
        ]
    )


if __name__ == "__main__":
    define_flags()
    cli.run(main)
