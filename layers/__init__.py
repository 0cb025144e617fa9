"""Layers on tf.Module with Keras's names, arguments, defaults and weight order."""

from __future__ import annotations

from . import activations, initializers, regularizers
from .activations import ELU, Activation, LeakyReLU, PReLU, ReLU, Softmax
from .adapted import Normalization
from .adaptive_pooling import (
    AdaptiveAveragePooling1D,
    AdaptiveAveragePooling2D,
    AdaptiveAveragePooling3D,
    AdaptiveMaxPooling1D,
    AdaptiveMaxPooling2D,
    AdaptiveMaxPooling3D,
)
from .attention import KVCache, MultiHeadAttention
from .base import Layer
from .batch_normalization import BatchNormalization
from .batch_renormalization import BatchRenormalization
from .bidirectional import Bidirectional
from .containers import Residual, Sequential
from .conv import Conv1D, Conv2D, Conv3D
from .core import Bias, Dense, Flatten, Lambda, Permute, RepeatVector, Rescaling, Reshape
from .depthwise_conv import DepthwiseConv1D, DepthwiseConv2D
from .einsum_dense import EinsumDense
from .embedding import Embedding
from .gated import GRU, LSTM
from .generation import Generator
from .group_normalization import GroupNormalization, InstanceNormalization
from .grouped_attention import GroupedQueryAttention
from .layer_normalization import LayerNormalization, RMSNormalization, UnitNormalization
from .lora import LoRA
from .mlp import MLP
from .noisy_dense import NoisyDense
from .padding import (
    Cropping1D,
    Cropping2D,
    Cropping3D,
    ZeroPadding1D,
    ZeroPadding2D,
    ZeroPadding3D,
)
from .patches import PatchEmbedding
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
from .recurrent_cells import GRUCell, LSTMCell, SimpleRNNCell
from .regularization import (
    Dropout,
    DropPath,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout1D,
    SpatialDropout2D,
    SpatialDropout3D,
)
from .reparametrized import SpectralNormalization, WeightNormalization
from .reversible_embedding import ReversibleEmbedding
from .rnn import RNN, StackedRNNCells
from .separable_conv import SeparableConv1D, SeparableConv2D
from .squeeze_excite import SqueezeExcite
from .summary import summary
from .transformer import CausalTransformer, TransformerBlock
from .transposed_conv import Conv1DTranspose, Conv2DTranspose, Conv3DTranspose
from .upsampling import PixelShuffle, UpSampling1D, UpSampling2D, UpSampling3D
from .vector_quantizer import VectorQuantizer

__all__ = [
    "Activation",
    "AdaptiveAveragePooling1D",
    "AdaptiveAveragePooling2D",
    "AdaptiveAveragePooling3D",
    "AdaptiveMaxPooling1D",
    "AdaptiveMaxPooling2D",
    "AdaptiveMaxPooling3D",
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
    "BatchNormalization",
    "BatchRenormalization",
    "Bias",
    "Bidirectional",
    "CausalTransformer",
    "Conv1D",
    "Conv1DTranspose",
    "Conv2D",
    "Conv2DTranspose",
    "Conv3D",
    "Conv3DTranspose",
    "Cropping1D",
    "Cropping2D",
    "Cropping3D",
    "Dense",
    "DepthwiseConv1D",
    "DepthwiseConv2D",
    "DropPath",
    "Dropout",
    "ELU",
    "EinsumDense",
    "Embedding",
    "Flatten",
    "GRU",
    "GRUCell",
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
    "LSTMCell",
    "Lambda",
    "Layer",
    "LayerNormalization",
    "LeakyReLU",
    "LoRA",
    "MLP",
    "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D",
    "MultiHeadAttention",
    "NoisyDense",
    "Normalization",
    "PReLU",
    "PatchEmbedding",
    "Permute",
    "PixelShuffle",
    "PositionEmbedding",
    "RMSNormalization",
    "RNN",
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
    "SimpleRNNCell",
    "SinusoidalEncoding",
    "Softmax",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
    "SpectralNormalization",
    "SqueezeExcite",
    "StackedRNNCells",
    "TransformerBlock",
    "UnitNormalization",
    "UpSampling1D",
    "UpSampling2D",
    "UpSampling3D",
    "VectorQuantizer",
    "WeightNormalization",
    "ZeroPadding1D",
    "ZeroPadding2D",
    "ZeroPadding3D",
    "activations",
    "initializers",
    "regularizers",
    "summary",
]
