"""Weights in and out: files of weights, Keras's among them, and models to serve."""

from trainer.match import MismatchError
from trainer.weights.file import DamagedFileError
from trainer.weights.saved_model import export
from trainer.weights.transfer import load_weights, save_weights

__all__ = ["DamagedFileError", "MismatchError", "export", "load_weights", "save_weights"]
