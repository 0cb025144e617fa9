"""A file appears whole or not at all, and what stands in its way is said."""

import numpy as np
import pytest

from trainer.weights.file import (
    DamagedFileError,
    as_named,
    dtype_name,
    is_foreign,
    written_whole,
)


def test_a_file_that_is_not_finished_leaves_the_old_one(tmp_path):
    path = tmp_path / "w.npz"
    path.write_text("old")
    with pytest.raises(KeyError), written_whole(path) as temporary:
        temporary.write_text("ne")
        assert temporary.parent == tmp_path  # so that the renaming is one step
        raise KeyError
    assert path.read_text() == "old"
    with written_whole(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_it_is_on_disk_before_it_has_its_name(tmp_path, monkeypatch):
    done = []
    for name in ("fsync", "replace"):
        real = getattr(__import__("os"), name)
        monkeypatch.setattr(f"os.{name}", lambda *a, n=name, r=real: (done.append(n), r(*a)))
    with written_whole(tmp_path / "w.npz") as temporary:
        temporary.touch()
    assert done == ["fsync", "replace", "fsync"]  # the last one of the folder


def test_no_folder(tmp_path):
    with (
        pytest.raises(FileNotFoundError, match=r"no folder.*to write 'w.npz' into"),
        written_whole(tmp_path / "absent" / "w.npz"),
    ):
        pass


def test_damage_is_told_with_the_file_and_its_size(tmp_path):
    (tmp_path / "w.npz").write_bytes(b"abc")
    text = str(DamagedFileError(tmp_path / "w.npz", "because"))
    assert f"{str(tmp_path / 'w.npz')!r} cannot be read: because." in text
    assert "It has 3 bytes. Nothing was loaded." in text


@pytest.mark.parametrize("name", ["bfloat16", "float8_e4m3fn", "float8_e5m2"])
def test_dtypes_that_numpy_has_not_go_through_raw_bytes(name):
    import tensorflow as tf

    dtype = np.dtype(tf.as_dtype(name).as_numpy_dtype)
    array = np.array([[1.0, 2.0]], dtype)
    raw = array.view(f"V{dtype.itemsize}")
    assert is_foreign(dtype) and not is_foreign(np.dtype("float16"))
    assert dtype_name(raw.dtype, name) == name
    assert dtype_name(raw.dtype, None) == raw.dtype.name == dtype_name(raw.dtype, "float64")
    assert dtype_name(np.dtype("float32"), name) == "float32"  # never against what stands there
    back = as_named(raw, name)
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, array)
    swapped = as_named(np.array([1.0, 2.0], ">f4"), "float32")
    assert swapped.dtype == np.dtype("float32") and swapped.tolist() == [1.0, 2.0]
