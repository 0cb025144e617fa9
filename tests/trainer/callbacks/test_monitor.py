"""Which way is better: the mode, then the metric, then the words of the name."""

import pytest

from trainer.callbacks.monitor import direction


@pytest.mark.parametrize(
    ("monitor", "mode", "want"),
    [
        ("val_loss", "auto", "min"),
        ("d_loss", "auto", "min"),
        ("val_accuracy", "auto", "max"),
        ("sparse_categorical_accuracy", "auto", "max"),
        ("rmse", "auto", "min"),
        ("score", "auto", "max"),  # the run says so
        ("val_score", "auto", "max"),
        ("score", "min", "min"),
        ("anything", "max", "max"),
    ],
)
def test_finds_the_direction(monitor, mode, want):
    assert direction(monitor, mode, {"score": "max"}, "EarlyStopping") == want


@pytest.mark.parametrize("monitor", ["bleu", "glossary", "accuracy_loss"])
def test_says_when_nothing_tells(monitor):
    with pytest.raises(ValueError, match=f"'{monitor}'.*pass mode='min' or mode='max'"):
        direction(monitor, "auto", {}, "EarlyStopping")
