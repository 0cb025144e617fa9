"""The measurement of layers: every row has a twin that computes the same; table and plot."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import layers, tables

DRAWS = ("Dropout",)  # each package draws masks of its own


def small(subject):
    """The subject with a batch of one and short axes."""
    shape = (1, *(min(n, 8) for n in subject.shape[1:-1]), subject.shape[-1])
    return subject._replace(shape=shape)


@pytest.mark.parametrize("name", [n for n in layers.known if n not in DRAWS])
def test_both_of_a_row_compute_the_same(name):
    subject = small(layers.subjects()[name])
    _, made = layers.contenders(subject, "graph")
    rng = np.random.default_rng(0)
    if subject.integers:
        x = tf.constant(rng.integers(0, subject.integers, subject.shape))
    else:
        x = tf.constant(rng.normal(size=subject.shape), tf.float32)
    got, want = (made[who](x, training=True) for who in (layers.OURS, layers.KERAS))
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


def test_what_was_measured_is_shown_and_drawn(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(layers, "SECONDS", 0.0)
    monkeypatch.setattr(layers, "subjects", lambda: {
        "Dense": layers.Subject(lambda lib: lib.Dense(2), (2, 3)),
        "Embedding": layers.Subject(lambda lib: lib.Embedding(5, 2), (2, 3), 5),
    })  # fmt: skip
    measured = layers.measure(["Dense", "Embedding"], ["graph"], rounds=2, clock="processor")
    assert set(measured["layers"]) == {"Dense", "Embedding"}
    assert measured["layers"]["Dense"]["graph"]["ratio"]["median"] > 0
    layers.show(tables.console(), measured)
    shown = capsys.readouterr().out
    assert "Dense" in shown and "processor time" in shown
    layers.draw(measured, tmp_path / "layers.png")
    assert (tmp_path / "layers.png").stat().st_size > 1000
    json.dumps(measured)


def test_the_best_of_both_modes_is_compared():
    record = {
        mode: {who: {"median": m} for who, m in times.items()}
        for mode, times in {
            "graph": {"ours": 4.0, "keras": 2.0},
            "xla": {"ours": 1.0, "keras": 8.0},
        }.items()
    }
    assert layers.best(record) == 0.5
