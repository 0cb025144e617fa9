"""The weights of a checkpoint, or of the newest in a folder of them, as a file to be read from."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from trainer.checkpoint.store import Store
from trainer.match import Spec

_MODEL = "model/"  # before every name, where a model alone was trained


class CheckpointWeights:
    """A checkpoint, verified before anything is read.

    Args:
        path: a checkpoint's own folder, or the folder of a run.

    Attributes:
        specs: name -> (shape, dtype's name) of the model's weights. Names begin at the task; those
            of supervised training at its model.

    Raises:
        FileNotFoundError: there is no checkpoint.
        CorruptCheckpointError: none verifies.
    """

    def __init__(self, path: Path) -> None:
        own = (path / "manifest.json").is_file()
        self._store = Store(path.parent if own else path)
        found = None if own else self._store.newest()
        if not own and found is None:
            raise FileNotFoundError(f"there is no checkpoint in {str(path)!r}.")
        self._name = path.name if found is None else found.name
        self._verified = self._store.verify(self._name) if found is None else found.manifest
        weights = {n: v for n, v in self._verified.values.items() if v.weight}
        cut = len(_MODEL) if all(name.startswith(_MODEL) for name in weights) else 0
        self._names = {name[cut:]: name for name in weights}
        self.specs: dict[str, Spec] = {
            name[cut:]: (value.shape, value.dtype) for name, value in weights.items()
        }

    def read(self, name: str) -> np.ndarray:
        """The array of that name."""
        own = self._names[name]
        _, values = self._store.load(self._name, [own], verified=self._verified)
        return values[own].numpy()

    def close(self) -> None:
        """Nothing is held open."""
