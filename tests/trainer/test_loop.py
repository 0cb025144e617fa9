"""n steps in one call: the same numbers however they are cut, and nothing compiled twice."""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tensorflow as tf

from trainer.loop import Loop, StepOutput
from trainer.metrics.windows import Window
from trainer.sums import Sums

MODES = ["graph", "step", "loop"]
DATA = np.random.default_rng(0).normal(size=(20, 4, 3)).astype("float32")


def _fetch(args, i, rows):
    return tf.gather(args[0], i)


def _make(mode, capacity=16):
    w = tf.Variable([1.0, 2.0, 3.0])
    counter = tf.Variable(0, dtype=tf.int64)

    def step(batch, number):
        w.assign(0.9 * w + 0.1 * tf.reduce_mean(batch, 0) + 1e-3 * tf.cast(number, tf.float32))
        sums = {
            "loss": Sums.of(batch @ w[:, None]),
            "table": {
                "whole": tf.cast(tf.round(batch[0]), tf.int32),
                # Of such different sizes that the order of additions shows in float64.
                "real": batch[0] * tf.pow(10.0, 15.0 * batch[1] - 5.0),
            },
        }
        return StepOutput(sums, {"number": tf.cast(number, tf.float32)}, ())

    return Loop(step, _fetch, 4, counter=counter, mode=mode, capacity=capacity), w, counter


def _run(mode, cuts):
    loop, w, counter = _make(mode)
    at, columns, carried = 0, [], {"unknown": 1.0}
    for n in cuts:
        columns.append(loop((tf.constant(DATA),), at, n, carried))
        at, carried = at + n, columns[-1].carried
    totals = np.concatenate([c.sums["loss"].total for c in columns])
    numbers = np.concatenate([c.scalars["number"] for c in columns])
    table = carried["table"]
    return w.numpy(), int(counter), totals, numbers, table["whole"], table["real"], loop.traces


@pytest.mark.parametrize("mode", MODES)
def test_cuts_do_not_change_bits_or_retrace(mode):
    """16 steps in one call, in 5 + 1 + 10 or one by one, bit for bit, with one trace."""
    whole = _run(mode, [16])
    for cuts in ([5, 1, 10], [1] * 16):
        for a, b in zip(whole, _run(mode, cuts), strict=True):
            np.testing.assert_array_equal(a, b)
    assert whole[-1] == 1
    np.testing.assert_array_equal(whole[3], np.arange(16))
    assert whole[1] == 16


def test_modes_agree_with_numpy():
    w, expected, real = np.array([1.0, 2.0, 3.0]), [], 0.0
    for i in range(16):
        w = 0.9 * w + 0.1 * DATA[i].mean(0) + 1e-3 * i
        expected.append(np.sum(DATA[i] @ w))
        real += DATA[i, 0] * 10.0 ** (15.0 * DATA[i, 1].astype(float) - 5.0)
    for mode in MODES:
        found = _run(mode, [16])
        np.testing.assert_allclose(found[0], w, rtol=1e-5)
        np.testing.assert_allclose(found[2], expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_array_equal(found[4], np.round(DATA[:16, 0]).astype(int).sum(0))
        np.testing.assert_allclose(found[5], real, rtol=1e-4)


def test_carried_counts_stay_exact_beyond_float32():
    """As after 2**40 updates, where float32 would swallow each further one."""
    loop, *_ = _make("loop")
    start = {"table": {"whole": np.full(3, 2.0**40), "real": np.zeros(3)}}
    found = loop((tf.constant(DATA),), 0, 16, start).carried["table"]["whole"]
    np.testing.assert_array_equal(found - 2.0**40, np.round(DATA[:16, 0]).astype(int).sum(0))


def test_a_window_from_a_checkpoint_goes_on_with_the_same_bits():
    loop, *_ = _make("graph")
    args, window, resumed = (tf.constant(DATA),), Window(), Window()
    for first, n in ((0, 7), (7, 9)):
        columns = loop(args, first, n, window.sums)
        window.add(columns.sums, columns.carried)
        if first == 0:
            resumed.load_memory(window.memory())
            kept = loop(args, 7, 9, resumed.sums).carried  # carries do not touch the model
    resumed.add({}, kept)
    for a, b in zip(*map(tf.nest.flatten, (window.sums["table"], kept["table"])), strict=True):
        np.testing.assert_array_equal(a, b)


def test_xla_compiles_each_loop_once_whatever_n_and_start_are():
    """Counts XLA's compilations, by the modules it dumps, in a process of its own."""
    script = """
        import os, sys, tempfile, glob
        folder = tempfile.mkdtemp()
        os.environ["XLA_FLAGS"] = f"--xla_dump_to={folder}"
        import numpy as np, tensorflow as tf
        from trainer.loop import Loop, StepOutput
        from trainer.sums import Sums
        w, counter = tf.Variable([1.0]), tf.Variable(0, dtype=tf.int64)
        rate = tf.Variable(0.1)
        def step(batch, number):
            w.assign_sub(rate * tf.reduce_mean(batch, 0))
            return StepOutput({"loss": Sums.of(batch)}, {}, ())
        def compiled():
            return len(glob.glob(folder + "/*before_optimizations.txt"))
        for mode in ("step", "loop"):
            loop = Loop(step, lambda args, i, rows: tf.gather(args[0], i), 4, counter=counter,
                        mode=mode, capacity=8)
            data = (tf.ones([20, 4, 1]),)
            loop(data, 0, 1)
            once = compiled()
            for first, n in ((0, 2), (3, 8), (11, 1), (12, 5)):
                rate.assign(0.1 * n)
                loop(data, first, n)
            print(mode, once, compiled())
        """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, check=True
    )
    for line in done.stdout.splitlines():
        mode, once, later = line.split()
        assert int(once) > 0, f"XLA dumped nothing in mode {mode}: the count means nothing"
        assert once == later, f"mode {mode} compiled again: {line}"
    assert len(done.stdout.splitlines()) == 2


