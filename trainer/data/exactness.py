"""What resuming in the middle of data can promise: the same batches, a place by count, nothing."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf
from tensorflow.python.framework import op_def_registry  # no public way to an op's definition

from trainer.data.pipeline import Step, read

_PYTHON = {"PyFunc", "PyFuncStateless", "EagerPyFunc", "GeneratorDataset"}
_GENERATORS = {"RngReadAndSkip", "RngSkip", "NonDeterministicInts"}
_READS = {"ReadVariableOp", "ResourceGather", "ResourceGatherNd"}
_WRITES = ("Assign", "ResourceScatter", "LookupTableInsert", "LookupTableRemove")
_MUTABLE = ("Mutable", "AnonymousMutable")

# Stateful by TensorFlow's book, and yet the same for the same input.
_HARMLESS = {
    "AnonymousMemoryCache",
    "AnonymousSeedGenerator",
    "Assert",
    "Case",
    "DummyMemoryCache",
    "DummySeedGenerator",
    "HashTableV2",
    "If",
    "LookupTableFindV2",
    "LookupTableImportV2",
    "LookupTableSizeV2",
    "Print",
    "PrintV2",
    "StatefulPartitionedCall",
    "VarHandleOp",
    "VarIsInitializedOp",
    "While",
    "_Retval",
}
_HARMLESS_PREFIXES = ("TensorArray", "Stack", *_WRITES)

_INDEX = (
    "use tf.random.stateless_* with a seed that is a function of the element's index, which "
    "enumerate() gives"
)


class Exactness(NamedTuple):
    """What a resumed run can expect of its data.

    Attributes:
        level: "exact": it goes on with the same batches, bit for bit, in a process and on a machine
            like the first. "counted": its place is found again by counting, and it gets the same
            batches only if the data gives them again, which cannot be told. "refused": batches
            other than those that were to come are certain, or likely.
        reason: why, in a sentence; unless exact with the way out.
    """

    level: str
    reason: str


def of_dataset(dataset: tf.data.Dataset, argument: str) -> Exactness:
    """Reads the graph of a tf.data pipeline, with the functions that it calls.

    Exact are seeded shuffles, whatever they do from epoch to epoch, and all that is a function of
    its input. Seeds that TensorFlow takes from `tf.random.set_seed` are seeds; whether it gave the
    same ones again is told by the fingerprint. Files are taken to hold what they held.

    Args:
        dataset: the pipeline.
        argument: its name in messages.
    """
    pipeline, why = read(dataset)
    if pipeline is None:
        return Exactness(
            "counted",
            f"{argument} is a dataset that cannot be looked into: {why}. Pass arrays as such, "
            "fit(x, y, shuffle=True), whose order is a function of seed and epoch.",
        )
    options = dataset.options().deterministic
    found: dict[str, list[str]] = {"refused": [], "counted": []}
    for step in pipeline.steps():
        doubt = _order(step, options) or _randomness(step) or _state(step)
        if doubt is not None and doubt.reason not in found[doubt.level]:
            found[doubt.level].append(doubt.reason)
    for level, reasons in found.items():
        if reasons:
            return Exactness(level, f"{argument}: {'. '.join(reasons)}.")
    return Exactness("exact", f"{argument} is a dataset whose batches are functions of its seeds.")


def _order(step: Step, options: bool | None) -> Exactness | None:
    """What lets the order of elements be another one."""
    attrs, name = step.node.attr, _name(step)
    if "DataService" in step.op:
        return _refused(
            "the tf.data service deals out batches as its workers come; read the dataset in the "
            "process that trains"
        )
    deterministic = attrs["deterministic"].s if "deterministic" in attrs else b""
    if deterministic == b"false" or ("sloppy" in attrs and attrs["sloppy"].b):
        return _refused(
            f"{name}(deterministic=False) gives elements as they get ready; pass deterministic=True"
        )
    if deterministic == b"default" and options is False:
        return _refused(
            f"the options say deterministic=False, and {name} gives elements as they get ready; "
            f"set options.deterministic = True, or pass {name}(..., deterministic=True)"
        )
    if step.reshuffles and step.kept:
        switch = f"re{'randomize' if 'random' in name else 'shuffle'}_each_iteration=False"
        return _refused(
            f"{name}() stands before cache() or snapshot(), which keep the order of the epoch that "
            f"is read first, here and when resumed; put cache() before {name}(), or pass "
            f"{name}(..., {switch})"
        )
    return None


def _randomness(step: Step) -> Exactness | None:
    """What draws random numbers that may be others."""
    attrs, name = step.node.attr, _name(step)
    if _is_random(step):
        if attrs["seed"].i == attrs["seed2"].i == 0:
            return _refused(
                f"{step.op} in {name} draws random numbers without a seed; pass it one, or call "
                "tf.random.set_seed before the dataset is made"
            )
        if step.parallel:
            return _refused(
                f"{step.op} in {name} is called by several threads, so that chance decides which "
                f"element gets which random numbers; {_INDEX}, or {name} without num_parallel_calls"
            )
    if step.op in _GENERATORS or (step.op.startswith("Stateful") and "Call" not in step.op):
        return _refused(
            f"{step.op} in {name} draws from a tf.random.Generator, whose state goes on from epoch "
            f"to epoch and is not kept; {_INDEX}"
        )
    if "seed" in step.constants and "seed2" in step.constants:
        if not (step.value("seed") or step.value("seed2")):
            return _refused(_unseeded(name if step.caller == "" else _name(step, own=True)))
    elif "Dataset" in step.op and step.computed & {"seed", "seed2"}:
        return _counted(f"{_name(step, own=True)} has a seed that is computed; pass a number")
    return None


def _state(step: Step) -> Exactness | None:
    """What depends on more than its input."""
    name = _name(step)
    if step.op in _PYTHON:
        return _counted(
            f"{name} calls Python ({step.op}: py_function, numpy_function or from_generator), "
            "which cannot be looked into; let it be a function of the element, without random "
            "numbers or a state of its own"
        )
    if step.op == "Timestamp":
        return _refused(f"{name} reads the clock ({step.op}); leave it out of the data")
    if step.op.startswith(_WRITES) and step.caller:
        return _refused(
            f"{name} changes a variable or a table ({step.op}), as random layers of Keras do; for "
            f"random numbers {_INDEX}"
        )
    if step.op in _READS:
        return _counted(f"{name} reads a variable, which may have another value when resumed")
    if step.op.startswith(_MUTABLE):
        return _counted(f"{step.op} is a table that may have other contents when resumed")
    if _is_stateful(step):
        return _counted(f"{step.op} in {name} keeps a state that cannot be looked into")
    return None


def _is_random(step: Step) -> bool:
    """Whether an operation draws from a random state of its own, which begins with its seeds."""
    return "Dataset" not in step.op and "seed" in step.node.attr and "seed2" in step.node.attr


def _is_stateful(step: Step) -> bool:
    """Whether TensorFlow says so, and it is none of those that are known."""
    known = step.op in _HARMLESS or step.op.startswith(_HARMLESS_PREFIXES)
    if known or "Dataset" in step.op or _is_random(step):
        return False
    definition = op_def_registry.get(step.op)
    return definition is None or definition.is_stateful


def _name(step: Step, own: bool = False) -> str:
    """What a user calls it: "map" for MapDataset and for all that its function does."""
    op = step.op if own or not step.caller else step.caller
    stem, dataset, _ = op.partition("Dataset")
    for prefix in ("Experimental", "Legacy", "Parallel"):
        stem = stem.removeprefix(prefix)
    words = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in stem)[1:]
    known = {"generator": "from_generator", "random": "Dataset.random"}
    return known.get(words, words) if dataset else "the dataset"


def _unseeded(name: str) -> str:
    if name == "Dataset.random":
        return (
            "Dataset.random() or sample_from_datasets() has no seed, and draws others in each "
            "process; pass seed=1, say"
        )
    return (
        f"{name}() has no seed, and gives another order in each process; pass {name}(..., seed=1), "
        "say. list_files shuffles too, unless it is told shuffle=False"
    )


def _refused(reason: str) -> Exactness:
    return Exactness("refused", reason)


def _counted(reason: str) -> Exactness:
    return Exactness("counted", reason)
