"""Instruments: what is read of a step inside the compiled program, on the steps it is due."""

from trainer.instruments.base import Instrument, Seen
from trainer.instruments.gauges import Readings
from trainer.instruments.histograms import Histograms
from trainer.instruments.norms import Norms

__all__ = ["Histograms", "Instrument", "Norms", "Readings", "Seen"]
