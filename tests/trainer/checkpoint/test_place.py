"""A checkpoint is found by its folder, or as the newest of a run's; near names are told."""

import pytest

from trainer.checkpoint import CheckpointError, Store
from trainer.checkpoint.place import Place


def test_by_name_and_newest(place, small):
    with Store(place) as store:
        names = [store.commit(small(step)) for step in (3, 9)]
    newest = Place.of(place)
    assert (newest.name, newest.single) == (names[1], False)
    named = Place.of(f"{place}/{names[0]}/")
    assert (named.name, named.single) == (names[0], True)
    assert named.path == store.path(names[0])


def test_what_is_not_there(tmp_path, small):
    with Store(tmp_path) as store:
        store.commit(small(3))
    with pytest.raises(CheckpointError, match=r"has no 000001-step-4; it has 000001-step-3"):
        Place.of(tmp_path / "000001-step-4")
    with pytest.raises(CheckpointError, match="has no checkpoints"):
        Place.of(tmp_path / "other")
