"""Every public layer in every mode; the package is walked, so that none is forgotten."""

from __future__ import annotations

import importlib
import pkgutil

import numpy as np
import pytest
import tensorflow as tf

import layers as L
from layers import conformance


@pytest.mark.parametrize("name", conformance.CHECKS)
def test_conformance(case, name):
    conformance.CHECKS[name](case.conformance())


def test_every_layer_has_a_case(cases):
    """Also those that are defined somewhere but not exported, unless others derive from them."""
    found = set()
    for info in pkgutil.iter_modules(L.__path__):
        for name, value in vars(importlib.import_module(f"layers.{info.name}")).items():
            if isinstance(value, type) and issubclass(value, L.Layer) and name[0] != "_":
                found.add(value)
    bases = {base for kind in found for base in kind.__mro__[1:]}
    names = {kind.__name__ for kind in found if kind not in bases or kind.__name__ in L.__all__}
    assert names <= set(L.__all__)
    assert names - {"Layer"} == {type(case.make()).__name__ for case in cases}


def test_every_name_in_all_exists_and_is_told():
    for name in L.__all__:
        assert getattr(L, name).__doc__, f"{name} has no docstring"


class Bad(L.Layer):
    """A layer that does one thing wrong; the subclasses say which."""

    min_rank = 2

    def build(self, input_shape):
        self.scale = self.add_weight("scale", [input_shape[-1]], "ones")
        self.fix_axes({-1: input_shape[-1]})

    def call(self, x, training=False):
        return x * self.cast(self.scale)


class WrongGradient(Bad):
    def call(self, x, training=False):
        return tf.stop_gradient(x) * self.cast(self.scale)


class Unused(Bad):
    def call(self, x, training=False):
        return x


class Mixes(Bad):
    def call(self, x, training=False):
        return (x - tf.reduce_mean(x, 0)) * self.cast(self.scale)


class Float32(Bad):
    def call(self, x, training=False):
        return tf.cast(x, tf.float32) * self.scale


class WrongInHalf(Bad):
    """Loses part of its gradient below float32, with the right outputs."""

    def call(self, x, training=False):
        scale = self.cast(self.scale)
        if scale.dtype != tf.float32:
            scale = (scale + tf.stop_gradient(scale)) / 2
        return x * scale


class Moves(Bad):
    def call(self, x, training=False):
        self.scale.assign(self.scale * 0.9)
        return x * self.cast(self.scale)


class FixedBatch(Bad):
    def call(self, x, training=False):
        return tf.reshape(x, [4, -1]) * self.cast(self.scale)


class Draws(Bad):
    def call(self, x, training=False):
        x = x * self.cast(self.scale)
        return x * tf.random.uniform(tf.shape(x), dtype=x.dtype) if training else x


class Shares(Bad):
    def __deepcopy__(self, memo):
        return self


@pytest.mark.parametrize("kind, caught", [
    (Bad, ""), (WrongGradient, "gradients"), (Unused, "gradients"), (Float32, "half_precision"),
    (WrongInHalf, "half_precision"),
    (Moves, "training_and_inference"), (Mixes, "training_and_inference"),
    (FixedBatch, "modes_agree"), (Draws, "modes_agree"), (Shares, "copies_and_texts"),
])  # fmt: skip
def test_a_bad_layer_is_caught(kind, caught):
    inputs = np.random.default_rng(0).normal(size=[4, 3]).astype(np.float32)
    case = conformance.Case(kind, inputs, "noise" if kind is Draws else "nothing")
    if not caught:
        conformance.check(kind, inputs)
        return
    with pytest.raises(Exception):  # noqa: B017 - an assertion, or TensorFlow's own
        conformance.CHECKS[caught](case)
    with pytest.raises(AssertionError, match=rf"check '\w+' of {kind.__name__}\(\) failed"):
        conformance.check(kind, inputs, training=case.training)
