"""Small real data sets, as NumPy arrays split into training and test."""

from __future__ import annotations

from benchmarks.data.arrays import Data
from benchmarks.data.digits import load_digits
from benchmarks.data.mnist import load_mnist
from benchmarks.data.text import VOCABULARY, decode, encode, load_text

__all__ = ["Data", "load_digits", "load_mnist", "load_text", "encode", "decode", "VOCABULARY"]
