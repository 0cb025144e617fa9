"""Callbacks: triggers, the base, and one file per callback."""

from trainer.callbacks.base import Callback, Control, Report
from trainer.callbacks.history import History
from trainer.callbacks.lambda_callback import LambdaCallback
from trainer.callbacks.progress import Progress
from trainer.callbacks.runner import CallbackError, Callbacks
from trainer.callbacks.triggers import At, Every

__all__ = [
    "Callback",
    "Callbacks",
    "CallbackError",
    "Control",
    "Report",
    "Every",
    "At",
    "History",
    "LambdaCallback",
    "Progress",
]
