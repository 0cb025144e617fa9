"""One error to catch them all, and one per thing a caller may do about it."""

import pytest

from trainer.checkpoint import errors


@pytest.mark.parametrize(
    "name", ["CorruptCheckpointError", "CheckpointWriteError", "StoreInUseError"]
)
def test_each_is_a_checkpoint_error_and_none_is_another(name):
    kind = getattr(errors, name)
    assert kind.__bases__ == (errors.CheckpointError,)
    assert errors.CheckpointError.__bases__ == (Exception,)
