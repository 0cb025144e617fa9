"""CIFAR-10: from its files when they are there, else downloaded by Keras."""

from __future__ import annotations

import os
import pathlib

import numpy as np

from benchmarks.data.arrays import Data

FOLDER = "cifar-10-batches-bin"  # as the archive of the binary version unpacks


def load_cifar10(
    data_dir: str | os.PathLike[str] | None = None,
    rows: int | None = None,
    test_rows: int | None = None,
) -> Data:
    """The tiny images of Krizhevsky 2009, in ten classes.

    Args:
        data_dir: a folder that holds `cifar-10-batches-bin`, or is it. Without it, or where the
            files are not there, Keras downloads them once (170 MB).
        rows: of the training split, the first ones; None: all 50,000.
        test_rows: of the test split, the first ones; None: all 10,000.

    Returns:
        Images `[b, 32, 32, 3]` float32 in [0, 1] and labels int32.

    Raises:
        FileNotFoundError: no files in `data_dir`, and none could be downloaded.
    """
    places = [] if data_dir is None else [pathlib.Path(data_dir) / FOLDER, pathlib.Path(data_dir)]
    found = [place for place in places if _holds(place)]
    (x_train, y_train), (x_test, y_test) = _read(found[0]) if found else _download(data_dir)
    train, test = slice(rows), slice(test_rows)
    return Data(
        *(_images(x_train[train]), y_train[train].reshape(-1).astype(np.int32)),
        *(_images(x_test[test]), y_test[test].reshape(-1).astype(np.int32)),
    )


def _holds(folder: pathlib.Path) -> bool:
    return (folder / "test_batch.bin").is_file()


def _images(pixels: np.ndarray) -> np.ndarray:
    return pixels.astype(np.float32) / 255


def _read(folder: pathlib.Path) -> list[tuple[np.ndarray, np.ndarray]]:
    read = []
    for names in ([f"data_batch_{i}.bin" for i in range(1, 6)], ["test_batch.bin"]):
        rows = [np.fromfile(folder / name, np.uint8).reshape(-1, 1 + 3 * 1024) for name in names]
        found = np.concatenate(rows)  # a row is the label, and the image, channel by channel
        pixels = found[:, 1:].reshape(-1, 3, 32, 32)
        read.append((pixels.transpose(0, 2, 3, 1), found[:, 0]))
    return read


def _download(data_dir: str | os.PathLike[str] | None) -> list[tuple[np.ndarray, np.ndarray]]:
    import keras

    try:
        return list(keras.datasets.cifar10.load_data())
    except Exception as error:
        looked = (
            f"{data_dir} holds no {FOLDER}" if data_dir is not None else "no data_dir was given"
        )
        raise FileNotFoundError(
            f"CIFAR-10 is not here: {looked}, and the download failed ({error}). Unpack "
            "cifar-10-binary.tar.gz into a folder and pass it as data_dir, or use the resnet "
            "workload, whose images are drawn."
        ) from error
