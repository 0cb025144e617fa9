"""Layers on tf.Module with Keras's names, arguments, defaults and weight order."""

from __future__ import annotations

from . import activations, initializers, regularizers
from .activations import Activation, LeakyReLU, PReLU, ReLU, Softmax
from .attention import MultiHeadAttention
from .base import Layer
from .batch_normalization import BatchNormalization
from .containers import Residual, Sequential
from .conv import Conv1D, Conv2D, DepthwiseConv2D
from .core import Dense, Flatten, Lambda, Permute, RepeatVector, Rescaling, Reshape
from .embedding import Embedding
from .gated import GRU, LSTM
from .group_normalization import GroupNormalization, InstanceNormalization
from .layer_normalization import LayerNormalization, RMSNormalization
from .pooling import (
    AveragePooling1D,
    AveragePooling2D,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    MaxPooling1D,
    MaxPooling2D,
)
from .recurrent import SimpleRNN
from .regularization import (
    Dropout,
    DropPath,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout1D,
    SpatialDropout2D,
)
from .summary import summary

__all__ = [
    "Layer",
    "Dense",
    "Flatten",
    "Reshape",
    "Permute",
    "RepeatVector",
    "Rescaling",
    "Lambda",
    "Activation",
    "ReLU",
    "LeakyReLU",
    "PReLU",
    "Softmax",
    "Conv1D",
    "Conv2D",
    "DepthwiseConv2D",
    "MaxPooling1D",
    "MaxPooling2D",
    "AveragePooling1D",
    "AveragePooling2D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "BatchNormalization",
    "LayerNormalization",
    "RMSNormalization",
    "GroupNormalization",
    "InstanceNormalization",
    "Dropout",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "GaussianNoise",
    "GaussianDropout",
    "DropPath",
    "Embedding",
    "SimpleRNN",
    "GRU",
    "LSTM",
    "MultiHeadAttention",
    "Sequential",
    "Residual",
    "summary",
    "activations",
    "initializers",
    "regularizers",
]
