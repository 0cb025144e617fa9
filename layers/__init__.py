"""Layers on tf.Module with Keras's names, arguments, defaults and weight order."""

from __future__ import annotations

from . import activations, initializers, regularizers
from .activations import Activation, LeakyReLU, PReLU, ReLU, Softmax
from .attention import KVCache, MultiHeadAttention
from .base import Layer
from .batch_normalization import BatchNormalization
from .bidirectional import Bidirectional
from .containers import Residual, Sequential
from .conv import Conv1D, Conv2D, Conv3D
from .core import Dense, Flatten, Lambda, Permute, RepeatVector, Rescaling, Reshape
from .depthwise_conv import DepthwiseConv1D, DepthwiseConv2D
from .embedding import Embedding
from .gated import GRU, LSTM
from .generation import Generator
from .group_normalization import GroupNormalization, InstanceNormalization
from .grouped_attention import GroupedQueryAttention
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
from .positions import PositionEmbedding, RotaryEncoding, SinusoidalEncoding
from .recurrent import SimpleRNN
from .regularization import (
    Dropout,
    DropPath,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout1D,
    SpatialDropout2D,
)
from .reversible_embedding import ReversibleEmbedding
from .separable_conv import SeparableConv1D, SeparableConv2D
from .summary import summary
from .transformer import CausalTransformer, TransformerBlock
from .transposed_conv import Conv1DTranspose, Conv2DTranspose, Conv3DTranspose

__all__ = [
    "Activation",
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
    "BatchNormalization",
    "Bidirectional",
    "CausalTransformer",
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
    "GRU",
    "GaussianDropout",
    "GaussianNoise",
    "Generator",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAveragePooling3D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GlobalMaxPooling3D",
    "GroupNormalization",
    "GroupedQueryAttention",
    "InstanceNormalization",
    "KVCache",
    "LSTM",
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
    "PositionEmbedding",
    "RMSNormalization",
    "ReLU",
    "RepeatVector",
    "Rescaling",
    "Reshape",
    "Residual",
    "ReversibleEmbedding",
    "RotaryEncoding",
    "SeparableConv1D",
    "SeparableConv2D",
    "Sequential",
    "SimpleRNN",
    "SinusoidalEncoding",
    "Softmax",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "TransformerBlock",
    "activations",
    "initializers",
    "regularizers",
    "summary",
]
