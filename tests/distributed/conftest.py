"""Strategies over logical CPUs."""

import pytest
import tensorflow as tf

from benchmarks.replicated import matrix
from trainer.distribution import replicas


@pytest.fixture(scope="session")
def mirrored():
    """`mirrored(n)`: a strategy of n logical CPUs."""
    return matrix.mirrored


@pytest.fixture
def as_one(monkeypatch):
    """Mirrored replicas are taken for such as are traced as one: their numbers are tensors."""
    monkeypatch.setattr(replicas, "TRACED_AS_ONE", (tf.distribute.MirroredStrategy,))
