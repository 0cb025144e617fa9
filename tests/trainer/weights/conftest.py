"""Modules of many kinds whose weights go out and come in again."""

import tracemalloc
from contextlib import contextmanager

import keras
import numpy as np
import pytest
import tensorflow as tf

import layers as L
from trainer import state

K = keras.layers


def sequential():
    model = L.Sequential(
        [
            L.Embedding(20, 4),
            L.LSTM(5, return_sequences=True, dropout=0.2),
            L.BatchNormalization(),
            L.Dropout(0.5),
            L.MultiHeadAttention(2, 3),
            L.Dense(3, "gelu"),
        ]
    )
    model(tf.zeros([1, 6], tf.int32))
    return model


class Block(tf.Module):
    """Variables in lists, tuples and dicts, some of them shared."""

    def __init__(self, depth=1):
        super().__init__()
        self.w = tf.Variable(tf.random.normal([2, 3]))
        self.parts = [tf.Variable(tf.random.normal([2])), (tf.Variable(1.5), {"deep": [self.w]})]
        self.table = {"a": L.Dense(2), 3: tf.Variable(tf.random.normal([1, 1, 2]))}
        self.table["a"](tf.zeros([1, 2]))
        self.below = [Block(depth - 1)] if depth else []


class Holder(tf.Module):
    """Keras in a dict of ours: a functional model with random layers, and a layer of its own."""

    def __init__(self):
        super().__init__()
        x = K.Input([4])
        y = K.Dropout(0.5, seed=int(tf.random.uniform([], 0, 99, tf.int32)))(K.Dense(3)(x))
        self.nets = {"net": keras.Model(x, K.BatchNormalization()(y)), "head": K.Dense(2)}
        self.nets["head"].build([None, 3])
        self.optimizer = keras.optimizers.Adam()
        self.optimizer.build(self.nets["head"].trainable_variables)


class Oddities(tf.Module):
    """Every shape and dtype that is unusual."""

    def __init__(self):
        super().__init__()
        draw = tf.random.uniform([3], 1, 9)
        self.step = tf.Variable(tf.cast(draw[0], tf.int64) + 2**40, trainable=False)
        self.flag = tf.Variable(draw > 5)
        self.empty = tf.Variable(tf.zeros([0, 3]))
        self.unsized = tf.Variable(draw[:2], shape=tf.TensorShape([None]))
        self.scalar = tf.Variable(draw[1])
        for dtype in ("bfloat16", "float16", "float64", "uint8", "int16", "uint32"):
            setattr(self, dtype, tf.Variable(tf.cast(draw, dtype)))
        self.scalar16 = tf.Variable(tf.cast(draw[2], tf.bfloat16))


class Rarities(tf.Module):
    """Dtypes that only `.npz` takes."""

    def __init__(self):
        super().__init__()
        draw = tf.random.uniform([3], 1, 9)
        self.complex = tf.Variable(tf.complex(draw, -draw))
        for name in ("float8_e4m3fn", "float8_e5m2"):
            setattr(self, name, tf.Variable(tf.cast(draw, getattr(tf.dtypes.experimental, name))))


MAKERS = {f.__name__: f for f in (sequential, Block, Holder, Oddities, Rarities)}


@pytest.fixture
def makers():
    """Name -> function that makes a module, each time with other values."""
    return MAKERS


@pytest.fixture
def bits():
    """`bits(module)`: name -> (dtype, shape, bytes) of what a file of weights holds."""

    def read(module):
        arrays = {n: v.read_value().numpy() for n, v in state.model_variables(module).items()}
        return {
            n: (np.asarray(a).dtype, np.shape(a), np.asarray(a).tobytes())
            for n, a in arrays.items()
        }

    return read


@pytest.fixture
def peak():
    """`with peak() as used`: afterwards `used()` is the most memory that was held, in bytes."""

    @contextmanager
    def measured():
        tracemalloc.start()
        try:
            yield lambda: tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    return measured


@pytest.fixture
def pair():
    """A module with two variables, and the arrays that a file for it holds."""
    module = tf.Module()
    module.w = tf.Variable(tf.zeros([3, 4]))
    module.b = tf.Variable(tf.zeros([4]))
    return module, {"w": np.arange(12, dtype="float32").reshape(3, 4), "b": np.ones(4, "float32")}
