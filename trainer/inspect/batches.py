"""batch_size_range: examples a second at growing batch sizes; gradient_noise: how large pays."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import tensorflow as tf

from trainer.data.segment import Segment
from trainer.inspect import plots
from trainer.inspect.data_checks import draw
from trainer.inspect.patient import Patient, name_of
from trainer.inspect.training_checks import same_batch

if TYPE_CHECKING:
    from trainer.trainer import Trainer

_NEAR = 0.9  # of the best speed counts as the best


class BatchRange(NamedTuple):
    """Speeds at growing batch sizes.

    Attributes:
        sizes: rows of a batch.
        examples_per_second: of each.
        failed: the size that did not fit into memory, None if all did.
    """

    sizes: list[int]
    examples_per_second: list[float]
    failed: int | None

    @property
    def suggestion(self) -> int:
        """The smallest size within a tenth of the best speed."""
        enough = _NEAR * max(self.examples_per_second)
        pairs = zip(self.sizes, self.examples_per_second, strict=True)
        return next(size for size, speed in pairs if speed >= enough)

    def plot(self, path: Any) -> None:
        """Draws the speeds over the sizes to a file."""
        made = plots.figure()
        axes = made.subplots()
        axes.plot(self.sizes, self.examples_per_second, "o-", color="tab:blue")
        axes.axvline(self.suggestion, color="tab:green", linestyle="--", linewidth=1)
        axes.set_xscale("log", base=2)
        axes.set_xticks(self.sizes, [str(size) for size in self.sizes])
        axes.set_ylim(bottom=0)
        plots.plain(axes, title="speed by batch size", x="rows of a batch", y="examples a second")
        plots.write(made, path)


def batch_size_range(
    trainer: Trainer,
    x: Any,
    y: Any = None,
    *,
    smallest: int = 8,
    largest: int = 1024,
    seconds: float = 1.0,
) -> BatchRange:
    """Times training steps on one batch of each size, doubling, compiled as the trainer compiles.

    Args:
        trainer: whose task is trained, on a scratch copy.
        x: arrays, as for `fit`.
        y: targets.
        smallest: the first batch size.
        largest: the last at most; sizes beyond the number of examples are left out.
        seconds: for each size, compilation left out.
    """
    sizes, speeds, failed = [], [], None
    size = smallest
    while size <= largest:
        with trainer.scratch() as trial:
            trial.programs.divides, trial.programs.steps.parts = False, trainer.accumulate
            source = trial.prepare(x, y, batch_size=size)
            try:
                batch = next(draw(source))
                if int(tf.nest.flatten(batch)[0].shape[0]) < size * trainer.accumulate:
                    break
                speeds.append(_speed(trial, batch, size * trainer.accumulate, seconds))
            except tf.errors.ResourceExhaustedError:
                failed = size
                break
            finally:
                source.close()
        sizes.append(size)
        size *= 2
    if not sizes:
        raise ValueError(
            f"smallest={smallest}: there are fewer examples than that, or it needs more memory "
            "than there is."
        )
    return BatchRange(sizes, speeds, failed)


def _speed(trial: Trainer, batch: Any, rows: int, seconds: float) -> float:
    """Examples a second."""
    segment = Segment(batch, 2**20, rows, False)
    loop = trial.programs.loop("train", same_batch, segment, 1000)
    loop(segment.args, 0, 1)
    n, made, begun = 1, 0, time.perf_counter()
    while (passed := time.perf_counter() - begun) < seconds:
        made += loop(segment.args, 0, n).steps
        n = min(loop.capacity, 2 * n)
    return made * rows / passed


class GradientNoise(NamedTuple):
    """How much gradients of single examples scatter about their mean.

    Attributes:
        scale: tr(S) / |G|^2, in examples: McCandlish et al. 2018's B_simple. Batches far below it
            are mostly noise, batches far above it mostly waste.
        by_variable: path -> the same of that variable alone.
        gradient: |G|^2, the squared norm of the true gradient, estimated.
        scatter: tr(S), the trace of the covariance of one example's gradient, estimated.
    """

    scale: float
    by_variable: dict[str, float]
    gradient: float
    scatter: float

    def plot(self, path: Any) -> None:
        """Draws the scales by variable to a file."""
        known = {k: v for k, v in self.by_variable.items() if np.isfinite(v) and v > 0}
        made = plots.figure(height=1.2 + 0.25 * len(known))
        axes = made.subplots()
        axes.barh(list(known), list(known.values()), color="tab:blue")
        axes.axvline(self.scale, color="tab:green", linestyle="--", linewidth=1)
        axes.invert_yaxis()
        axes.set_xlim(left=0)
        plots.plain(axes, title="gradient noise scale", x="examples")
        plots.write(made, path)


def gradient_noise(
    trainer: Trainer,
    x: Any,
    y: Any = None,
    *,
    batch_size: int | None = None,
    batches: int = 16,
) -> GradientNoise:
    """Estimates the gradient noise scale at the present weights, without bias in its two parts.

    From the gradients of `batches` batches of b rows and from their mean, one of B = batches * b
    rows (McCandlish et al. 2018, appendix A.1):

        |G|^2 = (B |g_B|^2 - b mean |g_b|^2) / (B - b)
        tr(S) = (mean |g_b|^2 - |g_B|^2) / (1/b - 1/B)

    Where the estimate of |G|^2 is not above 0, the gradient is lost in the noise and the scale is
    infinite: take more batches.

    Args:
        trainer: whose task is looked at; nothing is updated.
        x: inputs, or a stream, as for `fit`.
        y: targets, for arrays.
        batch_size: b, as for `fit`.
        batches: how many; all of equal size.

    Raises:
        ValueError: there are fewer than two batches of one size.
    """
    found: list[dict[str, np.ndarray]] = []
    with trainer.scratch(jit=False) as trial:
        source = trial.prepare(x, y, batch_size=batch_size)
        try:
            rows = 0
            for batch in itertools.islice(draw(source), batches):
                patient = Patient(trial.task, trial.programs, batch)
                rows = rows or patient.rows
                if patient.rows == rows:
                    found.append(_gradients(patient))
        finally:
            source.close()
    if len(found) < 2:
        raise ValueError(f"{len(found)} batches of {rows} rows: two or more are needed.")
    parts = {k: _estimate([g[k] for g in found], rows) for k in found[0]}
    gradient, scatter = (sum(p[i] for p in parts.values()) for i in (0, 1))
    by_variable = {k: _scale(*p) for k, p in parts.items()}
    return GradientNoise(_scale(gradient, scatter), by_variable, gradient, scatter)


def _gradients(patient: Patient) -> dict[str, np.ndarray]:
    found = {}
    for call in patient.minimized(patient.batch):
        for variable, gradient in zip(call.variables, call.gradients, strict=True):
            if gradient is not None:
                values = tf.convert_to_tensor(gradient).numpy()
                found[name_of(patient.task, variable)] = values.astype(np.float64)
    return found


def _estimate(gradients: list[np.ndarray], b: int) -> tuple[float, float]:
    """|G|^2 and tr(S) of one variable."""
    big = b * len(gradients)
    small_square = float(np.mean([np.sum(g**2) for g in gradients]))
    big_square = float(np.sum(np.mean(gradients, axis=0) ** 2))
    gradient = (big * big_square - b * small_square) / (big - b)
    scatter = (small_square - big_square) / (1.0 / b - 1.0 / big)
    return gradient, scatter


def _scale(gradient: float, scatter: float) -> float:
    return scatter / gradient if gradient > 0 else float("inf")
