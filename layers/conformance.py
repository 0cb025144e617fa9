"""What every layer must do, in every mode: one suite for this package's layers and for yours.

    from layers import conformance

    conformance.two_cpus()  # before TensorFlow starts, for the check with two replicas
    conformance.check(lambda: MyLayer(8), np.random.normal(size=[4, 6]))

or one test for each check, with pytest::

    @pytest.mark.parametrize("name", conformance.CHECKS)
    def test_my_layer(name):
        conformance.CHECKS[name](conformance.Case(lambda: MyLayer(8), inputs))
"""

from __future__ import annotations

import copy
import functools
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from .base import Layer
from .probes import (
    assign,
    close,
    compute_in,
    looped,
    parts_of,
    refused,
    same_seed,
    slope,
    two_replica_strategy,
    weighed,
    weighed_step,
)
from .summary import summary

_GRADIENTS = 3.0  # times what outputs may be off: gradients pass through the layer twice


@dataclass(frozen=True)
class Case:
    """One layer, and what it is held to.

    Attributes:
        make: gives a new layer, not built yet.
        inputs: an array `[b, ...]` with two rows or more; floating, or integers.
        training: what `training=True` changes of the outputs: "nothing", "noise" (they are drawn)
            or "statistics" (a row's output depends on the other rows).
        true_gradients: the modes, values of `training`, in which gradients are the function's own;
            leave out those with a straight-through or stopped gradient.
        no_gradient: names of variables which rightly have a gradient of zero.
        half: how far bfloat16 outputs may be from float32, relative to the largest; float16 may be
            a quarter as far.
    """

    make: Callable[[], Layer]
    inputs: Any
    training: str = "nothing"
    true_gradients: Sequence[bool] = (False, True)
    no_gradient: Sequence[str] = ()
    half: float = 0.06

    def built(self) -> Layer:
        """The layer with random weights, so that no gradient is zero by symmetry, and one seed."""
        layer = self.make()
        for part in parts_of(layer):
            part.seed_source = same_seed
        layer(self.inputs)
        rng = np.random.default_rng(5)
        for v in layer.variables:
            drawn = (0.3 + 0.2 * rng.random(v.shape)) * rng.choice([1, 2], v.shape)
            if v.dtype.is_floating:
                v.assign(drawn.astype(v.dtype.as_numpy_dtype))
        return layer


def check(make: Callable[[], Layer], inputs: Any, **settings: Any) -> None:
    """Runs every check on a layer.

    Args:
        make: gives a new layer, not built yet.
        inputs: an array `[b, ...]` with two rows or more.
        **settings: the further fields of `Case`.

    Raises:
        AssertionError: naming the check that failed, and how.
        RuntimeError: if TensorFlow has started with one CPU; see `two_cpus`.
    """
    two_cpus()
    case = Case(make, inputs, **settings)
    for name, one in CHECKS.items():
        try:
            one(case)
        except Exception as error:
            raise AssertionError(f"check {name!r} of {make()!r} failed: {error}") from error


def two_cpus() -> None:
    """Makes two logical CPUs of one, for two replicas. Call it before TensorFlow has run anything.

    Raises:
        RuntimeError: if TensorFlow has started with one.
    """
    cpu = tf.config.list_physical_devices("CPU")[0]
    made = tf.config.get_logical_device_configuration(cpu)
    if made is not None and len(made) >= 2:
        return
    try:
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration()] * 2
        )
    except RuntimeError as error:
        raise RuntimeError(
            "the check with two replicas needs two logical CPUs, and TensorFlow has started with "
            "one; call layers.conformance.two_cpus() first thing (in pytest: in conftest.py)"
        ) from error


# ---- the checks ------------------------------------------------------------------------------


def modes_agree(case: Case) -> None:
    """Eager, `tf.function` and XLA; one step, and two in a compiled loop; batches of any size."""
    layer = case.built()
    step = functools.partial(weighed_step, layer, True)
    start = layer.get_weights()
    x = tf.constant(case.inputs)
    like = step(x)
    row = like[0].shape[1:]

    def any_rows(tensor: tf.Tensor, of_rows: bool) -> tf.TensorSpec:
        return tf.TensorSpec([None, *tensor.shape[1:]] if of_rows else tensor.shape, tensor.dtype)

    y, by_variable, by_x = like
    specs = (
        any_rows(y, True),
        [any_rows(g, False) for g in by_variable],
        any_rows(by_x, by_x.shape == x.shape),
    )
    loop = looped(step)
    signature = [any_rows(x, True), tf.TensorSpec([], tf.int32), specs]
    modes = {
        "tf.function": tf.function(loop, autograph=False, input_signature=signature),
        "XLA": tf.function(loop, autograph=False, jit_compile=True),
    }
    for inputs, steps in ((x, 1), (x, 2), (x[:1], 1), (x[:0], 1)):
        rows = inputs.shape[0]
        assign(layer, start)
        want = step(inputs)
        assert want[0].shape == (rows, *row), f"{rows} rows gave shape {want[0].shape}"
        zeros = tf.nest.map_structure(tf.zeros_like, want)
        if steps == 2:
            want = tf.nest.map_structure(tf.add, want, step(inputs))
        moved = layer.get_weights()
        for value in tf.nest.flatten([want, moved]):
            assert np.isfinite(value).all(), f"{rows} rows gave values that are not finite"
        for mode, run in modes.items():
            if mode == "XLA" and rows != x.shape[0]:
                continue  # compiled for each number of rows: once is enough
            assign(layer, start)
            told = f"{mode}, {steps} steps of {rows} rows"
            close(run(inputs, tf.constant(steps), zeros), want, 2e-5, f"{told}: outputs, gradients")
            close(layer.get_weights(), moved, 2e-5, f"{told}: variables")


