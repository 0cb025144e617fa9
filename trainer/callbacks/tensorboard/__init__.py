"""TensorBoard: event files of a run, written by a background thread."""

from trainer.callbacks.tensorboard.board import TensorBoard

__all__ = ["TensorBoard"]
