"""A small state with every kind of value, and folders to keep it in, local and remote."""

import uuid

import numpy as np
import pytest
import tensorflow as tf

from trainer.checkpoint import Content


def tensors(seed=0):
    rng = np.random.default_rng(seed)
    return {
        "model/w": tf.constant(rng.normal(size=(3, 4)).astype("float32")),
        "model/b": tf.cast(rng.normal(size=(4,)), tf.bfloat16),
        "slots/m": tf.constant(rng.normal(size=(3, 4))),
        "empty": tf.zeros([0, 5]),
        "flag": tf.constant(True),
        "words": tf.constant([[b"a", b""], [b"\x00\xff", b"four"]]),
        "step": tf.constant(seed, tf.int64),
    }


def make(step=1, **fields):
    given = {"values": tensors(int(abs(step))), "weights": ["model/w", "model/b"]}
    return Content(step=step, **{**given, **fields})


@pytest.fixture
def content():
    """`content(step=1, values=..., metrics=..., ...)`: what a checkpoint is made of."""
    return make


@pytest.fixture
def small():
    """As `content`, with one number in it: for tests of what happens around it."""
    return lambda step=1, **fields: Content(step=step, values={"n": tf.constant(step)}, **fields)


@pytest.fixture(params=["local", "remote"])
def place(request, tmp_path):
    """A folder that does not exist yet: of this machine, and of TensorFlow's `ram://`."""
    if request.param == "local":
        return str(tmp_path / "runs" / "a")
    return f"ram://{uuid.uuid4().hex}/a"


@pytest.fixture
def same():
    """`same(a, b)`: whether two dicts hold the same tensors, bit for bit."""

    def compare(a, b):
        return a.keys() == b.keys() and all(
            a[k].dtype == b[k].dtype
            and a[k].shape == b[k].shape
            and np.asarray(a[k]).tolist() == np.asarray(b[k]).tolist()
            for k in a
        )

    return compare