def training_and_inference(case: Case) -> None:
    """Inference changes nothing and repeats itself; rows are alone; training is as declared."""
    layer = case.built()
    x = tf.constant(case.inputs)
    before = layer.get_weights()
    inferred = layer(x)
    close(layer(x), inferred, 0.0, "a second inference")
    close(layer.get_weights(), before, 0.0, "variables after inference")
    close(layer(x[:1]), inferred[:1], 2e-5, "inference of the first row alone")
    trained = layer(x, training=True)
    if case.training == "nothing":
        close(trained, inferred, 2e-5, "training, which was declared to change nothing")
    else:
        same = np.allclose(trained, inferred, atol=1e-4)
        assert not same, f"training changes nothing, but {case.training!r} was declared"


def gradients(case: Case) -> None:
    """Every variable has a gradient, and all are central differences, taken in float64."""
    layer = case.built()
    compute_in(layer, "float64")
    x = tf.constant(case.inputs)
    if x.dtype.is_floating:
        x = tf.cast(x, tf.float64)
    state = layer.non_trainable_variables
    start = [v.numpy() for v in state]
    rng = np.random.default_rng(3)
    for training in (False, True):
        y, by_variable, by_x = weighed_step(layer, training, x)
        assert not y.dtype.is_floating or y.dtype == tf.float64, f"float64 gave {y.dtype.name}"
        for v, g in zip(layer.trainable_variables, by_variable, strict=True):
            rightly_zero = any(name in v.name for name in case.no_gradient)
            assert rightly_zero or float(tf.reduce_max(tf.abs(g))) > 1e-6, f"{v.name} has none"
        if training not in case.true_gradients:
            continue

        def value(x: Any, training: bool = training) -> float:
            for v, at in zip(state, start, strict=True):
                v.assign(at)
            return float(weighed(layer(x, training=training)))

        if x.dtype.is_floating:
            along = 1e-5 * rng.normal(size=x.shape)
            told = f"by the input, training={training}"
            slope(value(x + along), value(x - along), 2 * along, by_x, told)
        for v, g in zip(layer.trainable_variables, by_variable, strict=True):
            at = v.numpy()
            along = 1e-5 * rng.normal(size=at.shape)
            # What float32 makes of the two ends is the step that was taken.
            ends = [np.asarray(at + side * along, at.dtype) for side in (1, -1)]
            values = []
            for end in ends:
                v.assign(end)
                values.append(value(x))
            v.assign(at)
            taken = np.float64(ends[0]) - np.float64(ends[1])
            slope(values[0], values[1], taken, g, f"by {v.name}, training={training}")


def half_precision(case: Case) -> None:
    """Eager, `tf.function`, an XLA loop: bfloat16, float16 come near float32; variables keep it.

    Gradients are held by their norm: a few of their entries may cross a kink of the function.
    """
    layer = case.built()
    x = tf.constant(case.inputs)
    start = layer.get_weights()
    want, by_variable, _ = weighed_step(layer, True, x)
    tolerances = {"bfloat16": case.half, "float16": case.half / 4}

    def steps(x: tf.Tensor) -> dict[str, Any]:
        found = {}
        for dtype in tolerances:
            compute_in(layer, dtype)
            assign(layer, start)
            found[dtype] = weighed_step(layer, True, x)[:2]
        return found

    eager = steps(x)
    zeros = tf.nest.map_structure(tf.zeros_like, eager)
    by_xla = tf.function(looped(steps), autograph=False, jit_compile=True)
    modes = {
        "eager": eager,
        "tf.function": tf.function(steps, autograph=False)(x),
        "XLA loop": by_xla(x, tf.constant(1), zeros),
    }
    for mode, found in modes.items():
        for dtype, (y, grads) in found.items():
            if want.dtype.is_floating and (x.dtype.is_floating or layer.weights):
                assert y.dtype == dtype, f"compute_dtype {dtype!r} gave outputs of {y.dtype.name}"
            told = f"{mode}, {dtype}"
            close(tf.cast(y, want.dtype), want, tolerances[dtype], f"{told}: outputs")
            pairs = zip(layer.trainable_variables, grads, by_variable, strict=True)
            for v, g, exact in pairs:
                assert v.dtype == g.dtype == tf.float32, f"{v.name} or its gradient is not float32"
                assert np.isfinite(g).all(), f"{told}: gradient of {v.name} is not finite"
                off = float(tf.norm(g - exact)) / max(1.0, float(tf.norm(exact)))
                most = _GRADIENTS * tolerances[dtype]
                assert off <= most, f"{told}: gradient of {v.name} is {off:.2g} off (<= {most:.2g})"


