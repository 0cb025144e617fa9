"""`.npz` files that lie, are cut or damaged: one error, nothing run, nothing large made."""

import io
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest
import tensorflow as tf

from trainer.weights import DamagedFileError, MismatchError, load_weights, save_weights


def header(shape, descr="<f4", order="False"):
    """The bytes of a `.npy` header that claims a shape and a dtype."""
    text = f"{{'descr': {descr!r}, 'fortran_order': {order}, 'shape': {shape}, }}"
    text = text.ljust(-(-(len(text) + 11) // 64) * 64 - 11) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode()


def npz(path, members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def untouched(module):
    return not (module.w.numpy().any() or module.b.numpy().any())


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_numpy_s_own_files_load_and_ours_load_in_numpy(write, pair, tmp_path):
    module, arrays = pair
    arrays["w"] = np.asfortranarray(arrays["w"]).astype(">f4")
    write(tmp_path / "w.npz", **arrays)
    load_weights(module, tmp_path / "w.npz")
    np.testing.assert_array_equal(module.w, arrays["w"])
    save_weights(module, tmp_path / "ours.npz")
    with np.load(tmp_path / "ours.npz", allow_pickle=False) as ours:
        assert ours.files == ["w", "b"]
        np.testing.assert_array_equal(ours["w"], arrays["w"])


def test_raw_bytes_without_a_dtype_are_not_guessed(pair, tmp_path):
    module, arrays = pair
    arrays["b"] = np.zeros(4, "V2")
    np.savez(tmp_path / "w.npz", **arrays)
    with pytest.raises(MismatchError, match=r"\[4\] void16 in w.npz"):
        load_weights(module, tmp_path / "w.npz")


class Bomb:
    """Unpickling it makes a folder."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


@pytest.mark.parametrize("name", ["w", "dtypes.json"])
def test_pickles_are_not_read(name, pair, tmp_path):
    module, arrays = pair
    held = io.BytesIO()
    np.save(held, np.array([Bomb(tmp_path / "ran")], object), allow_pickle=True)
    members = {f"{k}.npy": header(v.shape) + v.tobytes() for k, v in arrays.items()}
    members[f"{name}.npy" if name == "w" else name] = held.getvalue()
    with pytest.raises(DamagedFileError):
        load_weights(module, npz(tmp_path / "w.npz", members))
    (tmp_path / "w.npz").write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
    with pytest.raises(DamagedFileError):
        load_weights(module, tmp_path / "w.npz")
    assert not (tmp_path / "ran").exists()
    assert untouched(module)


VALUES = bytes(48)
LIES = {
    "more values than bytes": {"w.npy": header((10**12,)) + VALUES},
    "fewer values than bytes": {"w.npy": header((3,)) + VALUES},
    "sizes that overflow": {"w.npy": header((2**62, 8)) + VALUES},
    "a negative size": {"w.npy": header((-3, -4)) + VALUES},
    "a size that is no number": {"w.npy": header(("x",)) + VALUES},
    "code in the header": {"w.npy": header("__import__('os').getcwd()") + VALUES},
    "a deep header": {"w.npy": header("(" * 5000 + ")" * 5000) + VALUES},
    "a header that is not closed": {"w.npy": header("((") + VALUES},
    "an unknown version": {"w.npy": header((12,)).replace(b"NUMPY\x01", b"NUMPY\x09") + VALUES},
    "an unknown dtype": {"w.npy": header((12,), "<q9") + VALUES},
    "no array": {"w.npy": b"hello"},
    "nothing": {"w.npy": b""},
    "another kind of member": {"w.txt": b"hello"},
    "a table that is none": {"dtypes.json": b"[1, 2]"},
    "a table of no names": {"dtypes.json": b'{"w": 3}'},
    "a table that is cut": {"dtypes.json": b'{"w": "bfl'},
}


@pytest.mark.parametrize("lie", LIES)
def test_claims_are_held_against_the_size(lie, pair, peak, tmp_path):
    module, arrays = pair
    members = {"b.npy": header(arrays["b"].shape) + arrays["b"].tobytes(), **LIES[lie]}
    path = npz(tmp_path / "w.npz", members)
    with peak() as used:
        with pytest.raises(DamagedFileError, match="Nothing was loaded"):
            load_weights(module, path)
        assert used() < 4e6
    assert untouched(module)


def test_dtypes_beside_raw_bytes_cannot_be_of_another_kind(pair, tmp_path):
    """An object made of raw bytes would be a pointer to anywhere."""
    module, arrays = pair
    for name in ("string", "object", "qint32", "variant", "bfloat16", 10**3 * "x"):
        members = {
            "w.npy": header((3, 4), "|V8") + bytes(96),
            "b.npy": header((4,)) + arrays["b"].tobytes(),
            "dtypes.json": f'{{"w": "{name}"}}',
        }
        with pytest.raises(MismatchError, match=r"void64 in w.npz, \[3, 4\] float32 in the"):
            load_weights(module, npz(tmp_path / "w.npz", members))


@pytest.mark.parametrize("claimed", ["the directory", "the deflated bytes"])
def test_zip_bombs_are_not_unpacked(claimed, pair, peak, tmp_path):
    module, _ = pair
    million = np.zeros(50_000_000, "uint8").tobytes()
    members = {"w.npy": header((12_500_000,)) + million, "b.npy": header((4,)) + bytes(16)}
    path = npz(tmp_path / "w.npz", members, zipfile.ZIP_DEFLATED)
    if claimed == "the directory":
        raw = path.read_bytes()
        size = struct.pack("<I", len(members["w.npy"]))
        assert raw.count(size) == 2  # beside the bytes, and in the directory
        path.write_bytes(raw.replace(size, struct.pack("<I", 2**32 - 2)))
    with peak() as used:
        with pytest.raises(DamagedFileError if claimed == "the directory" else MismatchError):
            load_weights(module, path)
        assert used() < 4e6
    assert untouched(module)


def test_the_same_name_twice(pair, tmp_path):
    module, _ = pair
    with zipfile.ZipFile(tmp_path / "w.npz", "w") as archive, pytest.warns(UserWarning):
        for _ in range(2):
            archive.writestr("w.npy", header((3, 4)) + VALUES)
    with pytest.raises(DamagedFileError, match="no array of its own"):
        load_weights(module, tmp_path / "w.npz")


def test_a_file_cut_anywhere_is_one_error(pair, tmp_path):
    module, arrays = pair
    path = tmp_path / "w.npz"
    np.savez(path, **arrays)
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(DamagedFileError, match=f"It has {length} bytes"):
            load_weights(module, path)
    assert untouched(module)


def test_no_flipped_bit_loads_another_value(pair, tmp_path):
    """Each byte in turn: the right values, or an error and nothing assigned."""
    module, arrays = pair
    path = tmp_path / "w.npz"
    for variable, array in zip((module.w, module.b), arrays.values(), strict=True):
        variable.assign(array)
    save_weights(module, path)
    whole = bytearray(path.read_bytes())
    refused = 0
    for i in range(len(whole)):
        whole[i] ^= 1 << i % 8
        path.write_bytes(whole)
        whole[i] ^= 1 << i % 8
        for variable in (module.w, module.b):
            variable.assign(np.zeros(variable.shape))
        try:
            load_weights(module, path)
        except (DamagedFileError, MismatchError):
            refused += 1
            assert untouched(module), i
        else:
            np.testing.assert_array_equal(module.w, arrays["w"], str(i))
            np.testing.assert_array_equal(module.b, arrays["b"], str(i))
    assert refused > len(whole) / 2


def test_damage_in_the_last_array_leaves_the_first_as_it_was(tmp_path):
    """Found only when it is read to its end: it is larger than what is read at once."""
    module = {"first": tf.Variable(tf.zeros([3])), "last": tf.Variable(tf.zeros([99_999]))}
    path = tmp_path / "w.npz"
    save_weights({name: tf.Variable(v + 1) for name, v in module.items()}, path)
    whole = bytearray(path.read_bytes())
    whole[300_000] ^= 1
    path.write_bytes(whole)
    with pytest.raises(DamagedFileError, match="CRC"):
        load_weights(module, path)
    assert not module["first"].numpy().any()
    assert load_weights(module, path, partial="first") == ["first"]
