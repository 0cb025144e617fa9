"""The harness: Keras `fit` and our Trainer on the same batches from the same weights.

Objects are named as `(class name, arguments)`, so that one description makes Keras's object and
ours. Batches have 8 rows, of 61 examples in all: the last one has 5.
"""

from __future__ import annotations

import functools
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf

import layers as L
import losses
import optimizers
from trainer import At, Every, Trainer
from trainer.callbacks import LambdaCallback

K = keras.layers
ROWS, BATCH = 61, 8

SGD = ("SGD", {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True})
LOGITS = {"from_logits": True}


# ---- models, each with its twin of our layers --------------------------------------------------


@dataclass(frozen=True)
class Specimen:
    """A Keras model, its twin made of our layers (if it has one), and data for both."""

    keras: Callable[[], Any]
    ours: Callable[[], Any] | None
    x: Any
    y: Any
    compile: dict[str, Any]


class TwoHeads(L.Layer):
    """Two inputs, a shared trunk, two outputs by name (or as a tuple)."""

    def __init__(self, as_tuple: bool) -> None:
        super().__init__()
        self.left = L.Dense(5, "tanh")
        self.right = L.Dense(4, "relu")
        self.kind = L.Dense(3)  # before `score`, as Keras sorts the outputs
        self.score = L.Dense(1)
        self.as_tuple = as_tuple

    def call(self, inputs: Any, training: bool = False) -> Any:
        a, b = inputs if self.as_tuple else (inputs["a"], inputs["b"])
        trunk = tf.concat([self.left(a), self.right(b)], -1)
        if self.as_tuple:
            return self.score(trunk), self.kind(trunk)
        return {"score": self.score(trunk), "kind": self.kind(trunk)}


def keras_two_heads(as_tuple: bool) -> Any:
    a, b = keras.Input((4,), name="a"), keras.Input((3,), name="b")
    trunk = K.Concatenate()([K.Dense(5, "tanh", name="left")(a), K.Dense(4, "relu")(b)])
    score, kind = K.Dense(1, name="score")(trunk), K.Dense(3, name="kind")(trunk)
    if as_tuple:
        return keras.Model([a, b], (score, kind))
    return keras.Model({"a": a, "b": b}, {"score": score, "kind": kind})


def mlp(lib: Any, penalty: Any = None) -> list[Any]:
    return [
        lib.Dense(8, "relu", kernel_regularizer=penalty and "l2"),
        lib.Dense(3, kernel_regularizer=penalty and "l1", bias_regularizer=penalty and "l2"),
    ]


def cnn(lib: Any) -> list[Any]:
    # No bias before the normalisation: its gradient would be rounding noise, which Adam inflates.
    return [
        lib.Conv2D(4, 3, use_bias=False),
        lib.BatchNormalization(momentum=0.9),
        lib.Activation("relu"),
        lib.MaxPooling2D(2),
        lib.Flatten(),
        lib.Dense(3, "softmax"),
    ]


def text(lib: Any) -> list[Any]:
    return [lib.Embedding(60, 5), lib.GlobalAveragePooling1D(), lib.Dense(1, "sigmoid")]


def temporal(lib: Any) -> list[Any]:
    return [lib.Dense(6, "tanh"), lib.Dense(1)]


def keras_masked(*outputs: Any) -> Any:
    return keras.Sequential([keras.Input((6,)), K.Embedding(20, 5, mask_zero=True), *outputs])


