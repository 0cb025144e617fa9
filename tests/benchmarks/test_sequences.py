"""The measurement of generation and long attention at a tiny size: both ways do the same."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import sequences, tables

SIZES = {"batch": 2, "length": 20, "width": 8, "blocks": 1}


@pytest.mark.parametrize("mode", ["graph", "xla"])
def test_both_ways_write_the_same_text(mode):
    runs = sequences.generators(SIZES, mode)
    np.testing.assert_array_equal(*(run() for run in runs.values()))


def test_both_forms_of_attention_have_the_same_gradient():
    got, want = (
        sequences.attended(name, 6, "graph")() for name in (sequences.CHUNKED, sequences.WHOLE)
    )
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4)


def test_the_tables_show_what_was_measured(capsys):
    spread = {"median": 2.0, "low": 1.0, "high": 3.0, "noise": 0.0}
    row = {name: spread for name in ("cached", "computed anew", "ratio")}
    sequences.show_generation(tables.console(), [row | {"sizes": SIZES, "mode": "graph"}])
    row = {name: spread for name in ("weights kept", "by chunks", "ratio")}
    extra = {"weights kept": 40.0, "by chunks": 7.0}
    sequences.show_attention(
        tables.console(), [row | {"keys": 6, "mode": "xla", "extra_mb": extra}]
    )
    shown = capsys.readouterr().out
    assert "tokens per second, 16 to 20 places" in shown and "7 MB" in shown
