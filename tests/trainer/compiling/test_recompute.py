"""Layers are marked by the paths of their tree; training with and without marks is the same."""

import numpy as np
import pytest

import layers
from trainer import Trainer
from trainer.compiling.recompute import mark


def _model():
    blocks = [
        layers.Sequential([layers.Dense(8, activation="relu"), layers.Dropout(0.5)])
        for _ in range(2)
    ]
    return layers.Sequential([*blocks, layers.Dense(2)])


def test_the_outermost_that_match_are_marked():
    model = _model()
    paths = mark(model, r"layers/[01](/.*)?")
    assert paths == ["layers/0", "layers/1"]
    assert [layer.recompute for layer in model.layers] == [True, True, False]
    assert not model.layers[0].layers[0].recompute
    assert mark(model, None) == []


@pytest.mark.parametrize("pattern", ["(", 3])
def test_what_is_no_pattern_is_refused(pattern):
    with pytest.raises(ValueError, match="no regular expression"):
        mark(_model(), pattern)


def test_a_pattern_that_matches_nothing_names_the_paths():
    with pytest.raises(ValueError, match=r"recompute='blocks'.*layers/0, layers/0/layers/0"):
        mark(_model(), "blocks")
    with pytest.raises(ValueError, match=r"RematScope"):
        mark(object(), "x")


@pytest.mark.parametrize("parts", [1, 2])
def test_training_is_the_same(data, parts):
    """Weights after 7 updates with dropout, of which every draw is made twice."""
    found = []
    for recompute in (None, r"model/layers/[01]"):
        trainer = Trainer(
            _model(), loss="mse", optimizer="sgd", jit=False, accumulate=parts, recompute=recompute
        )
        trainer.fit(*data, batch_size=8, steps=3, verbose=0)
        found.append(trainer.task.model.get_weights())
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)
