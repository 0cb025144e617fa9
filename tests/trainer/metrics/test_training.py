"""Metrics in real runs: values do not depend on batches, parts, calls or ways of compiling."""

import numpy as np
import pytest
import tensorflow as tf

import layers
import losses
from trainer import Trainer, inspect, metrics
from trainer.callbacks import CSVLogger, EarlyStopping, LambdaCallback
from trainer.callbacks.triggers import Every

N, K = 50, 3
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 4)).astype("f")
Y = np.eye(K, dtype="f")[RNG.integers(0, K, N)]
WEIGHT = RNG.uniform(0.1, 3.0, N).astype("f")


def make(**more):
    """A trainer whose model stays as it is, so that every step could be any other."""
    tf.random.set_seed(0)
    model = layers.Sequential([layers.Dense(K, activation="softmax", kernel_initializer="ones")])
    model(tf.constant(X[:1]))
    kernel = model.trainable_variables[0]
    kernel.assign(np.random.default_rng(1).normal(size=kernel.shape))
    return Trainer(
        model,
        loss=losses.CategoricalCrossentropy(),
        optimizer="sgd",
        weighted_metrics=[
            metrics.AUC(50, name="auc"),
            metrics.F1Score(name="f1"),
            metrics.ConfusionMatrix(K, "matrix", sparse_y_true=False),
            metrics.R2Score(),
            metrics.Recall([0.2, 0.5], name="recall"),
            metrics.ExpectedCalibrationError(name="ece"),
        ],
        **more,
    )


def evaluate(batch_size, **more):
    found = make(**more).evaluate(X, Y, sample_weight=WEIGHT, batch_size=batch_size, verbose=0)
    return found


@pytest.mark.parametrize("jit", [False, "step", "loop"])
def test_evaluation_is_the_same_for_any_batch_size(jit):
    whole = evaluate(N, jit=jit)
    assert whole["matrix"].shape == (K, K) and whole["f1"].shape == (K,)
    assert whole["matrix"].sum() == pytest.approx(WEIGHT.sum(), rel=1e-6)
    cut = evaluate(7, jit=jit)
    for name, value in whole.items():
        np.testing.assert_allclose(cut[name], value, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("jit", [False, "step", "loop"])
def test_training_reports_the_same_bits_however_it_is_cut_into_calls(jit):
    """One call of n steps against n calls of one; and parts of a batch against the batch."""
    seen = []

    def run(callbacks, parts=1):
        trainer = make(jit=jit, accumulate=parts)
        return trainer.fit(
            X,
            Y,
            sample_weight=WEIGHT,
            batch_size=10 // parts,
            epochs=2,
            callbacks=callbacks,
            verbose=0,
        ).history

    whole = run([])
    often = LambdaCallback(lambda report: seen.append(report.logs), when=Every(steps=1))
    cut = run([often])
    assert len(seen) == 10
    for name, values in whole.items():
        np.testing.assert_array_equal(cut[name], values, err_msg=name)
    parts = run([], parts=2)
    for name, values in whole.items():
        np.testing.assert_allclose(parts[name], values, rtol=1e-5, atol=1e-6, err_msg=name)
    assert {"f1_0", "f1_1", "f1_2", "recall_0", "recall_1", "auc", "ece"} <= set(seen[-1])
    assert "matrix" not in seen[-1] and len(whole["matrix"]) == 2
    assert seen[4]["f1_1"] == whole["f1"][0][1]


def test_validation_tells_callbacks_of_each_value_and_one_may_be_monitored():
    seen = []
    stop = EarlyStopping("val_f1_1", patience=0, mode="max")
    history = make(jit=False).fit(
        X,
        Y,
        epochs=4,
        validation_data=(X, Y),
        callbacks=[stop, LambdaCallback(lambda report: seen.append(report.validation))],
        verbose=0,
    )
    assert {"val_f1_0", "val_f1_1", "val_f1_2", "val_auc"} <= set(seen[0])
    assert "val_matrix" not in seen[0]
    matrix = history.history["val_matrix"][0]
    assert matrix.shape == (K, K) and matrix.sum() == N
    assert "matrix" not in repr(history) and "auc" in repr(history)


def test_what_no_report_will_carry_is_refused_before_training(tmp_path):
    """Entries beyond the last, of what has none, the array itself, and what no step has."""
    made = make(jit=False)
    for name in ("val_f2_0", "val_f1_3", "val_auc_1", "loss_0", "val_f1", "val_matrix"):
        stop = EarlyStopping(name, mode="max")
        with pytest.raises(
            ValueError, match=f"monitors '{name}', .* reports loss, auc, f1_0, f1_1"
        ):
            made.fit(X, Y, validation_data=(X, Y), callbacks=[stop], verbose=0)
    with pytest.raises(ValueError, match=r"monitor='auc'.*steps have loss, learning_rate\."):
        made.fit(X, Y, callbacks=[inspect.RewindOnSpike("auc")], verbose=0)
    assert made.step == 0
    log = CSVLogger(tmp_path / "log.csv")
    made.fit(X, Y, callbacks=[log], verbose=0)
    header, row = (tmp_path / "log.csv").read_text().splitlines()
    assert "auc,f1_0,f1_1,f1_2,r2_score" in header and ",," not in row