def _specimens() -> dict[str, Specimen]:
    rng = np.random.default_rng(0)

    def normal(*shape: int) -> np.ndarray:
        return rng.normal(size=(ROWS, *shape)).astype(np.float32)

    vectors, images, sequences = normal(6), normal(8, 8, 2), normal(5, 4)
    words = rng.integers(1, 20, (ROWS, 6)).astype(np.int32)
    # Each word once in a batch of 8: Keras's Adam is wrong on repeated ones (test_divergences).
    single = np.concatenate([rng.permutation(60)[:48].reshape(8, 6) for _ in range(8)])[:ROWS]
    padded = words * (np.arange(6) < rng.integers(1, 7, (ROWS, 1)))  # 1 to 6 words, then zeros
    kinds = rng.integers(0, 3, ROWS).astype(np.int32)
    flags = (rng.random((ROWS, 1)) < 0.4).astype(np.float32)
    a, b, scores = normal(4), normal(3), normal(1)
    tags = rng.integers(0, 3, (ROWS, 6)).astype(np.int32)
    sparse = ("SparseCategoricalCrossentropy", LOGITS)

    def sequential(build: Callable[[Any], list[Any]], x: Any, y: Any, **how: Any) -> Specimen:
        shape = x.shape[1:]
        return Specimen(
            lambda: keras.Sequential([keras.Input(shape), *build(K)]),
            lambda: L.Sequential(build(L)),
            x,
            y,
            how,
        )

    return {
        "mlp": sequential(mlp, vectors, kinds, loss=sparse, metrics=["accuracy"]),
        "cnn": sequential(
            cnn, images, kinds, loss="sparse_categorical_crossentropy", metrics=["accuracy"]
        ),
        "text": sequential(text, words, flags, loss="binary_crossentropy", metrics=["accuracy"]),
        "text-single": sequential(
            text, single, flags, loss="binary_crossentropy", metrics=["accuracy"]
        ),
        "two": Specimen(
            lambda: keras_two_heads(False),
            lambda: TwoHeads(False),
            {"a": a, "b": b},
            {"score": scores, "kind": kinds},
            {
                "loss": {"score": "mse", "kind": sparse},
                "loss_weights": {"score": 0.5, "kind": 2.0},
                "metrics": {"score": ["mae"], "kind": ["accuracy"]},
            },
        ),
        "two-tuple": Specimen(
            lambda: keras_two_heads(True),
            None,
            (a, b),
            (scores, kinds),
            {
                "loss": ["mse", sparse],
                "loss_weights": [0.5, 2.0],
                "metrics": [["mae"], ["accuracy"]],
            },
        ),
        "regularised": sequential(
            lambda lib: mlp(lib, True), vectors, kinds, loss=sparse, metrics=["accuracy"]
        ),
        "temporal": sequential(
            temporal, sequences, sequences[..., :1] * 0.5 + 1, loss="mse", metrics=["mae"]
        ),
        "pooled": sequential(lambda lib: [lib.Dense(1)], a, scores, loss="mse"),
        "masked": Specimen(
            lambda: keras_masked(K.LSTM(4), K.Dense(1, "sigmoid")),
            None,
            padded,
            flags,
            {"loss": "binary_crossentropy", "metrics": ["accuracy"]},
        ),
        "tagger": Specimen(
            lambda: keras_masked(K.Dense(6, "tanh"), K.Dense(3)),
            None,
            padded,
            tags,
            {"loss": sparse, "metrics": ["accuracy"]},
        ),
    }


SPECIMENS = _specimens()


# ---- running both ------------------------------------------------------------------------------


class Run(NamedTuple):
    """What training gave.

    Attributes:
        first: the weights after the first update.
        weights: the weights at the end, moving statistics among them.
        logs: name -> value of each epoch.
        trained: the model, for whoever wants to look.
    """

    first: list[np.ndarray]
    weights: list[np.ndarray]
    logs: dict[str, list[float]]
    trained: Any


class Pair(NamedTuple):
    """The same training by Keras and by us."""

    keras: Run
    ours: Run

    def figures(self, apart_from: tuple[str, ...] = ()) -> dict[str, float]:
        """Largest differences: of weights by the largest entry of each array (0.1 at least)."""
        return {
            "first": _distance(self.ours.first, self.keras.first),
            "drift": _distance(self.ours.weights, self.keras.weights),
            "logs": max(
                _distance([np.asarray(self.ours.logs[k])], [np.asarray(v)])
                for k, v in self.keras.logs.items()
                if not k.endswith(apart_from)
            ),
        }

    def agree(
        self,
        *,
        logs: float = 1e-6,
        drift: float = 2e-6,
        first: tuple[float, float] = (1e-6, 1e-7),
        apart_from: tuple[str, ...] = (),
    ) -> None:
        """Asserts that the first update, every epoch value and the final weights agree.

        Args:
            logs: relative bound of every epoch value that Keras reports.
            drift: bound of the final weights, relative as in `figures`.
            first: rtol and atol of the weights after the first update.
            apart_from: ends of the names of values that are not compared.
        """
        print("PARITY", {k: f"{v:.1e}" for k, v in self.figures(apart_from).items()})
        missing = self.keras.logs.keys() - self.ours.logs.keys()
        assert not missing, f"ours reports {sorted(self.ours.logs)}, not {sorted(missing)}"
        for name, values in self.keras.logs.items():
            if not name.endswith(apart_from):
                np.testing.assert_allclose(self.ours.logs[name], values, logs, 1e-9, err_msg=name)
        assert self.ours.first
        for got, want in zip(self.ours.first, self.keras.first, strict=True):
            np.testing.assert_allclose(got, want, *first)
        assert self.figures()["drift"] <= drift


