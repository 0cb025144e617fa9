"""Walks: what hangs on a module, each variable once, and which regularisers count."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

import layers as L
from layers.tree import collect, own_parts, penalties


def variable(name, trainable=True):
    return tf.Variable([1.0, 2.0], trainable=trainable, name=name)


def names(variables):
    return [v.name.split(":")[0] for v in variables]


class Part(tf.Module):
    """A module with the attributes it is given, in that order."""

    def __init__(self, **parts):
        super().__init__()
        for name, value in parts.items():
            setattr(self, name, value)


def random_part(rng, pool, depth):
    """A module with parts in lists, tuples and dicts; some parts are used more than once."""
    module = Part()
    for i in range(rng.integers(1, 4)):
        leaves = []
        for _ in range(rng.integers(1, 4)):
            if rng.random() < 0.4 and pool:
                leaves.append(pool[rng.integers(len(pool))])
            elif rng.random() < 0.5 and depth:
                leaves.append(random_part(rng, pool, depth - 1))
            else:
                leaves.append(variable("v", trainable=bool(rng.random() < 0.6)))
        pool += leaves
        held = [leaves[0], leaves, tuple(leaves), {"a": [{"b": tuple(leaves)}]}]
        setattr(module, f"part{i}", held[rng.integers(len(held))])
    return module


def test_finds_what_tensorflow_s_own_walk_finds():
    """Whatever the tree: the same variables as tf.Module, each once, those to train first."""
    rng = np.random.default_rng(0)
    shared = 0
    for _ in range(30):
        pool = []
        module = random_part(rng, pool, depth=3)
        for trained_only, reference in (
            (False, module.variables),
            (True, module.trainable_variables),
        ):
            found = [id(v) for v in collect(module, trained_only=trained_only)]
            assert len(set(found)) == len(found)
            assert set(found) == {id(v) for v in reference}
        shared += len(pool) - len({id(p) for p in pool})
    assert shared > 0


def test_order_is_that_of_attachment_own_before_others_before_children():
    inner = Part(z=variable("inner_z"), a=variable("inner_a"))
    module = Part(
        kept=variable("kept", trainable=False),
        child=[inner, {"x": Part(b=variable("deep"))}],
        zulu=variable("zulu"),
        text="no variable",
        alpha=(variable("alpha"), inner),
    )
    variables, children = own_parts(module)
    assert names(variables) == ["kept", "zulu", "alpha"]
    assert children == [inner, module.child[1]["x"], inner]
    every = ["zulu", "alpha", "kept", "inner_z", "inner_a", "deep"]
    assert names(collect(module, trained_only=False)) == every
    assert names(collect(module, trained_only=True)) == [n for n in every if n != "kept"]


def test_order_is_keras_s():
    """Of normalisations, whose statistics stand behind all that is trained in the same layer."""
    theirs = keras.Sequential([keras.layers.Dense(3), keras.layers.BatchNormalization()])
    ours = L.Sequential([L.Dense(3), L.BatchNormalization()])
    for model in (theirs, ours):
        model(tf.zeros([1, 2]))
    want = [v.path.split("/")[-1] for v in theirs.weights]
    got = [n.split("/")[-1] for n in names(collect(ours, trained_only=False))]
    assert got == want
    want = [v.path.split("/")[-1] for v in theirs.trainable_weights]
    assert [n.split("/")[-1] for n in names(collect(ours, trained_only=True))] == want


def test_circles_end():
    one, two = Part(a=variable("a")), Part(b=variable("b"))
    one.other, two.other = two, one
    assert names(collect(one, trained_only=False)) == ["a", "b"]
    assert names(collect(two, trained_only=True)) == ["b", "a"]
    assert list(penalties(one, set())) == []


def test_what_is_not_trained_is_not_collected_nor_anything_below_it():
    frozen = Part(w=variable("w"), child=Part(v=variable("v")))
    frozen.trainable = False
    module = Part(a=frozen, b=variable("b"))
    assert names(collect(module, trained_only=True)) == ["b"]
    assert names(collect(module, trained_only=False)) == ["b", "w", "v"]


def test_what_a_layer_ignores_is_not_walked():
    """A seed source may be a bound method of something that holds variables of its own."""
    layer = L.Dropout(0.5)
    layer.seed_source = Part(counter=variable("counter"))
    assert own_parts(layer) == ([], [])
    assert collect(layer, trained_only=False) == []


def test_penalties_are_keras_s_and_their_gradients_the_formula_s(run):
    """l2 gives 0.01 w^2 and 0.02 w; a shared layer counts once, a frozen one not at all."""
    shared = L.Dense(3, kernel_regularizer="l2")
    frozen = L.Dense(3, kernel_regularizer="l2", trainable=False)
    model = L.Sequential([shared, shared, frozen, L.Dense(3, bias_regularizer="l1")])
    model(tf.zeros([1, 3]))
    model.set_weights([np.full(w.shape, 0.5 + i) for i, w in enumerate(model.get_weights())])

    def graded():
        with tf.GradientTape() as tape:
            found = list(penalties(model, set()))
            total = tf.add_n(found)
        return tf.stack(found), tape.gradient(total, shared.kernel)

    found, gradient = run(graded)
    np.testing.assert_allclose(found, [9 * 0.01 * 0.5**2, 3 * 0.01 * 5.5], rtol=1e-6)
    np.testing.assert_allclose(gradient, 2 * 0.01 * shared.kernel.numpy(), rtol=1e-6)

    theirs = keras.layers.Dense(3, kernel_regularizer="l2")
    theirs(tf.zeros([1, 3]))
    theirs.set_weights(shared.get_weights())
    np.testing.assert_allclose(found[0], theirs.losses[0], rtol=1e-6)
