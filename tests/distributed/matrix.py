"""Each workload over 1, 2, 4 devices and 2 processes, in every way: as one device trains it.

Every case trains 100 steps, every fourth of them on the ragged end of an epoch, and is compared
with one device in the same mode: all weights, slots, averages and statistics. `pairs` chooses a few
cases in which any two choices meet, for the tests; `python -m benchmarks.exactness` trains all.
"""

from __future__ import annotations

import functools
import itertools
from typing import NamedTuple

import tensorflow as tf

import layers
from tests.distributed import worker, workloads
from trainer import LossScale, Precision

REPLICAS = {"1": 1, "2": 2, "4": 4, "workers": 2}
MODES = ("graph", "step", "loop")


class Case(NamedTuple):
    """One way of training one workload; `clip` is the optimizer's `global_clipnorm`."""

    workload: str
    where: str
    mode: str
    accumulate: int
    clip: float | None
    precision: str

    @property
    def name(self):
        """For people and files."""
        return "-".join(map(str, self))

    @property
    def whole(self):
        """Whether statistics of the whole batch are taken, which cannot be had in parts."""
        return self.workload == "cnn" and self.mode != "step"

    @property
    def close(self):
        """The largest distance from one device that is rounding.

        Sums of a replica's rows are rounded to float16 by themselves: one device does the same
        where it takes the batch in as many parts (`alone`). Where it cannot, a last bit of float16
        (5e-4 of a gradient of 1) remains in each of 100 steps of 0.1 (1e-2, with momentum).
        """
        rounded = self.precision == "float16" and self.whole and self.where != "1"
        return 1e-2 if rounded else 1e-6


def everything():
    """All cases there are: XLA compiles no loop around an exchange of several replicas."""
    ways = itertools.product(
        workloads.WORKLOADS,
        REPLICAS,
        MODES,
        (1, 2),
        (None, 0.05),
        ("float32", "scaled", "float16"),
    )
    cases = [Case(*way) for way in ways]
    return [case for case in cases if case.mode != "loop" or REPLICAS[case.where] == 1]


def pairs(cases):
    """A few of the cases, in which any two choices that go together do so at least once."""

    def of(case):
        return set(itertools.combinations(enumerate(case), 2))

    left, chosen = set().union(*map(of, cases)), []
    while left:
        best = max(cases, key=lambda case: len(of(case) & left))
        left -= of(best)
        chosen.append(best)
    return chosen


def train(case, strategy=None, parts=1):
    """Weights and history of a case; in so many more parts, on one device without a strategy."""
    how = {"clip": case.clip}
    if case.workload == "cnn" and not case.whole:
        # XLA compiles what lies between two exchanges, so there can be none amid it.
        how["norm"] = lambda: layers.GroupNormalization(groups=3)
    # Over replicas what flows back is divided by the rows of all, in parts by a part's.
    scale = LossScale(2.0**10 / parts)
    precision = {
        "float32": None,
        "scaled": Precision("float32", loss_scale=scale),
        "float16": Precision("float16", loss_scale=scale),
    }[case.precision]
    _, history, found = workloads.train(
        case.workload,
        strategy,
        how=how,
        rows=56 if case.precision == "float16" else workloads.ROWS,  # the same sums by parts
        jit={"graph": False}.get(case.mode, case.mode),
        accumulate=case.accumulate * parts,
        precision=precision,
    )
    for name, values in history.steps.items():
        assert not name.endswith("skipped") or not values.any()
    return found, history.steps


def alone(case):
    """Weights and history of one device; see `Case.close`."""
    divides = case.precision == "float16" and not case.whole
    return _alone(case._replace(where="1"), REPLICAS[case.where] if divides else 1)


@functools.cache
def _alone(case, parts):
    return train(case, None, parts)


def four_devices():
    """Makes four logical devices of the processor; before TensorFlow has started."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    devices = [tf.config.LogicalDeviceConfiguration()] * 4
    tf.config.set_logical_device_configuration(cpu, devices)


def mirrored(count):
    """A strategy of so many logical CPUs.

    One of them adds up: groups of collective operations of several sizes exclude each other within
    a process.
    """
    names = [device.name for device in tf.config.list_logical_devices("CPU")[:count]]
    return tf.distribute.MirroredStrategy(names, tf.distribute.ReductionToOneDevice())


def of_workers(cases, folder, seconds=240):
    """Two processes train the cases within so long, and each leaves a file for each of them."""
    (folder / "cases.txt").write_text("\n".join(case.name for case in cases))
    worker.run("cases", folder, seconds)
