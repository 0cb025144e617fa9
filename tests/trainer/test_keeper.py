"""Where a first step cannot be made it has not happened, and another way is found."""

import numpy as np
import pytest
import tensorflow as tf

import layers
import losses
import optimizers
from trainer import Jit, RecompileError, Task, Trainer, loop
from trainer.compiling import cost, trial
from trainer.compiling.choice import Choice


class Large(layers.Layer):
    """Runs out of memory where it gets more than `most` rows, after it has changed its state."""

    def __init__(self, most):
        super().__init__()
        self.most = most

    def build(self, shape):
        self.w = self.add_weight("w", (shape[-1], 2))
        self.calls = self.add_weight("calls", (), "zeros", trainable=False)

    def call(self, x, training=False):
        if training:
            self.calls.assign_add(1.0)
            if x.shape[0] > self.most:
                with tf.control_dependencies([self.calls.read_value()]):
                    x = tf.numpy_function(self.fail, [x], tf.float32)
                x = tf.ensure_shape(x, [None, 3])
        return x @ self.w

    @staticmethod
    def fail(x):
        raise MemoryError("no room")


def _trainer(most, **options):
    model = layers.Sequential([Large(most)])
    return Trainer(model, loss="mse", optimizer=optimizers.SGD(0.1, momentum=0.9), **options)


