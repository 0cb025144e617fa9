"""The checks of the data, each on its own."""

import numpy as np
import tensorflow as tf

from trainer.data import open_source
from trainer.inspect import data_checks

X = np.arange(40, dtype="float32").reshape(20, 2)


def test_draw_gives_the_batches_of_an_epoch():
    source = open_source(X, batch_size=8)
    found = [batch.numpy() for batch in data_checks.draw(source)]
    assert [len(b) for b in found] == [8, 8, 4]
    np.testing.assert_array_equal(np.concatenate(found), X)


def test_the_place_of_what_is_not_finite():
    x = {"a": X.copy(), "n": np.arange(20)}
    x["a"][13, 1] = np.inf
    found = data_checks.finite(open_source(x, batch_size=8))
    assert found.mark == "fail" and "row 5 of batch 1" in found.text and "'a'" in found.text
    assert data_checks.finite(open_source(X, batch_size=8)).mark == "pass"


def test_order():
    marks = [data_checks.order(open_source(X, shuffle=s)).mark for s in (True, False)]
    assert marks == ["pass", "warn"]
    endless = tf.data.Dataset.from_tensor_slices(X).batch(4).repeat()
    assert data_checks.order(open_source(endless)).mark == "skip"


def test_pace_without_a_step_or_with_arrays():
    assert data_checks.pace(open_source(X), None).mark == "skip"
    assert data_checks.pace(open_source(X), 1e-9).mark == "pass"
