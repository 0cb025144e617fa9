"""TensorBoard: what a run does at every step, and what it is, as event files."""

from __future__ import annotations

import os
import time
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from trainer import state
from trainer.callbacks.base import Callback, Control, Report, Run
from trainer.callbacks.tensorboard import about, pictures, projector, summaries
from trainer.callbacks.tensorboard.writer import Events, Job, Scalars, Writer, from_plain, to_plain
from trainer.callbacks.triggers import Every, Trigger, Validated
from trainer.instruments import Histograms, Instrument, Norms
from trainer.instruments.histograms import edges
from trainer.learning_rates import is_rate
from trainer.metrics import PRCurve

TRAIN, VALIDATION = "train", "validation"  # folders below that of the run
LAYOUT = {
    "Training": {
        "loss": ["^loss$", "^epoch/loss$"],
        "learning rate": ["learning_rate$"],
    },
    "Health": {
        "update / weight": ["^update_ratio/"],
        "gradient norms": ["^gradient_norm"],
        "weight norms": ["^weight_norm/"],
        "loss scale": ["loss_scale$"],
        "steps a second": ["^speed/steps_per_second$"],
        "where time went": ["^speed/.*_share$"],
    },
}


class TensorBoard(Callback):
    """Writes each step's values, the means of each epoch, validations, and what the run is.

    Of Keras's arguments `log_dir`, `histogram_freq`, `write_graph` and `update_freq` are here, the
    last with "batch" as its default: all steps come out of the compiled loop together. Others are
    not, on purpose: `write_images` (weights as images: histograms and `Predictions` say more),
    `profile_batch` (`Profiler`), `write_steps_per_second` (always written), `embeddings_freq` and
    `embeddings_metadata` (`embeddings`, written when fit ends).

    Two runs stand under `log_dir`, `train` and `validation`, and a quantity has one tag in both, so
    that TensorBoard draws the two in one chart. The x-axis is always the step, counted over all
    calls of fit.

    | tag | `train` | `validation` |
    |---|---|---|
    | `loss`, `accuracy`, ... | the value of each step | the value of each validation |
    | `epoch/loss`, `epoch/accuracy`, ... | the mean over each epoch | its validation |
    | `learning_rate`, `loss_scale` and other step values | the value of each step | |
    | `speed/steps_per_second`, `speed/input_share`, ... | at each write, where time went | |
    | `weights/...`, `gradients/...`, `updates/...` | histograms | |
    | `update_ratio/...` and other norms | at the steps of the histograms | |
    | confusion matrices, precision-recall curves | of each epoch | of each validation |
    | `about/model`, `about/run` | as text, once | |

    Hyperparameters are compared by the validations' values, or the epochs' where none is made.
    Matrices and curves are drawn of `metrics.ConfusionMatrix` and `metrics.PRCurve` among the
    metrics; scalars that other callbacks' instruments read (`NormMonitor`) are drawn as well.

    The values come out of the compiled loop together, every two seconds; a thread writes them, from
    a queue that holds a few of these writes, so a slow disk delays training only when it has
    fallen far behind. What was written is readable at once, also when the process is killed; a run
    that is resumed goes on with the same curves, with no step missing and none twice.

    Args:
        log_dir: folder of this run; any path that `tf.io.gfile` knows.
        histogram_freq: every how many epochs histograms and norms are read, as in Keras, or a
            trigger such as `Every(steps=500)`; 0 for none. They are of single steps, inside the
            compiled program.
        write_graph: whether the graph of the training step that is compiled is written.
        update_freq: "batch" writes every step, a number k each k-th step, "epoch" none, only
            epochs and validations.
        hparams: name -> bool, number or string: what this run is to be compared by.
        embeddings: variable's path in the model ("layers/0/embeddings") -> a label for each of its
            rows, or None; written for the projector when fit ends.
        layout: category -> chart -> regular expressions of tags, for the page of custom scalars;
            one for loss, speed and norms when not given, {} for none.

    Raises:
        OSError: from the thread (disk full, folder deleted), at the next call within fit.
        ValueError: an argument is out of range, or there is no such variable.
        TypeError: `embeddings` is no dict.
    """

    writes_to = ("log_dir",)
    chief_only = True

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: int | Trigger = 0,
        write_graph: bool = True,
        *,
        update_freq: int | str = "batch",
        hparams: Mapping[str, bool | int | float | str] | None = None,
        embeddings: Mapping[str, Sequence[str] | None] | None = None,
        layout: Mapping[str, Mapping[str, Sequence[str]]] | None = None,
    ) -> None:
        self.log_dir = os.fspath(log_dir)
        self.every = _checked_update_freq(update_freq)
        self.write_graph = write_graph
        self.hparams = _checked_hparams(hparams)
        self.embeddings = _checked_embeddings(embeddings)
        self.layout = LAYOUT if layout is None else layout
        when = _histogram_trigger(histogram_freq)
        self._instruments = () if when is None else (Histograms(when), Norms(when))
        self.when: Trigger = Every(seconds=2) | Every(epochs=1) | Validated()
        self._writer: Writer | None = None
        self._time = 0.0
        self._seen = 0
        self._introduced = False
        self._shown: weakref.ref[Any] | None = None  # the task whose model and graph are written,
        self._shown_at = 0  # from this step on
        self._spent: dict[str, float] = {}

    @property
    def instruments(self) -> Sequence[Instrument]:
        """Histograms and norms, where they are wanted."""
        return self._instruments

    def on_train_begin(self, run: Run) -> None:
        """Starts the thread."""
        if self.embeddings:
            _embedded(run, self.embeddings)
        self._time, self._seen, self._introduced = time.time(), run.step, False
        self._spent = {}
        self._writer = Writer(self.log_dir, run.step + 1)

    def __call__(self, report: Report) -> Control | None:
        """Hands over what has happened since the last call."""
        assert self._writer is not None
        self._writer.put(self._jobs(report))
        return None

    def on_train_end(self, report: Report) -> None:
        """Writes what is left and waits for the thread."""
        if self._writer is None:
            return
        writer, self._writer = self._writer, None
        try:
            writer.put(self._jobs(report, ended=True))
            if self.embeddings:
                tables = _embedded(report.run, self.embeddings)
                projector.write(os.path.join(self.log_dir, TRAIN), tables, self.embeddings)
        finally:
            writer.close()

    def memory(self) -> Mapping[str, Any]:
        """What was handed over and is not in the files yet: a killed run would have lost it."""
        unwritten = [] if self._writer is None else self._writer.unwritten()
        return {
            "seen": self._seen,
            "introduced": self._introduced,
            "unwritten": [[to_plain(job) for job in jobs] for jobs in unwritten],
        }

    def load_memory(self, memory: Mapping[str, Any]) -> None:
        """Writes first what the run that is resumed had not written."""
        assert self._writer is not None
        lost = [[from_plain(job) for job in jobs] for jobs in memory["unwritten"]]
        self._seen, self._introduced = memory["seen"], memory["introduced"]
        firsts = [job.first_step for jobs in lost for job in jobs]
        known = [step for step in firsts if step is not None]
        self._writer.start_step = min([*known, self._seen + 1])
        for jobs in lost:
            self._writer.put(jobs)

    # What a report has to write.

    def _jobs(self, report: Report, ended: bool = False) -> list[Job]:
        jobs: list[Job] = [] if self._introduced else self._introduction(report.run)
        now, before = time.time(), self._time
        self._time, self._seen = now, report.step
        numbers = report.steps["step"]
        if self.every and len(numbers):
            times = np.linspace(before, now, len(numbers) + 1)[1:]
            keep = slice(None) if self.every == 1 else numbers % self.every == 0
            tags = [name for name in report.steps if name != "step"]
            columns = [report.steps[name][keep] for name in tags]
            jobs.append(Scalars(TRAIN, tags, numbers[keep], times[keep], columns))
        jobs += self._read(report, now)
        once = _once(report, ended)
        if len(numbers):
            once.append((TRAIN, self._speed(report)))
        for run, pairs in once:
            columns = [np.array([value]) for value in pairs.values()]
            at, times = np.array([report.step]), np.array([now])
            if pairs:
                jobs.append(Scalars(run, list(pairs), at, times, columns))
        if not ended:
            jobs += _drawn(report)
        if ended and self.hparams:
            well = report.run.total_steps is None or report.step >= report.run.total_steps
            end = summaries.session_end(report.step, well)
            jobs.append(Events(_compared(report.run), report.step, [end]))
        return jobs

    def _introduction(self, run: Run) -> list[Job]:
        """What the run is, said before all else."""
        self._introduced = True
        step = run.start_step
        first = [summaries.text("about/run", step, about.run_table(run))]
        if self._shown is None or self._shown() is not run.task or step < self._shown_at:
            first += self._model(run)
            self._shown, self._shown_at = weakref.ref(run.task), step
        jobs: list[Job] = [Events(TRAIN, step, first)]
        if self.hparams:
            tags = [f"epoch/{name}" for name in _numbers(run)]
            jobs.append(
                Events(_compared(run), step, summaries.session_start(step, self.hparams, tags))
            )
        return jobs

    def _model(self, run: Run) -> list[Any]:
        """What does not change from fit to fit of one trainer."""
        step = run.start_step
        root = getattr(run.task, "model", run.task)
        found = [summaries.text("about/model", step, about.model_table(root))]
        if self.write_graph and run.graph is not None:
            found.append(summaries.graph(step, run.graph))
        if self.layout:
            found.append(summaries.layout(step, self.layout))
        return found

    def _speed(self, report: Report) -> dict[str, float]:
        """Steps a second, and the shares of the time since the last write."""
        found = {}
        if report.steps_per_second:
            found["speed/steps_per_second"] = report.steps_per_second
        spent = {part: s - self._spent.get(part, 0.0) for part, s in report.time.items()}
        self._spent = dict(report.time)
        whole = sum(spent.values())
        if whole > 0.0:
            found.update({f"speed/{part}_share": s / whole for part, s in spent.items()})
        return found

    def _read(self, report: Report, now: float) -> list[Job]:
        """What instruments have read."""
        jobs: list[Job] = []
        for instrument, (steps, values) in report.readings.items():
            flat = {name: v for name, v in values.items() if v.ndim == 1}
            if flat:
                times = np.full(len(steps), now)
                jobs.append(Scalars(TRAIN, list(flat), steps, times, list(flat.values())))
            if not isinstance(instrument, Histograms):
                continue
            for i, step in enumerate(steps.tolist()):
                found = [(name, *edges(v[i])[:2]) for name, v in values.items()]
                jobs.append(Events(TRAIN, step, [summaries.histograms(step, found)]))
        return jobs


