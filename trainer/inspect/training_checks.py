"""The doctor's check that training works at all: one batch can be overfitted."""

from __future__ import annotations

import math
import time
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from trainer.data.segment import Segment
from trainer.inspect.findings import Finding
from trainer.inspect.patient import Patient
from trainer.precision.check import leftovers
from trainer.precision.policy import HALVES, computes_in, meant_float32

_SECONDS = 4.0
_MOST_STEPS = 400
_AT_ONCE = 20
_LEARNED, _HARDLY = 0.5, 0.95  # share of the first loss that is left


class Trial(NamedTuple):
    """What training on one batch gave.

    Attributes:
        losses: `[n]`, of each step.
        step_seconds: of one step, compilation left out.
        graph: of a step, as it was traced.
    """

    losses: np.ndarray
    step_seconds: float
    graph: tf.Graph


def train_on_one(patient: Patient) -> Trial:
    """Trains on the batch until the loss is a fifth, or steps or seconds are used up."""
    segment = Segment(patient.batch, _MOST_STEPS, patient.rows, False)
    loop = patient.programs.loop("train", same_batch, segment, _MOST_STEPS)
    losses: list[float] = []
    begun, compiled = time.perf_counter(), 0.0
    while len(losses) < _MOST_STEPS and time.perf_counter() - begun - compiled < _SECONDS:
        n = _AT_ONCE if losses else 1
        columns = loop(segment.args, 0, n)
        if not losses:
            compiled = time.perf_counter() - begun
        sums = next(iter(columns.sums.values()))
        with np.errstate(invalid="ignore", divide="ignore"):
            losses += list(sums.total / sums.count)
        if not math.isfinite(losses[-1]) or losses[-1] < 0.2 * losses[0]:
            break
    after = max(1, len(losses) - 1)
    seconds = (time.perf_counter() - begun - compiled) / after
    return Trial(np.array(losses), seconds, loop.trace(segment.args))


def precise(patient: Patient, graph: tf.Graph) -> Finding:
    """Whether products are computed in the precision that was asked for."""
    name = "precision"
    asked = patient.programs.computing.precision
    if asked is not None and asked.compute_dtype == "float32":
        return Finding(name, "pass", "float32, as asked for")
    if asked is None:  # each layer computes in what it was set to by its owner
        dtype = " and ".join(d for d in HALVES if computes_in(patient.task, d))
        if not dtype:
            return Finding(name, "pass", "float32, as no other was asked for")
        whose = "every product of layers that are set to it"
    else:
        dtype, whose = asked.compute_dtype, "every product"
    found = leftovers(graph, meant_float32(asked, patient.task))
    if not found:
        return Finding(name, "pass", f"{whose} is computed in {dtype}")
    return Finding(
        name,
        "fail",
        f"{dtype} was asked for, and still in float32: "
        + "; ".join(f"{layer}: {what} ({times} times)" for layer, what, times in found),
        "cast what is fed to these products, or name the layer in Precision(keep=...)",
    )


def same_batch(args: Any, i: tf.Tensor, rows: int) -> Any:
    """A `fetch` that gives the same batch at each step."""
    return args


def overfits(patient: Patient, trial: Trial, minimizes: int) -> Finding:
    """Whether the loss of one batch goes down when it is trained on over and over."""
    name = "overfits a batch"
    losses = trial.losses
    steps = f"{len(losses)} updates on one batch of {patient.rows}"
    if not np.isfinite(losses).all():
        bad = int(np.argmin(np.isfinite(losses)))
        return Finding(
            name,
            "fail",
            f"{steps}: the loss is {losses[bad]} at update {bad + 1}, from {losses[0]:.4g}",
            "a smaller learning rate (see learning_rate_range), clipping, or a warm-up",
        )
    if minimizes != 1:
        return Finding(name, "skip", f"{minimizes} losses are minimized by turns; none must fall")
    last = float(np.median(losses[-5:]))
    said = f"{steps}: the loss goes from {losses[0]:.4g} to {last:.4g}"
    left = last / losses[0] if losses[0] > 0 else (1.0 if last >= losses[0] else 0.0)
    if left < _LEARNED:
        return Finding(name, "pass", said)
    return Finding(
        name,
        "warn" if left < _HARDLY else "fail",
        said,
        "the sign of the loss, a learning rate that is too small or too large (see "
        "learning_rate_range), inputs that do not go with their targets, frozen layers",
    )
