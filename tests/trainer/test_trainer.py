"""Trainer: fit, evaluate, predict as a Keras user expects them, with what fit gets wrong mended."""

import gc
import os
import signal
import threading
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

import layers
import losses
import optimizers
from trainer import Callback, Control, Every, Trainer
from trainer.callbacks import CallbackError, LambdaCallback

JIT = [False, "step", "loop"]


def _classes(n=53, features=6, classes=3, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, features)).astype("float32")
    return x, np.argmax(x @ rng.normal(size=(features, classes)), -1)


def _mlp(dropout=0.0):
    random = [layers.Dropout(dropout)] if dropout else []
    return layers.Sequential([layers.Dense(8, activation="relu"), *random, layers.Dense(3)])


def _trainer(model=None, **options):
    options = {
        "loss": losses.SparseCategoricalCrossentropy(from_logits=True),
        "optimizer": optimizers.Adam(0.01),
        "metrics": ["accuracy"],
        **options,
    }
    return Trainer(_mlp() if model is None else model, **options)


def _weights(trainer):
    return [v.numpy() for v in trainer.task.model.trainable_variables]


def _assert_same(a, b):
    for x, y in zip(_weights(a), _weights(b), strict=True):
        np.testing.assert_array_equal(x, y)


# The flow a newcomer knows.


@pytest.mark.parametrize("jit", ["auto", *JIT])
def test_fit_evaluate_predict(jit):
    x, y = _classes(203)
    trainer = _trainer(jit=jit)
    history = trainer.fit(x, y, epochs=30, batch_size=16, validation_data=(x, y), verbose=0)
    assert list(history.history) == [
        "loss",
        "accuracy",
        "learning_rate",
        "val_loss",
        "val_accuracy",
    ]
    assert history.history["accuracy"][-1] > 0.95
    assert len(history.history["loss"]) == 30
    assert len(history.steps["loss"]) == 30 * 13 == trainer.step
    found = trainer.evaluate(x, y, batch_size=50, verbose=0)
    logits = trainer.predict(x, batch_size=50)
    assert logits.shape == (203, 3)
    np.testing.assert_allclose(found["accuracy"], np.mean(np.argmax(logits, -1) == y), rtol=1e-6)
    shifted = logits.astype(np.float64) - logits.max(-1, keepdims=True)
    nll = np.log(np.exp(shifted).sum(-1)) - shifted[np.arange(203), y]
    np.testing.assert_allclose(found["loss"], nll.mean(), rtol=1e-5)
    np.testing.assert_allclose(history.history["val_loss"][-1], found["loss"], rtol=1e-5)


def test_epoch_values_are_exact_means_over_examples():
    """Of the per-step values, weighted by rows: the ragged last batch of 5 counts as 5."""
    x, y = _classes()
    history = _trainer().fit(x, y, batch_size=8, epochs=2, verbose=0)
    rows = np.array([8] * 6 + [5])
    for name in ("loss", "accuracy"):
        steps = history.steps[name].reshape(2, 7)
        np.testing.assert_allclose(history.history[name], steps @ rows / 53, rtol=1e-6)


# Determinism.


@pytest.mark.parametrize("jit", [False, "loop"])
def test_two_runs_give_the_same_bits(jit):
    """Initial weights, shuffling and dropout all come from the seed."""
    x, y = _classes()

    def train(seed):
        trainer = _trainer(_mlp(dropout=0.5), jit=jit, seed=seed)
        trainer.fit(x, y, batch_size=8, epochs=2, verbose=0)
        return trainer

    _assert_same(train(1), train(1))
    assert not np.array_equal(_weights(train(1))[0], _weights(train(2))[0])


@pytest.mark.parametrize("jit", [False, "loop"])
def test_how_a_run_is_cut_does_not_change_bits(jit):
    """One fit to step 14 = fits to steps 3, 7 and 14 = a callback every step."""
    x, y = _classes()

    def train(*cuts, callbacks=()):
        trainer = _trainer(_mlp(dropout=0.5), jit=jit)
        for steps in cuts:
            trainer.fit(x, y, batch_size=8, steps=steps, callbacks=list(callbacks), verbose=0)
        return trainer

    whole = train(14)
    _assert_same(whole, train(3, 7, 14))
    _assert_same(whole, train(14, callbacks=[LambdaCallback(lambda r: None, when=Every(steps=1))]))


