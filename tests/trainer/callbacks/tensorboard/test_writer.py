"""Writer: jobs in order, both kinds, through a checkpoint and back."""

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from trainer.callbacks.tensorboard import summaries
from trainer.callbacks.tensorboard.writer import Events, Scalars, Writer, from_plain, to_plain
from trainer.checkpoint import plain


def jobs():
    steps = np.arange(1, 4)
    yield Scalars("train", ["loss"], steps, 1e9 + steps.astype(float), [1.0 / steps])
    yield Events("train", 3, [summaries.text("words", 3, "one | two"), b""][:1])
    yield Events("", 3, [summaries.text("whole", 3, "run")])


def test_both_kinds_are_read_back(tmp_path):
    writer = Writer(str(tmp_path), 1)
    for job in jobs():
        writer.put([job])
    writer.close()
    train = EventAccumulator(str(tmp_path / "train")).Reload()
    assert [e.step for e in train.Scalars("loss")] == [1, 2, 3]
    (words,) = train.Tensors("words")
    assert words.tensor_proto.string_val == [b"one | two"]
    assert EventAccumulator(str(tmp_path)).Reload().Tensors("whole")
    assert writer.unwritten() == []


@pytest.mark.parametrize("job", jobs(), ids=lambda job: type(job).__name__)
def test_a_checkpoint_can_hold_a_job(job):
    tree, arrays = plain.pack(to_plain(job), "job")
    found = from_plain(plain.unpack(tree, arrays))
    np.testing.assert_equal(found._asdict(), job._asdict())
    assert found.first_step == job.first_step
