"""The record: kept on disk for the same program on the same machine, and for no other."""

import pytest
import tensorflow as tf

from trainer.compiling import record
from trainer.compiling.choice import Choice, Trial

CHOICE = Choice("loop", "measured", True, (Trial("graph", 1.0, 2.0, 0.1, 1.0, 0.0),), 3.0)


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADLOOP_CACHE_DIR", str(tmp_path))


def _graph(fn, *shapes, dtype=tf.float32):
    specs = [tf.TensorSpec(shape, dtype) for shape in shapes]
    return tf.function(fn, autograph=False).get_concrete_function(*specs).graph


def test_a_choice_is_remembered():
    assert record.recall("key") is None
    assert record.remember("key", CHOICE) is None
    assert record.recall("key") == CHOICE
    assert record.recall("other") is None


def test_the_same_program_has_the_same_fingerprint():
    def make():
        w = tf.Variable(tf.ones([3, 3]))
        return record.fingerprint(_graph(lambda x: tf.nn.relu(x @ w), [2, 3]))

    assert make() == make()


def test_other_shapes_dtypes_and_settings_have_another(monkeypatch):
    def key(*shapes, dtype=tf.float32):
        return record.fingerprint(_graph(lambda a, b: a @ b, *shapes, dtype=dtype))

    own = key([4, 5], [5, 6])
    assert key([4, 5], [5, 7]) != own
    assert key([4, 5], [5, 6], dtype=tf.bfloat16) != own
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
    assert key([4, 5], [5, 6]) != own


def test_an_unwritable_folder_is_reported(tmp_path, monkeypatch):
    file = tmp_path / "file"
    file.write_text("")
    monkeypatch.setenv("GRADLOOP_CACHE_DIR", str(file))
    assert "could not be kept" in record.remember("key", CHOICE)


@pytest.mark.parametrize("text", ["{", "[]", '{"mode": "loop"}', '{"trials": [{"x": 1}]}'])
def test_a_damaged_entry_is_as_none(tmp_path, text):
    record.remember("key", CHOICE)
    (tmp_path / "plans" / "key.json").write_text(text)
    assert record.recall("key") is None


def test_parts_are_remembered():
    assert record.recall_parts("key") == 1
    assert record.remember_parts("key", 4) is None
    assert record.recall_parts("key") == 4
