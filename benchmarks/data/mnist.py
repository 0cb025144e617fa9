"""MNIST: from a file when there is one, else downloaded by Keras."""

from __future__ import annotations

import os
import pathlib

import numpy as np

from benchmarks.data.arrays import Data


def load_mnist(data_dir: str | os.PathLike[str] | None = None) -> Data:
    """The MNIST digits of LeCun, Cortes and Burges.

    Args:
        data_dir: a folder with `mnist.npz` in the layout of `keras.datasets.mnist` (`x_train`,
            `y_train`, `x_test`, `y_test`). Without it Keras downloads the file once.

    Returns:
        Images `[60000 | 10000, 28, 28]` float32 in [0, 1] and labels int32; the training rows in
        the order of the file, which is already shuffled.

    Raises:
        FileNotFoundError: no file in `data_dir`, and none could be downloaded.
    """
    path = pathlib.Path(data_dir) / "mnist.npz" if data_dir is not None else None
    if path is not None and path.is_file():
        with np.load(path) as file:
            arrays = [file[name] for name in ("x_train", "y_train", "x_test", "y_test")]
    else:
        arrays = _download(path)
    x_train, y_train, x_test, y_test = arrays
    return Data(
        _images(x_train), y_train.astype(np.int32), _images(x_test), y_test.astype(np.int32)
    )


def _images(pixels: np.ndarray) -> np.ndarray:
    return pixels.astype(np.float32) / 255


def _download(path: pathlib.Path | None) -> list[np.ndarray]:
    import keras

    try:
        (x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data()
    except Exception as error:
        looked = f"{path} does not exist" if path is not None else "no data_dir was given"
        raise FileNotFoundError(
            f"MNIST is not here: {looked}, and the download failed ({error}). Put mnist.npz (the "
            "file of keras.datasets.mnist) into a folder and pass it as data_dir, or use the "
            "digits workload, whose data is part of the repository."
        ) from error
    return [x_train, y_train, x_test, y_test]