def _distance(got: list[np.ndarray], want: list[np.ndarray]) -> float:
    return max(
        float(np.abs(g - w).max() / max(np.abs(w).max(), 0.1))
        for g, w in zip(got, want, strict=True)
    )


def make(lib: Any, described: Any) -> Any:
    """The object of `lib` (Keras's or our losses or optimizers) that `(name, kwargs)` describes."""
    if isinstance(described, tuple) and len(described) == 2 and isinstance(described[1], dict):
        name, kwargs = described
        home = lib if hasattr(lib, name) else lib.schedules
        return getattr(home, name)(**{k: make(lib, v) for k, v in kwargs.items()})
    if isinstance(described, dict):
        return {k: make(lib, v) for k, v in described.items()}
    if isinstance(described, (list, tuple)):
        return type(described)(make(lib, v) for v in described)
    return described


@functools.cache
def initial_weights(name: str) -> list[np.ndarray]:
    """The weights that every run of a specimen starts from."""
    keras.utils.set_random_seed(1)
    return [np.asarray(w) for w in SPECIMENS[name].keras().get_weights()]


def compiled_keras(name: str, optimizer: Any = SGD, compile: Any = None) -> Any:
    """The Keras model with its initial weights, compiled."""
    model = SPECIMENS[name].keras()
    model.set_weights(initial_weights(name))
    how = {**SPECIMENS[name].compile, **(compile or {})}
    how["loss"] = make(keras.losses, how["loss"])
    model.compile(make(keras.optimizers, optimizer), jit_compile=False, **how)
    return model


def _build(model: Any, fit: dict[str, Any]) -> None:
    """Makes Keras's metrics and slots before `fit`, which else traces twice. Saves time only."""
    if fit["y"] is not None and hasattr(model, "_symbolic_build"):
        batch = fit["x"], fit["y"], fit.get("sample_weight")
        model._symbolic_build(
            data_batch=tf.nest.map_structure(lambda a: None if a is None else a[:BATCH], batch)
        )


_KERAS_RUNS: dict[bytes, Run] = {}


def run_keras(
    name: str,
    optimizer: Any = SGD,
    compile: dict[str, Any] | None = None,
    fit: dict[str, Any] | None = None,
) -> Run:
    """Keras's `compile` and `fit`; remembered, since several tests compare with the same run."""
    key = pickle.dumps((name, optimizer, compile, fit))
    if key not in _KERAS_RUNS:
        specimen = SPECIMENS[name]
        model = compiled_keras(name, optimizer, compile)
        given = {"x": specimen.x, "y": specimen.y, "batch_size": BATCH, **(fit or {})}
        _build(model, given)
        first: list[np.ndarray] = []

        def look(batch: int, logs: Any) -> None:
            first.extend([] if first else model.get_weights())

        history = model.fit(
            **given,
            shuffle=False,
            verbose=0,
            callbacks=[keras.callbacks.LambdaCallback(on_train_batch_end=look)],
        )
        _KERAS_RUNS[key] = Run(first, model.get_weights(), history.history, model)
    return _KERAS_RUNS[key]


