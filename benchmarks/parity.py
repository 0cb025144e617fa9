"""Trains workloads twice on the same batches, by the Trainer and without it, and compares.

The other one is Keras `fit`, or the hand-written loop where `fit` cannot say the step; both begin
from the same weights and see the same batches in the same order. As a measure of what rounding does
by itself, the other one is run again from weights that are moved by a ten-millionth, three times:
what the furthest of them does stands beside it. Averages that move along, such as those of
BatchNormalization, are compared apart from weights. Prints a
table, puts each workload into parity.json beside those that the file has, and draws parity.png.

    python -m benchmarks.parity --workloads=digits,vae --steps=1000 --out=benchmarks/results
"""

from __future__ import annotations

import pathlib
import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from absl import flags, logging

from benchmarks import cli, machine, plot, results, standing, tables, workloads
from benchmarks.data import Data
from benchmarks.showcase import largest_difference

MARKS = (1, 100, 1000)  # after these updates weights are compared
MOVED = 1e-7  # by which share of itself each weight of the second start differs
POINTS = 200  # of a curve are kept
TWINS = 3  # so many starts are moved; what is kept of them is the largest
OURS, OTHER, AGAIN = "ours", "other", "other, moved"


class Course(NamedTuple):
    """How a training went: the loss of each step, and the weights after some of them."""

    losses: list[float]
    weights: dict[int, list[np.ndarray]]
    trained: list[bool]


def define_flags() -> None:
    """This command's flags."""
    flags.DEFINE_list("workloads", list(workloads.WORKLOADS), "What to train.")
    flags.DEFINE_integer("steps", MARKS[-1], "Updates of each training.", lower_bound=1)
    flags.DEFINE_float(
        "seconds",
        90.0,
        "Where updates are so slow that one training would take longer, fewer are made.",
        lower_bound=1.0,
    )
    flags.DEFINE_string("data_dir", None, cli.DATA_DIR)
    flags.DEFINE_integer("seed", 0, "Of the initial weights.")
    flags.DEFINE_string("out", "results", "Folder for parity.json and parity.png.")
    flags.register_validator("workloads", cli.check_workloads)


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    given = flags.FLAGS
    path = pathlib.Path(given.out) / "parity.json"
    left_out: list[str] = []
    for name in given.workloads:
        workload = workloads.get(name, workloads.get(name).calm)
        try:
            data = workload.data(given.data_dir)
        except FileNotFoundError as error:
            logging.error("%s is left out: %s", name, error)
            left_out.append(name)
            continue
        record = measure(workload, data, given.steps, seconds=given.seconds, seed=given.seed)
        results.update(path, {name: record}, order=list(workloads.WORKLOADS))
        logging.info("%s: %s", name, said(record))
    if len(left_out) == len(given.workloads):
        return 1
    measured = results.load(path)
    out = tables.console()
    show(out, measured)
    tables.show_machine(out, machine.about())
    try:
        draw(measured, path.with_suffix(".png"))
    except ImportError as error:
        logging.warning("no picture: %s", error)
    return 1 if left_out else 0


def measure(
    workload: workloads.Workload, data: Data, steps: int, *, seconds: float, seed: int = 0
) -> dict[str, Any]:
    """Trains a workload, its other one, and `TWINS` of that from weights that are moved.

    Returns:
        `differences`, mark -> the largest difference of any weight of ours from the other's, and
        the largest that the twins have; `averages`, the same of what moves along with training,
        where there is any; `most`, what 99.9 % of the weights keep within in the end;
        `loss_difference`, the largest between the losses of a step, as a share;
        `curves`, the losses of ours, of the other one and of the first twin.
    """
    weights = workload.initial_weights(data, seed)
    made = _enough(by_trainer(workload, data, weights), steps, seconds)

    def other(start: Sequence[np.ndarray]) -> Course:
        by = by_fit if isinstance(workload, workloads.Supervised) else by_hand
        course = by(workload, data, start)(len(made.losses))
        return course._replace(trained=made.trained)

    base = other(weights)
    twins = [other(start) for start in moved(weights, TWINS, seed)]
    courses = {OURS: [made], AGAIN: twins}
    last = max(base.weights)

    def largest(measured: Callable[[Course], Any]) -> dict[str, Any]:
        """What is measured of ours, and the largest of the twins."""
        return {name: _largest([measured(c) for c in group]) for name, group in courses.items()}

    def apart(course: Course, trained: bool) -> dict[str, float]:
        return {
            str(mark): largest_difference(_kind(course, mark, trained), _kind(base, mark, trained))
            for mark in base.weights
        }

    return {
        "title": workload.title,
        "against": "fit" if isinstance(workload, workloads.Supervised) else "hand",
        "steps": len(made.losses),
        "twins": len(twins),
        **machine.about(),
        "most": largest(lambda c: most_within(_kind(c, last, True), _kind(base, last, True))),
        "differences": largest(lambda c: apart(c, True)),
        **({} if all(made.trained) else {"averages": largest(lambda c: apart(c, False))}),
        "loss_difference": largest(
            lambda c: float(np.max(np.abs(np.divide(c.losses, base.losses) - 1)))
        ),
        "curves": {
            name: _thinned(course.losses)
            for name, course in ((OURS, made), (OTHER, base), (AGAIN, twins[0]))
        },
    }


