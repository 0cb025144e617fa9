"""Planted faults are found and nothing else is blamed; healthy runs are blamed for nothing."""

import time

import keras
import numpy as np
import pytest
import tensorflow as tf

import layers as L
import losses
import optimizers
from trainer import Sums, Task, Trainer, inspect, state
from trainer.inspect import data_checks, model_checks, training_checks
from trainer.inspect.doctor import CHECKS

RNG = np.random.default_rng(0)
X = RNG.normal(size=(96, 6)).astype("float32")
Y = (X[:, :3] @ RNG.normal(size=(3, 3))).argmax(-1)
Z = (X[:, :1] - X[:, 1:2]).astype("float32")
IMAGES = RNG.normal(size=(96, 8, 8, 1)).astype("float32")
WORDS = RNG.integers(0, 20, (96, 5))


def crossentropy():
    return losses.SparseCategoricalCrossentropy(from_logits=True)


def trainer(*layers, loss=None, rate=0.01, activation=None, **how):
    """A classifier of three classes."""
    model = L.Sequential([*layers, L.Dense(3, activation)])
    return Trainer(model, loss=loss or crossentropy(), optimizer=optimizers.Adam(rate), **how)


class Centered(L.Layer):
    def call(self, x):
        return x - tf.reduce_mean(x, axis=0)


class Stuck(L.Layer):
    """Holds a dropout that is always on."""

    def __init__(self):
        super().__init__()
        self.inner = L.Dropout(0.4)

    def call(self, x):
        return self.inner(x, training=True)


class Deaf(L.Layer):
    """Holds a dropout that is never told that it trains."""

    def __init__(self):
        super().__init__()
        self.inner = L.Dropout(0.4)

    def call(self, x):
        return self.inner(x)


class Cut(L.Layer):
    """A layer beside which the gradient is cut."""

    def __init__(self):
        super().__init__()
        self.inner = L.Dense(6)

    def call(self, x):
        return x + tf.stop_gradient(self.inner(x))


class Widened(L.Layer):
    """Computes in float32 whatever it is told."""

    def build(self, input_shape):
        self.kernel = self.add_weight("kernel", [input_shape[-1], 6])

    def call(self, x):
        return tf.cast(tf.cast(x, tf.float32) @ self.kernel, x.dtype)


def half(layer):
    """A layer of ours that is set to bfloat16 by itself."""
    layer.compute_dtype = "bfloat16"
    return layer


def slow(read=0.05):
    """A dataset whose batches take long to read."""

    def wait(x, y):
        def sleep():
            time.sleep(read)
            return np.int64(0)

        zero = tf.numpy_function(sleep, [], tf.int64)
        return x, y + tf.ensure_shape(zero, [])

    return tf.data.Dataset.from_tensor_slices((X, Y)).shuffle(96, seed=1).batch(16).map(wait)


def same_order():
    data = tf.data.Dataset.from_tensor_slices((X, Y))
    return data.shuffle(96, seed=1, reshuffle_each_iteration=False).batch(16)


def spoilt():
    x = X.copy()
    x[::7, 2] = np.nan
    return x


FAULTS = {
    # check to be blamed, what its text must hold, trainer, data
    "labels from 1": ("data fits the loss", "is 3 at row", lambda: (trainer(), X, Y + 1)),
    "softmax and logits": (
        "data fits the loss",
        "softmax",
        lambda: (trainer(L.Dense(8, "relu"), activation="softmax"), X, Y),
    ),
    "nan in the data": ("finite data", "NaN", lambda: (trainer(), spoilt(), Y)),
    "one order": ("shuffle", "very same", lambda: (trainer(), same_order(), None)),
    "large start": ("initial loss", "times", lambda: (trainer(L.Dense(8), Times(40.0)), X, Y)),
    "dropout stuck on": ("modes", "inner (Dropout)", lambda: (trainer(Stuck()), X, Y)),
    "dropout not told": ("modes", "inner (Dropout)", lambda: (trainer(Deaf()), X, Y)),
    "float32 left in a layer's own": (
        "precision",
        "float32 MatMul",
        lambda: (trainer(half(Widened())), X, Y),
    ),
    "mean over the batch": (
        "examples apart",
        "(Centered)",
        lambda: (trainer(L.Dense(8, "relu"), Centered()), X, Y),
    ),
    "loss that broadcasts": (
        "examples apart",
        "the loss",
        lambda: (regression(lambda y, p: tf.square(y[:, 0] - p)), X, Z),
    ),
    "gradient cut": ("gradients", "inner/", lambda: (trainer(Cut()), X, Y)),
    "dead units": ("gradients", "all zero", lambda: (trainer(dead(), L.Dense(3)), X, Y)),
    "training diverges": ("overfits a batch", "at update", lambda: (diverging(), X, Z)),
    "rate too small": ("overfits a batch", "goes from", lambda: (trainer(rate=1e-7), X, Y)),
    "float32 under bfloat16": (
        "precision",
        "float32 MatMul",
        lambda: (trainer(L.Dense(8, "relu"), Widened(), precision="mixed_bfloat16"), X, Y),
    ),
    "slow input": ("input keeps up", "waits", lambda: (trainer(), slow(), None)),
}


