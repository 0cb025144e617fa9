"""`.safetensors` files: others read ours, ours read others', and lies are seen."""

import json
import struct
import sys

import numpy as np
import pytest
import safetensors.numpy
import tensorflow as tf

from trainer.weights import DamagedFileError, MismatchError, load_weights, save_weights


def test_others_read_ours_and_ours_read_others(pair, tmp_path):
    module, arrays = pair
    safetensors.numpy.save_file(arrays, tmp_path / "a.safetensors", metadata={"from": "elsewhere"})
    load_weights(module, tmp_path / "a.safetensors")
    save_weights(module, tmp_path / "b.safetensors")
    found = safetensors.numpy.load_file(tmp_path / "b.safetensors")
    assert list(found) == sorted(arrays)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)


def made(path, table, values=b"", length=None):
    text = table if isinstance(table, bytes) else json.dumps(table).encode()
    path.write_bytes(struct.pack("<Q", len(text) if length is None else length) + text + values)
    return path


def entry(shape, end, dtype="F32", start=0):
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


LIES = {
    "more values than bytes": ({"w": entry([10**12], 4 * 10**12)}, bytes(48)),
    "fewer bytes than the shape": ({"w": entry([3, 4], 8)}, bytes(8)),
    "sizes that overflow": ({"w": entry([2**62, 8], 0)}, b""),
    "values outside": ({"w": entry([3, 4], 148, start=100)}, bytes(48)),
    "an unknown dtype": ({"w": entry([3, 4], 48, "X32")}, bytes(48)),
    "a table that is none": (b"not a table", b""),
    "a table that is cut": (b'{"w": {"dty', b""),
    "bytes that are left over": ({"w": entry([3, 4], 48)}, bytes(50)),
}


@pytest.mark.parametrize("lie", LIES)
def test_claims_are_held_against_the_size(lie, pair, peak, tmp_path):
    module, _ = pair
    path = made(tmp_path / "w.safetensors", *LIES[lie])
    with peak() as used:
        with pytest.raises(DamagedFileError, match="Nothing was loaded"):
            load_weights(module, path)
        assert used() < 4e6
    assert not module.w.numpy().any()


@pytest.mark.parametrize("length", [2**62, 10**8, 0])
def test_a_length_of_the_table_that_is_no_length(length, pair, peak, tmp_path):
    path = made(tmp_path / "w.safetensors", {"w": entry([3, 4], 48)}, bytes(48), length)
    with peak() as used:
        with pytest.raises(DamagedFileError):
            load_weights(pair[0], path)
        assert used() < 4e6


def test_a_file_cut_anywhere_is_one_error(pair, tmp_path):
    module, arrays = pair
    path = tmp_path / "w.safetensors"
    safetensors.numpy.save_file(arrays, path)
    whole = path.read_bytes()
    for length in range(0, len(whole), 5):
        path.write_bytes(whole[:length])
        with pytest.raises(DamagedFileError, match=f"It has {length} bytes"):
            load_weights(module, path)
    path.write_bytes(b"PK\x03\x04" + whole)
    with pytest.raises(DamagedFileError):
        load_weights(module, path)
    assert not module.w.numpy().any()


def test_dtypes_that_the_library_does_not_give_back(pair, tmp_path):
    """A file of float8 is told by its dtype, and not read."""
    path = made(tmp_path / "w.safetensors", {"w": entry([3, 4], 12, "F8_E4M3")}, bytes(12))
    with pytest.raises(MismatchError, match=r"\[3, 4\] F8_E4M3 in w.safetensors"):
        load_weights(pair[0], path)


def test_a_name_that_means_something_else(tmp_path):
    with pytest.raises(ValueError, match="__metadata__"):
        save_weights({"__metadata__": tf.Variable(1.0)}, tmp_path / "w.safetensors")


def test_without_the_library_the_error_says_how_to_get_it(pair, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    (tmp_path / "w.safetensors").touch()
    for use in (save_weights, load_weights):
        with pytest.raises(ImportError, match=r"pip install gradloop\[safetensors\]"):
            use(pair[0], tmp_path / "w.safetensors")