def moved(weights: Sequence[np.ndarray], times: int, seed: int) -> list[list[np.ndarray]]:
    """Weights that differ from these by a ten-millionth each, up or down."""
    rng = np.random.default_rng(seed)
    return [
        [
            w * (1 + MOVED * rng.choice([-1, 1], w.shape)).astype(w.dtype)
            if np.issubdtype(w.dtype, np.floating)
            else w
            for w in weights
        ]
        for _ in range(times)
    ]


def _kind(course: Course, mark: int, trained: bool) -> list[np.ndarray]:
    """The weights after so many steps, or what else the models hold."""
    pairs = zip(course.weights[mark], course.trained, strict=True)
    return [value for value, is_trained in pairs if is_trained == trained]


def _largest(values: Sequence[Any]) -> Any:
    """The largest of numbers, or of each entry of mappings."""
    if isinstance(values[0], dict):
        return {key: max(value[key] for value in values) for key in values[0]}
    return max(values)


def most_within(a: Sequence[np.ndarray], b: Sequence[np.ndarray]) -> float:
    """The difference that 99.9 % of the weights of two models stay below."""
    found = np.concatenate([np.abs(x - y).ravel() for x, y in zip(a, b, strict=True)])
    return float(np.quantile(found, 0.999))


# Each way to train: `run(steps)` goes on to that step and tells the whole course so far.


def by_trainer(
    workload: workloads.Workload, data: Data, weights: Sequence[np.ndarray]
) -> Callable[[int], Course]:
    """The Trainer, its step compiled as a plain graph."""
    trainer = workload.trainer(data, weights, jit=False)
    course = Course([], {}, [])

    def run(steps: int) -> Course:
        for mark in _marks(steps, after=len(course.losses)):
            history = workload.fit(trainer, data, steps=mark, shuffle=False, verbose=0)
            columns = [history.steps[k] for k in history.steps if k.endswith("loss")]
            course.losses.extend(map(float, np.sum(columns, axis=0)))
            course.weights[mark] = workload.get_weights(trainer)
            course.trained[:] = workload.trained(trainer)
        return course

    return run


