"""Images that are drawn, and CIFAR-10's, are what they promise."""

import keras
import numpy as np
import pytest

from benchmarks.data import load_cifar10, load_scenes, load_shapes
from benchmarks.data.shapes import KINDS, SCENE_KINDS


def test_shapes_are_the_same_each_time_and_of_every_kind():
    a, b = load_shapes(200, 50), load_shapes(200, 50)
    assert a.x_train.shape == (200, 32, 32, 3) and a.x_train.dtype == np.float32
    assert a.x_test.shape == (50, 32, 32, 3) and a.y_test.dtype == np.int32
    assert a.x_train.min() >= 0 and a.x_train.max() <= 1
    np.testing.assert_array_equal(a.x_train, b.x_train)
    assert set(a.y_train) == set(range(len(KINDS)))


def test_scenes_name_every_pixel():
    data = load_scenes(100, 20)
    assert data.y_train.shape == (100, 32, 32) and data.y_train.dtype == np.int32
    assert set(np.unique(data.y_train)) == set(range(1 + len(SCENE_KINDS)))
    assert (data.y_train > 0).any((1, 2)).all()  # something lies in every image


@pytest.mark.parametrize("inside", [True, False])
def test_cifar10_from_its_files(tmp_path, inside):
    """A row is the label, then 1,024 values each of red, green and blue (Krizhevsky's page)."""
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        rng.integers(0, 10, [2, 3073]).astype(np.uint8).tofile(folder / f"{name}.bin")
    data = load_cifar10(tmp_path if inside else folder)
    row = np.fromfile(folder / "data_batch_1.bin", np.uint8)[:3073]
    assert data.x_train.shape == (10, 32, 32, 3) and data.x_test.shape == (2, 32, 32, 3)
    assert data.y_train[0] == row[0] and data.y_train.dtype == np.int32
    blue = row[1 + 2 * 1024 + 3 * 32 + 5]
    np.testing.assert_allclose(data.x_train[0, 3, 5, 2], blue / 255, rtol=1e-6)
    assert len(load_cifar10(tmp_path, rows=4, test_rows=1).x_train) == 4


def test_cifar10_without_files_says_what_to_do(tmp_path, monkeypatch):
    def offline():
        raise OSError("no network")

    monkeypatch.setattr(keras.datasets.cifar10, "load_data", offline)
    with pytest.raises(FileNotFoundError, match=r"no network.*cifar-10-binary\.tar\.gz"):
        load_cifar10(tmp_path)
    with pytest.raises(FileNotFoundError, match=r"no data_dir was given.*the resnet workload"):
        load_cifar10()
