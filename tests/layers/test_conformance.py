"""Every public layer in every mode; the package's __all__ is walked, so none is forgotten."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import tensorflow as tf

import layers as L


def fixed_seed(layer):
    """The same masks in every mode."""
    for module in (layer, *layer.submodules):
        if hasattr(module, "seed_source"):
            module.seed_source = lambda: tf.constant([-7, 11], tf.int32)
    return layer


def make_step(layer, training=True):
    def step(x):
        """Output, loss-like sum, and its gradients by the weights, zeros where there are none."""
        variables = layer.trainable_variables
        with tf.GradientTape() as tape:
            y = layer(x, training=training)
            wave = tf.cos(tf.cast(tf.range(tf.size(y)), tf.float32))
            loss = tf.reduce_sum(tf.cast(y, tf.float32) * tf.reshape(wave, tf.shape(y)))
        grads = tape.gradient(loss, variables, unconnected_gradients="zero")
        return y, [tf.convert_to_tensor(g) for g in grads]

    return step


def make_loop(step):
    def loop(x, n, zeros):
        """The sum of everything over n steps: what a compiled loop does."""

        def body(i, total):
            return i + 1, tf.nest.map_structure(tf.add, total, step(x))

        return tf.while_loop(lambda i, total: i < n, body, (tf.constant(0), zeros))[1]

    return loop


def close(got, want, tolerance=2e-5):
    for g, w in zip(tf.nest.flatten(got), tf.nest.flatten(want), strict=True):
        w = np.asarray(w, np.float64)
        scale = max(1.0, np.abs(w).max(initial=0.0))
        np.testing.assert_allclose(np.asarray(g, np.float64), w, rtol=0, atol=tolerance * scale)


def test_every_layer_has_a_case(cases):
    public = {
        name
        for name in L.__all__
        if isinstance(getattr(L, name), type) and issubclass(getattr(L, name), L.Layer)
    }
    assert public - {"Layer"} == {type(case.make()).__name__ for case in cases}


def test_every_name_in_all_exists_and_is_told():
    for name in L.__all__:
        assert getattr(L, name).__doc__, f"{name} has no docstring"


def test_modes_agree(case):
    layer = fixed_seed(case.built())
    step = make_step(layer)
    start = layer.get_weights()
    x = tf.constant(case.inputs())
    want = step(x)
    moved = layer.get_weights()
    zeros = tf.nest.map_structure(tf.zeros_like, want)
    loop = make_loop(step)
    for jit in (False, True):
        compiled = tf.function(loop, jit_compile=jit, autograph=False)
        layer.set_weights(start)
        close(compiled(x, tf.constant(1), zeros), want)
        close(layer.get_weights(), moved)
        layer.set_weights(start)
        twice = tf.nest.map_structure(lambda a: 2 * np.asarray(a), want)
        close(compiled(x, tf.constant(2), zeros), twice)


def test_training_and_inference(case):
    layer = fixed_seed(case.built())
    x = case.inputs()
    before = layer.get_weights()
    inferred = layer(x)
    close(layer(x), inferred, 0.0)
    close(layer.get_weights(), before, 0.0)
    trained = layer(x, training=True)
    differs = not np.allclose(trained, inferred, atol=1e-4)
    normalises = any(isinstance(m, L.BatchNormalization) for m in (layer, *layer.submodules))
    assert differs == (case.random or normalises)


def test_every_weight_has_a_gradient(case):
    layer = case.built()
    with tf.GradientTape() as tape:
        y = layer(case.inputs())
        loss = tf.reduce_sum(
            tf.square(y) * tf.cos(tf.reshape(tf.range(tf.size(y), dtype=tf.float32), tf.shape(y)))
        )
    for variable, gradient in zip(
        layer.trainable_variables, tape.gradient(loss, layer.trainable_variables), strict=True
    ):
        assert gradient is not None, variable.name
        if "key_bias" in variable.name:
            continue  # adds the same to every score of a query, so the softmax does not see it
        assert float(tf.reduce_max(tf.abs(tf.convert_to_tensor(gradient)))) > 1e-6, variable.name


def test_bfloat16(case, cases):
    layer = fixed_seed(case.built())
    x = case.inputs()
    want = np.asarray(layer(x, training=True))
    start = layer.get_weights()
    for module in (layer, *layer.submodules):
        if hasattr(module, "compute_dtype"):
            module.compute_dtype = "bfloat16"
    step = make_step(layer)
    layer.set_weights(start)
    y, grads = step(tf.constant(x))
    if not case.integers or layer.casts_integers or layer.weights:
        assert y.dtype == tf.bfloat16
    assert all(v.dtype == tf.float32 for v in layer.weights)
    assert all(g.dtype == tf.float32 for g in grads)
    close(tf.cast(y, tf.float32), want, case.bfloat16)
    # Each kind of layer once: other arguments do not change what XLA makes of the dtype.
    if case is next(c for c in cases if c.id.split("-")[0] == case.id.split("-")[0]):
        compiled = tf.function(layer, jit_compile=True, autograph=False)(x, training=True)
        assert compiled.dtype == y.dtype


def test_batch_of_one_and_unknown_batch(case):
    layer = case.built()
    x = tf.constant(case.inputs())
    want = layer(x)
    close(layer(x[:1]), want[:1])
    unknown = tf.TensorSpec([None, *x.shape[1:]], x.dtype)
    traced = tf.function(layer, input_signature=[unknown], autograph=False)
    close(traced(x), want)
    close(traced(x[:1]), want[:1])
    got = traced.get_concrete_function().output_shapes
    assert got.as_list() == [None, *want.shape[1:]]
    assert layer(x[:1], training=True).shape == want[:1].shape


def test_weights_out_and_in(case):
    one, two = case.built(), case.make()
    x = case.inputs()
    two(x)
    two.set_weights(one.get_weights())
    close(two(x), one(x), 0.0)
    trained, others = one.trainable_variables, one.non_trainable_variables
    assert {id(v) for v in one.weights} == {id(v) for v in (*trained, *others)}
    assert len(one.weights) == len(trained) + len(others)
    if one.weights:
        with pytest.raises(ValueError, match="weights"):
            one.set_weights(one.get_weights()[1:])
        with pytest.raises(ValueError, match=r"weights\[0\]"):
            one.set_weights([np.zeros([9, 9, 9, 9, 9]), *one.get_weights()[1:]])
    one.trainable = False
    assert one.trainable_variables == [] and one.losses == []
    assert len(one.non_trainable_variables) == len(one.weights)


def test_deepcopy(case):
    layer = case.built()
    layer.seed_source = fixed_seed
    twin = copy.deepcopy(layer)
    x = case.inputs()
    close(twin(x), layer(x), 0.0)
    assert twin.seed_source is fixed_seed
    ours, theirs = layer.weights, twin.weights
    assert [v.shape for v in ours] == [v.shape for v in theirs]
    for a, b in zip(ours, theirs, strict=True):
        assert a is not b
        b.assign(b + 1.0)
        assert not np.array_equal(a.numpy(), b.numpy())


def test_repr(case):
    layer = case.make()
    shown = repr(layer)
    assert shown.startswith(type(layer).__name__ + "(") and shown.endswith(")")
    assert " at 0x" not in shown and "tf.Tensor" not in shown


def test_checkpoint_holds_every_weight(case, tmp_path):
    layer = case.built()
    if not layer.weights:
        pytest.skip("the layer has no weights")
    want = layer.get_weights()
    path = tf.train.Checkpoint(model=layer).write(str(tmp_path / "c"))
    layer.set_weights([w + 1 for w in want])
    tf.train.Checkpoint(model=layer).read(path).assert_consumed()
    close(layer.get_weights(), want, 0.0)


def test_first_call_in_a_trace_is_refused_if_there_are_weights(case):
    layer = case.make()
    weightless = not case.built().weights
    traced = tf.function(layer, autograph=False)
    if weightless:
        traced(case.inputs())
    else:
        with pytest.raises(ValueError, match="build the model first"):
            traced(case.inputs())


def test_wrong_inputs_are_named(case):
    layer = case.built()
    if layer.input_rank is None and layer.min_rank is None:
        pytest.skip("takes anything")
    x = case.inputs()
    if layer.input_rank is not None:
        with pytest.raises(ValueError, match=f"rank {layer.input_rank}"):
            layer(x[None])
    with pytest.raises(TypeError, match="takes numbers"):
        layer(np.full(x.shape, "word"))
    with pytest.raises(TypeError, match="one dense tensor"):
        layer(tf.ragged.constant([[1.0], [1.0, 2.0]]))
    for axis in layer._axis_sizes:
        with pytest.raises(ValueError, match="was built for"):
            layer(np.concatenate([x, x], axis))