def test_epochs_are_shuffled_differently_and_cover_everything():
    seen = []

    class Look(tf.Module):
        def __init__(self):
            super().__init__()
            self.w = tf.Variable([[1.0]])

        def __call__(self, x):
            tf.numpy_function(lambda a: seen.append(a.copy()), [x], [])
            return x @ self.w

    x = np.arange(20, dtype="float32")[:, None]
    trainer = Trainer(Look(), loss="mse", optimizer=optimizers.SGD(0.0), jit=False)
    trainer.fit(x, x, batch_size=10, epochs=2, verbose=0)
    first, second = np.concatenate(seen[-4:-2]), np.concatenate(seen[-2:])
    np.testing.assert_array_equal(np.sort(first, 0), x)
    np.testing.assert_array_equal(np.sort(second, 0), x)
    assert not np.array_equal(first, second)


# Accumulation.


@pytest.mark.parametrize("jit", JIT)
@pytest.mark.parametrize("n", [48, 53])
def test_accumulated_parts_equal_one_batch(jit, n):
    """accumulate=4 of 4 rows = batches of 16, with sample weights, clipping and a ragged end."""
    x, y = _classes(n)
    weight = np.random.default_rng(1).uniform(0.2, 2.0, n).astype("float32")

    def train(accumulate, batch_size):
        trainer = _trainer(
            optimizer=optimizers.Adam(0.01, global_clipnorm=0.1),
            accumulate=accumulate,
            jit=jit,
        )
        history = trainer.fit(
            x, y, sample_weight=weight, batch_size=batch_size, epochs=3, verbose=0
        )
        return trainer, history

    (one, h1), (many, h2) = train(1, 16), train(4, 4)
    assert one.step == many.step == 3 * -(-n // 16)
    for a, b in zip(_weights(one), _weights(many), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-6)
    for name in ("loss", "accuracy"):
        np.testing.assert_allclose(h1.steps[name], h2.steps[name], rtol=1e-5, atol=1e-6)


# Data.


def _generator(x, y):
    for i in range(0, len(x), 8):
        yield x[i : i + 8], y[i : i + 8]


class _Sequence(keras.utils.PyDataset):
    def __init__(self, x, y):
        super().__init__()
        self.x, self.y = x, y

    def __len__(self):
        return (len(self.x) + 7) // 8

    def __getitem__(self, i):
        return self.x[8 * i : 8 * i + 8], self.y[8 * i : 8 * i + 8]


STREAMS = {  # Keras shuffles the batches of a PyDataset too, unless told not to
    "tf.data": lambda x, y: tf.data.Dataset.from_tensor_slices((x, y)).batch(8),
    "generator": lambda x, y: lambda: _generator(x, y),
    "PyDataset": _Sequence,
}


@pytest.mark.parametrize("kind", ["tf.data", "generator", "PyDataset"])
@pytest.mark.parametrize("jit", [False, "loop"])
def test_streams_train_like_arrays(kind, jit):
    """Bit for bit, ragged end included."""
    x, y = _classes()
    arrays, stream = _trainer(jit=jit), _trainer(jit=jit)
    h1 = arrays.fit(x, y, batch_size=8, epochs=3, shuffle=False, validation_data=(x, y), verbose=0)
    data = STREAMS[kind]
    h2 = stream.fit(data(x, y), epochs=3, shuffle=False, validation_data=data(x, y), verbose=0)
    _assert_same(arrays, stream)
    assert h1.history == h2.history
    assert stream.evaluate(data(x, y), verbose=0) == arrays.evaluate(x, y, batch_size=8, verbose=0)
    np.testing.assert_array_equal(stream.predict(data(x, y)), arrays.predict(x, batch_size=8))


def test_an_endless_stream_needs_a_length():
    x, y = _classes()
    endless = tf.data.Dataset.from_tensor_slices((x, y)).batch(8).repeat()
    trainer = _trainer()
    with pytest.raises(ValueError, match="steps_per_epoch"):
        trainer.fit(endless, verbose=0)
    with pytest.raises(ValueError, match=r"take\(n\)"):
        trainer.evaluate(endless, verbose=0)
    history = trainer.fit(endless, epochs=3, steps_per_epoch=4, verbose=0)
    assert (trainer.step, len(history.history["loss"])) == (12, 3)
    trainer.fit(endless, steps=17, verbose=0)
    assert trainer.step == 17


def test_an_endless_stream_goes_on_from_fit_to_fit_and_another_begins():
    """The loss of a model that stays 0 tells which batch was read."""

    def endless():
        numbers = tf.data.Dataset.counter().map(lambda i: tf.cast(i, tf.float32))
        return numbers.map(lambda i: (tf.zeros([2, 1]), tf.fill([2, 1], i)))

    model = layers.Sequential([layers.Dense(1)])
    trainer = Trainer(model, loss="mean_squared_error", optimizer=optimizers.SGD(0.0), jit=False)
    data = endless()
    seen = [trainer.fit(data, epochs=2, steps_per_epoch=2, verbose=0).steps["loss"]]
    for x in (data, endless(), data):
        seen.append(trainer.fit(x, steps=trainer.step + 2, verbose=0).steps["loss"])
    assert [np.sqrt(loss).tolist() for loss in seen] == [[0, 1, 2, 3], [4, 5], [0, 1], [0, 1]]


def test_bytes_stay_bytes_until_the_batch():
    """uint8 images are kept as they are on the device; the model makes them floats."""
    x = np.random.default_rng(0).integers(0, 256, (40, 4, 4), dtype=np.uint8)
    y = x[:, 0, 0] // 128
    model = layers.Sequential([layers.Rescaling(1 / 255), layers.Flatten(), layers.Dense(2)])
    trainer = _trainer(model, optimizer=optimizers.Adam(0.1))
    trainer.fit(x, y, epochs=40, batch_size=8, verbose=0)
    assert trainer.evaluate(x, y, verbose=0)["accuracy"] > 0.9


# Several fits, stopping, failing.


def test_a_second_fit_goes_on():
    x, y = _classes()
    once, twice = _trainer(), _trainer()
    once.fit(x, y, batch_size=8, epochs=4, verbose=0)
    for _ in range(2):
        history = twice.fit(x, y, batch_size=8, epochs=2, verbose=0)
    _assert_same(once, twice)
    assert (twice.step, twice.epoch) == (28, 4)
    assert history.steps["step"][0] == 15


def test_a_callback_stops_training():
    class Stop(Callback):
        when = Every(steps=5)

        def __call__(self, report):
            assert len(report.steps["loss"]) == 5
            return Control(stop="enough") if report.step == 10 else None

    x, y = _classes()
    trainer = _trainer()
    history = trainer.fit(x, y, batch_size=8, epochs=9, callbacks=[Stop()], verbose=0)
    assert trainer.step == 10
    assert history.stopped == "enough"


def test_a_failing_callback_is_named_and_loses_nothing():
    def fail(report):
        raise OSError("disk on fire")

    x, y = _classes()
    trainer, twin = _trainer(), _trainer()
    with pytest.raises(CallbackError, match=r"LambdaCallback.*step 3.*disk on fire") as caught:
        trainer.fit(
            x, y, batch_size=8, callbacks=[LambdaCallback(fail, when=Every(steps=3))], verbose=0
        )
    assert isinstance(caught.value.__cause__, OSError)
    assert trainer.step == 3
    assert len(trainer.history.steps["loss"]) == 3
    twin.fit(x, y, batch_size=8, steps=3, verbose=0)
    _assert_same(trainer, twin)
    trainer.fit(x, y, batch_size=8, steps=7, verbose=0)
    twin.fit(x, y, batch_size=8, steps=7, verbose=0)
    _assert_same(trainer, twin)


def test_a_step_that_fails_amid_a_call_keeps_those_before_it():
    """The count stays that of the updates made; the failing step may be half done (13)."""
    x, y = _classes(200)
    x[8 * 12] = 1e6  # in the 13th batch

    class Careful(layers.Layer):
        def call(self, inputs, training=False):
            with tf.control_dependencies([tf.debugging.assert_less(inputs, 1e5)]):
                return tf.identity(inputs)

    trainer = _trainer(layers.Sequential([Careful(), layers.Dense(3)]), jit=False)
    with pytest.raises(tf.errors.InvalidArgumentError):
        trainer.fit(x, y, batch_size=8, shuffle=False, verbose=0)
    assert trainer.step in (12, 13)
    assert trainer.step == int(trainer.task.optimizer.iterations)
    x[8 * 12] = 0.0
    before = trainer.step
    trainer.fit(x, y, batch_size=8, steps=before + 5, verbose=0)
    assert trainer.step == before + 5


def test_ctrl_c_keeps_everything_trained(ctrl_c):
    x, y = _classes(512)
    trainer = _trainer(jit=False)
    trainer.fit(x, y, batch_size=8, steps=2, verbose=0)

    def press():
        while int(trainer.programs.counter) < 50:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(x, y, batch_size=8, epochs=3000, verbose=0)
    stopped = trainer.step
    assert stopped > 2
    assert trainer.history.stopped == f"Ctrl-C at step {stopped}"
    assert len(trainer.history.steps["loss"]) == stopped - 2
    trainer.fit(x, y, batch_size=8, steps=stopped + 10, verbose=0)
    assert trainer.step == stopped + 10
    assert np.isfinite(trainer.evaluate(x, y, verbose=0)["loss"])


def test_validation_by_steps():
    x, y = _classes()
    seen = []

    class See(Callback):
        when = Every(steps=1)

        def __call__(self, report):
            if report.validation:
                seen.append((report.step, report.validation["val_loss"]))

    _trainer().fit(
        x,
        y,
        batch_size=8,
        epochs=2,
        validation_data=(x, y),
        validation_freq=Every(steps=5),
        callbacks=[See()],
        verbose=0,
    )
    assert [step for step, _ in seen] == [5, 10]


def test_validation_split_takes_the_end():
    x, y = _classes(50)
    one, two = _trainer(), _trainer()
    h1 = one.fit(x, y, validation_split=0.2, epochs=2, batch_size=8, verbose=0)
    h2 = two.fit(
        x[:40], y[:40], validation_data=(x[40:], y[40:]), epochs=2, batch_size=8, verbose=0
    )
    _assert_same(one, two)
    assert h1.history == h2.history


# Reporting.


def test_gradient_norm_is_reported():
    x, y = _classes()
    trainer = _trainer(gradient_norm=True)
    model = trainer.task.model
    model(x[:8])
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y[:8], logits=model(x[:8]))
        )
    expected = tf.linalg.global_norm(tape.gradient(loss, model.trainable_variables))
    history = trainer.fit(x, y, batch_size=8, steps=2, shuffle=False, verbose=0)
    np.testing.assert_allclose(history.steps["gradient_norm"][0], expected, rtol=1e-5)


