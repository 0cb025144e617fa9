"""The measurements of losses at a tiny size: complete, and of the same things."""

import numpy as np
import pytest

from benchmarks import losses, tables

SIZES = {"tokens": 8, "units": 3, "vocabulary": 20, "chunk": 4, "xla": False}


@pytest.mark.parametrize("name", losses.LOSSES)
def test_every_loss_has_arguments_that_both_packages_take(name, monkeypatch):
    monkeypatch.setattr(losses, "SECONDS", 0.0)
    found = losses.against_keras(name, 16, 8, xla=False, rounds=1)
    assert found["ours"]["ratio"]["median"] > 0 and found["keras"]["ratio"]["median"] == 1.0


def test_all_ways_to_a_large_softmax_compute_the_same():
    totals = {name: losses.large(name, SIZES)() for name in ("fused", "chunked", "naive")}
    for total, gradients in totals.values():
        np.testing.assert_allclose(total, totals["fused"][0], rtol=1e-5)
        for a, b in zip(gradients, totals["fused"][1], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_the_tables_show_what_was_measured(monkeypatch, capsys):
    monkeypatch.setattr(losses, "memory", lambda name, sizes: 1.0)
    monkeypatch.setattr(losses.multiprocessing, "get_context", lambda how: _Here)
    record = SIZES | {"contenders": losses.vocabulary(SIZES, rounds=2)}
    losses.show_vocabulary(tables.console(), record)
    shown = capsys.readouterr().out
    assert "8 rows over 20 classes" in shown and "chunked" in shown and "1 MB" in shown


class _Here:
    """A pool that is this process."""

    class Pool:
        def __init__(self, size):
            assert size == 1

        def __enter__(self):
            return self

        def __exit__(self, *error):
            return None

        def apply(self, function, args):
            return function(*args)
