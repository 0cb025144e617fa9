"""One door for all data: which source it opens, what the batches are, what it refuses."""

import numpy as np
import pytest
import tensorflow as tf

from trainer.data import open_source
from trainer.data.arrays import LargeArrays, ResidentArrays
from trainer.data.source import open_validation


def held_out(data):
    return open_validation(data, batch_size=4, seed=0, pairs=True)


def test_the_budget_decides_where_arrays_lie(rows):
    x, y = rows(10)  # 120 bytes and 80
    assert isinstance(open_source(x, y), ResidentArrays)
    assert isinstance(open_source(x, y, budget_bytes=200), ResidentArrays)
    assert isinstance(open_source(x, y, budget_bytes=199), LargeArrays)
    assert isinstance(open_source(tf.constant(x), budget_bytes=0), ResidentArrays)


def test_a_batch_is_x_or_x_y_or_x_y_weights(rows, read):
    x, y = rows(6)
    w = np.ones(6)
    assert open_source(x, batch_size=4).element_spec == tf.TensorSpec([None, 3], tf.float32)
    assert len(open_source({"a": x, "b": y}, batch_size=4).example(1)) == 2
    assert [len(b) for b in read(open_source(x, y, batch_size=4))[0]] == [2, 2]
    (bx, by, bw), _ = read(open_source((x, x), {"a": y}, w, batch_size=4))[0]
    assert (len(bx), by["a"].shape, bw.dtype) == (2, (4,), np.float32)
    spec = open_source(x, y, class_weight={i: 1 for i in range(6)}).element_spec
    assert spec[2] == tf.TensorSpec([None], tf.float32)


def test_batches_have_32_rows_unless_told_and_join_multiplies_them(rows, read):
    x, _ = rows(100)
    assert [len(b) for b in read(open_source(x))[0]] == [32, 32, 32, 4]
    assert [len(b) for b in read(open_source(x, batch_size=10, join=3))[0]] == [30, 30, 30, 10]


def test_class_weights_multiply_sample_weights(rows, read):
    x, _ = rows(4)
    source = open_source(x, [0, 1, 1, 0], [1.0, 1.0, 2.0, 3.0], class_weight={0: 1, 1: 10})
    assert read(source)[0][0][2].tolist() == [1, 10, 20, 3]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x, y, ds: open_source(None), "x is None"),
        (lambda x, y, ds: open_source("mnist"), r"x is a scalar \('mnist'\)"),
        (lambda x, y, ds: open_source(x, y[:3]), "x: 8, y: 3"),
        (lambda x, y, ds: open_source(x, y, batch_size=0), "batch_size is 0"),
        (lambda x, y, ds: open_source(x, y, join=0), "join is 0"),
        (lambda x, y, ds: open_source(x, None, y), "sample_weight is given and y is None"),
        (lambda x, y, ds: open_source(x, class_weight={0: 1}), "class_weight is given and y is"),
        (lambda x, y, ds: open_source(x, y * np.nan), "y is NaN at row 0"),
        (lambda x, y, ds: open_source(x, y, y * np.nan), "sample_weight is NaN at row 0"),
        (lambda x, y, ds: open_source(x, y, x), "sample_weight has shape"),
        (lambda x, y, ds: open_source(ds, y), "y is given, but x is a dataset"),
        (lambda x, y, ds: open_source(ds, None, y), "sample_weight is given, but x is a dataset"),
        (lambda x, y, ds: open_source(ds, batch_size=4), "batch_size is 4, but x is a dataset"),
        (lambda x, y, ds: open_source(iter([x]), y), "y is given, but x is a list_iterator"),
        (lambda x, y, ds: open_source(ds.unbatch()), r"x\[1\] of the dataset is a scalar.*batch"),
        (lambda x, y, ds: open_source(ds.take(0)), "without batches"),
        (lambda x, y, ds: open_source(ds.take(0), argument="validation_data"), "validation_data"),
        (
            lambda x, y, ds: held_out((x, y[:2])),
            r"validation_data\[0\]: 8, validation_data\[1\]: 2",
        ),
        (lambda x, y, ds: held_out((x, y * np.nan)), r"validation_data\[1\] is NaN at row 0"),
        (lambda x, y, ds: held_out((x, y, x)), r"validation_data\[2\] has shape"),
        (lambda x, y, ds: open_source(iter([])), "gave no batch"),
        (lambda x, y, ds: open_source(iter([(x[0], 1)])), r"x\[1\] is a scalar"),
        (lambda x, y, ds: open_source(iter([(x, y[:2])])), r"x\[0\]: 8, x\[1\]: 2"),
        (lambda x, y, ds: open_source(print), "a function that returned a NoneType"),
        (lambda x, y, ds: open_source(ds.map(lambda a, b: a), class_weight={0: 1}), "batches"),
    ],
)
def test_wrong_calls_are_told_what_is_wrong(rows, call, message):
    x, y = rows(8)
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(4)
    with pytest.raises((ValueError, TypeError), match=message):
        call(x, y, dataset)
