"""Every source keeps the same promises."""

import json

import numpy as np
import pytest
import tensorflow as tf

from trainer.data import Segment, open_source

X = np.arange(22.0).reshape(11, 2)
SOURCES = {
    "resident": lambda: open_source(X, batch_size=4),
    "shuffled": lambda: open_source(X, batch_size=4, shuffle=True),
    "large": lambda: open_source(X, batch_size=4, budget_bytes=0),
    "dataset": lambda: open_source(tf.data.Dataset.from_tensor_slices(X).batch(4)),
    "iterable": lambda: open_source(lambda: iter([X[:4], X[4:8], X[8:]])),
}


@pytest.mark.parametrize("kind", SOURCES)
def test_a_source_has_what_the_loop_reads(kind):
    source = SOURCES[kind]()
    assert source.element_spec == tf.TensorSpec([None, 2], tf.float32)
    assert source.infinite is source.once is False
    assert source.steps_per_epoch == (None if kind == "iterable" else 3)
    assert source.fetch is SOURCES[kind]().fetch  # so that a loop compiled for one serves another
    reader = source.reader(0)
    first, last = reader.take(5), reader.take(5)
    assert isinstance(first, Segment)
    assert (first.steps, first.rows, first.last) == (2, 4, False)
    assert (last.steps, last.rows, last.last) == (1, 3, True)
    assert reader.take(5) is None
    assert source.reader(0, skip=3).take(1) is None
    assert source.reader(0, 2, taken=99).take(5).last  # of no account here
    assert source.exactness().level == ("counted" if kind == "iterable" else "exact")
    assert source.fingerprint() == json.loads(json.dumps(SOURCES[kind]().fingerprint()))
    assert source.fingerprint()["spec"] == [["batch", [None, 2], "float32"]]
    reader.close()
    source.close()
    source.close()
