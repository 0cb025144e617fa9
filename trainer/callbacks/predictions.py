"""Predictions: what the model makes of a few examples, written for TensorBoard as it trains."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from trainer.callbacks.base import Callback, Control, Report, Run
from trainer.callbacks.tensorboard import about, pictures, summaries
from trainer.callbacks.tensorboard.writer import Events, Writer, from_plain, to_plain
from trainer.callbacks.triggers import Every, Trigger

Shown = Mapping[str, Any]  # tag -> Markdown, or images uint8 [n, h, w, c]
_RIGHT, _WRONG = (46, 125, 50), (198, 40, 40)


class Predictions(Callback):
    """Predicts a few examples whenever it is due, and writes what comes out under `predictions`.

    Args:
        log_dir: folder of the run, as `TensorBoard`'s.
        x: the inputs, few enough to look at: an array or a nest, as `predict` takes them.
        y_true: what should come out, if it is known.
        show: `show(x, y_true, y_pred)` gives tag -> Markdown text, or images uint8
            `[n, h, w, c]`: `table()`, `images()`, `text(decode)`, or a function of one's own.
        when: the trigger; the end of every epoch when not given.

    Example:
        >>> import numpy as np
        >>> show = table(["cat", "dog"])
        >>> print(show(None, np.array([0]), np.array([[0.2, 0.8]]))["table"])
        | # | true | predicted | cat | dog |
        | --- | --- | --- | --- | --- |
        | 0 | cat | **dog** | 0.2 | 0.8 |
    """

    writes_to = ("log_dir",)

    def __init__(
        self,
        log_dir: str | os.PathLike[str],
        x: Any,
        y_true: Any = None,
        *,
        show: Callable[[Any, Any, Any], Shown] | None = None,
        when: Trigger | None = None,
    ) -> None:
        self.log_dir = os.fspath(log_dir)
        self.x, self.y_true = x, y_true
        self.show = show or table()
        self.when = when or Every(epochs=1)
        self._writer: Writer | None = None

    def on_train_begin(self, run: Run) -> None:
        """Starts the thread that writes: the chief's, while all of several workers predict."""
        self._writer = Writer(self.log_dir, run.step + 1) if run.chief else None

    def __call__(self, report: Report) -> Control | None:
        """Predicts and hands over."""
        y_pred = report.run.predict(self.x)
        if self._writer is None:
            return None
        events = []
        for tag, shown in self.show(self.x, self.y_true, y_pred).items():
            if isinstance(shown, str):
                events.append(summaries.text(tag, report.step, shown))
            else:
                events.append(summaries.image(tag, report.step, list(shown)))
        self._writer.put([Events("predictions", report.step, events)])
        return None

    def on_train_end(self, report: Report) -> None:
        """Waits until all is written."""
        if self._writer is not None:
            writer, self._writer = self._writer, None
            writer.close()

    def memory(self) -> Mapping[str, Any]:
        """What is not in the files yet."""
        unwritten = [] if self._writer is None else self._writer.unwritten()
        return {"unwritten": [[to_plain(job) for job in jobs] for jobs in unwritten]}

    def load_memory(self, memory: Mapping[str, Any]) -> None:
        """Writes it first."""
        if self._writer is None:
            return
        lost = [[from_plain(job) for job in jobs] for jobs in memory["unwritten"]]
        firsts = [job.first_step for jobs in lost for job in jobs if job.first_step is not None]
        self._writer.start_step = min([*firsts, self._writer.start_step])
        for jobs in lost:
            self._writer.put(jobs)


def table(class_names: Sequence[str] | None = None) -> Callable[[Any, Any, Any], Shown]:
    """Shows scores `[n, k]` of classes, or values `[n]` or `[n, d]`, as a table.

    Args:
        class_names: of the k columns; then the largest is the prediction, and is bold where it is
            not the true class.
    """

    def show(x: Any, y_true: Any, y_pred: Any) -> Shown:
        scores = np.asarray(y_pred)
        scores = scores.reshape(len(scores), -1)
        truth = None if y_true is None else np.asarray(y_true).reshape(len(scores), -1)
        columns: dict[str, list[Any]] = {"#": list(range(len(scores)))}
        if class_names is not None:
            columns.update(_named(class_names, truth, scores))
        elif truth is not None:
            columns.update(_numbers([f"true {j}" for j in range(truth.shape[1])], truth))
        names = class_names or [f"output {j}" for j in range(scores.shape[1])]
        columns.update(_numbers(names, scores))
        return {"table": about.markdown(list(columns), list(zip(*columns.values(), strict=True)))}

    return show


def images() -> Callable[[Any, Any, Any], Shown]:
    """Shows images: of inputs that are classified, in a frame, green where the class is right.

    Where the outputs are images themselves: input, target and output side by side.
    """

    def show(x: Any, y_true: Any, y_pred: Any) -> Shown:
        outputs = np.asarray(y_pred)
        inputs = [pictures.enlarged(picture) for picture in pictures.pixels(x)]
        if outputs.ndim >= 3:
            columns = [inputs]
            for found in (y_true, outputs):
                if found is not None:
                    columns.append([pictures.enlarged(p) for p in pictures.pixels(found)])
            return {"images": [pictures.beside(list(row)) for row in zip(*columns, strict=True)]}
        if y_true is None:
            return {"images": inputs}
        right = _classes(outputs) == _classes(y_true, numbers=True)
        framed = [
            pictures.framed(picture, _RIGHT if ok else _WRONG)
            for picture, ok in zip(inputs, right, strict=True)
        ]
        return {"images": framed}

    return show


def text(decode: Callable[[Any], str]) -> Callable[[Any, Any, Any], Shown]:
    """Shows texts: a table of inputs, targets and outputs.

    Args:
        decode: makes a string of one input, target or output.
    """

    def show(x: Any, y_true: Any, y_pred: Any) -> Shown:
        columns = {"input": x, "target": y_true, "output": y_pred}
        there = {name: column for name, column in columns.items() if column is not None}
        rows = [[decode(value) for value in row] for row in zip(*there.values(), strict=True)]
        return {"text": about.markdown(list(there), rows)}

    return show


def _named(
    names: Sequence[str], truth: np.ndarray | None, scores: np.ndarray
) -> dict[str, list[str]]:
    """Columns of the true and the predicted class."""
    predicted = _classes(scores)
    if truth is None:
        return {"predicted": [names[p] for p in predicted]}
    pairs = list(zip(_classes(truth, numbers=True), predicted, strict=True))
    return {
        "true": [names[c] for c, _ in pairs],
        "predicted": [names[p] if p == c else f"**{names[p]}**" for c, p in pairs],
    }


def _numbers(names: Sequence[str], values: np.ndarray) -> dict[str, list[str]]:
    return {
        name: [f"{v:.4g}" for v in column.tolist()]
        for name, column in zip(names, values.T, strict=True)
    }


def _classes(values: Any, numbers: bool = False) -> np.ndarray:
    """Class numbers `[n]` of scores `[n, k]`, of one probability each, or of class numbers."""
    values = np.asarray(values)
    values = values.reshape(len(values), -1)
    if values.shape[1] > 1:
        return values.argmax(1)
    return values[:, 0].astype(int) if numbers else (values[:, 0] > 0.5).astype(int)
