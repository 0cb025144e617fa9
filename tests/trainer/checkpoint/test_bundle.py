"""Tensors in files and their hashes; the references are TensorFlow's reader and hashlib."""

import hashlib
import struct

import numpy as np
import pytest
import tensorflow as tf

from trainer.checkpoint import bundle
from trainer.checkpoint.errors import CheckpointError, CorruptCheckpointError
from trainer.checkpoint.manifest import DTYPES


def tensor_of(dtype):
    if dtype == "string":
        return tf.constant([[b"a", b""], [b"\x00\xff", b"four"]])
    numbers = np.array([[0, 1], [3, 2]])
    return tf.constant(numbers.astype(tf.as_dtype(dtype).as_numpy_dtype))


@pytest.fixture
def prefix(tmp_path):
    return str(tmp_path / "state")


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_comes_back_with_its_hash(dtype, prefix):
    tensor = tensor_of(dtype)
    bundle.write(prefix, {"x": tensor})
    (value,) = bundle.describe({"x": tensor}, ["x"]).values()
    found = bundle.read(prefix, {"x": value})["x"]
    assert (found.dtype.name, found.shape) == (dtype, [2, 2])
    assert np.asarray(found).tolist() == np.asarray(tensor).tolist()
    bundle.check(prefix, {"x": value})
    reader = tf.train.load_checkpoint(prefix)  # anybody's way to read the files
    assert reader.get_tensor("x").tolist() == np.asarray(tensor).tolist()


def test_the_hash_is_of_the_bytes_in_memory():
    array = np.arange(12, dtype="<f4").reshape(3, 4)
    assert bundle.hash_value(tf.constant(array)) == hashlib.sha256(array.tobytes()).hexdigest()
    assert bundle.hash_value(tf.zeros([0, 3])) == hashlib.sha256(b"").hexdigest()
    assert bundle.hash_value(tf.constant([-0.0])) != bundle.hash_value(tf.constant([0.0]))
    strings = struct.pack("<Q", 2) + b"ab" + struct.pack("<Q", 0)
    assert bundle.hash_value(tf.constant([b"ab", b""])) == hashlib.sha256(strings).hexdigest()
    assert bundle.hash_value(tf.constant([b"a", b"b"])) != bundle.hash_value(tf.constant([b"ab"]))


def test_hashing_makes_no_copy():
    tensor = tf.ones([4])
    assert np.shares_memory(np.asarray(tensor), np.asarray(tensor))


def test_some_values_are_read_alone(prefix, content):
    values = content().values
    bundle.write(prefix, values)
    described = bundle.describe(values, [])
    found = bundle.read(prefix, {name: described[name] for name in ("step", "words")})
    assert list(found) == ["step", "words"]
    assert bundle.read(prefix, {}) == {}


def test_a_value_that_is_not_the_one_hashed_is_refused(prefix):
    bundle.write(prefix, {"x": tf.constant([1.0, 2.0])})
    described = bundle.describe({"x": tf.constant([1.0, 3.0])}, [])
    bundle.check(prefix, described)  # the index agrees
    with pytest.raises(CorruptCheckpointError, match="'x' is not what was written"):
        bundle.read(prefix, described)


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        ({"x": tf.zeros([3])}, r"'x' is float32 \[2\] .* and float32 \[3\] in the manifest"),
        ({"x": tf.zeros([2], tf.int32)}, r"'x' is float32 \[2\] .* and int32 \[2\]"),
        ({"x": tf.zeros([2]), "y": tf.zeros([])}, r"'y' is missing in TensorFlow's files"),
        ({}, r"'x' is float32 \[2\] .* and missing in the manifest"),
    ],
)
def test_the_index_must_list_what_the_manifest_lists(prefix, listed, message):
    bundle.write(prefix, {"x": tf.zeros([2])})
    with pytest.raises(CorruptCheckpointError, match=message):
        bundle.check(prefix, bundle.describe(listed, []))


def test_files_that_are_no_bundle_are_corrupt(tmp_path, prefix):
    with pytest.raises(CorruptCheckpointError, match="TensorFlow cannot read it"):
        bundle.open_reader(prefix)
    (tmp_path / "state.index").write_bytes(b"garbage" * 20)
    with pytest.raises(CorruptCheckpointError, match="bad magic number"):
        bundle.open_reader(prefix)
    bundle.write(prefix, {"x": tf.zeros([2])})
    (tmp_path / "state.data-00000-of-00001").unlink()
    with pytest.raises(CorruptCheckpointError, match="No such file"):
        bundle.read(prefix, bundle.describe({"x": tf.zeros([2])}, []))


def test_errors_that_say_nothing_of_the_files_do_not_call_them_corrupt(prefix, monkeypatch):
    def fail(*_, **__):
        raise tf.errors.UnavailableError(None, None, "try later")

    monkeypatch.setattr(tf.compat.v1.train, "NewCheckpointReader", fail)
    with pytest.raises(CheckpointError, match="try later") as caught:
        bundle.open_reader(prefix)
    assert not isinstance(caught.value, CorruptCheckpointError)


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({}, ValueError, "values is empty"),
        ({"": tf.zeros([])}, ValueError, "'' cannot be the name of a value"),
        ({"a\0b": tf.zeros([])}, ValueError, "cannot be the name of a value"),
        ({"x" * 5000: tf.zeros([])}, ValueError, "cannot be the name of a value"),
        ({3: tf.zeros([])}, ValueError, "'3' cannot be the name of a value"),
        ({"x": np.zeros(3)}, TypeError, r"values\['x'\] is a ndarray; it must be an eager tensor"),
        ({"x": tf.Variable(0.0)}, TypeError, "it must be an eager tensor"),
        ({"x": tf.constant([1], tf.qint8)}, TypeError, "dtype qint8, which cannot be kept"),
        ({"x": tf.Variable(0.0).handle}, TypeError, "dtype resource, which cannot be kept"),
    ],
)
def test_what_cannot_be_kept_is_refused_by_name(values, error, message):
    with pytest.raises(error, match=message):
        bundle.check_values(values)


def test_a_tensor_of_a_graph_is_refused():
    @tf.function
    def traced():
        with pytest.raises(TypeError, match="it must be an eager tensor"):
            bundle.check_values({"x": tf.zeros([2])})

    traced()
