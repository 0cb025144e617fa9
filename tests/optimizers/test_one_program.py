"""Rules compiled within a plain graph: the same updates, in one program for all variables."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import optimizers
from optimizers import one_program

COMPILED = [n for n in optimizers.names() if getattr(optimizers, n).compiles_up_to]


def test_which_rules_are_compiled():
    """All without a kernel, but those of matrix products, which TensorFlow does faster."""
    base = optimizers.Optimizer
    kernels = {n for n in optimizers.names() if getattr(optimizers, n).kernel is not base.kernel}
    products = {"Muon", "SOAP", "Shampoo", "Prodigy"}  # and one that looks at all variables
    assert set(COMPILED) | kernels | products == set(optimizers.names())
    assert set(COMPILED) & kernels == {"RMSprop"}  # has kernels with momentum alone


def test_a_program_makes_the_updates_of_the_rule_as_written():
    """Dense, sparse and 16-bit variables, and slots of 16 bits; (that `jit` moves all rules as
    they are written is tested with each of them.)"""
    start = {"kernel": np.float32([[0.5, -2.0], [1.0, 3.0]]), "half": np.float32([1.0, -0.5])}
    made = []
    names = ("Lamb", "Lion", "Yogi")
    for name in names:
        for fused in (True, False):
            optimizer = optimizers.get(name)
            optimizer.fused = fused
            if name == "Yogi":
                optimizer.store_slots("bfloat16")
            weights = [
                tf.Variable(start["kernel"], name="kernel"),
                tf.Variable(start["kernel"], name="table"),
                tf.Variable(start["half"], dtype=tf.bfloat16, name="half"),
            ]
            optimizer.build(weights)
            made.append((optimizer, weights))
    rows = tf.IndexedSlices(tf.ones([2, 2]), tf.constant([1, 1]), (2, 2))

    @tf.function
    def updates():
        for optimizer, weights in made:
            optimizer.apply([weights[0] * 0.5, rows, weights[2] * 0.5], weights)

    updates()
    updates()
    graph = updates.get_concrete_function().graph
    programs = [f for f in graph.as_graph_def().library.function if f.attr["_XlaMustCompile"].b]
    assert len(programs) == len(names)  # one, whatever the variables
    for place, name in enumerate(names):
        compiled, written = made[2 * place : 2 * place + 2]
        for a, b in zip(
            [*compiled[1], *compiled[0].variables],
            [*written[1], *written[0].variables],
            strict=True,
        ):
            rtol = 2e-6 if a.dtype == tf.float32 else 0.01
            a, b = (np.asarray(v, np.float32) for v in (a, b))
            np.testing.assert_allclose(a, b, rtol=rtol, atol=1e-7, err_msg=name)
        assert not np.array_equal(compiled[1][1], start["kernel"])


def test_large_variables_of_rules_with_norms_stay_out(monkeypatch):
    seen = []
    monkeypatch.setattr(one_program, "in_one_program", lambda f: (seen.append(1), f()))
    small, large = tf.Variable(tf.ones([10])), tf.Variable(tf.ones([one_program.NORMS + 1]))
    optimizer = optimizers.LARS(0.1)
    optimizer.apply([tf.ones([one_program.NORMS + 1])], [large])
    assert not seen and float(large[0]) < 1.0
    optimizer = optimizers.LARS(0.1)
    optimizer.apply([tf.ones([10])], [small])
    assert seen == [1] and float(small[0]) < 1.0


def test_a_rule_of_ones_own_is_not_compiled_unasked():
    """It may print, or call Python: what XLA refuses."""

    class Loud(optimizers.Optimizer):
        def rule(self, weight, gradient, slots, learning_rate, scalars):
            with tf.control_dependencies([tf.print("moved")]):
                return weight - learning_rate * gradient, {}

    weight, optimizer = tf.Variable([1.0]), Loud(0.5)
    optimizer.build([weight])
    tf.function(lambda: optimizer.apply([tf.ones([1])], [weight]))()
    np.testing.assert_array_equal(weight, [0.5])
    optimizer.compiles_up_to = one_program.ANY
    with pytest.raises(tf.errors.InvalidArgumentError, match="PrintV2"):
        tf.function(lambda: optimizer.apply([tf.ones([1])], [weight]))()


@pytest.mark.parametrize("name", ["Nadam", "Lion"])
def test_each_device_has_a_program_of_its_own(name):
    """A rate and sums that lie on the first, shared-out slots, and slots that are elsewhere."""
    devices = [d.name for d in tf.config.list_logical_devices("CPU")[:2]]
    strategy = tf.distribute.MirroredStrategy(devices, tf.distribute.ReductionToOneDevice())
    with tf.device(devices[1]):
        away = [tf.Variable([1.0])]
    with strategy.scope():
        mirrored = [tf.Variable([1.0, 2.0]), tf.Variable([3.0])]
    optimizer, other = (getattr(optimizers, name)(0.25) for _ in range(2))
    optimizer.shard(strategy)
    with strategy.scope():
        optimizer.build(mirrored)
    other.build(away)

    def replica():
        optimizer.apply([tf.ones([2]), tf.ones([1])], mirrored)
        optimizer.spread(mirrored)

    @tf.function
    def update():
        strategy.run(replica)
        other.apply([tf.ones([1])], away)

    update()
    for variable, start in zip([*mirrored, *away], ([1.0, 2.0], [3.0], [1.0]), strict=True):
        copies = strategy.experimental_local_results(variable)
        moved = [np.subtract(start, copy) for copy in copies]
        assert len({m.tobytes() for m in moved}) == 1 and (moved[0] > 0.1).all()


def test_autograph_can_read_it():
    """It reads what it calls in a loop of one's own, and prints a warning where it cannot."""
    tf.autograph.to_graph(one_program.move)


def test_many_variables_make_several_programs():
    weights = [tf.Variable(0.0) for _ in range(one_program.MOST + 1)]
    optimizer = optimizers.Lion()
    optimizer.build(weights)
    graph = (
        tf.function(lambda: optimizer.apply([tf.ones([])] * len(weights), weights))
        .get_concrete_function()
        .graph
    )
    programs = [f for f in graph.as_graph_def().library.function if f.attr["_XlaMustCompile"].b]
    assert len(programs) == 2
