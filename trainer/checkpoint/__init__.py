"""Weights in and out: files of weights, Keras's among them, and models to serve."""

from trainer.checkpoint.export import export
from trainer.checkpoint.match import MismatchError
from trainer.checkpoint.weights import load_weights, save_weights
from trainer.checkpoint.weights_file import DamagedFileError

__all__ = ["DamagedFileError", "MismatchError", "export", "load_weights", "save_weights"]