def _compared(run: Run) -> str:
    """The folder whose values the hparams page compares: it finds no others beside its own."""
    return VALIDATION if run.validates else TRAIN


def _numbers(run: Run) -> list[str]:
    """Names of values of epochs."""
    return [
        name
        for name in run.names
        if (f"val_{name}" in run.names if run.validates else not is_rate(name))
    ]


def _once(report: Report, ended: bool) -> list[tuple[str, Mapping[str, float]]]:
    """Values of this boundary: folder and tag -> value."""
    found: list[tuple[str, Mapping[str, float]]] = []
    values = {k.removeprefix("val_"): v for k, v in report.validation.items()}
    if not ended:
        found.append((VALIDATION, values))
    if not ended and report.epoch_end:
        found.append((VALIDATION, {f"epoch/{k}": v for k, v in values.items()}))
        means = {
            k: v for k, v in report.logs.items() if k not in report.validation and not is_rate(k)
        }
        found.append((TRAIN, {f"epoch/{k}": v for k, v in means.items()}))
    return found


def _drawn(report: Report) -> list[Job]:
    """Confusion matrices and curves: of an epoch that has ended, and of a validation."""
    jobs: list[Job] = []
    metrics = getattr(report.run.task, "metrics", {})
    for name, value in report.arrays.items():
        validated = name.startswith("val_")
        if not (validated or report.epoch_end):
            continue
        tag = name.removeprefix("val_")
        if isinstance(metrics.get(tag), PRCurve):
            event = summaries.pr_curve(tag, report.step, value)
        elif value.ndim == 2 and value.shape[0] == value.shape[1]:
            event = summaries.image(tag, report.step, [pictures.matrix(value)])
        else:
            continue
        jobs.append(Events(VALIDATION if validated else TRAIN, report.step, [event]))
    return jobs


