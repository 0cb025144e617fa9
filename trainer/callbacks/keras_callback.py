"""KerasCallback: a callback of Keras that works by epochs, called as Keras's own loop would."""

from __future__ import annotations

from typing import Any

from trainer.callbacks.base import Callback, Control, Report, Run
from trainer.callbacks.triggers import Every

_HONEST = ("on_train_begin", "on_train_end", "on_epoch_begin", "on_epoch_end")
_STAGES = ("train", "test", "predict")
_REFUSED = (
    *(f"on_{stage}_batch_{edge}" for stage in _STAGES for edge in ("begin", "end")),
    "on_batch_begin",
    "on_batch_end",
    *(f"on_{stage}_{edge}" for stage in ("test", "predict") for edge in ("begin", "end")),
)
HOOKS = frozenset((*_HONEST, *_REFUSED))  # what Keras calls its callbacks by


class KerasCallback(Callback):
    """Calls a Keras callback at the beginning and the end of training and of every epoch.

    `fit` does this by itself with any Keras callback in its list. One that wants to be called for
    batches, or around evaluation, is refused: several batches run in one compiled call.

    The callback's `self.model` is a stand-in: it has `stop_training`, `optimizer` (the task's only
    one) and everything else that the model in training has. Its own state is not in checkpoints.

    Args:
        callback: an instance of a subclass of `keras.callbacks.Callback`.

    Raises:
        TypeError: it has a method that cannot be called honestly.
    """

    when = Every(epochs=1)

    def __init__(self, callback: Any) -> None:
        wants = [name for name in _REFUSED if _defines(callback, name)]
        name = type(callback).__name__
        if wants:
            raise TypeError(
                f"{name} is a Keras callback with {', '.join(wants)}, and here many batches run in "
                "one compiled call, with nobody called in between. Use the one of trainer.callbacks"
                " with that name if there is one, or subclass trainer.callbacks.Callback: `when` "
                "says when it is due, and report.steps has the values of every step."
            )
        self.callback = callback
        self._model: _StandIn | None = None

    def on_train_begin(self, run: Run) -> None:
        """Hands over the model; begins training and the first epoch."""
        self._model = _StandIn(run)
        self.callback.set_params({"epochs": run.epochs, "steps": run.steps_per_epoch, "verbose": 0})
        self.callback.set_model(self._model)
        self.callback.on_train_begin()
        self.callback.on_epoch_begin(run.epoch)

    def __call__(self, report: Report) -> Control | None:
        """Ends an epoch, and begins the next unless the run is over."""
        assert self._model is not None
        self.callback.on_epoch_end(report.epoch - 1, dict(report.logs))
        if self._model.stop_training:
            return Control(stop=f"{type(self.callback).__name__} set stop_training")
        if report.run.epochs is None or report.epoch < report.run.epochs:
            self.callback.on_epoch_begin(report.epoch)
        return None

    def on_train_end(self, report: Report) -> None:
        """Ends training."""
        self.callback.on_train_end(dict(report.logs))


def is_keras_callback(callback: Any) -> bool:
    """Whether an object is a callback of Keras; never imports Keras."""
    return any(
        base.__name__ == "Callback" and base.__module__.split(".")[0] in ("keras", "tf_keras")
        for base in type(callback).__mro__
    )


class _StandIn:
    """What a Keras callback finds as `self.model`."""

    def __init__(self, run: Run) -> None:
        self.stop_training = False
        self._optimizers = dict(run.optimizers)
        self._real = getattr(run.task, "model", run.task)

    def __getattr__(self, name: str) -> Any:
        if name != "optimizer":
            return getattr(self._real, name)
        if len(self._optimizers) != 1:
            raise AttributeError(
                f"the task has {len(self._optimizers)} optimizers ({', '.join(self._optimizers)}), "
                "so self.model.optimizer of a Keras callback would be none of them in particular"
            )
        return next(iter(self._optimizers.values()))


def _defines(callback: Any, name: str) -> bool:
    """Whether a callback has more of a method than Keras's base, which does nothing."""
    if name in vars(callback):  # LambdaCallback sets its functions on the instance
        return True
    for base in type(callback).__mro__:
        if name in vars(base):
            return base.__name__ != "Callback"
    return False
