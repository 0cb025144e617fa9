"""The choice of compile mode: told by the graph, else measured, and never flipped by noise."""

import time

import pytest
import tensorflow as tf

from trainer import plan


def _graph(fn, *shapes):
    specs = [tf.TensorSpec(shape) for shape in shapes]
    return tf.function(fn, autograph=False).get_concrete_function(*specs).graph


def test_products_are_counted():
    """2 b m n for a matrix product; an einsum's by the same formula."""
    assert plan.cost_of(_graph(lambda a, b: a @ b, [4, 5], [5, 6])).flops == 2 * 4 * 5 * 6
    by_transpose = _graph(lambda a, b: tf.matmul(a, b, transpose_a=True), [5, 4], [5, 6])
    assert plan.cost_of(by_transpose).flops == 2 * 4 * 5 * 6
    batched = _graph(lambda a, b: tf.einsum("bqd,bkd->bqk", a, b), [3, 4, 5], [3, 6, 5])
    assert plan.cost_of(batched).flops == pytest.approx(2 * 3 * 4 * 5 * 6)


def test_called_functions_are_counted():
    @tf.function(autograph=False)
    def inner(x):
        return tf.nn.relu(x @ x)

    cost = plan.cost_of(_graph(inner, [8, 8]))
    assert cost.flops == 2 * 8**3
    assert cost.operations >= 2


def test_convolutions_stay_out_of_xla_on_cpu_only():
    cost = plan.cost_of(
        _graph(lambda x, k: tf.nn.conv2d(x, k, 1, "SAME"), [1, 8, 8, 3], [3, 3, 3, 4])
    )
    assert cost.convolutions == 1
    assert plan.decide(cost, None, on_cpu=True).mode == "graph"
    choice = plan.decide(cost, None, on_cpu=False)
    assert choice is None or "convolution" not in choice.reason


SMALL = plan.Cost(operations=60, flops=1e6, convolutions=0, loops=0, host_only=())
LARGE = plan.Cost(operations=60, flops=1e9, convolutions=0, loops=0, host_only=())


def test_small_steps_are_compiled_once_a_run_is_long_enough():
    assert plan.decide(SMALL, None, on_cpu=True).mode == "loop"
    assert plan.decide(SMALL, 10**6, on_cpu=True).mode == "loop"
    short = plan.decide(SMALL, 10, on_cpu=True)
    assert (short.mode, short.settled) == ("graph", False)


def test_large_steps_are_measured_once_a_run_is_long_enough():
    assert plan.decide(LARGE, 10**6, on_cpu=True) is None
    assert plan.decide(LARGE, None, on_cpu=True) is None
    short = plan.decide(LARGE, 10, on_cpu=True)
    assert (short.mode, short.settled) == ("graph", False)


def test_host_functions_stay_out_of_xla():
    cost = plan.cost_of(_graph(lambda x: tf.numpy_function(lambda a: a, [x], tf.float32), [2]))
    assert plan.decide(cost, None, on_cpu=True).mode == "graph"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ({"graph": 2e-3, "loop": 1e-3}, "loop"),
        ({"graph": 1e-3, "loop": 2e-3}, "graph"),
        ({"graph": 1e-3, "loop": 0.99e-3}, "graph"),  # within noise: the plain way
    ],
)
def test_measuring_keeps_xla_only_where_it_wins_clearly(seconds, expected, monkeypatch):
    """A clock of our own, so that the test is of the rule and not of the machine."""
    now = [0.0]
    monkeypatch.setattr(plan.time, "perf_counter", lambda: now[0])

    def run(mode):
        def steps(n):
            now[0] += n * seconds[mode]

        return steps

    choice = plan.measure({mode: run(mode) for mode in seconds}, 100)
    assert choice.mode == expected
    assert "graph 1 ms" in choice.reason or "graph 2 ms" in choice.reason


def test_a_mode_that_does_not_compile_is_passed_over():
    def fails(n):
        raise tf.errors.InvalidArgumentError(None, None, "no kernel for Frob\nmore")

    choice = plan.measure({"graph": lambda n: time.sleep(1e-4 * n), "loop": fails}, 10)
    assert choice.mode == "graph"
    assert "loop does not compile (no kernel for Frob" in choice.reason


def test_a_measured_choice_is_remembered(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADLOOP_CACHE_DIR", str(tmp_path))
    key = plan.fingerprint(_graph(lambda a, b: a @ b, [4, 5], [5, 6]))
    assert plan.recall(key) is None
    assert plan.remember(key, plan.Choice("loop", "measured")) is None
    assert plan.recall(key) == plan.Choice("loop", "measured")
    other = plan.fingerprint(_graph(lambda a, b: a @ b, [4, 5], [5, 7]))
    assert other != key
    assert plan.recall(other) is None


def test_the_same_program_has_the_same_fingerprint():
    def make():
        w = tf.Variable(tf.ones([3, 3]))
        return plan.fingerprint(_graph(lambda x: tf.nn.relu(x @ w), [2, 3]))

    assert make() == make()


def test_an_unwritable_cache_is_reported(tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.write_text("")
    monkeypatch.setenv("GRADLOOP_CACHE_DIR", str(file))
    assert "could not be kept" in plan.remember("key", plan.Choice("loop", ""))


def test_a_damaged_entry_is_measured_again(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADLOOP_CACHE_DIR", str(tmp_path))
    plan.remember("key", plan.Choice("loop", "measured"))
    (tmp_path / "plans" / "key.json").write_text("{")
    assert plan.recall("key") is None
