"""The graph of a tf.data pipeline: read to tell what it does, copied to begin shuffles anew."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import op_def_registry  # no public way to an op's definition

from trainer.data.hashes import of_bytes
from trainer.random import fold

LARGEST = 256 << 20  # bytes of arrays in a pipeline that is read: 200 MB take 1 s, once
_LARGE = 1 << 16  # bytes of a constant that is taken out of the graph
_SMALL = 64  # elements of a constant whose value is told

# What may begin its input more than once in a pass, or not at all.
_REPEATING = {
    "RepeatDataset",
    "ForeverRepeatDataset",
    "ConcatenateDataset",
    "ShuffleAndRepeatDataset",
    "ShuffleAndRepeatDatasetV2",
}
_KEEPING = {"CacheDataset", "CacheDatasetV2", "SnapshotDataset", "SnapshotDatasetV2"}
_COPIED_WHOLE = {"Const", "Identity", "_Retval", "HashTableV2", "LookupTableImportV2", "NoOp"}
_HANDLES = (tf.resource.as_datatype_enum, tf.variant.as_datatype_enum)


class Step(NamedTuple):
    """One operation of a pipeline: a dataset, or what the function of one computes.

    Attributes:
        op: its type, such as "ShuffleDatasetV3".
        node: its `NodeDef`.
        constants: argument name -> `TensorProto` of those inputs that the graph holds.
        computed: names of arguments that depend on more than constants.
        caller: the dataset whose function it is part of; "" for the datasets of the pipeline.
        parallel: several threads may run it at once.
        kept: a cache or snapshot keeps what it gives.
        again: a pass may begin it more than once, or not at all.
    """

    op: str
    node: Any
    constants: dict[str, Any]
    computed: set[str]
    caller: str
    parallel: bool
    kept: bool
    again: bool

    def value(self, argument: str) -> Any:
        """A small constant input as NumPy; None if it is computed, large or not there."""
        return value_of(self.constants.get(argument))

    @property
    def reshuffles(self) -> bool:
        """Whether each iterator made on this dataset draws an order of its own."""
        names = ("reshuffle_each_iteration", "rerandomize_each_iteration")
        attrs = self.node.attr
        return not self.caller and any(name in attrs and attrs[name].b for name in names)


class Pipeline(NamedTuple):
    """A dataset's graph.

    Attributes:
        graph: the `GraphDef`, where large constants of numbers have a hash in place of content.
        large: name of such a constant -> its tensor, the dataset's own where it has it.
        spec: the element spec.
    """

    graph: Any
    large: Mapping[str, tf.Tensor]
    spec: Any

    def steps(self) -> Iterator[Step]:
        """Every operation of the pipeline and of the functions that it calls, inputs first."""
        return _steps(self.graph)

    def fresh(self, epoch: int = 0) -> tf.data.Dataset | None:
        """A copy whose shuffles begin anew: its iterators draw what the first ones drew.

        What a `cache()` in memory keeps is shared with the dataset and with other copies; so are
        the arrays.

        Args:
            epoch: another than 0 goes into the seeds, so that each has orders of its own.

        Returns:
            The copy; None if the pipeline uses variables or the like, of which it would have its
            own.
        """
        if any(not (node.op in _COPIED_WHOLE or "Dataset" in node.op) for node in self.graph.node):
            return None
        graph = _begun_anew(self.graph, epoch)
        returned = next(node.input[0] for node in graph.node if node.op == "_Retval")
        for node in [n for n in graph.node if n.op == "_Retval" or n.name in self.large]:
            graph.node.remove(node)

        def build(*tensors: tf.Tensor) -> tf.Tensor:
            fed = {f"{name}:0": t for name, t in zip(self.large, tensors, strict=True)}
            return tf.graph_util.import_graph_def(graph, fed, [f"{returned}:0"])[0]

        specs = [tf.TensorSpec(t.shape, t.dtype) for t in self.large.values()]
        made = tf.function(build, autograph=False).get_concrete_function(*specs)
        variant = made(*self.large.values())
        return tf.data.experimental.from_variant(variant, self.spec)


_read: weakref.WeakKeyDictionary[tf.data.Dataset, Pipeline] = weakref.WeakKeyDictionary()


def read(dataset: tf.data.Dataset) -> tuple[Pipeline | None, str]:
    """The pipeline of a dataset and "", or None and why it cannot be had; read once."""
    if dataset in _read:
        return _read[dataset], ""
    parts = list(_parts(dataset))
    held = sum(_bytes(tensor) for tensor in _tensors(parts))
    if held > LARGEST:  # beyond 2 GB the graph would come back empty, and without an error
        return None, f"it holds {held >> 20} MB of arrays, and {LARGEST >> 20} MB are looked at"
    try:
        text = tf.raw_ops.DatasetToGraphV2(
            input_dataset=dataset._variant_tensor,  # what every public function starts from
            external_state_policy=1,  # state outside, as of variables, is copied and not refused
            strip_device_assignment=False,
        ).numpy()
    except tf.errors.OpError as error:
        return None, f"TensorFlow cannot write its graph ({error.message.splitlines()[0][:120]})"
    if not text:
        return None, "its graph is too large"
    graph = tf.compat.v1.GraphDef.FromString(text)
    _read[dataset] = Pipeline(graph, _taken_out(graph, _tensors(parts)), dataset.element_spec)
    return _read[dataset], ""


def may_reshuffle(dataset: tf.data.Dataset) -> bool:
    """Whether a pass's order may depend on its number; False is certain, and cheap to learn."""
    for part in _parts(dataset):
        kind = type(part)
        known = kind.__module__.startswith("tensorflow.python.data.")
        if not known or any(word in kind.__name__ for word in ("Shuffle", "Random", "Variant")):
            return True
        captured = [t for f in part._functions() for t in f.function.captured_inputs]
        if any(tensor.dtype == tf.variant for tensor in captured):  # another dataset
            return True
    return False


