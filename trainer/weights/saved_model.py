"""export: a SavedModel for serving, which needs nothing of ours to run."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from trainer import state
from trainer.context import StepContext
from trainer.random import Seeds, handed
from trainer.supervised import Supervised, takes_training, unpack
from trainer.weights.file import sync_folder

_DEFAULT = "serving_default"


def export(
    model: Any,
    path: str | os.PathLike,
    input_spec: Any,
    *,
    functions: Mapping[str, Callable[..., Any]] | None = None,
) -> None:
    """Writes a SavedModel of the model in inference mode, with the variables that it reads.

    The folder appears whole or not at all; an earlier SavedModel there is replaced. Loaded by
    `tf.saved_model.load`, it is called as the model was, `loaded(x)`, or by names through
    `loaded.signatures["serving_default"]`: an input is `x` if there is one, a key of a dict, and
    else `x_0`, `x_1`, ... by place; outputs likewise are `output`, keys, or `output_0`, ...

    Args:
        model: a model of ours, a `tf.Module` with `__call__`, a Keras model, or a function; called
            as `model(x)`, with `training=False` where it takes that.
        path: a folder, to be made.
        input_spec: what `model` takes: a nest of `tf.TensorSpec`, first axis None for batches of
            any size; or of arrays, an example of which all but the first axis is fixed.
        functions: name -> function of the same input, each to be an attribute and a signature of
            that name. One that is a `tf.function` with an `input_signature` takes that instead.

    Raises:
        ValueError: the model is not built, a name is not allowed, or `path` is something else than
            a SavedModel.
        TypeError: an input or output is not a dense tensor.
        FileNotFoundError: the folder above `path` does not exist.

    Example:
        >>> double = tf.Module()
        >>> double.by = tf.Variable(2.0)
        >>> export(lambda x: double.by * x, "double", tf.TensorSpec([None, 3]))
        >>> loaded = tf.saved_model.load("double")
        >>> loaded(tf.ones([1, 3])).numpy()
        array([[2., 2., 2.]], dtype=float32)
        >>> sorted(loaded.signatures["serving_default"](x=tf.ones([1, 3])))
        ['output']
    """
    path = Path(path)
    _check_place(path)
    holder = tf.Module()
    named = {_DEFAULT: model, **_checked_names(functions or {}, holder)}
    traced, signatures = [], {}
    for name, function in named.items():
        spec = input_spec if name == _DEFAULT else _own_spec(function, name, input_spec)
        spec = tf.nest.map_structure(_of_any_size, spec)
        call = tf.function(_inference(function), input_signature=[spec], autograph=False)
        traced.append(call.get_concrete_function())
        signatures[name] = _by_names(call, spec)
        setattr(holder, "__call__" if name == _DEFAULT else name, call)
    holder.weights = _captured(model, traced)
    holder.resources = list(_resources(named.values()))
    _write(holder, signatures, path)


def servable(task: Any, built: Mapping[tuple[str, str], Any]) -> tuple[Any, Any]:
    """(what to export, input spec) of a task that was built.

    Args:
        task: supervised training, of which the model is exported; or a task with a `predict_step`.
        built: (verb, ...) -> spec of the batches that the task was built with.

    Raises:
        ValueError: the task was not built with data that say what it is to be fed with.
    """
    supervised = isinstance(task, Supervised)
    known = [spec for (verb, _), spec in built.items() if verb == "predict"]
    if supervised:
        trained = [spec for (verb, _), spec in built.items() if verb == "train"]
        known = trained or list(built.values())
    if not known:
        way = "fit, evaluate or predict" if supervised else "predict"
        raise ValueError(
            f"the shape of the inputs is not known yet: call {way} first, or "
            "trainer.weights.export(model, path, input_spec)."
        )
    if supervised:
        return task.model, unpack(known[-1])[0]

    def predict(batch: Any) -> Any:
        seeds = Seeds(0, 0)
        with handed(state.modules(task), seeds.next):
            return task.predict_step(batch, StepContext(seeds))

    return predict, known[-1]


def _checked_names(
    functions: Mapping[str, Callable[..., Any]], holder: tf.Module
) -> Mapping[str, Callable[..., Any]]:
    for name in functions:
        taken = name in (_DEFAULT, "weights", "resources") or hasattr(holder, name)
        if taken or not name.isidentifier() or name.startswith("_"):
            raise ValueError(
                f"functions[{name!r}] is to be an attribute and a signature: give it a Python name "
                "of its own that does not begin with an underscore."
            )
    return functions


def _own_spec(function: Any, name: str, input_spec: Any) -> Any:
    """The signature that a function brings along, else the model's."""
    signature = getattr(function, "input_signature", None)
    if signature is None:
        return input_spec
    if len(signature) != 1:
        raise ValueError(
            f"functions[{name!r}] has an input_signature of {len(signature)} arguments; it must "
            "take one, which may be a tuple or a dict of tensors."
        )
    return signature[0]


