"""Walks over graphs reach what functions inside them do, once each."""

import tensorflow as tf

from trainer import graphs


def test_operations_of_nested_functions_are_found_once():
    @tf.function
    def inner(x):
        return tf.sin(x)

    def outer(x):
        x = inner(inner(x))
        return tf.while_loop(lambda y: tf.reduce_sum(y) < 3.0, lambda y: (tf.cos(y),), [x])

    graph = tf.function(outer, autograph=False).get_concrete_function(tf.ones([2])).graph
    kinds = [op.type for op in graphs.operations(graph)]
    assert kinds.count("Sin") == 1
    assert kinds.count("Cos") == 1
    calls = [op for op in graph.get_operations() if graphs.called(op)]
    assert any("While" in op.type for op in calls)


def test_branches_of_a_case_are_looked_into():
    def outer(x):
        return tf.switch_case(tf.cast(x[0], tf.int32), [lambda: tf.sin(x), lambda: tf.cos(x)])

    graph = tf.function(outer, autograph=False).get_concrete_function(tf.ones([2])).graph
    assert {"Sin", "Cos"} <= {op.type for op in graphs.operations(graph)}