def value_of(tensor: Any) -> Any:
    """A small tensor proto as NumPy; None for others."""
    if tensor is None or tensor.dtype in _HANDLES:
        return None
    size = tf.TensorShape(tensor.tensor_shape).num_elements()
    return np.asarray(tensor_of(tensor)) if size <= _SMALL else None


def tensor_of(tensor: Any) -> tf.Tensor:
    """A tensor proto as a tensor; `tf.make_ndarray` cannot read strings that C++ wrote."""
    return tf.io.parse_tensor(tensor.SerializeToString(), tf.as_dtype(tensor.dtype))


def functions_of(node: Any) -> list[str]:
    """The names of the functions that a node calls."""
    found = []
    for name in sorted(node.attr):
        value = node.attr[name]
        found += [value.func.name] if value.HasField("func") else []
        found += [function.name for function in value.list.func]
    return found


def _parts(dataset: Any) -> Iterator[Any]:
    """The dataset and all that it is made of."""
    seen: dict[int, Any] = {}
    todo = [dataset]
    while todo:
        part = todo.pop()
        if id(part) not in seen:
            seen[id(part)] = part
            todo += part._inputs()
            yield part


def _tensors(parts: list[Any]) -> list[tf.Tensor]:
    """The arrays of from_tensors and from_tensor_slices."""
    return [tensor for part in parts for tensor in getattr(part, "_tensors", ())]


def _bytes(tensor: tf.Tensor) -> int:
    return tensor.shape.num_elements() * (tensor.dtype.size or 32)


def _taken_out(graph: Any, held: list[tf.Tensor]) -> dict[str, tf.Tensor]:
    """Puts hashes in the place of large constants of numbers, and gives these as tensors."""
    large = {}
    for node in graph.node:
        if node.op != "Const":
            continue
        tensor = node.attr["value"].tensor
        content = tensor.tensor_content  # a copy, each time it is read
        if len(content) < _LARGE or tensor.dtype == tf.string.as_datatype_enum:
            continue
        found = next((mine for mine in held if _is_same(mine, tensor, content)), None)
        large[node.name] = tensor_of(tensor) if found is None else found
        tensor.tensor_content = of_bytes(content)
    return large


def _is_same(held: tf.Tensor, tensor: Any, content: bytes) -> bool:
    """Whether a tensor is the one that was written down."""
    if held.dtype.as_datatype_enum != tensor.dtype or held.shape != tensor.tensor_shape:
        return False
    return held.numpy().tobytes() == content


