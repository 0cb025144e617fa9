"""Instruments: looking a run over before it starts, while it runs, and after it went wrong."""

from trainer.inspect.batches import batch_size_range, gradient_noise
from trainer.inspect.compare import compare
from trainer.inspect.doctor import doctor
from trainer.inspect.findings import Diagnosis, Finding
from trainer.inspect.post_mortem import NaNPostMortem
from trainer.inspect.rates import learning_rate_range
from trainer.inspect.rewind import RewindOnSpike

__all__ = [
    "Diagnosis",
    "Finding",
    "NaNPostMortem",
    "RewindOnSpike",
    "batch_size_range",
    "compare",
    "doctor",
    "gradient_noise",
    "learning_rate_range",
]
