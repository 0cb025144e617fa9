"""Figures are made without a window, and a missing matplotlib is said."""

import sys

import pytest

from trainer.inspect import plots


def test_a_figure_is_written(tmp_path):
    made = plots.figure()
    axes = made.subplots()
    plots.plain(axes, title="t", x="x", y="y")
    plots.write(made, tmp_path / "new" / "a.png")
    assert (tmp_path / "new" / "a.png").read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_the_way_out_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        plots.figure()
