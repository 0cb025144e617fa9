"""What a graph tells: its operations, its multiplications, and where no trial is needed."""

import math

import pytest
import tensorflow as tf

from trainer.compiling import cost


def _graph(fn, *shapes):
    specs = [tf.TensorSpec(shape) for shape in shapes]
    return tf.function(fn, autograph=False).get_concrete_function(*specs).graph


def test_products_are_counted():
    """2 b m n for a matrix product; an einsum's by the same formula."""
    assert cost.cost_of(_graph(lambda a, b: a @ b, [4, 5], [5, 6])).flops == 2 * 4 * 5 * 6
    by_transpose = _graph(lambda a, b: tf.matmul(a, b, transpose_a=True), [5, 4], [5, 6])
    assert cost.cost_of(by_transpose).flops == 2 * 4 * 5 * 6
    batched = _graph(lambda a, b: tf.einsum("bqd,bkd->bqk", a, b), [3, 4, 5], [3, 6, 5])
    assert cost.cost_of(batched).flops == pytest.approx(2 * 3 * 4 * 5 * 6)


@pytest.mark.parametrize(
    ("convolve", "x", "kernel", "expected"),
    [
        (tf.nn.conv2d, [2, 8, 8, 3], [3, 3, 3, 4], 2 * (2 * 8 * 8 * 4) * (3 * 3 * 3)),
        (tf.nn.conv2d, [2, 8, 8, 6], [3, 3, 3, 4], 2 * (2 * 8 * 8 * 4) * (3 * 3 * 3)),  # 2 groups
        (tf.nn.depthwise_conv2d, [2, 8, 8, 3], [3, 3, 3, 2], 2 * (2 * 8 * 8 * 6) * (3 * 3)),
        (tf.nn.conv3d, [2, 4, 4, 4, 3], [3, 3, 3, 3, 5], 2 * (2 * 4**3 * 5) * (27 * 3)),
    ],
)
def test_convolutions_are_counted_forward_and_backward(convolve, x, kernel, expected):
    """2 x outputs x what each is summed from, three times: the output, and both gradients."""
    strides = [1] * len(x)

    def forward(x, k):
        return convolve(x, k, strides, "SAME")

    def both(x, k):
        with tf.GradientTape() as tape:
            tape.watch([x, k])
            y = forward(x, k)
        return tape.gradient(y, [x, k])

    assert cost.cost_of(_graph(forward, x, kernel)).flops == expected
    assert cost.cost_of(_graph(both, x, kernel)).flops == 3 * expected


def test_called_functions_are_counted():
    @tf.function(autograph=False)
    def inner(x):
        return tf.nn.relu(x @ x)

    told = cost.cost_of(_graph(inner, [8, 8]))
    assert told.flops == 2 * 8**3
    assert told.operations >= 2


def test_convolutions_stay_out_of_xla_loops_on_cpu_only():
    """A long run tries an XLA step, which wins where they are small; a short one nothing."""
    told = cost.cost_of(
        _graph(lambda x, k: tf.nn.conv2d(x, k, 1, "SAME"), [1, 8, 8, 3], [3, 3, 3, 4])
    )
    assert told.convolutions == 1
    assert list(cost.hopeless(told, on_cpu=True)) == ["loop"]
    assert cost.hopeless(told, on_cpu=False) == cost.hopeless(SMALL, on_cpu=True) == {}
    assert cost.decide(told, None, on_cpu=True) is None
    enough = math.ceil(told.compile_seconds / told.launch_seconds) + 1
    short = cost.decide(told, enough, on_cpu=True)
    assert (short.mode, short.settled) == ("graph", False)
    assert "convolutions" in short.reason


SMALL = cost.Cost(operations=60, flops=1e6, convolutions=0, loops=0, host_only=())
LARGE = cost.Cost(operations=60, flops=1e9, convolutions=0, loops=0, host_only=())


def test_small_steps_are_compiled_once_a_run_is_long_enough():
    """The launches saved must exceed the compilation; a trial comes in where it is a trifle."""
    enough = math.ceil(SMALL.compile_seconds / SMALL.launch_seconds) + 1
    middle, short = cost.decide(SMALL, enough, on_cpu=True), cost.decide(SMALL, 10, on_cpu=True)
    assert (middle.mode, middle.settled) == ("loop", False)
    assert (short.mode, short.settled) == ("graph", False)
    assert cost.decide(SMALL, 10**6, on_cpu=True) is None
    assert cost.decide(SMALL, None, on_cpu=True) is None


def test_large_steps_are_measured_once_a_run_is_long_enough():
    assert cost.decide(LARGE, 10**6, on_cpu=True) is None
    assert cost.decide(LARGE, None, on_cpu=True) is None
    short = cost.decide(LARGE, 10, on_cpu=True)
    assert (short.mode, short.settled) == ("graph", False)


HUGE = SMALL._replace(operations=5_000)  # one way of XLA takes 10.5 s to compile, both 21 s
VAST = SMALL._replace(operations=20_000)


@pytest.mark.parametrize("steps", [None, 10**7])
def test_a_graph_too_large_for_both_ways_tries_one_and_a_larger_one_none(steps):
    assert HUGE.trial_seconds(1) < cost.trial_budget(steps, 1.0) < HUGE.trial_seconds(2)
    assert cost.decide(HUGE, steps, on_cpu=True) is None
    bound = cost.decide(VAST, steps, on_cpu=True)
    assert (bound.mode, bound.reason) == (
        "loop",
        "steps this small are bound by launching operations",
    )
    for told, on_cpu in ((VAST._replace(loops=1), True), (VAST, False)):
        kept = cost.decide(told, steps, on_cpu=on_cpu)
        assert (kept.mode, kept.settled) == ("graph", False)
        assert kept.reason == "XLA takes longer to compile 20000 operations than a trial may last"
    few = cost.decide(VAST._replace(flops=1e13), 2, on_cpu=True)
    assert few.reason == "2 steps are too few to try XLA"


def test_a_trial_costs_a_small_share_of_a_run_and_never_more_than_of_ten_minutes():
    assert cost.trial_budget(1000, 0.1) == pytest.approx(5.0)
    assert cost.trial_budget(6000, 0.1) == cost.trial_budget(10**9, 0.1) == 0.03 * 600
    assert cost.trial_budget(None, 0.1) == 0.03 * 600


def test_host_functions_stay_out_of_xla():
    told = cost.cost_of(_graph(lambda x: tf.numpy_function(lambda a: a, [x], tf.float32), [2]))
    assert cost.decide(told, None, on_cpu=True).mode == "graph"
