"""When and how many checkpoints: what is asked for, and what is refused."""

import pathlib

import pytest

from trainer import Checkpoint, Every
from trainer.callbacks.triggers import Moment


def test_a_path_takes_the_defaults():
    for path in ("runs/a", pathlib.Path("runs/a")):
        assert Checkpoint.of(path) == Checkpoint(path)
    own = Checkpoint("runs/a", keep_last=1)
    assert Checkpoint.of(own) is own


def test_when_it_is_due():
    assert repr(Checkpoint("a").trigger) == "Every(seconds=60)"
    best = Checkpoint("a", keep_best=1, monitor="val_loss").trigger
    assert best.due(Moment(step=3, validated=True))
    assert not best.due(Moment(step=3, epoch=1, epoch_end=True))
    best = Checkpoint("a", keep_best=1, monitor="loss").trigger
    assert best.due(Moment(step=3, epoch=1, epoch_end=True))


def test_the_better_direction_is_asked_of_the_metric():
    best = Checkpoint("a", keep_best=2, monitor="val_score")
    assert best.retention({"val_score": "max"}).mode == "max"
    assert Checkpoint("a", keep_best=2, monitor="val_loss").retention({}).mode == "min"
    with pytest.raises(ValueError, match=r"Checkpoint.*mode='min' or mode='max'"):
        best.retention({})


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"directory": 3}, TypeError, "directory=3"),
        ({"when": 100}, TypeError, r"Every\(steps=1000\)"),
        ({"keep_last": 0}, ValueError, "keep_last=0"),
        ({"keep_best": 1}, ValueError, "monitor="),
        ({"keep_every": -5}, ValueError, "keep_every=-5"),
        ({"mode": "up"}, ValueError, "mode='up'"),
        ({"on_error": "ignore"}, ValueError, "'raise' or 'warn'"),
        ({"grace_seconds": 0}, ValueError, "grace_seconds=0"),
    ],
)
def test_wrong_settings(change, error, words):
    with pytest.raises(error, match=words):
        Checkpoint(**{"directory": "a", **change})


def test_what_is_no_folder_is_refused():
    with pytest.raises(TypeError, match=r"checkpoint=True.*Checkpoint\(folder"):
        Checkpoint.of(True)
    assert Checkpoint("a", when=Every(steps=5)).trigger == Every(steps=5)
