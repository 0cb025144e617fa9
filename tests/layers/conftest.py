"""The cases that conformance and parity share: each layer, its input and its Keras twin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

import layers as L
from layers import conformance

K = keras.layers
VECTORS = (4, 6)
SEQUENCE = (3, 5, 6)
IMAGE = (2, 8, 8, 4)
SMALL = (2, 4, 5, 4)
VOLUME = (2, 3, 4, 3, 4)
NOISE = {"training": "noise"}
STATISTICS = {"training": "statistics"}
# It adds the same to every score of a query, so the softmax does not see it.
BLIND = {"no_gradient": ["key_bias"]}


@dataclass(frozen=True)
class Case:
    id: str
    make: Callable[[], L.Layer]
    shape: tuple[int, ...]
    twin: Callable[[], Any] | None = None
    integers: int = 0  # inputs are drawn below this number
    held: dict[str, Any] = field(default_factory=dict)  # what the suite is told besides

    def inputs(self, seed: int = 0) -> np.ndarray:
        rng = np.random.default_rng(seed)
        if self.integers:
            return rng.integers(0, self.integers, self.shape).astype(np.int32)
        return rng.normal(size=self.shape).astype(np.float32)

    def conformance(self) -> conformance.Case:
        return conformance.Case(self.make, self.inputs(), **self.held)

    @property
    def random(self) -> bool:
        return self.held.get("training") == "noise"

    def weights(self, like: list[np.ndarray]) -> list[np.ndarray]:
        rng = np.random.default_rng(5)
        return [(0.3 + 0.2 * rng.random(w.shape)) * rng.choice([1, 2], w.shape) for w in like]


def pair(id: str, name: str, shape: tuple[int, ...], *args: Any, **kwargs: Any) -> Case:
    """A layer and its twin, made with the same arguments."""
    extra = {k: kwargs.pop(k) for k in ("integers", "held") if k in kwargs}
    keras_kwargs = kwargs.pop("keras_kwargs", {})
    ours, theirs = getattr(L, name), getattr(K, name)
    return Case(
        id,
        lambda: ours(*args, **kwargs),
        shape,
        lambda: theirs(*args, **(kwargs | keras_kwargs)),
        **extra,
    )


def one_step(kind: type, *args: Any, **kwargs: Any) -> L.Layer:
    """A cell as a layer of one input and one output: its states are taken from the input."""

    class Step(kind):
        def call(self, inputs: Any, training: bool = False) -> Any:
            zeros = self.get_initial_state(tf.shape(inputs)[0])
            states = [inputs[:, i : i + s.shape[-1]] for i, s in enumerate(tf.nest.flatten(zeros))]
            output, new = super().call(inputs, tf.nest.pack_sequence_as(zeros, states), training)
            return tf.concat([output, *tf.nest.flatten(new)], -1)

    Step.__name__ = kind.__name__
    return Step(*args, **kwargs)


CASES = [
    pair("Dense", "Dense", VECTORS, 5, "tanh", kernel_regularizer="l2"),
    pair("Dense-rank3", "Dense", SEQUENCE, 5, "gelu", use_bias=False),
    pair("Flatten", "Flatten", IMAGE),
    pair("Reshape", "Reshape", SEQUENCE, (2, -1)),
    pair("Permute", "Permute", SEQUENCE, (2, 1)),
    pair("RepeatVector", "RepeatVector", VECTORS, 3),
    pair("Rescaling", "Rescaling", VECTORS, 1 / 255, 0.5),
    Case("Rescaling-integers", lambda: L.Rescaling(1 / 255), VECTORS, integers=256),
    Case("Lambda", lambda: L.Lambda(tf.square), VECTORS, lambda: K.Lambda(tf.square)),
    pair("Activation", "Activation", VECTORS, "silu"),
    pair("ReLU", "ReLU", VECTORS, 1.0, 0.1, threshold=0.2),
    pair("LeakyReLU", "LeakyReLU", VECTORS),
    pair("PReLU", "PReLU", IMAGE, shared_axes=[1, 2]),
    pair("Softmax", "Softmax", SEQUENCE),
    pair("Softmax-axes", "Softmax", SEQUENCE, (1, 2)),
    pair("Conv1D", "Conv1D", SEQUENCE, 4, 3, padding="causal", dilation_rate=2, activation="relu"),
    pair("Conv1D-strides", "Conv1D", SEQUENCE, 4, 3, strides=2, padding="same"),
    pair("Conv2D", "Conv2D", IMAGE, 6, 3, activation="tanh"),
    pair("Conv2D-strides", "Conv2D", IMAGE, 6, (3, 2), strides=2, padding="same", use_bias=False),
    pair("Conv2D-dilation", "Conv2D", IMAGE, 3, 3, dilation_rate=(2, 1), padding="same"),
    pair("Conv2D-groups", "Conv2D", IMAGE, 6, 3, groups=2),
    pair("Conv2D-groups-all", "Conv2D", IMAGE, 8, 3, groups=4, padding="same"),
    pair("DepthwiseConv2D", "DepthwiseConv2D", IMAGE, 3, depth_multiplier=2, strides=2),
    pair("DepthwiseConv2D-dilation", "DepthwiseConv2D", IMAGE, 3, dilation_rate=2, padding="same"),
    pair("Conv3D", "Conv3D", VOLUME, 3, 2, strides=2, padding="same"),
    pair("Conv3D-groups", "Conv3D", VOLUME, 4, (2, 1, 2), groups=2, dilation_rate=(1, 2, 1)),
    pair("Conv1DTranspose", "Conv1DTranspose", SEQUENCE, 4, 3, strides=2),
    pair("Conv2DTranspose", "Conv2DTranspose", SMALL, 3, (3, 2), strides=2, padding="same"),
    pair("Conv2DTranspose-more", "Conv2DTranspose", SMALL, 3, 3, strides=(3, 2),
         output_padding=(2, 1), padding="same", activation="tanh"),
    pair("Conv3DTranspose", "Conv3DTranspose", VOLUME, 2, 2, strides=(2, 1, 1), use_bias=False),
    Case("Conv2DTranspose-dilation", lambda: L.Conv2DTranspose(3, (2, 3), dilation_rate=(2, 1)),
         SMALL),
    pair("DepthwiseConv1D", "DepthwiseConv1D", SEQUENCE, 3, strides=2, padding="same"),
    pair("SeparableConv1D", "SeparableConv1D", SEQUENCE, 4, 3, depth_multiplier=2),
    pair("SeparableConv2D", "SeparableConv2D", SMALL, 3, (3, 2), padding="same", strides=2,
         activation="tanh"),
    pair("MaxPooling3D", "MaxPooling3D", VOLUME, 2, 1, padding="same"),
    pair("AveragePooling3D", "AveragePooling3D", VOLUME, 2, 1, padding="same"),
    pair("GlobalMaxPooling3D", "GlobalMaxPooling3D", VOLUME),
    pair("GlobalAveragePooling3D", "GlobalAveragePooling3D", VOLUME, keepdims=True),
    pair("MaxPooling1D", "MaxPooling1D", SEQUENCE, 2),
    pair("MaxPooling2D", "MaxPooling2D", IMAGE, 3, 2, padding="same"),
    pair("AveragePooling1D", "AveragePooling1D", SEQUENCE, 3, 1, padding="same"),
    pair("AveragePooling2D", "AveragePooling2D", IMAGE, 3, 2, padding="same"),
    pair("GlobalMaxPooling1D", "GlobalMaxPooling1D", SEQUENCE),
    pair("GlobalMaxPooling2D", "GlobalMaxPooling2D", IMAGE, keepdims=True),
    pair("GlobalAveragePooling1D", "GlobalAveragePooling1D", SEQUENCE),
    pair("GlobalAveragePooling2D", "GlobalAveragePooling2D", IMAGE),
    pair("BatchNormalization", "BatchNormalization", IMAGE, held=STATISTICS),
    pair("BatchNormalization-axis", "BatchNormalization", SEQUENCE, 1, 0.9, scale=False,
         held=STATISTICS),
    pair("BatchNormalization-rank2", "BatchNormalization", VECTORS, center=False, held=STATISTICS),
    pair("LayerNormalization", "LayerNormalization", SEQUENCE),
    pair("LayerNormalization-axes", "LayerNormalization", IMAGE, (1, 2), epsilon=0.1),
    pair("RMSNormalization", "RMSNormalization", SEQUENCE),
    pair("GroupNormalization", "GroupNormalization", IMAGE, 2),
    pair("GroupNormalization-axis", "GroupNormalization", IMAGE, -1, 1),
    Case(
        "InstanceNormalization",
        L.InstanceNormalization,
        IMAGE,
        lambda: K.GroupNormalization(-1),
    ),
    pair("Dropout", "Dropout", VECTORS, 0.4, held=NOISE),
    pair("SpatialDropout1D", "SpatialDropout1D", SEQUENCE, 0.4, held=NOISE),
    pair("SpatialDropout2D", "SpatialDropout2D", IMAGE, 0.4, held=NOISE),
    pair("GaussianNoise", "GaussianNoise", VECTORS, 0.4, held=NOISE),
    pair("GaussianDropout", "GaussianDropout", VECTORS, 0.4, held=NOISE),
    Case("DropPath", lambda: L.DropPath(0.4, seed=3), SEQUENCE, held=NOISE),
    pair("Embedding", "Embedding", (3, 5), 300, 4, integers=300),
    pair("ReversibleEmbedding", "ReversibleEmbedding", (3, 5), 300, 4, integers=300),
    pair("SimpleRNN", "SimpleRNN", SEQUENCE, 4, return_sequences=True),
    pair("GRU", "GRU", SEQUENCE, 4, return_sequences=True),
    pair("GRU-before", "GRU", SEQUENCE, 4, reset_after=False, go_backwards=True),
    pair("LSTM", "LSTM", SEQUENCE, 4),
    pair("LSTM-sequences", "LSTM", SEQUENCE, 4, return_sequences=True, use_bias=False),
    Case(
        "Bidirectional",
        lambda: L.Bidirectional(L.LSTM(3, return_sequences=True)),
        SEQUENCE,
        lambda: K.Bidirectional(K.LSTM(3, return_sequences=True)),
    ),
    *(Case(f"{name}-one_step", lambda name=name, more=more: one_step(getattr(L, name), 2, **more),
           VECTORS, held=held)
      for name, more, held in (
          ("SimpleRNNCell", {}, {}), ("LSTMCell", {"dropout": 0.3}, NOISE), ("GRUCell", {}, {}))),
    Case("StackedRNNCells-one_step",
         lambda: one_step(L.StackedRNNCells, [L.LSTMCell(1), L.SimpleRNNCell(2)]), VECTORS),
    Case("RNN", lambda: L.RNN([L.LSTMCell(3), L.GRUCell(4)], True), SEQUENCE,
         lambda: K.RNN([K.LSTMCell(3), K.GRUCell(4)], True)),
    Case("RNN-dropout", lambda: L.RNN(L.GRUCell(4, dropout=0.3, recurrent_dropout=0.3)), SEQUENCE,
         held=NOISE),
    Case(
        "LSTM-dropout", lambda: L.LSTM(4, dropout=0.3, recurrent_dropout=0.3), SEQUENCE, held=NOISE
    ),
    Case(
        "MultiHeadAttention",
        lambda: L.MultiHeadAttention(2, 3, value_dim=4),
        SEQUENCE,
        lambda: _SelfAttention(K.MultiHeadAttention(2, 3, value_dim=4)),
        held=BLIND,
    ),
    Case(
        "MultiHeadAttention-dropout",
        lambda: L.MultiHeadAttention(2, 3, dropout=0.3),
        SEQUENCE,
        held=NOISE | BLIND,
    ),
    pair("EinsumDense", "EinsumDense", SEQUENCE, "abc,cd->abd", (None, 4), bias_axes="d",
         activation="tanh"),
    pair("EinsumDense-hidden", "EinsumDense", SMALL, "...ab,bcd->...acd", (None, 2, 3),
         bias_axes="cd", kernel_regularizer="l2"),
    pair("EinsumDense-right", "EinsumDense", SMALL, "ab...,bc->ac...", 3, bias_axes="c"),
    Case("Bias", lambda: L.Bias("ones"), SEQUENCE),
    pair("ELU", "ELU", VECTORS, 0.7),
    *(pair(f"Adaptive{kind}Pooling{n}D", f"Adaptive{kind}Pooling{n}D", shape, size)
      for kind in ("Max", "Average")
      for n, shape, size in ((1, SEQUENCE, 3), (2, SMALL, (3, 2)), (3, VOLUME, (2, 3, 2)))),
    pair("ZeroPadding1D", "ZeroPadding1D", SEQUENCE, (1, 2)),
    pair("ZeroPadding2D", "ZeroPadding2D", SMALL, (1, 2)),
    pair("ZeroPadding3D", "ZeroPadding3D", VOLUME, ((0, 1), (2, 0), (1, 1))),
    pair("Cropping1D", "Cropping1D", SEQUENCE, (1, 2)),
    pair("Cropping2D", "Cropping2D", SMALL, ((1, 0), (2, 1))),
    pair("Cropping3D", "Cropping3D", VOLUME, (1, 0, 1)),
    pair("UpSampling1D", "UpSampling1D", SEQUENCE, 3),
    pair("UpSampling2D", "UpSampling2D", SMALL, (2, 3)),
    pair("UpSampling2D-bilinear", "UpSampling2D", SMALL, (2, 3), interpolation="bilinear"),
    pair("UpSampling3D", "UpSampling3D", VOLUME, (2, 1, 2)),
    Case("PixelShuffle", lambda: L.PixelShuffle(2), SMALL),
    pair("UnitNormalization", "UnitNormalization", SMALL, (1, 3)),
    Case("SpectralNormalization", lambda: L.SpectralNormalization(L.Conv2D(3, 2), 2), SMALL,
         held={"training": "statistics", "true_gradients": [False]}),
    Case("WeightNormalization", lambda: L.WeightNormalization(L.Dense(5)), VECTORS),
    Case("Normalization", L.Normalization, VECTORS),
    pair("Normalization-given", "Normalization", SMALL, (1, 3), 0.5, variance=4.0, invert=True),
    pair("SpatialDropout3D", "SpatialDropout3D", VOLUME, 0.4, held=NOISE),
    Case("PatchEmbedding", lambda: L.PatchEmbedding(5, (2, 4)), IMAGE),
    Case("SqueezeExcite", lambda: L.SqueezeExcite(2, activation="tanh"), SMALL),
    Case("MLP", lambda: L.MLP([5, 3], "tanh", output_activation="softmax"), VECTORS,
         lambda: keras.Sequential([K.Dense(5, "tanh"), K.Dense(3, "softmax")])),
    Case("MLP-dropout", lambda: L.MLP([5, 4, 3], dropout=0.3), VECTORS, held=NOISE),
    Case(
        "GroupedQueryAttention",
        lambda: L.GroupedQueryAttention(
            3, 4, num_key_value_heads=2, sliding_window=3, use_bias=False
        ),
        SEQUENCE,
        lambda: _SelfAttention(
            K.GroupQueryAttention(3, 4, 2, sliding_window=3, use_bias=False)
        ),
    ),
    Case("SinusoidalEncoding", L.SinusoidalEncoding, SEQUENCE),
    Case("RotaryEncoding", L.RotaryEncoding, IMAGE),
    Case("PositionEmbedding", lambda: L.PositionEmbedding(5), SEQUENCE),
    Case(
        "TransformerBlock",
        lambda: L.TransformerBlock(2, 8, causal=True, dropout=0.2),
        SEQUENCE,
        held=NOISE | BLIND,
    ),
    Case(
        "CausalTransformer",
        lambda: L.CausalTransformer(
            7, 6, blocks=[L.TransformerBlock(2, 8, causal=True)], positions=L.PositionEmbedding(5)
        ),
        (3, 5),
        integers=7,
        held=BLIND,
    ),
    Case("BatchRenormalization", L.BatchRenormalization, VECTORS,
         held=STATISTICS | {"true_gradients": [False]}),
    Case("LoRA", lambda: L.LoRA(L.Dense(5), 2, alpha=3.0), VECTORS),
    Case("NoisyDense", lambda: L.NoisyDense(5), VECTORS,
         held=NOISE | {"no_gradient": ["sigma"]}),  # in inference
    Case("VectorQuantizer", lambda: L.VectorQuantizer(5), SEQUENCE,
         held={"true_gradients": []}),
    Case(
        "Sequential",
        lambda: L.Sequential(
            [L.Dense(5), L.BatchNormalization(), L.Activation("tanh"), L.Dense(3, "softmax")]
        ),
        VECTORS,
        lambda: keras.Sequential(
            [K.Dense(5), K.BatchNormalization(), K.Activation("tanh"), K.Dense(3, "softmax")]
        ),
        held=STATISTICS | {"no_gradient": ["0/dense/bias"]},  # the mean is taken off again
    ),
    Case(
        "Residual", lambda: L.Residual([L.Dense(5, "relu"), L.Dense(6)]), VECTORS
    ),
    Case(
        "Residual-shortcut", lambda: L.Residual(L.Dense(5, "relu"), shortcut=L.Dense(5)), VECTORS
    ),
]  # fmt: skip


class _SelfAttention(keras.layers.Layer):
    """Keras's attention asks for the value even where it is the query."""

    def __init__(self, attention: Any) -> None:
        super().__init__()
        self.attention = attention

    def build(self, shape: Any) -> None:
        self.attention.build(shape, shape)

    def call(self, x: Any, training: bool = False) -> Any:
        return self.attention(x, x, training=training)


@pytest.fixture(autouse=True)
def seeds(request: Any) -> None:
    """As everywhere, but cases leave TensorFlow's global seed alone: they hold for any draw.

    Setting it throws all kernels away, and making them anew took a third of the time.
    """
    np.random.seed(0)
    if not {"case", "twin_case"} & set(request.fixturenames):
        tf.random.set_seed(0)


@pytest.fixture
def cases() -> list[Case]:
    return CASES


def pytest_generate_tests(metafunc: Any) -> None:
    if "case" in metafunc.fixturenames:
        metafunc.parametrize("case", CASES, ids=[case.id for case in CASES])
    if "twin_case" in metafunc.fixturenames:
        twins = [case for case in CASES if case.twin is not None]
        metafunc.parametrize("twin_case", twins, ids=[case.id for case in twins])
