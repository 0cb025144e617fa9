"""A dry run: one step of everything in a scratch folder, and nothing of the run touched."""

from __future__ import annotations

import copy
import itertools
import pathlib
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from trainer.callbacks.base import Callback
from trainer.callbacks.history import History
from trainer.callbacks.keras_callback import KerasCallback
from trainer.callbacks.runner import Callbacks
from trainer.callbacks.triggers import EachCall
from trainer.data.convert import to_arrays
from trainer.data.split import is_stream, split

if TYPE_CHECKING:
    from trainer.trainer import Trainer


def dry_run(trainer: Trainer, given: Mapping[str, Any]) -> History:
    """Does once what `fit` with these arguments would do over and over.

    One step is trained and one batch validated; every callback is called at every point at which
    `fit` calls it, instruments read the step whenever they are due, a checkpoint is taken if the
    trainer takes any, and all that is written goes to a temporary folder. Callbacks are copies, so
    those that were passed have seen nothing. Keras's are looked at and not called: what they would
    touch is not known.

    Args:
        trainer: is afterwards as it was before.
        given: the arguments of `fit`, by name.

    Raises:
        Whatever `fit` would have raised.
    """
    if isinstance(given["x"], Iterator):
        raise TypeError(
            "dry_run=True with an iterator as x, which would be used up; pass a function that "
            "makes it."
        )
    begun = time.perf_counter()
    wanted = list(Callbacks(given["callbacks"]))
    own = [c for c in wanted if not isinstance(c, KerasCallback)]
    arguments = {**given, "epochs": None, "verbose": 0, "validation_split": 0.0}
    if given["validation_split"]:
        whole = (given["x"], given["y"], given["sample_weight"])
        rest, held_out = split(*whole, given["validation_split"])
        arguments["x"], arguments["y"], arguments["sample_weight"] = rest
        arguments["validation_data"] = held_out
    rows = given["validation_batch_size"] or given["batch_size"] or 32
    arguments["validation_data"] = _first_batch(arguments["validation_data"], rows)
    with tempfile.TemporaryDirectory(prefix="dry_run_") as name:
        folder = pathlib.Path(name)
        arguments["callbacks"] = _rehearsing(own, folder, trainer.step + 1)
        with trainer.scratch(folder=folder / "checkpoints") as trial:
            history = trial.fit(**{**arguments, "steps": trial.step + 1})
        files = [path for path in folder.rglob("*") if path.is_file()]
        size = sum(path.stat().st_size for path in files)
    if given["verbose"]:
        did = ["1 step trained"]
        did += ["1 batch validated"] if arguments["validation_data"] is not None else []
        did += [f"{type(c).__name__} called" for c in arguments["callbacks"]]
        did += [
            f"{type(c.callback).__name__} (Keras's) not called"
            for c in wanted
            if isinstance(c, KerasCallback)
        ]
        did += [f"{len(files)} files written and removed ({size / 1e6:.1f} MB)"] if files else []
        print(f"dry run: {', '.join(did)}; {time.perf_counter() - begun:.1f} s", flush=True)
    return history


def _rehearsing(callbacks: Sequence[Callback], folder: pathlib.Path, step: int) -> list[Callback]:
    """Copies that are called at every boundary, for that step, and write into the folder."""
    copies = []
    for i, callback in enumerate(callbacks):
        twin = copy.copy(callback)
        for name, value in vars(callback).items():
            if isinstance(value, (list, dict, set)):
                setattr(twin, name, copy.copy(value))
        for name in callback.writes_to:
            path = getattr(callback, name)
            if path is not None:
                setattr(twin, name, type(path)(folder / str(i) / pathlib.PurePath(path).name))
        twin.when, twin.rehearsed = EachCall(), True
        twin.rehearse(step)
        copies.append(twin)
    return copies


def _first_batch(data: Any, rows: int) -> Any:
    """The first batch of validation data, in the form that it has."""
    if data is None:
        return None
    if isinstance(data, tf.data.Dataset):
        return data.take(1)
    if is_stream(data):
        make = data if callable(data) else lambda: data
        return lambda: itertools.islice(iter(make()), 1)

    def head(part: Any) -> Any:
        if part is None:
            return None
        return tf.nest.map_structure(lambda a: a[:rows], to_arrays(part, "validation_data"))

    return tuple(map(head, data)) if isinstance(data, (tuple, list)) else head(data)
