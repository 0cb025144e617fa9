"""Measures what a strategy costs: replicas against one device, in ours, Keras fit and Orbit.

Replicas are logical devices of one processor, so that all contenders have the same cores and the
same work: what N replicas take longer than one device is what splitting, exchanging and updating
N copies cost. All train in one process, in turns; ratios are paired round by round. A size is put
into replicas.json when it is measured, beside the other: measure one after the other, as Keras's
fit over replicas was seen to wait for ever when it was made for a second size in a process.

    python -m benchmarks.replicas --sizes=small --out=benchmarks/results
    python -m benchmarks.replicas --sizes=large --out=benchmarks/results
"""

from __future__ import annotations

import pathlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from absl import flags, logging

from benchmarks import cli, machine, quiet, results, standing, tables

OURS, BETWEEN, SHARDED, FIT, ORBIT = (
    "ours",
    "ours, XLA between",
    "ours, sharded slots",
    "fit, one step an execution",
    "orbit",
)
ONE = "one device"


class Size(NamedTuple):
    """A dense network and its batch."""

    units: tuple[int, ...]
    features: int
    batch: int
    steps: int  # of a round


SIZES = {
    "small": Size((128, 10), 784, 32, 200),
    "large": Size((1024, 1024, 1024, 10), 1024, 256, 8),
}
Run = Callable[[], object]  # trains one round


def define_flags() -> None:
    """This command's flags."""
    flags.DEFINE_integer("replicas", 2, "Logical devices.", lower_bound=2)
    flags.DEFINE_integer("rounds", 5, "Timed rounds of each.", lower_bound=1)
    flags.DEFINE_list("sizes", list(SIZES), "Steps to measure.")
    flags.DEFINE_string("out", None, "Folder for replicas.json; none is written without it.")
    flags.register_validator("sizes", check_sizes)


def check_sizes(names: Sequence[str]) -> bool:
    """A flag validator: all are sizes."""
    return bool(names) and all(cli.check_one(name, SIZES) for name in names)


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    given = flags.FLAGS
    about = machine.about()
    with quiet.quiet_import():
        import tensorflow as tf
    devices = [tf.config.LogicalDeviceConfiguration()] * given.replicas
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], devices)
    # One for all: the exchanges of two strategies of a process mistake each other for their own.
    strategy = tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(given.replicas)])
    out = tables.console()
    for name in given.sizes:
        record = {**about, **measure(SIZES[name], strategy, given.rounds, logging.info)}
        show(out, name, record, given.replicas)
        if given.out is not None:
            path = pathlib.Path(given.out) / "replicas.json"
            results.update(path, {name: record}, list(SIZES))
            logging.info("written: %s", path)
    tables.show_machine(out, about)
    return 0


def measure(
    size: Size, strategy: Any, rounds: int, say: Callable[[str], None] = lambda text: None
) -> dict[str, Any]:
    """Times every contender on one device and on replicas.

    Returns:
        `{"contenders": {name: {"rounds": [seconds], "step_ms": spread, "overhead": spread}},
        "missing": {name: reason}}`; `overhead` is the time on replicas over that of the same loop
        on one device.
    """
    rng = np.random.default_rng(0)
    x = rng.normal(size=(size.batch * size.steps, size.features)).astype("float32")
    y = rng.integers(0, size.units[-1], len(x))
    runs: dict[str, Run] = {}
    missing: dict[str, str] = {}
    for name, make in CONTENDERS.items():
        for where in (None, strategy):
            if where is None and name in (BETWEEN, SHARDED):
                continue  # on one device XLA compiles the whole step, and nothing is sharded
            label = f"{name}, {ONE}" if where is None else name
            try:
                runs[label] = make(size, x, y, where)
                runs[label]()  # traces
            except ImportError as error:
                missing[name] = str(error)
                runs.pop(label, None)
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds):
        for name, run in runs.items():
            begun = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - begun)
        say(f"round {turn + 1} of {rounds}")
    return {
        "steps_per_round": size.steps,
        "batch_size": size.batch,
        "contenders": summarise(seconds, size.steps),
        "missing": missing,
    }


def summarise(seconds: Mapping[str, Sequence[float]], steps: int) -> dict[str, dict[str, Any]]:
    """The time of a step, and that on replicas over that on one device, round by round."""
    found: dict[str, dict[str, Any]] = {}
    for name, own in seconds.items():
        entry = {"rounds": list(own)}
        found[name] = entry | {"step_ms": results.spread([1e3 * s / steps for s in own])}
        base = seconds.get(f"{OURS if name in (BETWEEN, SHARDED) else name}, {ONE}")
        if base is not None:
            pairs = zip(own, base, strict=True)
            found[name]["overhead"] = results.spread([here / there for here, there in pairs])
        if (ours := seconds.get(OURS)) is not None and not name.endswith(ONE):
            pairs = zip(own, ours, strict=True)
            found[name]["of_ours"] = results.spread([here / there for here, there in pairs])
    return found


