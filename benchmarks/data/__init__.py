"""Small real data sets, as NumPy arrays split into training and test."""

from __future__ import annotations

from benchmarks.data.arrays import Data
from benchmarks.data.cifar10 import load_cifar10
from benchmarks.data.digits import load_digits
from benchmarks.data.mnist import load_mnist
from benchmarks.data.shapes import load_scenes, load_shapes
from benchmarks.data.text import VOCABULARY, decode, encode, load_text

__all__ = [
    "Data",
    "load_cifar10",
    "load_digits",
    "load_mnist",
    "load_scenes",
    "load_shapes",
    "load_text",
    "encode",
    "decode",
    "VOCABULARY",
]
