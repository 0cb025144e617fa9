"""Layers on tf.Module with Keras's names, arguments, defaults and weight order."""

from __future__ import annotations

from . import activations, initializers, regularizers
from .activations import Activation, LeakyReLU, PReLU, ReLU, Softmax
from .attention import MultiHeadAttention
from .base import Layer
from .batch_normalization import BatchNormalization
from .containers import Residual, Sequential
from .conv import Conv1D, Conv2D, Conv3D
from .core import Dense, Flatten, Lambda, Permute, RepeatVector, Rescaling, Reshape
from .depthwise_conv import DepthwiseConv1D, DepthwiseConv2D
from .embedding import Embedding
from .gated import GRU, LSTM
from .group_normalization import GroupNormalization, InstanceNormalization
from .layer_normalization import LayerNormalization, RMSNormalization
from .pooling import (
    AveragePooling1D,
    AveragePooling2D,
    AveragePooling3D,
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalAveragePooling3D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
    GlobalMaxPooling3D,
    MaxPooling1D,
    MaxPooling2D,
    MaxPooling3D,
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
from .separable_conv import SeparableConv1D, SeparableConv2D
from .summary import summary
from .transposed_conv import Conv1DTranspose, Conv2DTranspose, Conv3DTranspose

__all__ = [
    "GRU",
    "LSTM",
    "Activation",
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
    "BatchNormalization",
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Conv3D",
    "Conv3DTranspose",
    "Dense",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "DropPath",
    "Dropout",
    "Embedding",
    "Flatten",
    "GaussianDropout",
    "GaussianNoise",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAveragePooling3D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GlobalMaxPooling3D",
    "GroupNormalization",
    "InstanceNormalization",
    "Lambda",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D",
    "MultiHeadAttention",
    "PReLU",
    "Permute",
    "RMSNormalization",
    "ReLU",
    "RepeatVector",
    "Rescaling",
    "Reshape",
    "Residual",
    "SeparableConv1D",
    "SeparableConv2D",
    "Sequential",
    "SimpleRNN",
    "Softmax",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "activations",
    "initializers",
    "regularizers",
    "summary",
]
