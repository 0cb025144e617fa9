"""What is refused, and that the message names the argument, its value and the way out."""

import numpy as np
import pytest
import tensorflow as tf

from trainer.data import checks

LABELS = np.arange(10)
HOLED = np.where(LABELS == 4, np.nan, LABELS)


@pytest.mark.parametrize(
    ("value", "error"), [(0, ValueError), (-3, ValueError), (2.0, TypeError), (True, TypeError)]
)
def test_batch_size_is_a_positive_int(value, error):
    with pytest.raises(error, match=f"batch_size is {value!r}.*positive int"):
        checks.check_batch_size(value)
    assert checks.check_batch_size(np.int64(5)) == 5


def test_lengths_are_counted_and_named():
    x, y = np.ones((4, 2)), tf.ones([4])
    assert checks.check_lengths({"x": {"a": x, "b": (x,)}, "y": y, "sample_weight": None}) == 4
    with pytest.raises(ValueError, match=r"\(x\['a'\]: 4, x\['b'\]\[0\]: 3, y: 4\)"):
        checks.check_lengths({"x": {"a": x, "b": (x[:3],)}, "y": y})
    with pytest.raises(ValueError, match="x has no rows"):
        checks.check_lengths({"x": x[:0]})
    with pytest.raises(ValueError, match=r"x is a scalar \(3"):
        checks.check_lengths({"x": np.asarray(3)})
    with pytest.raises(ValueError, match=r"x holds no array: it is \{\}"):
        checks.check_lengths({"x": {}})


def test_weights_hold_no_nan_and_may_be_negative():
    checks.check_weights(np.array([-1.0, 0.0]))
    checks.check_weights({"a": tf.ones([3]), "b": np.ones(3, bool)})
    with pytest.raises(ValueError, match=r"sample_weight\['a'\] is NaN at row 4.*Use 0"):
        checks.check_weights({"a": HOLED})
    with pytest.raises(TypeError, match="dtype <U1; weights are numbers"):
        checks.check_weights(np.array(["a"]))


@pytest.mark.parametrize(
    ("weight", "target", "fits"),
    [
        ((8,), (8,), True),
        ((8, 1), (8,), True),
        ((8,), (8, 5, 3), True),
        ((8, 5), (8, 5), True),
        ((8, 5), (8, 5, 3), True),
        ((8, 1), (8, 5, 3), True),
        ((8, 5), (8,), False),
        ((8, 5), (8, 1), False),
        ((8, 4), (8, 5, 3), False),
        ((8, 5, 3, 2), (8, 5, 3), False),
    ],
)
def test_weights_fit_a_leading_part_of_the_targets(weight, target, fits):
    if fits:
        checks.check_weight_shape(np.ones(weight), np.ones(target))
    else:
        with pytest.raises(
            ValueError, match=r"sample_weight has shape .*one weight per example, \[8"
        ):
            checks.check_weight_shape(np.ones(weight), np.ones(target))


def test_weights_are_one_for_all_targets_or_one_for_each():
    y = {"a": np.ones(8), "b": np.ones((8, 2)), "c": np.ones(8)}
    checks.check_weight_shape(np.ones(8), y)
    checks.check_weight_shape({"a": np.ones(8), "b": np.ones((8, 2)), "c": np.ones(8)}, y)
    with pytest.raises(ValueError, match="holds 2 arrays and y holds 3"):
        checks.check_weight_shape((np.ones(8), np.ones(8)), y)


def test_targets_hold_no_nan_however_many_they_are(monkeypatch):
    monkeypatch.setattr(checks, "_AT_ONCE", 6)
    checks.check_targets({"a": LABELS, "b": np.array(["a"]), "c": tf.constant(["a"])})
    for y in (HOLED, tf.constant(HOLED), np.stack([HOLED] * 4, 1), tf.cast(HOLED, tf.bfloat16)):
        with pytest.raises(ValueError, match=r"y\[0\] is NaN at row 4.*sample_weight 0"):
            checks.check_targets((y,))


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (LABELS, r"y is 9 at row 9; class labels are integers in \[0, 9\).*Count from 0"),
        (LABELS - 5, r"y is -5 at row 0.*Map the labels"),
        (LABELS[::-1] + 0.5, r"y is 9.5 at row 0, a fraction.*regression loss"),
        (HOLED, "y is nan at row 4.*Drop"),
        (tf.constant(LABELS[:, None]), "y is 9 at row 9"),
        (np.uint8([[1, 200], [0, 0]]), "y is 200 at row 0"),
    ],
)
def test_labels_lie_in_the_classes(monkeypatch, labels, message):
    for at_once in (4, 1 << 20):
        monkeypatch.setattr(checks, "_AT_ONCE", at_once)
        with pytest.raises(ValueError, match=message):
            checks.check_labels(labels, 9)


def test_good_labels_pass():
    for dtype in (np.int8, np.uint16, np.int64, np.float32, np.float64):
        checks.check_labels(LABELS.astype(dtype), 10)
    checks.check_labels(np.array([True, False]), 2)
    checks.check_labels(np.array([-1, 2, -1]), 3, allowed=(-1,))
    checks.check_labels({"a": LABELS, "b": LABELS[:, None]}, 10)
    with pytest.raises(TypeError, match=r"numpy\.unique"):
        checks.check_labels(np.array(["cat"]), 3)


def test_strings_cannot_be_compiled_by_xla():
    spec = {"a": tf.TensorSpec([None], tf.string), "b": tf.TensorSpec([None], tf.int32)}
    with pytest.raises(TypeError, match=r"x\['a'\] holds strings.*tokenizer"):
        checks.check_compilable(spec)
    checks.check_compilable(spec["b"])


def test_refuse_names_what_must_be_none():
    checks.refuse("y", None, "x", "a dataset", "")
    with pytest.raises(
        ValueError, match=r"batch_size is 3, but x is a dataset.*None then. Batch it."
    ):
        checks.refuse("batch_size", 3, "x", "a dataset", "Batch it.")