@pytest.mark.parametrize("jit", [False, "auto"])
def test_a_batch_that_does_not_fit_is_taken_in_parts(data, monkeypatch, jit):
    """The same weights as with accumulate=4 from the start, and the failed steps left no trace."""
    said = []
    large = _trainer(2, jit=jit)
    monkeypatch.setattr(large.programs, "warn", said.append)
    large.fit(*data, batch_size=8, epochs=2, verbose=0, shuffle=False)
    asked = _trainer(8, jit=False, accumulate=4)
    asked.fit(*data, batch_size=2, epochs=2, verbose=0, shuffle=False)
    assert large.step == asked.step == 14
    assert large.programs.steps.parts == 4
    for a, b in zip(large.task.model.get_weights(), asked.task.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert len(said) == 2
    assert "8 rows does not fit into memory: it is taken in 4 parts" in said[1]
    memory = large.programs.memory()
    resumed = _trainer(2, jit=jit)
    resumed.programs.load_memory(memory)
    assert resumed.programs.steps.parts == 4
    # Another process remembers it too.
    again = _trainer(2, jit=jit)
    monkeypatch.setattr(again.programs, "warn", pytest.fail)
    again.fit(*data, batch_size=8, epochs=1, verbose=0, shuffle=False)
    assert again.programs.steps.parts == 4


def test_what_never_fits_is_an_error_and_nothing_is_trained(data):
    trainer = _trainer(0, jit=False)
    with pytest.raises(tf.errors.ResourceExhaustedError):
        trainer.fit(*data, batch_size=8, verbose=0)
    assert trainer.step == 0
    assert trainer.task.model.get_weights()[1] == 0.0


@pytest.fixture
def tried(monkeypatch):
    """The graph leaves doubt, so the ways are tried."""
    monkeypatch.setattr(cost, "decide", lambda told, steps, on_cpu: None)
    monkeypatch.setattr(cost, "trial_budget", lambda steps, step_seconds: 600.0)
    monkeypatch.setattr(trial, "_ROUND_SECONDS", 0.002)
    monkeypatch.setattr(trial, "_SLIGHT", 1.0)  # the graph wins, whatever the clock says


def test_a_batch_that_does_not_fit_while_it_is_tried_is_taken_in_parts(data, tried, monkeypatch):
    """The weights are those of accumulate=4: what was tried left no trace."""
    said = []
    large = _trainer(2)
    monkeypatch.setattr(large.programs, "warn", said.append)
    large.fit(*data, batch_size=8, epochs=2, verbose=0, shuffle=False)
    asked = _trainer(8, jit=False, accumulate=4)
    asked.fit(*data, batch_size=2, epochs=2, verbose=0, shuffle=False)
    assert large.programs.steps.parts == 4
    assert ["8 rows does not fit" in text for text in said] == [True, True]
    assert large.programs.choices["train"].reason.startswith("measured")
    for a, b in zip(large.task.model.get_weights(), asked.task.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    again = _trainer(2)
    monkeypatch.setattr(again.programs, "warn", pytest.fail)
    again.fit(*data, batch_size=8, epochs=2, verbose=0, shuffle=False)
    assert again.programs.steps.parts == 4


def test_what_never_fits_while_it_is_tried_is_an_error(data, tried):
    trainer = _trainer(0)
    with pytest.raises(tf.errors.ResourceExhaustedError):
        trainer.fit(*data, batch_size=8, verbose=0)
    assert trainer.step == 0
    assert trainer.task.model.get_weights()[1] == 0.0


class Alone(Task):
    """Its rows are compared with one another."""

    build_rows = 1
    divisible = False

    def __init__(self):
        super().__init__()
        self.model, self.optimizer = layers.Sequential([Large(2)]), optimizers.SGD()

    def step(self, batch, ctx):
        def loss_fn(part):
            made = self.model(part[0], training=True)
            return tf.reduce_mean(tf.nn.softmax(made @ tf.transpose(made)), 1)

        variables = self.model.trainable_variables
        return {"loss": ctx.minimize(loss_fn, batch, self.optimizer, variables)}


def _summed():
    loss = losses.MeanSquaredError(reduction="sum")
    return Trainer(layers.Sequential([Large(2)]), loss=loss, optimizer="sgd", jit=False)


@pytest.mark.parametrize("make", [_summed, lambda: Trainer(Alone(), jit=False)])
def test_a_batch_whose_parts_do_not_add_up_is_not_taken_in_parts(data, monkeypatch, make):
    said = []
    trainer = make()
    monkeypatch.setattr(trainer.programs, "warn", said.append)
    with pytest.raises(tf.errors.ResourceExhaustedError):
        trainer.fit(*data, batch_size=8, verbose=0)
    assert trainer.programs.steps.parts == 1 and trainer.step == 0
    assert (
        len(said) == 1
        and "parts of it would give another update" in said[0]
        and "lower batch_size" in said[0]
    )


@pytest.mark.parametrize("loss", [losses.Circle(), losses.TripletHard(), losses.LogCosh()])
def test_losses_that_compare_rows_are_not_divided(loss):
    trainer = Trainer(layers.Dense(1), loss=loss, optimizer="sgd")
    trainer.prepare(np.ones((4, 3), "float32"), np.arange(4.0, dtype="float32")).close()
    assert trainer.task.divisible == isinstance(loss, losses.LogCosh)
    assert losses.NPairs.compares_rows


def test_an_evaluation_that_does_not_fit_says_so_under_xla_too(data, monkeypatch):
    """The error is that of memory, not one of XLA's operations."""
    trainer = _trainer(2, jit="step")
    trainer.prepare(*data).close()

    def full(self, args):
        def program(*_):
            raise tf.errors.ResourceExhaustedError(None, None, "no room")

        return real(self, args)._replace(program=program)

    real = loop.Loop._ready
    monkeypatch.setattr(loop.Loop, "_ready", full)
    with pytest.raises(tf.errors.ResourceExhaustedError, match="no room"):
        trainer.evaluate(*data, batch_size=8, verbose=0)


def _lengths(*lengths):
    """Batches of 2 rows, of these lengths, with the sum of each as target."""

    def batches():
        for length in lengths:
            x = np.arange(2 * length, dtype="float32").reshape(2, length) / 10
            yield x, x.sum(1, keepdims=True)

    return batches


class Total(tf.Module):
    """Scales the sum over a row of any length."""

    def __init__(self):
        super().__init__()
        self.w = tf.Variable(0.0)

    def __call__(self, x):
        return self.w * tf.reduce_sum(x, axis=1, keepdims=True)


def test_lengths_that_vary_share_a_graph():
    """Two lengths have a graph each; from the third on one serves all, to the same bits."""
    trainer = Trainer(Total(), loss="mse", optimizer=optimizers.SGD(1e-3), jit=False)
    trainer.fit(_lengths(3, 4, 5, 6, 7, 8), epochs=2, verbose=0)
    assert len(trainer.programs.guard.programs) == 3
    assert "float32[512, 2, ?]" in trainer.programs.guard.table()
    w = np.float32(0)
    for _ in range(2):
        for x, y in _lengths(3, 4, 5, 6, 7, 8)():
            total = x.sum(1, keepdims=True)
            w -= np.float32(1e-3) * np.mean(2 * (w * total - y) * total)
    np.testing.assert_allclose(trainer.task.model.w.numpy(), w, rtol=1e-5)


def test_under_xla_lengths_that_vary_are_counted():
    jit = Jit("step", programs=2, strict=True)
    trainer = Trainer(Total(), loss="mse", optimizer=optimizers.SGD(1e-3), jit=jit)
    with pytest.raises(RecompileError, match=r"3 times.*float32\[.*, 2, 4\] before.*, 2, 5\] now"):
        trainer.fit(_lengths(3, 4, 5), verbose=0)
    assert trainer.step == 2


@pytest.fixture
def looped(monkeypatch):
    """ "auto" has XLA compile everything, to begin with."""
    monkeypatch.setattr(cost, "decide", lambda *_: Choice("loop", "for the test"))


def _any_length(said):
    trainer = Trainer(Total(), loss="mse", optimizer=optimizers.SGD(1e-3))
    trainer.programs.warn = said.append
    return trainer


def test_auto_keeps_many_lengths_out_of_xla(looped):
    said = []
    trainer = _any_length(said)
    trainer.fit(_lengths(*range(3, 11)), verbose=0)
    assert len(said) == 1
    assert (
        "train goes on as a TensorFlow graph: its batches come in 5 shapes and maybe more"
        in said[0]
    )
    modes = [p.mode for p in trainer.programs.guard.programs]
    assert modes.count("loop") == 4


def test_a_resumed_run_leaves_xla_where_the_run_would_have(looped):
    """Three lengths before it was stopped, two after: the last is a graph, as without a stop."""
    whole, first, second = (_any_length([]) for _ in range(3))
    whole.fit(_lengths(3, 4, 5, 6, 7), verbose=0)
    first.fit(_lengths(3, 4, 5), verbose=0)
    assert first.programs.choices["train"].mode == "loop"
    second.programs.load_memory(first.programs.memory())
    assert second.programs.memory() == first.programs.memory()
    second.fit(_lengths(6, 7), verbose=0)
    modes = [[p.mode for p in t.programs.guard.programs] for t in (whole, second)]
    assert modes[0][-1] == modes[1][-1] == "graph"
    assert modes[1].count("loop") == 1


def test_data_of_many_sizes_are_told_from_batches_of_many_shapes(looped):
    said = []
    trainer = _any_length(said)
    for rows in range(8, 56, 8):
        trainer.evaluate(np.ones((rows, 3), "f"), np.ones((rows, 1), "f"), batch_size=8, verbose=0)
    assert len(said) == 1
    assert "evaluate goes on as a TensorFlow graph: its data come in 5 sizes" in said[0]
    assert "pad" not in said[0] and "give data of one size" in said[0]


class Bounded(Total):
    """Has room for ten values at once."""

    def __call__(self, x):
        x = tf.ensure_shape(tf.numpy_function(self.hold, [x], tf.float32), [None, None])
        return super().__call__(x)

    @staticmethod
    def hold(x):
        if x.size > 10:
            raise MemoryError("no room")
        return x


def test_a_longer_batch_that_does_not_fit_is_taken_in_parts_on_a_shared_graph(monkeypatch):
    """Lengths 3 to 6 share graphs that ran before; 9 is the first that is too long."""
    said = []
    trainer = Trainer(Bounded(), loss="mse", optimizer=optimizers.SGD(1e-3), jit=False)
    monkeypatch.setattr(trainer.programs, "warn", said.append)
    trainer.fit(_lengths(3, 4, 5, 4, 9), verbose=0)
    plain = Trainer(Total(), loss="mse", optimizer=optimizers.SGD(1e-3), jit=False)
    plain.fit(_lengths(3, 4, 5, 4, 9), verbose=0)
    assert trainer.programs.steps.parts == 2 and len(said) == 1
    assert trainer.step == 5
    np.testing.assert_allclose(trainer.task.model.w, plain.task.model.w, rtol=1e-6)


class Sliced(Task):
    """Reads a row of its own by the step's number: a slice that XLA compiles anew each step."""

    def __init__(self):
        super().__init__()
        self.w = tf.Variable(1.0)
        self.table = tf.Variable(tf.range(64, dtype=tf.float32), trainable=False)
        self.optimizer = optimizers.SGD(1e-3)

    def step(self, batch, ctx):
        at = tf.cast(ctx.seed()[1], tf.int32)
        row = tf.slice(self.table, [at], [1])
        loss = ctx.minimize(lambda part: self.w * part * row, batch, self.optimizer, [self.w])
        return {"loss": loss}


def test_a_step_that_xla_compiles_again_and_again_is_named():
    with pytest.raises(RecompileError, match=r"each value that Slice in the step itself.*gather"):
        Trainer(Sliced(), jit=Jit("step", strict=True)).fit(np.ones(8, "f"), verbose=0)
    Trainer(Sliced(), jit=Jit("loop", strict=True)).fit(np.ones(8, "f"), verbose=0)