class Times(L.Layer):
    def __init__(self, factor):
        super().__init__()
        self.factor = factor

    def call(self, x):
        return self.factor * x


def dead():
    return L.Dense(8, "relu", bias_initializer=tf.constant_initializer(-100.0))


def diverging():
    return Trainer(L.Dense(1), loss="mse", optimizer=optimizers.SGD(1e4))


def regression(loss, rate=0.01):
    model = L.Sequential([L.Dense(8, "tanh"), L.Dense(1)])
    return Trainer(model, loss=loss, optimizer=optimizers.Adam(rate))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found_and_nothing_else_is_blamed(fault):
    check, text, make = FAULTS[fault]
    made, x, y = make()
    # A pipeline's pace depends on who else uses the processors: it has tests of its own.
    skip = ["input keeps up"] if fault == "one order" else []
    batch_size = None if y is None else 16
    found = inspect.doctor(made, x, y, batch_size=batch_size, skip=skip, verbose=0)
    assert [f.check for f in found.findings] == list(CHECKS)
    assert found.blamed == [check], str(found)
    assert text in found[check].text
    assert not found.healthy


class Gan(Task):
    def __init__(self):
        super().__init__()
        self.g = L.Sequential([L.Dense(8, "relu"), L.Dense(6)])
        self.d = L.Sequential([L.Dense(8, "relu"), L.Dense(1)])
        self.g_optimizer, self.d_optimizer = optimizers.Adam(1e-3), optimizers.Adam(1e-3)

    def step(self, batch, ctx):
        batch = {"x": batch, "z": tf.random.stateless_normal([tf.shape(batch)[0], 4], ctx.seed())}

        def d_loss(b):
            real, fake = self.d(b["x"]), self.d(self.g(b["z"]))
            return losses.gan_discriminator(real, fake)

        def g_loss(b):
            return losses.gan_generator(self.d(self.g(b["z"])))

        d = ctx.minimize(d_loss, batch, self.d_optimizer, self.d.trainable_variables)
        g = ctx.minimize(g_loss, batch, self.g_optimizer, self.g.trainable_variables)
        return {"d_loss": d, "g_loss": g}


def keras_cnn():
    K = keras.layers
    body = [K.Conv2D(4, 3), K.BatchNormalization(), K.ReLU(), K.Flatten(), K.Dropout(0.2)]
    model = keras.Sequential([keras.Input((8, 8, 1)), *body, K.Dense(3)])
    return Trainer(model, loss=crossentropy(), optimizer=optimizers.Adam(0.01))


def keras_half():
    """Layers set to bfloat16 by themselves, and a last one in float32."""
    K = keras.layers
    body = [K.Dense(8, dtype="mixed_bfloat16"), K.ReLU(), K.Dense(3)]
    return Trainer(keras.Sequential(body), loss=crossentropy(), optimizer=optimizers.Adam(0.01))


class Shrink(tf.Module):
    """A plain module, which may be told by position that it trains."""

    def __call__(self, x, training):
        return 0.9 * x if training else x


class ByPosition(L.Layer):
    def __init__(self):
        super().__init__()
        self.shrink = Shrink()

    def call(self, x, training=False):
        return self.shrink(x, training)


HEALTHY = {
    "by position": lambda: (trainer(L.Dense(8), ByPosition()), X, Y),
    "mlp": lambda: (trainer(L.Dense(16, "relu"), L.BatchNormalization(), L.Dropout(0.2)), X, Y),
    "keras cnn": lambda: (keras_cnn(), IMAGES, Y),
    "text": lambda: (trainer(L.Embedding(20, 8), L.GRU(8), L.LayerNormalization()), WORDS, Y),
    "regression": lambda: (regression("mse"), X, Z),
    "half precision": lambda: (
        trainer(L.Dense(16, "relu"), L.LayerNormalization(), precision="mixed_bfloat16"),
        X,
        Y,
    ),
    "float16": lambda: (trainer(L.Dense(16, "relu"), precision="mixed_float16"), X, Y),
    "half precision of Keras's": lambda: (keras_half(), X, Y),
    "gan": lambda: (Trainer(Gan()), X, None),
    "zero start": lambda: (
        trainer(L.Dense(8), L.Dense(8, kernel_initializer="zeros"), accumulate=2),
        X,
        Y,
    ),
}


