"""ResNet-20: twenty layers with shortcuts, as for CIFAR-10."""

from __future__ import annotations

from typing import Any, ClassVar

import tensorflow as tf

from benchmarks.data import load_shapes
from benchmarks.workloads.base import Supervised

WIDTHS = (16, 32, 64)  # channels of the three sizes of image
MOMENTUM = 0.9
WEIGHT_DECAY = 1e-3
KERNELS: dict[str, Any] = {"padding": "same", "use_bias": False, "kernel_initializer": "he_normal"}
NORMALIZATION: dict[str, Any] = {"momentum": 0.9, "epsilon": 1e-5}


class ResNet(Supervised):
    """He et al. 2015, section 4.2: 6 n + 2 layers, n = 3, shortcuts without weights.

    SGD with momentum 0.9 at 0.1, divided by ten after half and three quarters of the steps, as in
    the paper. Its weight decay of 1e-4 is part of the gradient and so adds up in momentum to ten
    times that; here, as in Keras, decay is apart from the gradient, and ten times that by itself.
    There is no augmentation.
    """

    name = "resnet"
    title = "ResNet-20 on drawn images of shapes"
    batch_size = 64
    epochs = 8
    learning_rate = 0.1
    expected: ClassVar = {"accuracy": 0.9}
    round_steps = 20
    calm: ClassVar = {"learning_rate": 1e-3}
    rows = 2560
    blocks = 3

    def data(self, data_dir=None):
        """Images [b, 32, 32, 3] in [0, 1] and labels [b], drawn; `data_dir` is not needed.

        They are the same on every machine; the workload `cifar10` has CIFAR-10's.
        """
        return load_shapes(self.rows, 512)

    def model(self):
        """Images [b, 32, 32, 3] -> logits [b, 10]."""
        import layers

        def convolution(width, strides=1):
            return [
                layers.Conv2D(width, 3, strides=strides, **KERNELS),
                layers.BatchNormalization(**NORMALIZATION),
            ]

        def block(width, strides):
            inner = [*convolution(width, strides), tf.nn.relu, *convolution(width)]
            shortcut = None if strides == 1 else halved
            return [layers.Residual(inner, shortcut=shortcut), tf.nn.relu]

        body = [*convolution(WIDTHS[0]), tf.nn.relu]
        for width, strides in self.plan():
            body += block(width, strides)
        head = [layers.GlobalAveragePooling2D(), layers.Dense(10, kernel_initializer="he_normal")]
        return layers.Sequential([*body, *head])

    def keras_model(self):
        """The same, of Keras."""
        import keras

        def convolution(x, width, strides=1):
            x = keras.layers.Conv2D(width, 3, strides=strides, **KERNELS)(x)
            return keras.layers.BatchNormalization(**NORMALIZATION)(x)

        def block(x, width, strides):
            y = keras.layers.ReLU()(convolution(x, width, strides))
            y = convolution(y, width)
            if strides > 1:
                more = x.shape[-1] // 2
                x = keras.ops.pad(x[:, ::2, ::2], [[0, 0], [0, 0], [0, 0], [more, more]])
            return keras.layers.ReLU()(keras.layers.Add()([y, x]))

        images = keras.Input([32, 32, 3])
        x = keras.layers.ReLU()(convolution(images, WIDTHS[0]))
        for width, strides in self.plan():
            x = block(x, width, strides)
        x = keras.layers.GlobalAveragePooling2D()(x)
        head = keras.layers.Dense(10, kernel_initializer="he_normal")
        return keras.Model(images, head(x))

    def plan(self) -> list[tuple[int, int]]:
        """Channels and strides of every block; sides are halved where channels double."""
        return [
            (width, 2 if first and width > WIDTHS[0] else 1)
            for width in WIDTHS
            for first in [True] + [False] * (self.blocks - 1)
        ]

    def optimizer(self):
        """Momentum, a decay apart from the gradient, and rates by steps."""
        import optimizers

        rate = optimizers.schedules.PiecewiseConstantDecay(*self.rates())
        return optimizers.SGD(rate, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)

    def keras_optimizer(self):
        """The same, of Keras."""
        import keras

        rate = keras.optimizers.schedules.PiecewiseConstantDecay(*self.rates())
        return keras.optimizers.SGD(rate, momentum=MOMENTUM, weight_decay=WEIGHT_DECAY)

    def rates(self) -> tuple[list[int], list[float]]:
        """After which steps the rate changes, and the rates."""
        steps = self.epochs * -(-self.rows // self.batch_size)
        return [steps // 2, steps * 3 // 4], [self.learning_rate * f for f in (1.0, 0.1, 0.01)]


def halved(x):
    """Every other pixel, and zeros for the channels there are not: [b, h, w, c] -> twice the c."""
    more = x.shape[-1] // 2
    return tf.pad(x[:, ::2, ::2], [[0, 0], [0, 0], [0, 0], [more, more]])