def _begun_anew(graph: Any, epoch: int) -> Any:
    """A copy of a graph whose shuffles have seed generators of their own."""
    copy = tf.compat.v1.GraphDef()
    copy.CopyFrom(graph)
    nodes = _named(copy.node)
    first: dict[Any, str] = {}
    alias: dict[str, str] = {}
    for step in list(_steps(copy)):
        arguments = dict(_arguments(step.node))
        if step.caller or "seed_generator" not in arguments:
            continue
        generator = nodes[arguments["seed_generator"]]
        if generator.op == "Const":
            # A dataset that is used twice is written twice, and has one generator all the same.
            key = generator.attr["value"].tensor.SerializeToString(deterministic=True)
            alias[step.node.name] = first.setdefault((step.op, key), step.node.name)
            generator.op = "DummySeedGenerator"
            generator.attr.clear()
        if epoch and step.reshuffles and (seed := step.value("seed2")) is not None:
            other = tf.make_tensor_proto(fold(int(seed), epoch), tf.int64, [])
            nodes[arguments["seed2"]].attr["value"].tensor.CopyFrom(other)
    for node in copy.node:
        node.input[:] = [alias.get(name, name) for name in node.input]
    return copy


def _steps(graph: Any) -> Iterator[Step]:
    library = {function.signature.name: function for function in graph.library.function}
    above, nodes = _above(graph), _named(graph.node)
    for node in graph.node:
        step = Step(node.op, node, *_inputs(node, nodes), "", False, *above[node.name])
        yield step
        yield from _inside(step, library, set())


def _named(nodes: Any) -> dict[str, Any]:
    return {node.name: node for node in nodes}


def _above(graph: Any) -> dict[str, tuple[bool, bool]]:
    """For each dataset of a pipeline: whether what comes after it keeps it, or begins it again."""
    found = {node.name: (False, False) for node in graph.node}
    for node in reversed(graph.node):  # each after what reads it
        kept, again = found[node.name]
        kept |= node.op in _KEEPING
        again |= node.op in _REPEATING
        found[node.name] = kept, again
        for argument, name in _arguments(node):
            captured = "other_arg" in argument  # a function of the pipeline iterates it
            before = found[name]
            found[name] = before[0] | kept, before[1] | again | captured
    return found


def _arguments(node: Any) -> list[tuple[str, str]]:
    """Pairs (argument name, input's node), without control inputs."""
    inputs = [name.split(":")[0] for name in node.input if not name.startswith("^")]
    definition = op_def_registry.get(node.op)
    if definition is None:
        return [("", name) for name in inputs]
    names = []
    for argument in definition.input_arg:
        if argument.number_attr:
            count = node.attr[argument.number_attr].i
        elif argument.type_list_attr:
            count = len(node.attr[argument.type_list_attr].list.type)
        else:
            names.append(argument.name)
            continue
        names += [f"{argument.name}[{i}]" for i in range(count)]
    return list(zip(names, inputs, strict=True))


def _inputs(node: Any, nodes: dict[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """The constants among a node's inputs, and which inputs are more than constants."""
    constants, computed = {}, set()
    for argument, name in _arguments(node):
        source = nodes.get(name)
        if source is not None and source.op == "Const":
            tensor = source.attr["value"].tensor
            if tensor.dtype not in _HANDLES:
                constants[argument] = tensor
        elif not _is_fixed(name, nodes):
            computed.add(argument)
    return constants, computed


def _is_fixed(name: str, nodes: dict[str, Any], depth: int = 8) -> bool:
    """Whether a value is computed from constants alone, as seeds within functions are."""
    source = nodes.get(name)  # None: an argument of the function
    if source is None or depth == 0:
        return False
    inputs = [name for _, name in _arguments(source)]
    return source.op == "Const" or (
        bool(inputs) and all(_is_fixed(name, nodes, depth - 1) for name in inputs)
    )


def _inside(step: Step, library: dict[str, Any], seen: set[tuple[str, bool]]) -> Iterator[Step]:
    """The operations of the functions that a step calls."""
    parallel = step.parallel or "Parallel" in step.op or "MapAndBatch" in step.op
    if step.op in ("While", "StatelessWhile"):
        parallel |= step.node.attr["parallel_iterations"].i != 1
    caller = step.op if "Dataset" in step.op else step.caller
    for name in functions_of(step.node):
        if (name, parallel) in seen or name not in library:
            continue
        seen.add((name, parallel))
        nodes = _named(library[name].node_def)
        for node in nodes.values():
            found = _inputs(node, nodes)
            inner = Step(node.op, node, *found, caller, parallel, False, False)
            yield inner
            yield from _inside(inner, library, seen)
