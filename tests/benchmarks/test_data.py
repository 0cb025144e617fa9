"""The loaders give what they promise."""

import hashlib

import numpy as np
import pytest

from benchmarks.data import VOCABULARY, Data, decode, encode, load_digits, load_mnist, load_text
from benchmarks.data.digits import FILE


def test_digits_file_is_the_published_set():
    with np.load(FILE) as file:
        images, labels = file["images"], file["labels"]
    assert images.shape == (1797, 8, 8) and images.dtype == np.uint8
    assert labels.shape == (1797,) and labels.dtype == np.uint8
    # Counts per class as the set's description gives them.
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert images.sum() == 561718 and images.max() == 16
    digest = hashlib.sha256(images.tobytes() + labels.tobytes()).hexdigest()
    assert digest == "87ff0c9e40dc7e2c0e34e7257799c2e3f3aec1a016363bb11cad869ec428a826"


def test_digits_split_is_fixed_and_loses_nothing():
    a, b = load_digits(), load_digits()
    assert a.x_train.shape == (1437, 8, 8) and a.x_test.shape == (360, 8, 8)
    assert a.x_train.dtype == np.float32 and a.y_train.dtype == np.int32
    np.testing.assert_array_equal(a.x_train, b.x_train)
    assert a.x_train.min() == 0 and a.x_train.max() == 1
    assert 16 * (a.x_train.sum() + a.x_test.sum()) == 561718
    assert (np.bincount(a.y_train) > 120).all() and (np.bincount(a.y_test) > 20).all()
    # The order is of Philox(1797): a new NumPy must not change the split silently.
    assert a.y_train[:8].tolist() == DIGITS_FIRST


DIGITS_FIRST = [3, 9, 1, 0, 6, 8, 5, 3]


def test_data_survives_the_disk(tmp_path):
    data = load_digits()
    data.save(tmp_path)
    again = Data.load(tmp_path)
    np.testing.assert_array_equal(again.x_test, data.x_test)
    np.testing.assert_array_equal(again.y_train, data.y_train)


def test_mnist_from_a_file(tmp_path):
    pixels = np.arange(2 * 28 * 28, dtype=np.uint32).reshape(2, 28, 28).astype(np.uint8)
    labels = np.array([3, 7], np.uint8)
    np.savez(
        tmp_path / "mnist.npz", x_train=pixels, y_train=labels, x_test=pixels[:1], y_test=labels[:1]
    )
    data = load_mnist(tmp_path)
    np.testing.assert_allclose(data.x_train, pixels / 255, rtol=1e-6)
    assert data.x_train.dtype == np.float32 and data.y_train.dtype == np.int32
    assert data.y_test.tolist() == [3]


def test_mnist_missing_says_where_to_put_it(tmp_path, monkeypatch):
    import keras

    def no_network():
        raise OSError("no network")

    monkeypatch.setattr(keras.datasets.mnist, "load_data", no_network)
    with pytest.raises(FileNotFoundError, match=r"mnist\.npz.*no network.*digits workload"):
        load_mnist(tmp_path)


def test_text_targets_are_the_inputs_one_later(tmp_path):
    text = "".join(chr(97 + i % 26) for i in range(1000))
    (tmp_path / "a.txt").write_text(text, encoding="utf-8")
    data = load_text(tmp_path, length=10)
    assert data.x_train.shape == (90, 10) and data.x_test.shape == (9, 10)
    for x, y in ((data.x_train, data.y_train), (data.x_test, data.y_test)):
        np.testing.assert_array_equal(x[:, 1:], y[:, :-1])
    assert decode(data.x_test[0]) == text[900:910]  # the last tenth, in order
    starts = {decode(row)[0] + decode(row)[-1] for row in data.x_train}
    assert len(starts) == 13  # every second letter begins a window: all were kept


def test_text_by_default_is_python(tmp_path):
    data = load_text(tmp_path, length=64, characters=50_000)  # an empty folder counts as none
    assert data.x_train.shape[1] == 64 and len(data.x_train) + len(data.x_test) == 781
    assert data.x_train.min() >= 0 and data.x_train.max() < VOCABULARY
    source = "".join(decode(row) for row in data.x_test)
    assert source.isprintable() is False and "\n" in source  # lines of text
    assert "self" in source or "def" in source or "import" in source


def test_characters_outside_the_vocabulary_share_one_code():
    codes = encode("aé\t\x7f\U0001f600b")
    assert codes.tolist()[1:5] == [VOCABULARY - 1] * 4
    assert decode(codes) == "a����b"
    assert decode(encode("x = 1\n~")) == "x = 1\n~"


def test_too_short_a_text_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text("short", encoding="utf-8")
    with pytest.raises(ValueError, match=r"5 characters.*length=64"):
        load_text(tmp_path)
