"""gradloop's trainer: a compiled GradientTape loop whose every part can be read and replaced."""

from trainer import callbacks, inspect, metrics
from trainer.callbacks import At, Callback, Control, EarlyStopping, Every, History, TensorBoard
from trainer.checkpoint import Checkpoint
from trainer.compiling.guard import RecompileError
from trainer.compiling.refused import RefusedError
from trainer.compiling.settings import Jit
from trainer.context import StepContext
from trainer.distribution.agreement import Disagreement
from trainer.distribution.lost import LostPeer
from trainer.distribution.replication import Replication
from trainer.interrupt import Preempted
from trainer.metrics import Metric
from trainer.precision.loss_scale import LossScale
from trainer.precision.policy import Precision
from trainer.sums import Sums
from trainer.task import Task
from trainer.trainer import Trainer

__all__ = [
    "At",
    "Callback",
    "Checkpoint",
    "Control",
    "Disagreement",
    "EarlyStopping",
    "Every",
    "History",
    "Jit",
    "LossScale",
    "LostPeer",
    "Metric",
    "Precision",
    "Replication",
    "Preempted",
    "RecompileError",
    "RefusedError",
    "StepContext",
    "Sums",
    "Task",
    "TensorBoard",
    "Trainer",
    "callbacks",
    "inspect",
    "metrics",
]