@pytest.mark.parametrize("kind", HEALTHY)
def test_a_healthy_run_is_blamed_for_nothing(kind):
    made, x, y = HEALTHY[kind]()
    found = inspect.doctor(made, x, y, batch_size=16, verbose=0)
    assert found.healthy, str(found)


def test_what_is_not_judged_is_not_passed():
    gan = inspect.doctor(Trainer(Gan()), X, batch_size=16, verbose=0)
    assert gan["data fits the loss"].mark == "skip"
    mixed = inspect.doctor(keras_half(), X, Y, skip=set(CHECKS) - {"precision"}, verbose=0)
    text = "every product of layers that are set to it is computed in bfloat16"
    assert mixed["precision"] == ("precision", "pass", text, "")


def test_what_is_left_out_is_not_run(monkeypatch):
    def ran(*args):
        raise AssertionError("it was to be left out")

    for name in ("initial_loss", "modes", "independent"):
        monkeypatch.setattr(model_checks, name, ran)
    monkeypatch.setattr(training_checks, "train_on_one", ran)
    monkeypatch.setattr(data_checks, "order", ran)
    skip = [name for name in CHECKS if name not in ("data fits the loss", "finite data")]
    found = inspect.doctor(trainer(), X, Y, skip=skip, verbose=0)
    assert [f.mark for f in found.findings] == ["pass", "pass", *["skip"] * 8]
    with pytest.raises(ValueError, match="is 3 at row"):  # nothing could be examined
        inspect.doctor(trainer(), X, Y + 1, skip=["data fits the loss"], verbose=0)


def test_the_run_is_untouched():
    """Training after an examination gives the bits of training without one."""

    def weights(examine):
        made = trainer(L.Dense(8, "relu"), L.BatchNormalization(), L.Dropout(0.3), jit=False)
        for _ in range(2):
            if examine:
                inspect.doctor(made, X, Y, batch_size=16, verbose=0)
            made.fit(X, Y, batch_size=16, epochs=1, verbose=0)
        assert made.step == 12
        return [v.numpy() for v in state.variables(made.task).values()]

    for a, b in zip(weights(False), weights(True), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_task_with_a_variable_that_no_minimize_is_handed():
    class Half(Task):
        def __init__(self):
            super().__init__()
            self.model = L.Sequential([L.Dense(4), L.Dense(1)])
            self.optimizer = optimizers.Adam(0.01)

        def step(self, batch, ctx):
            def loss_fn(b):
                return tf.square(self.model(b["x"]) - b["y"])[:, 0]

            some = self.model.trainable_variables[:2]
            return {"loss": ctx.minimize(loss_fn, batch, self.optimizer, some)}

    found = inspect.doctor(Trainer(Half()), {"x": X, "y": Z}, verbose=0)
    assert found.blamed == ["gradients"]
    assert "model/layers/1/kernel" in found["gradients"].text


def test_a_contrastive_loss_is_told_and_can_be_left_out():
    class Pairs(Task):
        def __init__(self):
            super().__init__()
            self.model = L.Dense(4)
            self.optimizer = optimizers.Adam(0.05)

        def step(self, batch, ctx):
            def loss_fn(b):
                a = tf.math.l2_normalize(self.model(b), -1)
                scores = tf.matmul(a, a, transpose_b=True) * 4.0
                return Sums.of(tf.reduce_logsumexp(scores, -1))

            variables = self.model.trainable_variables
            return {"loss": ctx.minimize(loss_fn, batch, self.optimizer, variables)}

    skip = ["overfits a batch"]
    assert inspect.doctor(Trainer(Pairs()), X, skip=skip, verbose=0).blamed == ["examples apart"]
    assert inspect.doctor(Trainer(Pairs()), X, skip=[*skip, "examples apart"], verbose=0).healthy


def test_what_cannot_be_examined_is_refused(capsys):
    with pytest.raises(TypeError, match="takes a Trainer, not Dense"):
        inspect.doctor(L.Dense(1), X, Y)
    with pytest.raises(TypeError, match="use up"):
        inspect.doctor(trainer(), iter([(X, Y)]))
    with pytest.raises(ValueError, match="is no check"):
        inspect.doctor(trainer(), X, Y, skip=["gradient"])
    inspect.doctor(trainer(), X, Y, batch_size=16)
    shown = capsys.readouterr().out
    assert "examples apart" in shown and "10 pass" in shown
