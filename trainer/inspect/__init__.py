"""Instruments: looking a run over before it starts, while it runs, and after it went wrong."""

from trainer.inspect.doctor import doctor
from trainer.inspect.findings import Diagnosis, Finding
from trainer.inspect.post_mortem import NaNPostMortem

__all__ = ["Diagnosis", "Finding", "NaNPostMortem", "doctor"]
