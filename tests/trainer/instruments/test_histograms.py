"""Histograms against NumPy's, plain and under XLA, and with numbers that are not finite."""

import numpy as np
import pytest
import tensorflow as tf

from trainer import Every
from trainer.instruments import Histograms, Seen
from trainer.instruments.histograms import counted, edges

CASES = {
    "normal": np.random.default_rng(0).normal(size=1000),
    "far apart": np.array([-3e38, 0.0, 3e38]),
    "equal": np.full(7, 2.5),
    "zero": np.zeros(4),
    "denormal": np.array([0.0, 1e-40, 2e-40]),
    "one": np.array([-1.0]),
}


@pytest.fixture(scope="module", params=[None, True], ids=["plain", "xla"])
def count(request):
    return tf.function(lambda x: counted(x, 8), jit_compile=request.param, autograph=False)


@pytest.mark.parametrize("name", CASES)
def test_counts_as_numpy_does(count, name):
    x = CASES[name].astype("float32")
    found, counts, bad = edges(count(tf.constant(x)).numpy())
    assert (counts.sum(), bad) == (x.size, 0)
    if np.ptp(x.astype(float)) < 1e-30:  # no width to speak of: all in one bin
        assert counts[0] == x.size
        return
    want, at = np.histogram(x.astype(float), bins=8)
    np.testing.assert_allclose(found, at, rtol=1e-6, atol=1e-6)
    assert np.abs(counts - want).sum() <= 2  # one on an edge may fall to either side


def test_what_is_not_finite_is_counted_apart(count):
    x = tf.constant([np.nan, 1.0, np.inf, 2.0, -np.inf])
    found, counts, bad = edges(count(x).numpy())
    assert (found[0], found[-1], counts.sum(), bad) == (1.0, 2.0, 2, 3)
    found, counts, bad = edges(count(tf.fill([3], np.float32(np.nan))).numpy())
    assert (found[0], found[-1], counts.sum(), bad) == (0.0, 0.0, 0, 3)


def test_reads_weights_gradients_and_updates(run, read):
    look = read(instrument := Histograms(Every(steps=10), bins=5))
    run([look])
    assert list(look.read[instrument]) == [10, 20]
    seen = look.read[instrument][20]
    kinds = {name.split("/")[0] for name in seen}
    assert kinds == {"weights", "gradients", "updates"}
    sizes = {"layers/0/kernel": 12, "layers/0/bias": 4, "layers/1/kernel": 8, "layers/1/bias": 2}
    assert {n.split("/", 1)[1] for n in seen} == sizes.keys()
    for name, value in seen.items():
        assert edges(value)[1].sum() == sizes[name.split("/", 1)[1]]
    assert "weights/w" in Histograms()(Seen(["w"], [None], [tf.zeros([2])], [tf.ones([2])]))


def test_refuses():
    with pytest.raises(ValueError, match="bins=0"):
        Histograms(bins=0)
