"""Callbacks: triggers, the base, and one file per callback."""

from trainer.callbacks.base import Callback, Control, Report
from trainer.callbacks.csv_logger import CSVLogger
from trainer.callbacks.early_stopping import EarlyStopping
from trainer.callbacks.export_best import ExportBest
from trainer.callbacks.history import History
from trainer.callbacks.json_logger import JSONLogger
from trainer.callbacks.keras_callback import KerasCallback
from trainer.callbacks.lambda_callback import LambdaCallback
from trainer.callbacks.learning_rate_monitor import LearningRateMonitor
from trainer.callbacks.learning_rate_scheduler import LearningRateScheduler
from trainer.callbacks.memory_monitor import MemoryMonitor
from trainer.callbacks.model_checkpoint import ModelCheckpoint
from trainer.callbacks.norm_monitor import NormMonitor
from trainer.callbacks.predictions import Predictions
from trainer.callbacks.profiler import Profiler
from trainer.callbacks.progress import Progress
from trainer.callbacks.reduce_lr_on_plateau import ReduceLROnPlateau
from trainer.callbacks.runner import CallbackError, Callbacks
from trainer.callbacks.step_timer import StepTimer
from trainer.callbacks.swap_ema_weights import SwapEMAWeights
from trainer.callbacks.tensorboard import TensorBoard
from trainer.callbacks.terminate_on_nan import TerminateOnNaN
from trainer.callbacks.threshold_stop import ThresholdStop
from trainer.callbacks.timer import Timer
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
    "CSVLogger",
    "EarlyStopping",
    "ExportBest",
    "History",
    "JSONLogger",
    "KerasCallback",
    "LambdaCallback",
    "LearningRateMonitor",
    "LearningRateScheduler",
    "MemoryMonitor",
    "ModelCheckpoint",
    "NormMonitor",
    "Predictions",
    "Profiler",
    "Progress",
    "ReduceLROnPlateau",
    "StepTimer",
    "SwapEMAWeights",
    "TensorBoard",
    "TerminateOnNaN",
    "ThresholdStop",
    "Timer",
]
