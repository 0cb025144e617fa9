"""SwapEMAWeights: evaluate, save and export with the averages of the weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

from trainer import state
from trainer.callbacks.base import Callback, Run
from trainer.callbacks.triggers import At


class SwapEMAWeights(Callback):
    """Puts an optimizer's weights for evaluation in place while something is evaluated.

    They are the averages that the optimizer keeps: `EMA(...)`, `SWA(...)`, `use_ema=True` of ours
    or of Keras, schedule-free weights. They are in place for validation within `fit`, and for what
    callbacks predict, save or export; then the weights in training are back, bit for bit. So a
    value that is monitored and the weights that are saved for it belong together.

    Args:
        optimizer: path of the one whose averages are meant; all that keep some when not given.

    Raises:
        ValueError: as training begins: there is no such optimizer, or none that keeps averages.
    """

    when = At(2**62 - 1)  # it is not called; what it does is done around evaluations

    def __init__(self, optimizer: str | None = None) -> None:
        self.optimizer = optimizer
        self._optimizers: list[Any] = []

    def on_train_begin(self, run: Run) -> None:
        """Finds the optimizers."""
        known = {path: o for path, o in run.optimizers.items() if _averages(o)}
        if self.optimizer is not None:
            known = {path: o for path, o in known.items() if path == self.optimizer}
        if not known:
            wanted = "" if self.optimizer is None else f"(optimizer={self.optimizer!r})"
            raise ValueError(
                f"SwapEMAWeights{wanted}: none of the task's optimizers "
                f"({', '.join(map(repr, run.optimizers)) or 'there are none'}) keeps averages "
                "there; use optimizers.EMA(...) around yours, or use_ema=True."
            )
        self._optimizers = list(known.values())

    def evaluating(self, run: Run) -> AbstractContextManager[Any]:
        """The averages are in place within."""
        stack = ExitStack()
        for optimizer in self._optimizers:
            swap = getattr(optimizer, "evaluating", None)
            stack.enter_context(swap() if swap else _keras_averages(optimizer, run))
        return stack


def _averages(optimizer: Any) -> bool:
    """Whether an optimizer has other weights to evaluate with."""
    if hasattr(optimizer, "evaluating"):
        weights = {id(v) for v in optimizer.weights}  # without averages it gives these very ones
        return any(id(value) not in weights for value in optimizer.evaluation_values())
    return bool(state.is_keras(optimizer) and getattr(optimizer, "use_ema", False))


@contextmanager
def _keras_averages(optimizer: Any, run: Run) -> Iterator[None]:
    """The averages of an optimizer of Keras's, by its own method."""
    variables = list(state.trainable_variables(getattr(run.task, "model", run.task)))
    before = [state.as_tf(v).read_value() for v in variables]
    try:
        optimizer.finalize_variable_values(variables)
        yield
    finally:
        for variable, value in zip(variables, before, strict=True):
            state.as_tf(variable).assign(value)
