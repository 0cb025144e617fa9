"""Data: the arrays of one data set, split into training and test."""

from __future__ import annotations

import dataclasses
import pathlib

import numpy as np


@dataclasses.dataclass(frozen=True)
class Data:
    """Inputs and targets of the training and the test split; rows along the first axis.

    Every contender of a benchmark reads the same files, so `save` and `load` go through the disk.
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray

    def save(self, folder: str | pathlib.Path) -> None:
        """Writes one `.npy` file per array into `folder`."""
        for field in dataclasses.fields(self):
            np.save(pathlib.Path(folder) / f"{field.name}.npy", getattr(self, field.name))

    @classmethod
    def load(cls, folder: str | pathlib.Path) -> Data:
        """Reads what `save` wrote."""
        names = [field.name for field in dataclasses.fields(cls)]
        return cls(*(np.load(pathlib.Path(folder) / f"{name}.npy") for name in names))
