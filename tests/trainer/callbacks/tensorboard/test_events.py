"""Event files against the bytes that the protobuf and TFRecord libraries write."""

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary

from trainer.callbacks.tensorboard.events import EventFile, record


def read(path):
    return [r.numpy() for r in tf.data.TFRecordDataset(path)]  # checks both checksums


def event(tags, step, time, values):
    pairs = [Summary.Value(tag=t, simple_value=v) for t, v in zip(tags, values, strict=True)]
    return Event(wall_time=time, step=step, summary=Summary(value=pairs)).SerializeToString()


@pytest.mark.parametrize(
    "tags", [["loss"], ["loss", "a" * 200, "größe"], [f"t{i}" for i in range(9)]]
)
def test_bytes_are_protobufs_over_every_size_of_step(tmp_path, tags):
    edges = [2 ** (7 * i) + d for i in range(1, 6) for d in (-2, -1, 0, 1)]
    steps = np.array([1, 2, 3, *edges], np.int64)
    times = 1e9 + np.arange(len(steps)) / 7
    values = np.random.default_rng(0).normal(size=(len(steps), len(tags))).astype("f")
    values[3] = np.nan
    values[4] = np.inf
    file = EventFile(str(tmp_path), 5)
    file.add(tags, steps, times, values)
    file.close()
    head, start, *records = read(file.path)
    assert Event.FromString(head).file_version == "brain.Event:2"
    assert Event.FromString(start).step == 5
    assert Event.FromString(start).session_log.status == SessionLog.START
    want = [
        event(tags, int(s), t, v.tolist()) for s, t, v in zip(steps, times, values, strict=True)
    ]
    assert records == want


@pytest.mark.parametrize("size", [0, 1, 8, 63, 64, 65, 300, 5000, 1 << 20])
def test_a_record_is_a_tfrecord(tmp_path, size):
    data = np.random.default_rng(0).bytes(size)
    path = str(tmp_path / "theirs")
    with tf.io.TFRecordWriter(path) as writer:
        writer.write(data)
    assert record(data) == (tmp_path / "theirs").read_bytes()


def test_nothing_is_made_before_the_first_event(tmp_path):
    file = EventFile(str(tmp_path / "train"), 1)
    file.flush()
    file.close()
    assert list(tmp_path.iterdir()) == []


def test_a_deleted_file_is_an_error_at_the_next_flush(tmp_path):
    file = EventFile(str(tmp_path / "train"), 1)
    one = np.ones(1, np.int64)
    file.add(["loss"], one, one, np.ones([1, 1], "f"))
    file.flush()
    tf.io.gfile.remove(file.path)
    file.add(["loss"], one, one, np.ones([1, 1], "f"))
    with pytest.raises(FileNotFoundError, match="has been deleted"):
        file.flush()
