"""Each training over 1, 2, 4 devices and 2 processes, in every way: as one device trains it.

Every case trains 100 steps, every fourth of them on the ragged end of an epoch, and is compared
with one device in the same mode: all weights, slots, averages and statistics. `pairs` chooses a few
cases in which any two choices meet, for the tests; `python -m benchmarks.exactness` trains all.
"""

from __future__ import annotations

import functools
import itertools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

import layers
from benchmarks.replicated import trainings, workers
from trainer import LossScale, Precision
from trainer.distribution import replicas

REPLICAS = {"1": 1, "2": 2, "4": 4, "workers": 2}
MODES = ("graph", "step", "loop")
Weights = Mapping[str, Any]  # NumPy arrays


class Case(NamedTuple):
    """One way of training one workload; `clip` is the optimizer's `global_clipnorm`."""

    workload: str
    where: str
    mode: str
    accumulate: int
    clip: float | None
    precision: str

    @property
    def name(self) -> str:
        """For people and files."""
        return "-".join(map(str, self))

    @property
    def whole(self) -> bool:
        """Whether statistics of the whole batch are taken, which cannot be had in parts."""
        return self.workload == "cnn" and self.mode != "step"

    @property
    def rounded(self) -> bool:
        """Whether float16 rounds other sums than on one device.

        Sums of a replica's rows are rounded to float16 by themselves: one device does the same
        where it takes the batch in as many parts (`alone`), which these cases cannot be.
        """
        return self.precision == "float16" and self.whole and self.where != "1"

    @property
    def close(self) -> float:
        """The largest distance from one device that is rounding.

        Where float16 rounds other sums, the yardstick is `nudged`: one device against itself, with
        one pixel of one image moved by one unit of float16, ends up to 1.6e-4 away, and replicas
        end 1.1e-4 away. They are trained with tanh: the kink of relu makes of such a last bit a
        gradient that is there or not, and then both end up to 4e-2 away within the 100 steps.
        """
        return 1e-3 if self.rounded else 1e-6


def everything() -> list[Case]:
    """All cases there are: XLA compiles no loop around an exchange of several replicas."""
    ways = itertools.product(
        trainings.TRAININGS,
        REPLICAS,
        MODES,
        (1, 2),
        (None, 0.05),
        ("float32", "scaled", "float16"),
    )
    cases = [Case(*way) for way in ways]
    return [case for case in cases if case.mode != "loop" or REPLICAS[case.where] == 1]


def pairs(cases: Sequence[Case]) -> list[Case]:
    """A few of the cases, in which any two choices that go together do so at least once."""

    def of(case: Case) -> set[Any]:
        return set(itertools.combinations(enumerate(case), 2))

    left, chosen = set().union(*map(of, cases)), []
    while left:
        best = max(cases, key=lambda case: len(of(case) & left))
        left -= of(best)
        chosen.append(best)
    return chosen


def train(
    case: Case, strategy: Any = None, parts: int = 1, nudge: bool = False
) -> tuple[Weights, Mapping[str, np.ndarray]]:
    """Weights and history of a case.

    Args:
        case: what to train.
        strategy: over which replicas; None: on one device.
        parts: takes a batch in so many more parts, on one device without a strategy.
        nudge: moves the first number of the data by one unit of float16.
    """
    how: dict[str, Any] = {"clip": case.clip}
    if case.workload == "cnn" and not case.whole:
        # XLA compiles what lies between two exchanges, so there can be none amid it.
        how["norm"] = lambda: layers.GroupNormalization(groups=3)
    if case.rounded:
        how["activation"] = "tanh"
    # Over replicas what flows back is divided by the rows of all, in parts by a part's.
    scale = LossScale(2.0**10 / parts)
    precision = {
        "float32": None,
        "scaled": Precision("float32", loss_scale=scale),
        "float16": Precision("float16", loss_scale=scale),
    }[case.precision]
    _, history, found = trainings.train(
        case.workload,
        strategy,
        how=how,
        rows=56 if case.precision == "float16" else trainings.ROWS,  # the same sums by parts
        nudge=nudge,
        jit={"graph": False}.get(case.mode, case.mode),
        accumulate=case.accumulate * parts,
        precision=precision,
    )
    for name, values in history.steps.items():
        if name.endswith("skipped") and values.any():
            raise RuntimeError(f"{case.name}: updates were left out")
    return found, history.steps


def alone(case: Case) -> tuple[Weights, Mapping[str, np.ndarray]]:
    """Weights and history of one device; see `Case.rounded`."""
    divides = case.precision == "float16" and not case.whole
    return _alone(_placeless(case), REPLICAS[case.where] if divides else 1)


def nudged(case: Case) -> float:
    """How far one device ends from itself where one number differs by one unit of float16."""
    return trainings.distance(_nudged(_placeless(case)), alone(case)[0])


def _placeless(case: Case) -> Case:
    """The same for all cases that are compared with the same training of one device."""
    return case._replace(where="2" if case.rounded else "1")


@functools.cache
def _alone(case: Case, parts: int) -> tuple[Weights, Mapping[str, np.ndarray]]:
    return train(case, None, parts)


@functools.cache
def _nudged(case: Case) -> Weights:
    return train(case, nudge=True)[0]


def four_devices() -> None:
    """Makes four logical devices of the processor; before TensorFlow has started."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    devices = [tf.config.LogicalDeviceConfiguration()] * 4
    tf.config.set_logical_device_configuration(cpu, devices)


def mirrored(count: int) -> Any:
    """A strategy of so many logical CPUs.

    One of them adds up: groups of collective operations of several sizes exclude each other within
    a process.
    """
    names = [device.name for device in tf.config.list_logical_devices("CPU")[:count]]
    return tf.distribute.MirroredStrategy(names, tf.distribute.ReductionToOneDevice())


def of_workers(cases: Sequence[Case], folder: pathlib.Path, seconds: float = 240) -> None:
    """Two processes train the cases within so long; each leaves files as `trained_by` reads."""
    name_cases(cases, folder)
    workers.run("benchmarks.replicated.matrix:train_named", folder, seconds=seconds)


def name_cases(cases: Sequence[Case], folder: pathlib.Path) -> None:
    """Leaves word in a folder of what `train_named` is to train."""
    (folder / "cases.txt").write_text("\n".join(case.name for case in cases), encoding="utf-8")


def train_named(strategy: Any, folder: pathlib.Path) -> None:
    """What each of the processes does."""
    number = replicas.worker_index(strategy)
    known = {case.name: case for case in everything()}
    for name in (folder / "cases.txt").read_text(encoding="utf-8").split():
        np.savez(folder / f"{name}-{number}.npz", **train(known[name], strategy)[0])


def trained_by(worker: int, name: str, folder: pathlib.Path) -> Weights:
    """The weights that one of the processes left under a name."""
    return dict(np.load(folder / f"{name}-{worker}.npz"))