def test_outputs_are_stacked():
    loop = Loop(
        lambda batch, number: StepOutput({}, {}, {"double": 2 * batch}), _fetch, 4, capacity=8
    )
    found = loop((tf.constant(DATA),), 3, 5).outputs["double"]
    np.testing.assert_array_equal(found, 2 * DATA[3:8])


class Owner:
    """Writes down what a loop tells."""

    def __init__(self, instead=lambda error: None):
        self.told, self.other = [], instead

    def traced(self, graph, args, seconds):
        self.told.append("traced")

    def begin(self):
        self.told.append("begin")

    def ran(self, args, seconds):
        self.told.append("ran")

    def instead(self, error):
        self.told.append("instead")
        return self.other(error)


def test_xla_failure_gives_up_to_another_loop_or_says_so():
    def step(batch, number):
        text = tf.strings.length(tf.strings.as_string(batch))
        return StepOutput({"length": Sums.of(text)}, {}, ())

    args = (tf.constant(DATA),)
    plain = Loop(step, _fetch, 4)
    seen = []
    owner = Owner(instead=lambda error: seen.append(error) or plain)
    loop = Loop(step, _fetch, 4, mode="loop", owner=owner)
    found = [loop(args, 0, 2).sums["length"].total for _ in range(2)]
    np.testing.assert_array_equal(found[0], plain(args, 0, 2).sums["length"].total)
    assert len(seen) == 1
    assert owner.told == ["traced", "begin", "instead"]
    with pytest.raises(RuntimeError, match=r"(?s)operation AsString.*jit=False"):
        Loop(step, _fetch, 4, mode="loop")(args, 0, 2)


def test_an_owner_is_told_of_each_program_once():
    owner = Owner()
    loop = Loop(lambda batch, number: StepOutput({}, {}, batch), _fetch, 4, capacity=8, owner=owner)
    for _ in range(2):
        for n in (2, 3):
            loop((tf.constant(DATA[:-n]),), 0, n)
    assert owner.told == ["traced", "begin", "ran"] * 2


def test_more_steps_than_the_capacity_are_refused():
    with pytest.raises(ValueError, match="1 to 16"):
        _make("graph")[0]((tf.constant(DATA),), 0, 17)


def test_one_step_runs_eagerly_too():
    loop, w, counter = _make("graph")
    columns = loop((DATA,), 0, 3)
    other, v, _ = _make("graph")
    for i in range(3):
        np.testing.assert_array_equal(other.batch((DATA,), i), DATA[i])
        out = other.eager_step((DATA,), i, i)
        np.testing.assert_allclose(out.sums["loss"].total, columns.sums["loss"].total[i], 1e-6)
    np.testing.assert_allclose(v, w, rtol=1e-6)
    assert int(counter) == 3