def by_fit(workload: Any, data: Data, weights: Sequence[np.ndarray]) -> Callable[[int], Course]:
    """Keras `fit`, with a callback that keeps each batch's own loss apart."""
    import keras

    model = workload.keras_model()
    model.set_weights(weights)
    model.compile(
        optimizer=workload.keras_optimizer(), loss=workload.keras_loss(), jit_compile=False
    )
    course = Course([], {}, [])

    class Keep(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            self.model.reset_metrics()  # else what follows is the mean of the epoch so far

        def on_train_batch_end(self, batch, logs=None):
            course.losses.append(float(logs["loss"]))

    def run(steps: int) -> Course:
        for mark in _marks(steps, after=len(course.losses)):
            batches = _batches(workload, data, skip=len(course.losses)).take(
                mark - len(course.losses)
            )
            model.fit(batches, epochs=1, shuffle=False, verbose=0, callbacks=[Keep()])
            course.weights[mark] = model.get_weights()
        return course

    return run


def by_hand(
    workload: workloads.Workload, data: Data, weights: Sequence[np.ndarray]
) -> Callable[[int], Course]:
    """The workload's own step with a tape."""
    import tensorflow as tf

    from trainer.random import Seeds

    written = workload.by_hand(data, weights)
    course = Course([], {}, [])

    @tf.function(reduce_retracing=True)
    def step(number: tf.Tensor, *batch: tf.Tensor) -> tf.Tensor:
        found = written.step(batch if len(batch) > 1 else batch[0], Seeds(0, number))
        return tf.add_n([value for name, value in found.items() if name.endswith("loss")])

    def run(steps: int) -> Course:
        batches = iter(_batches(workload, data, skip=len(course.losses)))
        for mark in _marks(steps, after=len(course.losses)):
            while len(course.losses) < mark:
                number = tf.constant(len(course.losses), tf.int64)
                course.losses.append(float(step(number, *next(batches))))
            course.weights[mark] = written.get_weights()
        return course

    return run


def _batches(workload: workloads.Workload, data: Data, *, skip: int) -> Any:
    """The batches in order, over and over, after the first `skip`."""
    import tensorflow as tf

    arrays = tuple(array for array in data.head(len(data.x_train)) if array is not None)
    dataset = tf.data.Dataset.from_tensor_slices(arrays).batch(workload.batch_size).repeat()
    return dataset.skip(skip)


def _marks(steps: int, *, after: int) -> list[int]:
    return sorted({mark for mark in (*MARKS, steps) if after < mark <= steps})


def _enough(run: Callable[[int], Course], steps: int, seconds: float) -> Course:
    """Runs as many steps as asked for, or fewer marks where that would take too long."""
    course = run(min(steps, MARKS[0]))  # compiles
    for mark in MARKS[1:]:
        if len(course.losses) >= steps:
            break
        begun = time.perf_counter()
        pace = run(min(steps, len(course.losses) + 5))
        for_one = (time.perf_counter() - begun) / 5
        course = pace
        if for_one * min(steps, mark) > seconds:
            break
        course = run(min(steps, mark))
    return course


def _thinned(losses: Sequence[float]) -> dict[str, list[float]]:
    """Evenly spread steps, and the mean loss of those since the one before."""
    ends = np.unique(np.linspace(1, len(losses), min(POINTS, len(losses))).astype(int))
    parts = np.split(np.asarray(losses), ends[:-1])
    return {
        "steps": [int(end) for end in ends],
        "losses": [float(f"{np.mean(part):.6g}") for part in parts],
    }


# What is said of it.

HEADINGS = (
    "against",
    *(f"after {mark:,}" for mark in MARKS),
    "99.9 % within",
    "its twins'",
    "averages (twins')",
    "a step's loss",
    "steps",
)


def cells(record: Mapping[str, Any]) -> list[str]:
    """A row: largest differences of a weight, of the moved start, and of a loss."""
    own, moved = (record["differences"][name] for name in (OURS, AGAIN))
    last = max(map(int, own))
    marks = [f"{own[str(mark)]:.1e}" if str(mark) in own else "" for mark in MARKS]
    if last not in MARKS:
        marks[[mark < last for mark in MARKS].index(False)] = f"{own[str(last)]:.1e} ({last})"
    return [
        tables.label(record["against"]),
        *marks,
        f"{record['most'][OURS]:.1e}",
        f"{moved[str(last)]:.1e}{'' if record.get('twins') == TWINS else ' (one)'}",
        _averages(record, last),
        f"{record['loss_difference'][OURS]:.1e}",
        f"{record['steps']:,}",
    ]


def _averages(record: Mapping[str, Any], last: int) -> str:
    """By how much moving averages differ in the end, and those of the twins."""
    if "averages" not in record:
        return ""
    own, moved = (record["averages"][name][str(last)] for name in (OURS, AGAIN))
    return f"{own:.0e} ({moved:.0e})"


def said(record: Mapping[str, Any]) -> str:
    """A row in words."""
    return ", ".join(f"{head} {cell}" for head, cell in zip(HEADINGS, cells(record), strict=True))


def show(out: Any, measured: Mapping[str, Any]) -> None:
    """The table for a terminal."""
    head = (textwrap.fill(heading, 12) for heading in HEADINGS)
    made = tables.table("The largest difference of any weight from the other's", "", *head)
    for name, record in measured["workloads"].items():
        made.add_row(name, *cells(record))
    out.print(made)
    out.print(
        "  99.9 % within: what all weights but one in a thousand differ by in the end, at most\n"
        "  its twins': of the other one, begun from weights that differ by a ten-millionth, the\n"
        "  largest of three\n"
        "  a step's loss: the largest difference over all steps, as a share of the loss\n"
    )


def to_markdown(measured: Mapping[str, Any]) -> str:
    """The table for a page."""
    records = measured["workloads"]
    lines = [[f"`{name}`", *cells(record)] for name, record in records.items()]
    table = tables.markdown(["workload", *HEADINGS], lines)
    return f"{table}\n\n{standing.circumstances(measured, records)}"


def draw(measured: Mapping[str, Any], path: pathlib.Path) -> None:
    """A small picture for each workload: both curves of the loss.

    Raises:
        ImportError: matplotlib is missing; says how to get it.
    """
    pyplot = plot.load_pyplot()
    records = measured["workloads"]
    across = min(4, len(records))
    down = -(-len(records) // across)
    figure, grid = pyplot.subplots(
        down, across, figsize=(3.2 * across, 2.3 * down + 0.4), squeeze=False, layout="constrained"
    )
    for axis in grid.flat[len(records) :]:
        axis.set_visible(False)
    for axis, (name, record) in zip(grid.flat, records.items(), strict=False):
        for course, style in (
            (OTHER, {"color": plot.OTHERS, "linewidth": 4}),
            (OURS, {"color": plot.OURS, "linewidth": 1.2}),
        ):
            curve = record["curves"][course]
            axis.plot(curve["steps"], curve["losses"], **style)
        against = tables.label(record["against"])
        axis.set_title(f"{name}, against {against}", loc="left", fontsize=9, color=plot.INK)
        axis.tick_params(labelsize=7, colors=plot.INK)
        axis.spines[["top", "right"]].set_visible(False)
    figure.supxlabel("step", fontsize=9, color=plot.INK)
    figure.supylabel("loss of a step", fontsize=9, color=plot.INK)
    figure.suptitle("Ours (thin) on the other one's curve (thick)", x=0.01, ha="left", fontsize=11)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


if __name__ == "__main__":
    define_flags()
    cli.run(main)