def _of_any_size(leaf: Any) -> tf.TensorSpec:
    """The spec itself, or that of an example's batches."""
    if isinstance(leaf, tf.TensorSpec):
        return tf.TensorSpec(leaf.shape, leaf.dtype)
    if tf.is_tensor(leaf) or isinstance(leaf, np.ndarray):
        return tf.TensorSpec([None, *leaf.shape[1:]], leaf.dtype)
    raise TypeError(
        f"input_spec holds a {type(leaf).__name__}; it is a nest of tf.TensorSpec, or of arrays as "
        "an example."
    )


def _inference(function: Any) -> Callable[[Any], Any]:
    """`function` of one argument, told that it does not train, and kept from making variables."""
    options = {"training": False} if takes_training(function) else {}

    def refuse(next_creator: Any, **kwargs: Any) -> Any:
        raise ValueError(
            f"{type(function).__name__} is not built, it makes variables when it is called: call "
            "it once on a batch, train it or load its weights, then export."
        )

    def call(x: Any) -> Any:
        with tf.variable_creator_scope(refuse):
            return function(x, **options)

    return call


def _by_names(call: Callable[[Any], Any], spec: Any) -> Any:
    """The concrete function that takes and gives tensors by names."""
    names = list(_names(spec, "x"))
    if len(set(names)) < len(names):
        raise ValueError(f"input_spec has inputs of the same name: {sorted(names)}")

    def by_names(**inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        found = call(tf.nest.pack_sequence_as(spec, [inputs[name] for name in names]))
        outputs = tf.nest.flatten(found)
        for output in outputs:
            if not isinstance(output, tf.Tensor):
                raise TypeError(
                    f"the output holds a {type(output).__name__}; a signature gives dense tensors."
                )
        return dict(zip(_names(found, "output"), outputs, strict=True))

    specs = zip(names, tf.nest.flatten(spec), strict=True)
    inputs = {name: tf.TensorSpec(leaf.shape, leaf.dtype, name) for name, leaf in specs}
    return tf.function(by_names, autograph=False).get_concrete_function(**inputs)


def _names(tree: Any, stem: str, nested: bool = False) -> Iterator[str]:
    """A name for each leaf of a nest, in the order of `tf.nest.flatten`."""
    if isinstance(tree, Mapping):
        for key in sorted(tree):
            yield from _names(tree[key], f"{stem}_{key}" if nested else str(key), True)
    elif isinstance(tree, (list, tuple)):
        for i, part in enumerate(tree):
            yield from _names(part, f"{stem}_{i}", True)
    else:
        yield stem


def _captured(model: Any, traced: list[Any]) -> dict[str, tf.Variable]:
    """Name -> variable of those that the functions read; the rest is left out."""
    read = {id(v): v for concrete in traced for v in concrete.graph.variables}
    known = {path: v for path, v in state.model_variables(model).items() if id(v) in read}
    for variable in known.values():
        del read[id(variable)]
    others = sorted(read.values(), key=lambda v: v.name)  # of a graph they come in no order
    return known | {f"captured/{i}": variable for i, variable in enumerate(others)}


def _resources(roots: Iterable[Any]) -> Iterator[Any]:
    """Tables and the like, without which a graph that uses them cannot be saved."""
    kind = tf.saved_model.experimental.TrackableResource
    for root in roots:
        for module in state.modules(getattr(root, "__self__", root)):
            if state.is_keras(module):
                below = tf.train.TrackableView(module).descendants()
            else:
                below = tf.nest.flatten(list(state.attributes(module).values()))
            yield from (part for part in below if isinstance(part, kind))


def _check_place(path: Path) -> None:
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"there is no folder {str(path.parent)!r} to export {path.name!r} into; make it first."
        )
    if path.exists() and not (path / "saved_model.pb").is_file():
        raise ValueError(
            f"path={str(path)!r} is there and is no SavedModel: it is left alone. Give the name of "
            "a new folder."
        )


def _write(holder: tf.Module, signatures: Mapping[str, Any], path: Path) -> None:
    """Writes into a folder beside `path`, then puts it in its place."""
    new, old = (
        path.with_name(f".{path.name}.{secrets.token_hex(4)}.{end}") for end in ("tmp", "old")
    )
    try:
        # A layer's own gradients cannot be written: whoever trains what was loaded gets
        # TensorFlow's.
        options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
        tf.saved_model.save(holder, str(new), signatures=dict(signatures), options=options)
        for part in [p for p in new.rglob("*") if p.is_file()]:
            with part.open("rb") as file:
                os.fsync(file.fileno())
        if path.exists():
            os.rename(path, old)
        os.rename(new, path)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)
    sync_folder(path.parent)
