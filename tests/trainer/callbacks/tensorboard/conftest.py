"""One run with everything that TensorBoard can be shown, and a real server that reads it."""

import gzip
import json
import time
import urllib.request

import numpy as np
import pytest
import tensorflow as tf

import layers
import optimizers
from benchmarks.screenshots import serving
from trainer import Every, Trainer, metrics
from trainer.callbacks import Predictions, TensorBoard, predictions

SECONDS = 60  # the longest that a server may take to start, or to have read the files


def data():
    """Small pictures of two classes, 61 of them."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 61)
    x = rng.uniform(0.0, 0.4, size=(61, 4, 4, 1)) + 0.5 * y[:, None, None, None]
    return x.astype("float32"), y.astype("float32")


def model():
    return layers.Sequential(
        [layers.Flatten(), layers.Dense(4, "relu"), layers.Dense(1, "sigmoid")]
    )


def train(folder, **options):
    """Three epochs of eight steps; the callbacks of a whole logbook."""
    x, y = data()
    trainer = Trainer(
        model(),
        loss="binary_crossentropy",
        optimizer=optimizers.Adam(0.05),
        metrics=["binary_accuracy", Confusion(), metrics.PRCurve(21)],
        gradient_norm=True,
        precision="mixed_float16",
        jit=False,
    )
    board = TensorBoard(
        folder,
        histogram_freq=Every(steps=4),
        hparams={"learning_rate": 0.05, "units": 4, "activation": "relu", "ema": False},
        embeddings={"layers/1/kernel": [f"pixel {i}" for i in range(16)]},
    )
    look = Predictions(
        folder, x[:4], y[:4], show=lambda *args: {**table(*args), **predictions.images()(*args)}
    )
    table = predictions.table()
    fit = {"batch_size": 8, "epochs": 3, "verbose": 0, "validation_data": (x, y), **options}
    history = trainer.fit(x, y, callbacks=[board, look], **fit)
    return trainer, history


class Confusion(metrics.ConfusionMatrix):
    """Of one probability."""

    def __init__(self):
        super().__init__(2, name="confusion")

    def __call__(self, y_true, y_pred, sample_weight=None):
        return super().__call__(
            y_true, tf.concat([1.0 - y_pred, tf.cast(y_pred, tf.float32)], -1), sample_weight
        )


def asked(url, path, **query):
    """The bytes that a server answers."""
    text = "&".join(f"{k}={urllib.request.quote(str(v))}" for k, v in query.items())
    address = f"{url}/data/{path}" + (f"?{text}" if text else "")
    with urllib.request.urlopen(address, timeout=60) as answer:
        body = answer.read()
    return gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body


@pytest.fixture
def ask():
    return asked


class Server:
    """What a running TensorBoard says over HTTP."""

    def __init__(self, url, folder, history):
        self.url, self.folder, self.history = url, folder, history

    def get(self, path, **query):
        body = asked(self.url, path, **query)
        return json.loads(body) if body[:1] in (b"{", b"[") else body

    def post(self, path, body):
        request = urllib.request.Request(
            f"{self.url}/data/{path}",
            json.dumps(body).encode(),
            {"Content-Type": "application/json", "X-TensorBoard-Feature-Flags": "{}"},
        )
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read())

    def tags(self, plugin):
        """Run -> tags."""
        return {run: set(tags) for run, tags in self.get(f"plugin/{plugin}/tags").items()}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("board") / "run"
    _, history = train(folder)
    with serving(folder) as url:
        found = Server(url, folder, history)
        end = time.monotonic() + SECONDS
        while len(found.get("runs")) < 3:
            assert time.monotonic() < end, found.get("runs")
            time.sleep(0.2)
        yield found