def make_ours(
    name: str,
    optimizer: Any = SGD,
    compile: dict[str, Any] | None = None,
    *,
    model: str = "layers",
    objects: str = "ours",
    jit: Any = False,
    accumulate: int = 1,
) -> Trainer:
    """Our Trainer of a specimen, with the initial weights; arguments as of `run_ours`."""
    specimen = SPECIMENS[name]
    start = initial_weights(name)
    if model == "keras":
        net = keras.models.clone_model(specimen.keras())
    else:
        assert specimen.ours is not None
        net = specimen.ours()
        net(tf.nest.map_structure(lambda a: a[:1], specimen.x))
    net.set_weights(start)
    loss_lib, optimizer_lib = (
        (losses, optimizers) if objects == "ours" else (keras.losses, keras.optimizers)
    )
    how = {**specimen.compile, **(compile or {})}
    how["loss"] = make(loss_lib, how["loss"])
    return Trainer(
        net, optimizer=make(optimizer_lib, optimizer), jit=jit, accumulate=accumulate, **how
    )


def run_ours(
    name: str,
    optimizer: Any = SGD,
    compile: dict[str, Any] | None = None,
    fit: dict[str, Any] | None = None,
    *,
    model: str = "layers",
    objects: str = "ours",
    jit: Any = False,
    accumulate: int = 1,
    callbacks: Any = (),
) -> Run:
    """The same by the Trainer.

    Args:
        name: of the specimen.
        optimizer: `(name, kwargs)`.
        compile: replaces arguments of the specimen's.
        fit: arguments of `fit`.
        model: "layers" trains the twin of our layers, "keras" a clone of the Keras model.
        objects: whose losses and optimizer: "ours" or "keras".
        jit: compile mode.
        accumulate: parts of a step.
        callbacks: functions of (model, report), called after every step.
    """
    specimen = SPECIMENS[name]
    how = {"model": model, "objects": objects, "jit": jit, "accumulate": accumulate}
    trainer = make_ours(name, optimizer, compile, **how)
    net = trainer.task.model
    first: list[np.ndarray] = []
    given = {"x": specimen.x, "y": specimen.y, "batch_size": BATCH, **(fit or {})}

    def calling(fn: Callable[..., Any]) -> LambdaCallback:
        return LambdaCallback(lambda report: fn(net, report), when=Every(steps=1))

    history = trainer.fit(
        **given,
        shuffle=False,
        verbose=0,
        callbacks=[
            LambdaCallback(lambda report: first.extend(net.get_weights()), when=At(1)),
            *(calling(fn) for fn in callbacks),
        ],
    )
    return Run(first, net.get_weights(), history.history, trainer)


@pytest.fixture
def both() -> Callable[..., Pair]:
    """`both(name, optimizer, compile, fit, **form) -> Pair`: Keras's run and ours, see above."""

    def run(
        name: str, optimizer: Any = SGD, compile: Any = None, fit: Any = None, **form: Any
    ) -> Pair:
        theirs = run_keras(name, optimizer, compile, fit)
        return Pair(theirs, run_ours(name, optimizer, compile, fit, **form))

    return run


@pytest.fixture
def keras_model() -> Callable[..., Any]:
    """`keras_model(name, optimizer, compile)`: compiled, with the initial weights."""
    return compiled_keras


@pytest.fixture
def two_hundred() -> Callable[[str], dict[str, Any]]:
    """`two_hundred(name)`: fit's arguments for one epoch of 200 steps, the data over and over."""

    def rows(name: str) -> dict[str, Any]:
        index = np.arange(1593) % ROWS  # the last batch has one row
        x, y = SPECIMENS[name].x, SPECIMENS[name].y
        return dict(zip("xy", tf.nest.map_structure(lambda a: a[index], (x, y)), strict=True))

    return rows


@pytest.fixture
def keras_fit() -> Callable[..., Run]:
    """`keras_fit(name, optimizer, compile, fit) -> Run`."""
    return run_keras


@pytest.fixture
def our_trainer() -> Callable[..., Trainer]:
    """`our_trainer(name, optimizer, compile, **form)`: with the initial weights."""
    return make_ours


@pytest.fixture
def our_fit() -> Callable[..., Run]:
    """`our_fit(name, optimizer, compile, fit, *, model, objects, jit, accumulate) -> Run`."""
    return run_ours


@pytest.fixture
def specimens() -> dict[str, Specimen]:
    """Models and data by name."""
    return SPECIMENS