def test_the_learning_rate_of_each_step_is_reported():
    x, y = _classes()
    schedule = optimizers.schedules.CosineDecay(0.1, 20)
    history = _trainer(optimizer=optimizers.SGD(schedule)).fit(
        x, y, batch_size=8, steps=14, verbose=0
    )
    expected = 0.05 * (1 + np.cos(np.pi * np.arange(14) / 20))
    np.testing.assert_allclose(history.steps["learning_rate"], expected, rtol=1e-5)


def test_a_changed_learning_rate_takes_effect_without_a_trace():
    x, y = _classes()
    trainer = _trainer(jit="loop")
    trainer.fit(x, y, batch_size=8, steps=3, verbose=0)
    traces = [loop.traces for loop in trainer.programs.loops]
    trainer.task.optimizer.learning_rate = 0.0
    before = _weights(trainer)
    trainer.fit(x, y, batch_size=8, steps=6, verbose=0)
    for a, b in zip(before, _weights(trainer), strict=True):
        np.testing.assert_array_equal(a, b)
    assert traces == [loop.traces for loop in trainer.programs.loops]


# Memory.


def test_repeated_fits_do_not_grow():
    """200 fits: no loop, trace or thread more than after the first, and no pile of objects."""
    x, y = _classes()
    trainer = _trainer()

    def fit():
        steps = trainer.step + 7
        trainer.fit(x, y, batch_size=8, steps=steps, validation_data=(x, y), verbose=0)

    def count():
        gc.collect()
        return len(gc.get_objects())

    for _ in range(5):
        fit()
    threads, loops = threading.active_count(), len(trainer.programs.loops)
    traces = sum(loop.traces for loop in trainer.programs.loops)
    before = count()
    for _ in range(200):
        fit()
    assert threading.active_count() <= threads
    assert len(trainer.programs.loops) == loops
    assert sum(loop.traces for loop in trainer.programs.loops) == traces
    assert count() - before < 200  # less than one object a fit


def test_what_is_tried_on_a_scratch_trainer_leaves_nothing():
    x, y = _classes()
    tried, plain = _trainer(_mlp(0.3), jit=False), _trainer(_mlp(0.3), jit=False)
    for trainer in (tried, plain):
        trainer.fit(x, y, steps=9, verbose=0)  # in mid-epoch
    with tried.scratch() as trial:
        trial.fit(x, y, steps=trial.step + 20, verbose=0)
        assert (trial.step, tried.step) == (29, 9)
        assert not np.array_equal(_weights(tried)[0], _weights(plain)[0])
    for trainer in (tried, plain):
        trainer.fit(x, y, steps=15, verbose=0)
    _assert_same(tried, plain)


def test_a_scratch_trainer_may_compile_otherwise_and_takes_no_checkpoints(tmp_path):
    x, y = _classes()
    trainer = _trainer(jit="loop", checkpoint=tmp_path / "run")
    with pytest.raises(RuntimeError, match="as it is"), trainer.scratch(jit=False) as trial:
        trial.fit(x, y, verbose=0)
        assert {loop.mode for loop in trial.programs.loops} == {"graph"}
        raise RuntimeError("as it is")
    assert trainer.programs.loops == [] and not (tmp_path / "run").exists()
