"""Callbacks: triggers, the base, and one file per callback."""

from trainer.callbacks.base import Callback, Control, Report
from trainer.callbacks.early_stopping import EarlyStopping
from trainer.callbacks.history import History
from trainer.callbacks.lambda_callback import LambdaCallback
from trainer.callbacks.progress import Progress
from trainer.callbacks.runner import CallbackError, Callbacks
from trainer.callbacks.tensorboard import TensorBoard
from trainer.callbacks.triggers import At, Every, Validated

__all__ = [
    "Callback",
    "Callbacks",
    "CallbackError",
    "Control",
    "Report",
    "Every",
    "At",
    "Validated",
    "EarlyStopping",
    "History",
    "LambdaCallback",
    "Progress",
    "TensorBoard",
]