def two_replicas(case: Case) -> None:
    """Two replicas with half the rows each are one: outputs, and the sum of the gradients."""
    two_cpus()
    x = tf.constant(case.inputs)
    alone = case.built()
    y, grads, _ = weighed_step(alone, False, x)
    with two_replica_strategy().scope():
        layer = case.built()
    halves = x.shape[0] // 2
    shares = two_replica_strategy().experimental_distribute_values_from_function(
        lambda context: (x[:halves], x[halves:])[context.replica_id_in_sync_group]
    )
    local = two_replica_strategy().experimental_local_results

    def run(training: bool) -> Any:
        return two_replica_strategy().run(
            functools.partial(weighed_step, layer, training), (shares,)
        )

    got, got_grads, _ = run(False)
    close(tf.concat(local(got), 0), y, 2e-5, "outputs of two replicas")
    for v, g, want in zip(alone.trainable_variables, got_grads, grads, strict=True):
        close(tf.add_n(local(g)), want, 2e-5, f"summed gradient of {v.name}")
    trained = run(True)[0]
    assert all(np.isfinite(share).all() for share in local(trained)), "training: not finite"


def weights_out_and_in(case: Case) -> None:
    """`get_weights` and `set_weights`, checkpoints, and `trainable = False`."""
    one, two = case.built(), case.make()
    x = tf.constant(case.inputs)
    if hasattr(two, "seed_source"):
        two.seed_source = same_seed
    two(x)
    two.set_weights(one.get_weights())
    close(two(x), one(x), 0.0, "outputs with the same weights")
    trained, others = one.trainable_variables, one.non_trainable_variables
    assert len(one.weights) == len({id(v) for v in (*trained, *others)}) == len(trained + others)
    if one.weights:
        want = one.get_weights()
        refused(ValueError, "weights", one.set_weights, want[1:])
        refused(ValueError, r"weights[0]", one.set_weights, [np.zeros([9] * 7), *want[1:]])
        with tempfile.TemporaryDirectory() as folder:
            path = tf.train.Checkpoint(model=one).write(f"{folder}/c")
            one.set_weights([w + 1 for w in want])
            tf.train.Checkpoint(model=one).read(path).assert_consumed()
        close(one.get_weights(), want, 0.0, "weights out of a checkpoint")
        refused(ValueError, "build the model first", tf.function(case.make(), autograph=False), x)
    one.trainable = False
    assert one.trainable_variables == [] and one.losses == [], "frozen, but still trained"
    assert len(one.non_trainable_variables) == len(one.weights)


def copies_and_texts(case: Case) -> None:
    """A deep copy has variables of its own; repr and `summary` tell the layer."""
    layer = case.built()
    twin = copy.deepcopy(layer)
    x = tf.constant(case.inputs)
    close(twin(x), layer(x), 0.0, "outputs of a deep copy")
    for a, b in zip(layer.weights, twin.weights, strict=True):
        kept = a.numpy()
        b.assign(b + tf.ones_like(b))
        assert np.array_equal(a.numpy(), kept), f"a deep copy shares {a.name}"
    for shown in (repr(layer), repr(case.make())):
        assert shown.startswith(type(layer).__name__ + "(") and shown.endswith(")"), shown
        assert " at 0x" not in shown and "tf.Tensor" not in shown, shown
    count = sum(int(np.prod(v.shape)) for v in layer.weights)
    assert f"{count:,} parameters" in summary(layer), summary(layer)


def wrong_inputs_are_named(case: Case) -> None:
    """Another rank, dtype, kind of tensor or size of an axis raises an error that says so."""
    layer = case.built()
    if layer.input_rank is None and layer.min_rank is None:
        return  # it takes anything, or hands it on
    x = np.asarray(case.inputs)
    if layer.input_rank is not None:
        refused(ValueError, f"rank {layer.input_rank}", layer, x[None])
    refused(TypeError, "takes numbers", layer, np.full(x.shape, "word"))
    refused(TypeError, "one dense tensor", layer, tf.ragged.constant([[1.0], [1.0, 2.0]]))
    for axis in layer._axis_sizes:
        refused(ValueError, "was built for", layer, np.concatenate([x, x], axis))


CHECKS: dict[str, Callable[[Case], None]] = {
    one.__name__: one
    for one in (
        modes_agree,
        training_and_inference,
        gradients,
        half_precision,
        two_replicas,
        weights_out_and_in,
        copies_and_texts,
        wrong_inputs_are_named,
    )
}
