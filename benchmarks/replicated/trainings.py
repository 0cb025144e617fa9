"""Six small trainings, each of which must come out the same however many replicas share it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

import layers as L
import losses
import optimizers
from trainer import History, Task, Trainer, state

ROWS, BATCH = 58, 16  # they leave 10: uneven over 4 replicas


def _rng() -> np.random.Generator:
    return np.random.default_rng(3)


def _labels(features: np.ndarray, classes: int = 3) -> np.ndarray:
    return (features @ _rng().normal(size=(features.shape[-1], classes))).argmax(-1)


def mlp(clip: float | None = 0.5) -> tuple[Any, Any, Any]:
    """A dense network, by Adam."""
    x = _rng().normal(size=(ROWS, 8)).astype("float32")
    model = L.Sequential([L.Dense(8, activation="tanh"), L.Dense(3)])
    return model, optimizers.Adam(1e-2, global_clipnorm=clip), (x, _labels(x))


def cnn(
    clip: float | None = None,
    norm: Callable[[], Any] = lambda: L.BatchNormalization(synchronized=True),
    activation: str = "relu",
) -> tuple[Any, Any, Any]:
    """Convolutions and a normalization, by SGD with momentum."""
    x = _rng().normal(size=(ROWS, 6, 6, 1)).astype("float32")
    model = L.Sequential(
        [
            L.Conv2D(3, 3),
            norm(),
            L.Activation(activation),
            L.Flatten(),
            L.Dense(3),
        ]
    )
    optimizer = optimizers.SGD(1e-2, momentum=0.9, global_clipnorm=clip)
    return model, optimizer, (x, _labels(x.reshape(ROWS, -1)))


def text(clip: float | None = None) -> tuple[Any, Any, Any]:
    """Embeddings and weights of examples, by AdamW with an average of its weights."""
    x = _rng().integers(0, 12, size=(ROWS, 5))
    y = (x.sum(-1) % 3).astype("int64")
    model = L.Sequential([L.Embedding(12, 4), L.GlobalAveragePooling1D(), L.Dense(3)])
    weights = _rng().uniform(0.5, 2.0, size=ROWS).astype("float32")
    optimizer = optimizers.AdamW(1e-2, use_ema=True, global_clipnorm=clip)
    return model, optimizer, (x, y, weights)


def rnn(clip: float | None = None) -> tuple[Any, Any, Any]:
    """A GRU, by RMSprop."""
    x = _rng().normal(size=(ROWS, 4, 3)).astype("float32")
    model = L.Sequential([L.GRU(4), L.Dense(3)])
    return model, optimizers.RMSprop(1e-3, global_clipnorm=clip), (x, _labels(x[:, -1]))


class Block(L.Layer):
    """A small transformer block: `[b, t, d] -> [b, t, d]`."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = L.LayerNormalization()
        self.attention = L.MultiHeadAttention(num_heads=2, key_dim=3)
        self.dense = L.Dense(6, activation="gelu")

    def call(self, x: Any, training: bool = False) -> Any:
        """See the class."""
        y = self.norm(x)
        return self.dense(x + self.attention(y, y, training=training))


def attention(clip: float | None = None) -> tuple[Any, Any, Any]:
    """A transformer block, by SGD with momentum."""
    x = _rng().normal(size=(ROWS, 4, 6)).astype("float32")
    model = L.Sequential([Block(), L.GlobalAveragePooling1D(), L.Dense(3)])
    # Keys' biases have gradients of 0 but for rounding, from which Adam would make whole steps.
    optimizer = optimizers.SGD(1e-2, momentum=0.9, global_clipnorm=clip)
    return model, optimizer, (x, _labels(x[:, 0]))


class Gan(Task):
    """Two optimizers, and noise that comes with the data."""

    def __init__(self, clip: float | None = None) -> None:
        super().__init__()
        self.g = L.Sequential([L.Dense(6, activation="tanh"), L.Dense(2)])
        self.d = L.Sequential([L.Dense(6, activation="tanh"), L.Dense(1)])
        self.g_optimizer = optimizers.SGD(1e-2, global_clipnorm=clip)
        self.d_optimizer = optimizers.SGD(1e-2, global_clipnorm=clip)

    def step(self, batch: Any, ctx: Any) -> Mapping[str, Any]:
        """One update of each."""

        def d_loss(b: Any) -> Any:
            real, fake = self.d(b["x"], training=True), self.d(self.g(b["z"]), training=True)
            return tf.nn.softplus(-real) + tf.nn.softplus(fake)

        def g_loss(b: Any) -> Any:
            return tf.nn.softplus(-self.d(self.g(b["z"], training=True), training=True))

        return {
            "d_loss": ctx.minimize(d_loss, batch, self.d_optimizer, self.d.trainable_variables),
            "g_loss": ctx.minimize(g_loss, batch, self.g_optimizer, self.g.trainable_variables),
        }


def gan(clip: float | None = None) -> tuple[Any, Any, Any]:
    """Two networks against each other, by SGD each."""
    rng = _rng()
    data = {
        "x": rng.normal(size=(ROWS, 2)).astype("float32"),
        "z": rng.normal(size=(ROWS, 3)).astype("float32"),
    }
    return Gan(clip), None, (data,)


TRAININGS: Mapping[str, Callable[..., tuple[Any, Any, Any]]] = {
    f.__name__: f for f in (mlp, cnn, text, rnn, attention, gan)
}


def train(
    name: str,
    strategy: Any = None,
    steps: int = 100,
    *,
    how: Mapping[str, Any] | None = None,
    rows: int = ROWS,
    nudge: bool = False,
    **settings: Any,
) -> tuple[Trainer, History, dict[str, np.ndarray]]:
    """Trains one of `TRAININGS`.

    Args:
        name: which.
        strategy: as `Trainer` takes it.
        steps: until which step.
        how: arguments of what makes it.
        rows: of the data.
        nudge: moves the first number of the data by one unit of float16.
        **settings: of the `Trainer`.

    Returns:
        The trainer, its history and its weights by name.
    """
    model, optimizer, data = TRAININGS[name](**(how or {}))
    if not isinstance(model, Task):
        loss = losses.SparseCategoricalCrossentropy(from_logits=True)
        settings = {"loss": loss, "optimizer": optimizer, "metrics": ["accuracy"], **settings}
    trainer = Trainer(model, strategy=strategy, **{"jit": False, **settings})
    parts = settings.get("accumulate", 1)
    data = tf.nest.map_structure(lambda x: x[:rows], data)
    names = dict(zip(("x", "y", "sample_weight"), data, strict=False))
    if nudge:
        numbers = names["x"].reshape(-1)  # a view
        numbers[0] = np.nextafter(np.float16(numbers[0]), np.float16(np.inf))
    history = trainer.fit(**names, batch_size=BATCH // parts, steps=steps, verbose=0)
    return trainer, history, weights(trainer)


def weights(trainer: Trainer) -> dict[str, np.ndarray]:
    """Path -> value of everything trained: weights, slots, averages, statistics."""
    return {path: v.numpy() for path, v in state.variables(trainer.task).items()}


def distance(a: Mapping[str, np.ndarray], b: Mapping[str, np.ndarray]) -> float:
    """The largest difference between two sets of weights."""
    if a.keys() != b.keys():
        raise ValueError(f"weights of other names: {sorted(a.keys() ^ b.keys())}")
    return float(max(np.abs(a[name].astype("float64") - b[name]).max() for name in a))
