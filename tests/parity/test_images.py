"""ResNet-20, a MobileNet block and a U-Net with Keras's weights, trained in step with `fit`."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import layers as L
import losses
import optimizers
from trainer import Trainer

BATCH, STEPS = 8, 50
RNG = np.random.default_rng(0)
X = RNG.normal(size=[5 * BATCH, 8, 8, 3]).astype(np.float32)
KINDS = (2 * (X[:, :4].mean((1, 2, 3)) > 0) + (X[:, 4:].mean((1, 2, 3)) > 0)).astype(np.int32)
HOW = {"batch_size": BATCH, "epochs": 10, "shuffle": False, "verbose": 0}
MASKS = (X.mean(-1, keepdims=True) > 0).astype(np.float32)


def normed(new, name, x, kind, *args, **kwargs):
    x = new(f"{name} conv", kind, *args, padding="same", use_bias=False, **kwargs)(x)
    return new(f"{name} norm", "BatchNormalization")(x)


def resnet20(new, join, x):
    """He et al. 2015, with projections where the shape changes."""
    x = new("relu", "ReLU")(normed(new, "stem", x, "Conv2D", 16, 3))
    for stage, filters in enumerate((16, 32, 64)):
        for block in range(3):
            name, strides = f"{stage} {block}", 2 if stage and not block else 1
            y = normed(new, f"{name} 1", x, "Conv2D", filters, 3, strides=strides)
            y = normed(new, f"{name} 2", new(f"{name} relu 1", "ReLU")(y), "Conv2D", filters, 3)
            if strides == 2:
                x = normed(new, f"{name} short", x, "Conv2D", filters, 1, strides=2)
            x = new(f"{name} relu 2", "ReLU")(x + y)
    return new("head", "Dense", 4)(new("pool", "GlobalAveragePooling2D")(x))


def mobilenet(new, join, x):
    """Two inverted residuals (Sandler et al. 2018), one with an even kernel and a stride."""
    for name, size, strides in (("a", 3, 1), ("b", 4, 2)):
        y = normed(new, f"{name} out", x, "Conv2D", 12, 1)
        y = normed(
            new, f"{name} deep", new(f"{name} relu 1", "ReLU", 6.0)(y), "DepthwiseConv2D", size,
            strides=strides,
        )  # fmt: skip
        y = normed(new, f"{name} in", new(f"{name} relu 2", "ReLU", 6.0)(y), "Conv2D", 3, 1)
        x = x + y if strides == 1 else y
    x = new("separable", "SeparableConv2D", 8, 3, activation="silu")(x)
    return new("head", "Dense", 4)(new("pool", "GlobalMaxPooling2D")(x))


def unet(new, join, x):
    """Ronneberger et al. 2015, two levels; up by a transposed convolution and by interpolation."""
    down = []
    for filters in (6, 8):
        x = new(f"down {filters}", "Conv2D", filters, 3, padding="same", activation="relu")(x)
        x = new(f"norm {filters}", "GroupNormalization", 2)(x)
        down.append(x)
        x = new(f"pool {filters}", "MaxPooling2D")(x)
    x = new("floor", "Conv2D", 8, 3, padding="same", dilation_rate=2, activation="relu")(x)
    x = new("up 8", "Conv2DTranspose", 8, 3, strides=2, padding="same")(x)
    x = new("back 8", "Conv2D", 6, 3, padding="same", activation="relu")(join([down[1], x]))
    x = new("up 6", "UpSampling2D", 2, interpolation="bilinear")(x)
    return new("head", "Conv2D", 1, 1)(join([down[0], x]))


class Ours(L.Layer):
    """A model told by one of the functions above; its layers are made in the first call."""

    def __init__(self, forward):
        super().__init__()
        self.forward = forward
        self.parts = {}

    def call(self, x, training=False):
        def new(name, kind, *args, **kwargs):
            if name not in self.parts:
                self.parts[name] = getattr(L, kind)(*args, **kwargs)
            return lambda x: self.parts[name](x, training=training)

        return self.forward(new, lambda xs: tf.concat(xs, -1), x)


def theirs_of(forward):
    parts = {}

    def new(name, kind, *args, **kwargs):
        if kind == "UpSampling2D":
            kwargs = {"size": args[0], **kwargs}
            args = ()
        parts[name] = getattr(keras.layers, kind)(*args, **kwargs)
        return parts[name]

    x = keras.Input(X.shape[1:])
    return keras.Model(x, forward(new, lambda xs: keras.ops.concatenate(xs, -1), x)), parts


def fitted(model, loss, y):
    """The loss of each step of Keras `fit`, whose means over steps are reset each time."""
    seen = []
    record = keras.callbacks.LambdaCallback(
        on_train_batch_begin=lambda batch, logs: model.reset_metrics(),
        on_train_batch_end=lambda batch, logs: seen.append(logs["loss"]),
    )
    loss = getattr(keras.losses, loss)(from_logits=True)
    model.compile(keras.optimizers.SGD(0.001), loss, jit_compile=False)
    model.fit(X, y, callbacks=[record], **HOW)
    return np.asarray(seen)


def apart(ones, others):
    """The largest distance of two weights, relative to the largest of its array, or to 0.1."""
    return max(
        np.abs(a - b).max() / max(0.1, np.abs(b).max())
        for one, other in zip(ones, others, strict=True)
        for a, b in zip(one.get_weights(), other.get_weights(), strict=True)
    )


@pytest.mark.parametrize("forward, y, loss", [
    (resnet20, KINDS, "SparseCategoricalCrossentropy"),
    (mobilenet, KINDS, "SparseCategoricalCrossentropy"),
    (unet, MASKS, "BinaryCrossentropy"),
], ids=["resnet20", "mobilenet", "unet"])  # fmt: skip
def test_forward_and_50_steps_are_keras(forward, y, loss):
    """Losses of the steps and weights at the end; how far rounding alone takes them is measured.

    Twenty normalised convolutions and ReLUs on batches of 8 amplify rounding, the more the larger
    the steps are (by 10^5 in 50 steps of 0.01, though from equal weights all gradients agree within
    4e-6). So Keras is trained once more, from its own weights moved by one part in 10^7: ours may
    be no farther from Keras than a few times what Keras then is from itself.

    Seen, largest of 50 losses and of the weights at the end: ResNet-20 8e-6 and 7e-6 (Keras from
    itself 8e-6 and 7e-6), MobileNet block 2e-7 and 2e-7, U-Net 1e-7 and 1e-7.
    """
    (theirs, parts), ours = theirs_of(forward), Ours(forward)
    ours(X[:1])
    for name, part in parts.items():
        ours.parts[name].set_weights(part.get_weights())
    np.testing.assert_allclose(ours(X), theirs(X), rtol=1e-5, atol=1e-5)
    nudged, nudged_parts = theirs_of(forward)
    nudged.set_weights([w * np.float32(1 + 1e-7) for w in theirs.get_weights()])

    want, rounded = fitted(theirs, loss, y), fitted(nudged, loss, y)
    trainer = Trainer(
        ours,
        loss=getattr(losses, loss)(from_logits=True),
        optimizer=optimizers.SGD(0.001),
        jit=False,
    )
    got = np.asarray(trainer.fit(X, y, **HOW).steps["loss"])
    assert len(got) == len(want) == STEPS
    ours_off, keras_off = np.abs(got / want - 1), np.abs(rounded / want - 1)
    ours_apart = apart([ours.parts[name] for name in parts], parts.values())
    keras_apart = apart(nudged_parts.values(), parts.values())
    assert ours_off[0] < 1e-6 and ours_off[:10].max() < 1e-5
    assert ours_off.max() < max(1e-6, 10 * keras_off.max())
    assert ours_apart < max(1e-6, 10 * keras_apart)
