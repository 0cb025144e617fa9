"""One exact update: k parts give what one batch gives, whatever the sums count."""

import numpy as np
import pytest
import tensorflow as tf

from trainer import update
from trainer.random import Seeds
from trainer.sums import Sums

ROWS, PARTS = 10, 4  # parts of 3, 3, 3 and 1 row


@pytest.fixture
def setting():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, 3)).astype("float32")
    y = rng.normal(size=(ROWS, 2)).astype("float32")
    weight = rng.uniform(0.1, 2.0, ROWS).astype("float32")
    w = tf.Variable(rng.normal(size=(3, 2)).astype("float32"), name="w")
    return {"x": x, "y": y, "weight": weight}, w


def _tensors(batch):
    return tf.nest.map_structure(tf.convert_to_tensor, batch)


def _errors(part, w):
    return tf.reduce_mean(tf.square(part["x"] @ w - part["y"]), axis=-1)  # [b]


LOSSES = {
    "one value per example": _errors,
    "weighted by what counts": lambda p, w: Sums.of(_errors(p, w), p["weight"]),
    "two terms, two counts": lambda p, w: {
        "error": _errors(p, w),
        "weighted": Sums.of(tf.abs(p["x"] @ w)[:, 0], p["weight"]),
    },
    "with extras": lambda p, w: (_errors(p, w), {"size": Sums.of(tf.abs(p["y"]))}),
}


@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_parts_equal_one_batch(setting, run, loss):
    """Identity, with a last part of one row: gradients, loss and extras to 1e-6."""
    batch, w = setting

    def gradients(parts):
        return run(
            lambda b: (
                update.accumulate(
                    lambda p: LOSSES[loss](p, w), _tensors(b), [w], parts, Seeds(0, 0)
                )[:1]
                + update.accumulate(
                    lambda p: LOSSES[loss](p, w), _tensors(b), [w], parts, Seeds(0, 0)
                )[2:4]
            ),
            batch,
        )

    one, many = gradients(1), gradients(PARTS)
    tf.nest.map_structure(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7), one, many
    )


def test_gradient_is_that_of_the_mean(setting, run):
    """Against the formula in float64: d/dW mean_i mean_j (xW - y)^2 = 2 x'(xW - y) / (b k)."""
    batch, w = setting
    found = run(
        lambda b: update.accumulate(lambda p: _errors(p, w), b, [w], 1, Seeds(0, 0)).gradients,
        batch,
    )
    x, y = batch["x"].astype(np.float64), batch["y"].astype(np.float64)
    expected = 2 * x.T @ (x @ w.numpy() - y) / (ROWS * 2)
    np.testing.assert_allclose(found[0], expected, rtol=1e-5)


def test_sparse_gradients_of_parts_equal_one_batch(run):
    """Rows of an embedding that occur twice are added, in one batch and in parts."""
    table = tf.Variable(np.arange(12, dtype="float32").reshape(6, 2))
    ids = np.array([1, 1, 2, 5, 1, 0, 2], np.int32)

    def dense(parts):
        found = run(
            lambda i: tf.convert_to_tensor(
                update.accumulate(
                    lambda p: tf.reduce_sum(tf.square(tf.gather(table, p)), -1),
                    i,
                    [table],
                    parts,
                    Seeds(0, 0),
                ).gradients[0]
            ),
            ids,
        )
        return found.numpy()

    counts = np.bincount(ids, minlength=6)[:, None]
    np.testing.assert_allclose(dense(1), 2 * counts * table.numpy() / len(ids), rtol=1e-6)
    np.testing.assert_allclose(dense(3), dense(1), rtol=1e-6)


def test_nothing_counted_gives_no_gradient_not_nan(setting, run):
    batch, w = setting
    result = run(
        lambda b: update.accumulate(
            lambda p: Sums.of(_errors(p, w), tf.zeros(ROWS)), b, [w], 1, Seeds(0, 0)
        ).gradients[0],
        batch,
    )
    np.testing.assert_array_equal(result, np.zeros((3, 2)))


def test_variables_without_a_gradient_are_named(setting):
    batch, w = setting
    other = tf.Variable([1.0], name="other")
    result = update.accumulate(lambda p: _errors(p, w), _tensors(batch), [w, other], 2, Seeds(0, 0))
    assert result.unreached == ["other"]
    assert result.gradients[1] is None


@pytest.mark.parametrize(
    ("loss", "error", "words"),
    [
        (lambda p, w: tf.reduce_mean(_errors(p, w)), ValueError, "one value per example"),
        (lambda p, w: None, TypeError, "None"),
        (lambda p, w: tf.ones([ROWS], tf.int32), TypeError, "int32"),
        (lambda p, w: [], ValueError, "no loss"),
        (lambda p, w: tf.ones([ROWS]), ValueError, "no gradient reaches"),
    ],
)
def test_wrong_losses_are_refused(setting, loss, error, words):
    batch, w = setting
    with pytest.raises(error, match=words):
        update.accumulate(lambda p: loss(p, w), _tensors(batch), [w], 1, Seeds(0, 0))


def test_nothing_to_train_is_refused(setting):
    batch, w = setting
    with pytest.raises(ValueError, match="nothing to train"):
        update.accumulate(lambda p: _errors(p, w), _tensors(batch), [], 1, Seeds(0, 0))


@pytest.mark.parametrize("loss", LOSSES, ids=str)
@pytest.mark.parametrize("parts", [1, PARTS])
def test_a_scale_that_is_a_power_of_two_changes_nothing(setting, run, loss, parts):
    """Identity: what the loss is multiplied by is divided out, in one batch and in parts."""
    batch, w = setting

    def gradient(scale):
        return run(
            lambda b: update.accumulate(
                lambda p: LOSSES[loss](p, w), _tensors(b), [w], parts, Seeds(0, 0), scale=scale
            ).gradients[0],
            batch,
        )

    plain, scaled = gradient(None), gradient(tf.constant(2.0**15))
    np.testing.assert_allclose(scaled, plain, rtol=1e-6, atol=1e-7)