def _embedded(run: Run, embeddings: Mapping[str, Sequence[str] | None]) -> dict[str, np.ndarray]:
    """The tables that are to be written."""
    known = state.model_variables(getattr(run.task, "model", run.task))
    for path, labels in embeddings.items():
        if path not in known or known[path].shape.rank != 2:
            tables = [name for name, v in known.items() if v.shape.rank == 2]
            raise ValueError(
                f"TensorBoard(embeddings=...): {path!r} is no table [n, d] of the model; tables "
                f"are {', '.join(tables) or 'none'}."
            )
        if labels is not None and len(labels) != known[path].shape[0]:
            raise ValueError(
                f"TensorBoard(embeddings=...): {len(labels)} labels for the "
                f"{known[path].shape[0]} rows of {path!r}."
            )
    return {path: known[path].numpy() for path in embeddings}


def _checked_embeddings(embeddings: Any) -> dict[str, Sequence[str] | None]:
    if embeddings is not None and not isinstance(embeddings, Mapping):
        raise TypeError(
            f"TensorBoard(embeddings={embeddings!r}): it is a dict from a variable's path in the "
            'model to a label for each of its rows, or None: {"layers/0/embeddings": None}.'
        )
    return dict(embeddings or {})


def _histogram_trigger(freq: Any) -> Trigger | None:
    if hasattr(freq, "next") and hasattr(freq, "due"):
        return freq
    if isinstance(freq, bool) or not isinstance(freq, int) or freq < 0:
        raise ValueError(
            f"TensorBoard(histogram_freq={freq!r}): a number of epochs, 0 for none, or a trigger "
            "such as Every(steps=500)."
        )
    return Every(epochs=freq) if freq else None


def _checked_update_freq(update_freq: Any) -> int:
    """Every how many steps values are written; 0 for none."""
    number = isinstance(update_freq, int) and not isinstance(update_freq, bool)
    if not (update_freq in ("batch", "epoch") if not number else update_freq >= 1):
        raise ValueError(
            f"TensorBoard(update_freq={update_freq!r}): it must be 'batch', 'epoch' or a "
            "whole number of steps from 1 on."
        )
    return update_freq if number else {"batch": 1, "epoch": 0}[update_freq]


def _checked_hparams(hparams: Mapping[str, Any] | None) -> dict[str, Any]:
    for name, value in (hparams or {}).items():
        if not isinstance(value, (bool, int, float, str)):
            raise ValueError(
                f"TensorBoard(hparams={{{name!r}: {value!r}}}): a value is a bool, a number or a "
                "string; pass float(x), or its name."
            )
    return dict(hparams or {})
