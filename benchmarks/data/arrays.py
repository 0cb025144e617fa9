"""Data: the arrays of one data set, split into training and test."""

from __future__ import annotations

import dataclasses
import pathlib

import numpy as np


@dataclasses.dataclass(frozen=True)
class Data:
    """Inputs and targets of the training and the test split; rows along the first axis.

    Targets may be None: a task of its own need not have any.

    Every contender of a benchmark reads the same files, so `save` and `load` go through the disk.
    """

    x_train: np.ndarray
    y_train: np.ndarray | None
    x_test: np.ndarray
    y_test: np.ndarray | None

    def head(self, rows: int) -> tuple[np.ndarray, np.ndarray | None]:
        """The first rows of the training split: inputs and targets."""
        return self.x_train[:rows], None if self.y_train is None else self.y_train[:rows]

    def save(self, folder: str | pathlib.Path) -> None:
        """Writes one `.npy` file per array into `folder`."""
        for field in dataclasses.fields(self):
            array = getattr(self, field.name)
            if array is not None:
                np.save(pathlib.Path(folder) / f"{field.name}.npy", array)

    @classmethod
    def load(cls, folder: str | pathlib.Path) -> Data:
        """Reads what `save` wrote."""
        paths = {f.name: pathlib.Path(folder) / f"{f.name}.npy" for f in dataclasses.fields(cls)}
        found = {name: np.load(path) for name, path in paths.items() if path.exists()}
        return cls(**{"y_train": None, "y_test": None, **found})
