"""Strategies over logical CPUs."""

import pytest
import tensorflow as tf


@pytest.fixture(scope="session")
def mirrored():
    """`mirrored(n)`: a strategy of n logical CPUs."""

    def make(n):
        # One device adds up: groups of collective operations of several sizes exclude each other
        # within a process.
        names = [d.name for d in tf.config.list_logical_devices("CPU")[:n]]
        assert len(names) == n
        return tf.distribute.MirroredStrategy(names, tf.distribute.ReductionToOneDevice())

    return make
