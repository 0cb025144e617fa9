"""A U-Net names every pixel of an image: what shape lies there, if any."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

import layers
from benchmarks.data import Data, load_scenes
from benchmarks.data.shapes import SCENE_KINDS, SIDE
from benchmarks.pictures import side_by_side
from benchmarks.workloads.base import Supervised
from trainer import metrics

CLASSES = 1 + len(SCENE_KINDS)


class Level(layers.Layer):
    """One size of image, and all smaller ones below it: `[b, h, w, c] -> [b, h, w, width]`.

    What the image shows in fine detail goes across, what it shows at large comes up from below.
    """

    def __init__(self, width: int, below: layers.Layer) -> None:
        super().__init__()
        self.down = convolutions(width)
        self.below = below
        self.up = layers.Conv2DTranspose(width, 2, strides=2)
        self.merge = convolutions(width)

    def call(self, inputs, training=False):
        """Sides must be even."""
        across = self.down(inputs, training=training)
        halved = tf.nn.max_pool2d(across, 2, 2, "VALID")
        up = self.up(self.below(halved, training=training))
        return self.merge(tf.concat([up, across], -1), training=training)


def convolutions(width: int) -> layers.Layer:
    """Two of 3x3 at the same size."""
    how: dict[str, Any] = {"padding": "same", "activation": "relu"}
    return layers.Sequential([layers.Conv2D(width, 3, **how) for _ in range(2)])


class UNet(Supervised):
    """Ronneberger et al. 2015, with three levels of 8, 16 and 32 channels."""

    name = "unet"
    title = "U-Net segmentation of shapes"
    batch_size = 32
    epochs = 20
    learning_rate = 3e-3
    expected: ClassVar = {"mean_iou": 0.7}
    round_steps = 50
    widths = (8, 16, 32)
    rows = 4096

    def data(self, data_dir=None):
        """Images [b, 32, 32, 3], and a class for each pixel [b, 32, 32]; drawn, not read."""
        return load_scenes(self.rows, 256)

    def model(self):
        """Images [b, 32, 32, 3] -> logits [b, 32, 32, k]."""
        *upper, lowest = self.widths
        model = convolutions(lowest)
        for width in reversed(upper):
            model = Level(width, model)
        return layers.Sequential([model, layers.Conv2D(CLASSES, 1)])

    def keras_model(self):
        """The same, of Keras."""
        import keras

        def convolutions(width, x):
            for _ in range(2):
                x = keras.layers.Conv2D(width, 3, padding="same", activation="relu")(x)
            return x

        def level(widths, x):
            width, *below = widths
            across = convolutions(width, x)
            if not below:
                return across
            up = level(below, keras.layers.MaxPooling2D()(across))
            up = keras.layers.Conv2DTranspose(width, 2, strides=2)(up)
            return convolutions(width, keras.layers.Concatenate()([up, across]))

        images = keras.Input([SIDE, SIDE, 3])
        logits = keras.layers.Conv2D(CLASSES, 1)(level(self.widths, images))
        return keras.Model(images, logits)

    def quality(self, trainer: Any, data: Data) -> dict[str, float]:
        """Loss and accuracy by pixels, and the mean over classes of intersection by union."""
        by_pixel = trainer.evaluate(data.x_test, data.y_test, verbose=0)
        metric = metrics.MeanIoU(CLASSES, sparse_y_pred=False)
        sums = metric(data.y_test, trainer.predict(data.x_test))
        return {**by_pixel, "mean_iou": float(metric.result(sums))}

    def sample(self, trainer: Any, data: Data) -> str:
        """Every other pixel of a test image, its true map, and the map that was found."""
        image, truth = data.x_test[:1], np.asarray(data.y_test)[0]
        found = trainer.predict(image)[0].argmax(-1)
        maps = [classes / (CLASSES - 1) for classes in (truth, found)]
        drawn = np.stack([image[0].mean(-1), *maps])[:, ::2, ::2]
        return f"a test image, its shapes, and those that were found\n{side_by_side(drawn)}"
