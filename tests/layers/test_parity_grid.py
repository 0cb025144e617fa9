"""Keras as the reference over drawn arguments and shapes: outputs, all gradients, statistics."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import layers as L

K = keras.layers
SIZES = st.integers(1, 3)
PADDINGS = st.sampled_from(["valid", "same"])
SHAPES = st.lists(st.integers(3, 6), min_size=1, max_size=3)  # of space; its length is the rank
grid = settings(max_examples=12)


def weighed(layer, x, variables, training, mask):
    x = tf.constant(x)
    kwargs = {} if mask is None else {"mask": mask}
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=training, **kwargs)
        wave = tf.reshape(tf.cos(tf.range(tf.size(y), dtype=tf.float32)), tf.shape(y))
        loss = tf.reduce_sum(y * wave)
    grads = tape.gradient(loss, [x, *variables], unconnected_gradients="zero")
    return [y, *map(tf.convert_to_tensor, grads)]


def agree(name, x_shape, *args, training=False, mask=None, **kwargs):
    """Equal weights give outputs, gradients and moved statistics within 1e-5 of the largest."""
    rng = np.random.default_rng(len(x_shape) + x_shape[-1])
    x = rng.normal(size=x_shape).astype(np.float32)
    ours, theirs = getattr(L, name)(*args, **kwargs), getattr(K, name)(*args, **kwargs)
    ours(x), theirs(x)
    theirs.set_weights([rng.uniform(0.2, 1.0, w.shape) for w in theirs.get_weights()])
    ours.set_weights(theirs.get_weights())
    got = weighed(ours, x, ours.trainable_variables, training, mask)
    want = weighed(theirs, x, [v.value for v in theirs.trainable_variables], training, mask)
    got, want = [*got, *ours.get_weights()], [*want, *theirs.get_weights()]
    for i, (g, w) in enumerate(zip(got, want, strict=True)):
        g, w = np.asarray(g), np.asarray(w)
        scale = max(1.0, np.abs(w).max(initial=0.0))
        np.testing.assert_allclose(g, w, rtol=0, atol=1e-5 * scale, err_msg=f"value {i}")


def window(data, rank, stretch="dilation_rate"):
    """A kernel, and strides or dilation, for as many axes."""
    kernel = data.draw(st.lists(SIZES, min_size=rank, max_size=rank), "kernel")
    steps = data.draw(st.lists(SIZES, min_size=rank, max_size=rank), "steps")
    which = data.draw(st.sampled_from(["strides", stretch]), "which")
    return [tuple(kernel)], {which: tuple(steps)}


@grid
@given(data=st.data(), shape=SHAPES, padding=PADDINGS, groups=st.sampled_from([1, 2]))
def test_convolutions(data, shape, padding, groups):
    args, kwargs = window(data, len(shape))
    reach = [
        (k - 1) * d + 1 for k, d in zip(args[0], kwargs.get("dilation_rate", args[0]), strict=True)
    ]
    shape = [max(s, r) for s, r in zip(shape, reach, strict=True)]
    agree(
        f"Conv{len(shape)}D", [2, *shape, 4], 2 * groups, *args, padding=padding, groups=groups,
        use_bias=data.draw(st.booleans(), "bias"), **kwargs,
    )  # fmt: skip


@grid
@given(t=st.integers(3, 6), kernel=st.integers(1, 4), rate=SIZES, strides=SIZES)
def test_causal_convolutions(t, kernel, rate, strides):
    how = {"dilation_rate": rate} if rate > 1 else {"strides": strides}
    agree("Conv1D", [2, t, 3], 2, kernel, padding="causal", **how)


@grid
@given(data=st.data(), shape=SHAPES, padding=PADDINGS)
def test_transposed_convolutions(data, shape, padding):
    rank = len(shape)
    kernel, strides = (
        tuple(data.draw(st.lists(SIZES, min_size=rank, max_size=rank), name))
        for name in ("kernel", "strides")
    )
    more = tuple(data.draw(st.integers(0, s - 1), "more") for s in strides)
    more = data.draw(st.sampled_from([None, more]), "output_padding")
    if (
        more
        and padding == "same"
        and any(k % 2 + m == 0 for k, m in zip(kernel, more, strict=True))
    ):
        more = None  # refused; Keras fails in TensorFlow
    agree(
        f"Conv{rank}DTranspose", [2, *shape, 3], 2, kernel, strides=strides, padding=padding,
        output_padding=more,
    )  # fmt: skip


@grid
@given(
    space=st.lists(st.integers(3, 6), min_size=1, max_size=2), padding=PADDINGS, kernel=SIZES,
    steps=SIZES, stretch=st.sampled_from(["strides", "dilation_rate"]), depth=st.integers(1, 2),
    separable=st.booleans(),
)  # fmt: skip
def test_depthwise_and_separable_convolutions(
    space, padding, kernel, steps, stretch, depth, separable
):
    if stretch == "dilation_rate":
        space = [max(s, (kernel - 1) * steps + 1) for s in space]
    name, first = ("SeparableConv", [3]) if separable else ("DepthwiseConv", [])
    how = {"padding": padding, "depth_multiplier": depth, stretch: steps}
    agree(f"{name}{len(space)}D", [2, *space, 3], *first, kernel, **how)


@grid
@given(data=st.data(), shape=SHAPES, padding=PADDINGS, kind=st.sampled_from(["Max", "Average"]))
def test_pools(data, shape, padding, kind):
    args, kwargs = window(data, len(shape), "strides")
    agree(f"{kind}Pooling{len(shape)}D", [2, *shape, 3], *args, padding=padding, **kwargs)


@grid
@given(
    shape=st.lists(st.integers(2, 5), min_size=2, max_size=4), axis=st.integers(-1, 1),
    training=st.booleans(), momentum=st.floats(0.0, 1.0), masked=st.booleans(),
    center=st.booleans(), scale=st.booleans(),
)  # fmt: skip
def test_batch_normalization(shape, axis, training, momentum, masked, center, scale):
    shape[0] += (
        4  # of a few values alone the variance, and with it the gradient, is ill-conditioned
    )
    axis = axis or -1
    mask = None
    if masked and axis == -1 and len(shape) > 2:
        mask = np.random.default_rng(0).random(shape[:-1]) > 0.3
    agree(
        "BatchNormalization", shape, axis, momentum, training=training, mask=mask, center=center,
        scale=scale, epsilon=0.01,
    )  # fmt: skip


@grid
@given(
    name=st.sampled_from(["LayerNormalization", "RMSNormalization", "UnitNormalization"]),
    shape=st.lists(st.integers(2, 5), min_size=3, max_size=4),
    axis=st.sampled_from([-1, 1, (1, 2), (-1, -2)]),
)
def test_normalisations_of_an_example(name, shape, axis):
    if name == "RMSNormalization" and axis != -1:
        # Keras lays the scale along the last axes, whichever were asked for.
        axis = (-2, -1)
    agree(name, shape, axis, **({"epsilon": 0.01} if name == "LayerNormalization" else {}))


@grid
@given(
    shape=st.lists(st.integers(2, 4), min_size=1, max_size=3),
    groups=st.sampled_from([1, 2, 3, 6, -1]),
)
def test_group_normalization(shape, groups):
    agree("GroupNormalization", [2, *shape, 6], groups, epsilon=0.01)


@grid
@given(
    data=st.data(), shape=SHAPES, kind=st.sampled_from(["ZeroPadding", "Cropping", "UpSampling"])
)
def test_padding_cropping_upsampling(data, shape, kind):
    side = st.tuples(st.integers(0, 1), st.integers(0, 1))
    if kind == "UpSampling":
        arg = data.draw(st.lists(SIZES, min_size=len(shape), max_size=len(shape)))
    else:
        arg = tuple(data.draw(side) for _ in shape)
    arg = arg[0] if len(shape) == 1 else tuple(arg)
    agree(f"{kind}{len(shape)}D", [2, *shape, 3], arg)
