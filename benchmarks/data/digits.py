"""1,797 handwritten digits of 8x8 pixels that lie beside this file: no network needed."""

from __future__ import annotations

import pathlib

import numpy as np

from benchmarks.data.arrays import Data

FILE = pathlib.Path(__file__).with_name("digits.npz")
TEST_ROWS = 360


def load_digits() -> Data:
    """The "Optical Recognition of Handwritten Digits" test set of UCI, split once and for all.

    E. Alpaydin and C. Kaynak, 1998, CC BY 4.0 (see LICENSE.digits beside this file).

    Returns:
        Images `[1437 | 360, 8, 8]` float32 in [0, 1] and labels `[1437 | 360]` int32. The rows are
        shuffled by a fixed permutation, because the file groups them by writer.
    """
    with np.load(FILE) as file:
        images, labels = file["images"], file["labels"]
    order = np.random.Generator(np.random.Philox(key=1797)).permutation(len(images))
    x = (images[order] / 16).astype(np.float32)
    y = labels[order].astype(np.int32)
    return Data(x[:-TEST_ROWS], y[:-TEST_ROWS], x[-TEST_ROWS:], y[-TEST_ROWS:])