def show(out: Any, name: str, record: Mapping[str, Any], replicas: int) -> None:
    """The table."""
    made = tables.table(
        f"{name} step, batch {record['batch_size']}, {replicas} replicas, rounds of "
        f"{record['steps_per_round']} steps",
        "",
        "a step\nms",
        "x one device",
        "low .. high",
        "x ours",
    )
    for label, entry in record["contenders"].items():
        over, ours = entry.get("overhead"), entry.get("of_ours")
        made.add_row(
            label,
            f"{entry['step_ms']['median']:.3g}",
            "" if over is None else f"{over['median']:.2f}",
            "" if over is None else f"{over['low']:.2f} .. {over['high']:.2f}",
            "" if ours is None else f"{ours['median']:.2f}",
        )
    out.print(made)
    for label, reason in record["missing"].items():
        out.print(f"  {label}: {reason}")


def to_markdown(measured: Mapping[str, Any]) -> str:
    """The table of a page: a step on replicas, and how many times longer than on one device."""
    sizes = measured["workloads"]
    head = ["a step on replicas"]
    for name, record in sizes.items():
        head += [f"{name}, batch {record['batch_size']}: ms", "x one device", "low .. high"]
    rows = []
    for label in CONTENDERS:
        entries = [record["contenders"].get(label) for record in sizes.values()]
        if all(entry and "overhead" in entry for entry in entries):
            row = [label]
            for entry in entries:
                over = entry["overhead"]
                row += [f"{entry['step_ms']['median']:.3g}", f"{over['median']:.2f}"]
                row.append(tables.interval(over, ".2f"))
            rows.append(row)
    where = standing.circumstances(measured, sizes)
    return f"{tables.markdown(head, rows)}\n\n{where}"


# ---- contenders: make(size, x, y, strategy) gives what trains one round ------------------------


def _ours(size: Size, x: Any, y: Any, strategy: Any, jit: str | bool = False) -> Run:
    import layers
    import losses
    import optimizers
    from trainer import Trainer

    hidden = [layers.Dense(units, activation="relu") for units in size.units[:-1]]
    trainer = Trainer(
        layers.Sequential([*hidden, layers.Dense(size.units[-1])]),
        loss=losses.SparseCategoricalCrossentropy(from_logits=True),
        optimizer=optimizers.Adam(),
        strategy=strategy,
        jit=jit,
    )
    return lambda: trainer.fit(x, y, batch_size=size.batch, shuffle=False, verbose=0)


def _between(size: Size, x: Any, y: Any, strategy: Any) -> Run:
    return _ours(size, x, y, strategy, jit="step")


def _sharded(size: Size, x: Any, y: Any, strategy: Any) -> Run:
    from trainer import Replication

    return _ours(size, x, y, Replication(strategy, slots="sharded"))


def _fit(size: Size, x: Any, y: Any, strategy: Any) -> Run:
    import contextlib

    import keras

    with strategy.scope() if strategy else contextlib.nullcontext():
        hidden = [keras.layers.Dense(units, activation="relu") for units in size.units[:-1]]
        model = keras.Sequential([*hidden, keras.layers.Dense(size.units[-1])])
        model.compile(
            "adam",
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            # Its loop in graph (steps_per_execution) fails over replicas: like with like, neither
            # has one device.
        )
    data = _pipeline(size, x, y)
    return lambda: model.fit(data, verbose=0)


def _orbit(size: Size, x: Any, y: Any, strategy: Any) -> Run:
    import orbit
    import tensorflow as tf

    import layers
    import optimizers

    strategy = strategy or tf.distribute.OneDeviceStrategy("CPU:0")
    with strategy.scope():
        hidden = [layers.Dense(units, activation="relu") for units in size.units[:-1]]
        model = layers.Sequential([*hidden, layers.Dense(size.units[-1])])
        model(x[:1])
        optimizer = optimizers.Adam()
        optimizer.build(model.trainable_variables)
        counter = orbit.utils.create_global_step()

    def replica_step(batch: Any) -> None:
        features, labels = batch
        with tf.GradientTape() as tape:
            logits = model(features, training=True)
            each = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_sum(each) / size.batch
        gradients = tape.gradient(loss, model.trainable_variables)
        context = tf.distribute.get_replica_context()
        if context.num_replicas_in_sync > 1:
            gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        optimizer.apply(gradients, model.trainable_variables)

    class Loop(orbit.StandardTrainer):
        """Orbit's own loop in graph around the step."""

        def train_step(self, iterator: Any) -> None:
            """One step on every replica."""
            strategy.run(replica_step, args=(next(iterator),))
            counter.assign_add(1)

    data = strategy.experimental_distribute_dataset(_pipeline(size, x, y).repeat())
    loop = Loop(data)
    steps = tf.constant(size.steps)
    return lambda: loop.train(steps)


def _pipeline(size: Size, x: Any, y: Any) -> Any:
    import tensorflow as tf

    made = tf.data.Dataset.from_tensor_slices((x, y)).batch(size.batch, drop_remainder=True)
    return made.cache().prefetch(tf.data.AUTOTUNE)


CONTENDERS: dict[str, Callable[[Size, Any, Any, Any], Run]] = {
    OURS: _ours,
    BETWEEN: _between,
    SHARDED: _sharded,
    FIT: _fit,
    ORBIT: _orbit,
}


if __name__ == "__main__":
    define_flags()
    cli.run(main)
