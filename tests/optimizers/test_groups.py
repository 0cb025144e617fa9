"""Groups: who updates what, frozen ones, multiplied rates, and mistakes in patterns."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import optimizers

NAMES = ("embedding/table", "block/dense/kernel", "block/dense/bias", "head/kernel", "head/bias")


@pytest.fixture
def weights(rng):
    shapes = ((5, 2), (3, 4), (4,), (4, 2), (2,))
    return [
        tf.Variable(np.float32(rng.normal(size=s)), name=n)
        for n, s in zip(NAMES, shapes, strict=True)
    ]


@pytest.fixture
def grads(weights, rng):
    return [tf.constant(rng.normal(size=w.shape), tf.float32) for w in weights]


@pytest.mark.parametrize("jit", [False, True])
def test_each_group_is_its_optimizer_alone(jit, weights, grads):
    twins = [tf.Variable(w.read_value()) for w in weights]
    optimizer = optimizers.Groups(
        {
            "^embedding/": None,
            r"block/.*/kernel$": optimizers.Muon(0.02),
            "head/": 0.1,
            "...": optimizers.AdamW(0.01, weight_decay=0.5),
        }
    )
    optimizer.build(weights)
    step = tf.function(lambda *g: optimizer.apply(g, weights), jit_compile=jit)
    alone = [optimizers.Muon(0.02), optimizers.AdamW(0.01, 0.5), optimizers.AdamW(0.001, 0.5)]
    for _ in range(3):
        step(*grads)
        for single, chosen in zip(alone, ([1], [2], [3, 4]), strict=True):
            single.apply([grads[i] for i in chosen], [twins[i] for i in chosen])
    for weight, twin in zip(weights, twins, strict=True):
        np.testing.assert_allclose(weight, twin, rtol=2e-5, atol=1e-6)
    assert [optimizer.group_of(w) for w in weights] == [
        None,
        r"block/.*/kernel$",
        "...",
        "...",
        "...",
    ]
    assert optimizer.weights == weights[1:]  # the embedding is frozen
    assert [v.name.split("/")[-1] for v in optimizer.variables].count("momentum:0") == 4
    with pytest.raises(ValueError, match="'embedding/table' is frozen"):
        optimizer.slot("momentum", weights[0])


def test_the_first_pattern_wins_and_groups_without_gradients_rest(weights, grads):
    optimizer = optimizers.Groups(
        {"bias$": optimizers.SGD(1.0), "head": optimizers.SGD(10.0), "...": optimizers.SGD(0.0)}
    )
    before = [w.numpy() for w in weights]
    optimizer.apply([None, None, grads[2], None, grads[4]], weights)
    for i, rate in ((2, 1.0), (4, 1.0), (3, 0.0)):
        np.testing.assert_allclose(weights[i], before[i] - rate * grads[i], rtol=1e-6)
    assert [int(o.iterations) for o in optimizer.optimizers.values()] == [1, 0, 0]


def test_rates_are_each_group_s_own(weights, grads):
    optimizer = optimizers.Groups({"bias": optimizers.SGD(0.5), "...": optimizers.SGD(0.25)})
    optimizer.build(weights)
    optimizer.learning_rate = 0.125
    optimizer.optimizers["bias"].learning_rate = 0.0
    before = [w.numpy() for w in weights]
    optimizer.apply(grads, weights)
    np.testing.assert_array_equal(weights[2], before[2])
    np.testing.assert_allclose(weights[0], before[0] - 0.125 * grads[0], rtol=1e-6)
    assert float(optimizer.learning_rate) == 0.125 and int(optimizer.iterations) == 1


def test_around_groups_a_norm_is_over_all(weights, grads):
    groups = optimizers.Groups({"bias": optimizers.SGD(1.0), "...": optimizers.SGD(1.0)})
    before = [w.numpy() for w in weights]
    optimizers.Transform(groups, optimizers.ClipGlobalNorm(0.5)).apply(grads, weights)
    moved = np.concatenate([np.ravel(w - b) for w, b in zip(weights, before, strict=True)])
    np.testing.assert_allclose(np.linalg.norm(moved), 0.5, rtol=1e-5)


def test_averages_of_groups_swap_together(weights, grads):
    groups = optimizers.Groups(
        {"embedding": None, "bias": optimizers.SGD(1.0, use_ema=True), "...": optimizers.SGD(1.0)}
    )
    for _ in range(2):
        groups.apply(grads, weights)
    before = [w.numpy() for w in weights]
    with groups.evaluating():
        np.testing.assert_array_equal(weights[2], groups.slot("average", weights[2]))
        np.testing.assert_array_equal(weights[1], before[1])
    np.testing.assert_array_equal(weights[2], before[2])
    groups.finalize_variable_values(groups.weights)
    np.testing.assert_array_equal(weights[2], groups.slot("average", weights[2]))


def test_variables_that_come_later(weights, grads):
    groups = optimizers.Groups(
        {"bias": optimizers.SGD(1.0), "new": None, "head": 0.5, "...": optimizers.SGD(2.0)}
    )
    weights.append(tf.Variable([1.0], name="new/x"))
    groups.build(weights)
    later = [tf.Variable([1.0], name=n) for n in ("late/bias", "late/kernel", "late/new")]
    groups.add(later)
    groups.apply([tf.constant([0.5])] * 3, later)
    assert [float(v[0]) for v in later] == [0.5, 0.0, 1.0]
    with pytest.raises(ValueError, match="'head/late' belongs to 'head', whose multiplied rate"):
        groups.add([tf.Variable(1.0, name="head/late")])


def test_keras_variables():
    model = keras.Sequential([keras.layers.Input([3]), keras.layers.Dense(2, name="dense")])
    groups = optimizers.Groups({"kernel$": optimizers.Muon(), "...": optimizers.AdamW()})
    groups.apply([tf.ones([3, 2]), tf.ones([2])], model.trainable_variables)
    assert [groups.group_of(v) for v in model.trainable_variables] == ["kernel$", "..."]


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (
            {"kernl$": "sgd", "...": "sgd"},
            r"'kernl\$' is found in no variable name; did you mean '.*kernel",
        ),
        ({"kernel": "sgd", "head/kernel": "sgd", "...": "sgd"}, "'head/kernel' takes no variable"),
        ({"kernel": "sgd"}, "'embedding/table' belongs to no group"),
        ({"embedding": "sgd", "/": "sgd", "...": "sgd"}, 'nothing is left for "..."'),
    ],
)
def test_patterns_that_do_not_fit(groups, message, weights):
    made = {p: optimizers.SGD() for p in groups}
    with pytest.raises(ValueError, match=message):
        optimizers.Groups(made).build(weights)


@pytest.mark.parametrize(
    ("groups", "error", "message"),
    [
        ({"...": None, "x": 1.0}, ValueError, "put it last"),
        ({"(": None}, ValueError, "is no regular expression"),
        ({"x": "adam"}, TypeError, "groups\\['x'\\]='adam' must be an optimizer"),
        ({"x": None}, ValueError, "groups has no optimizer"),
        ({"x": 0.5}, ValueError, "multiplies the learning rate of the rest"),
    ],
)
def test_values_that_do_not_fit(groups, error, message):
    with pytest.raises(error, match=message):
        optimizers.Groups(groups)


def test_two_gradients_and_strangers_are_refused(weights):
    with pytest.raises(TypeError, match="put SAM around the groups"):
        optimizers.Groups({"...": optimizers.SAM(optimizers.SGD())})
    groups = optimizers.Groups({"...": optimizers.SGD()})
    with pytest.raises(ValueError, match="is not built"):
        _ = groups.weights
    groups.build(weights)
    with pytest.raises(ValueError, match="not built for the variable 'other:0'"):
        groups.apply([tf.ones([])], [tf.Variable(1.0, name="other")])
    with pytest.raises(ValueError, match="twice"):
        optimizers.Groups({"...": optimizers.SGD()}).build([weights[0], weights[0]])
