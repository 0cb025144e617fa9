"""Values that XLA compiles in are found in the graph; the compilations are there to be counted."""

import os
import pathlib
import subprocess
import sys

import pytest
import tensorflow as tf

from trainer.compiling import constants

SPECS = tf.TensorSpec([10, 4]), tf.TensorSpec([], tf.int32)


def _found(fn):
    graph = tf.function(fn, autograph=False).get_concrete_function(*SPECS).graph
    return [(one.op, one.layer, one.argument) for one in constants.dependences(graph)]


@tf.function(autograph=False)
def _inner(x, i):
    with tf.name_scope("inner"):
        return tf.slice(x, [i, 0], [2, 4])


# What XLA compiles anew for each i, counted in `test_xla_agrees`.
COMPILED_ANEW = {
    "slice": (lambda x, i: tf.slice(x, [i, 0], [2, 4]), "Slice"),
    "index": (lambda x, i: x[i], "StridedSlice"),
    "range": (lambda x, i: tf.range(i), "Range"),
    "zeros": (lambda x, i: tf.zeros([i + 1]) + x[0, 0], "Fill"),
    "reshape": (lambda x, i: tf.reshape(x, [i - i + 2, -1]), "Reshape"),
    "split": (lambda x, i: tf.raw_ops.Split(axis=i % 2, value=x, num_split=2), "Split"),
    "concat": (lambda x, i: tf.concat([x, x], i % 2), "ConcatV2"),
    "roll": (lambda x, i: tf.roll(x, 1, i % 2), "Roll"),
    "branch": (lambda x, i: tf.cond(x[0, 0] > 0, lambda: tf.roll(x, 1, i % 2), lambda: x), "Roll"),
    "case": (
        lambda x, i: tf.switch_case(tf.cast(x[0, 0], tf.int32), [lambda: tf.range(i)[:1]] * 2),
        "Range",
    ),
    "turns": (
        lambda x, i: tf.while_loop(
            lambda j, y: j < 2, lambda j, y: (j + 1, tf.roll(y, 1, i % 2)), (0, x)
        ),
        "Roll",
    ),
    "called": (lambda x, i: _inner(x, i + 1), "Slice"),
}
COMPILED_ONCE = {
    "gather": tf.gather,
    "shape": lambda x, i: tf.reshape(x, tf.reverse(tf.shape(x), [0])) * tf.cast(i, tf.float32),
    "mean": lambda x, i: tf.reduce_mean(x) + tf.cast(i, tf.float32),
    "random": lambda x, i: tf.random.stateless_normal([3], tf.stack([i, i])),
    "loop": lambda x, i: tf.while_loop(lambda j: j < i, lambda j: j + 1, (i - 3,)),
}


@pytest.mark.parametrize("name", COMPILED_ANEW)
def test_dependences_are_found(name):
    fn, op = COMPILED_ANEW[name]

    def step(x, i):
        with tf.name_scope("layer"):
            return fn(x, i)

    layer = "inner" if name == "called" else "layer"
    assert any(
        kind == op and where.split("/")[0] == layer and argument == 1
        for kind, where, argument in _found(step)
    )


@pytest.mark.parametrize("name", COMPILED_ONCE)
def test_others_are_not(name):
    assert _found(COMPILED_ONCE[name]) == []


COUNT = """
import sys
sys.path.insert(0, ".")
import tensorflow as tf
import importlib.util
spec = importlib.util.spec_from_file_location("cases", sys.argv[1])
cases = importlib.util.module_from_spec(spec)
spec.loader.exec_module(cases)
x = tf.ones([10, 4])
anew = {name: fn for name, (fn, _) in cases.COMPILED_ANEW.items()}
for name, fn in {**anew, **cases.COMPILED_ONCE}.items():
    run = tf.function(fn, jit_compile=True, autograph=False)
    print("case", name, file=sys.stderr, flush=True)
    for i in (3, 4):
        run(x, tf.constant(i))
"""


def test_xla_agrees():
    """XLA's own log of its compilations: two for two values, or one."""
    done = subprocess.run(
        [sys.executable, "-c", COUNT, __file__],
        cwd=pathlib.Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=False,
        env={
            **os.environ,
            "TF_CPP_VMODULE": "device_compilation_profiler=1",
            "TF_CPP_MIN_LOG_LEVEL": "0",
        },
    )
    assert done.returncode == 0, done.stderr[-2000:]
    cases = dict.fromkeys([*COMPILED_ANEW, *COMPILED_ONCE], 0)
    for line in done.stderr.splitlines():
        if line.startswith("case "):
            name = line.split()[1]
        elif "] Compiled __inference" in line:
            cases[name] += 1
    assert cases == {**dict.fromkeys(COMPILED_ANEW, 2), **dict.fromkeys(COMPILED_ONCE, 1)}
