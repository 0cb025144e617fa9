"""Every workload's two models are one function, and its loss and optimizer fit it."""

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import workloads
from benchmarks.data import VOCABULARY
from trainer import Trainer


@pytest.mark.parametrize("name", [*workloads.WORKLOADS, *workloads.OTHERS])
def test_both_models_are_equal_with_the_same_weights(name):
    workload = workloads.get(name, {"units": 16} if name == "wide" else None)
    rng = np.random.default_rng(0)
    twin, model = workload.keras_model(), workload.model()
    shape = [3, *twin.input_shape[1:]]
    if name in ("lstm", "gpt"):
        x = rng.integers(0, VOCABULARY, shape).astype(np.int32)
        y = rng.integers(0, VOCABULARY, shape)
    else:
        x = rng.random(shape, np.float32)
        y = rng.integers(0, 10, 3)
    model(x)  # builds
    weights = [rng.normal(0, 0.1, w.shape).astype(np.float32) for w in twin.get_weights()]
    twin.set_weights(weights)
    model.set_weights(weights)
    expected = np.asarray(twin(x))
    np.testing.assert_allclose(model(x).numpy(), expected, rtol=1e-5, atol=1e-5)
    own = workload.loss()(y, tf.constant(expected))
    np.testing.assert_allclose(own, workload.keras_loss()(y, expected), rtol=1e-6)
    assert float(workload.optimizer().learning_rate) == pytest.approx(workload.learning_rate)
    assert float(workload.keras_optimizer().learning_rate) == pytest.approx(workload.learning_rate)


def test_keras_adds_up_the_gradient_rows_of_an_embedding():
    """The first step of Adam moves every weight by the learning rate, however often it is used."""
    workload = workloads.get("gpt")
    for optimizer in (workload.keras_optimizer(), workload.optimizer()):
        table = tf.Variable(tf.zeros([3, 1]))
        optimizer.build([table])
        uses = tf.IndexedSlices(tf.ones([51, 1]), [0] * 50 + [1], tf.constant([3, 1]))
        optimizer.apply([uses], [table])
        np.testing.assert_allclose(table[:, 0], [-1e-3, -1e-3, 0], rtol=1e-4)


@pytest.mark.parametrize("name", list(workloads.WORKLOADS))
def test_settings_are_complete(name):
    workload = workloads.get(name)
    assert workload.name == name and workload.title and type(workload).__doc__
    assert min(workload.batch_size, workload.epochs, workload.round_steps) > 0
    assert 0 < workload.expected["accuracy"] < 1


def test_unknown_names_and_overrides():
    with pytest.raises(ValueError, match=r"'mnits' is not one of digits.*Did you mean 'mnist'"):
        workloads.get("mnits")
    with pytest.raises(ValueError, match="not one of") as caught:
        workloads.get("zzzz")
    assert "Did you mean" not in str(caught.value)
    assert workloads.get("digits", {"batch_size": 7}).batch_size == 7
    assert workloads.get("digits").batch_size == 32


@pytest.mark.parametrize("name", list(workloads.WORKLOADS))
def test_every_way_of_compiling_trains_the_same(name, monkeypatch):
    """Three updates from the same weights on the same batches of 2 rows, in float32.

    Adam's first steps divide gradients by their own size, so weights whose gradient is rounding
    error may part by the learning rate: losses are compared, and nearly all weights.
    """
    monkeypatch.setattr("benchmarks.workloads.gpt.BLOCKS", 1)  # one takes half as long to compile
    workload = workloads.get(name)
    rng = np.random.default_rng(0)
    shape = [6, *workload.keras_model().input_shape[1:]]
    if name in ("lstm", "gpt"):
        x = rng.integers(0, VOCABULARY, shape).astype(np.int32)
        y = rng.integers(0, VOCABULARY, shape).astype(np.int32)
    else:
        x, y = rng.random(shape, np.float32), rng.integers(0, 10, 6).astype(np.int32)
    start, losses, weights = None, {}, {}
    for jit in (False, "step", "loop"):
        model = workload.model()
        model(x[:1])  # builds
        start = start or model.get_weights()
        model.set_weights(start)
        trainer = Trainer(
            model,
            loss=workload.loss(),
            optimizer=workload.optimizer(),
            metrics=workload.metrics(),
            jit={"train": jit, "evaluate": False},
        )
        history = trainer.fit(x, y, batch_size=2, shuffle=False, verbose=0)
        assert trainer.programs.choices["train"].mode == (jit or "graph")
        losses[jit], weights[jit] = history.steps["loss"], model.get_weights()
        assert trainer.programs.guard.table().count("traced in") == 1
    for jit in ("step", "loop"):
        np.testing.assert_allclose(losses[jit], losses[False], rtol=2e-4)
        for a, b in zip(weights[jit], weights[False], strict=True):
            assert np.mean(np.abs(a - b) > 1e-4) < 0.02
