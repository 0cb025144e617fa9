"""Layer: a tf.Module that builds itself from its first batch, weights in Keras's order."""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from . import initializers, regularizers
from .recompute import drawn, folded, recomputed
from .shown import shown_arguments
from .tree import collect, own_parts, penalties

Seed = Any  # int32 [2]
Shape = tuple[int | None, ...]


class Layer(tf.Module):
    """A function with weights, built lazily from the first input it sees.

    Subclasses set `input_rank` / `min_rank` and override `build` (create weights from a shape) and
    `call` (the maths)::

        class Scale(Layer):
            def build(self, input_shape):
                self.scale = self.add_weight("scale", [input_shape[-1]], "ones")

            def call(self, x):
                return x * self.cast(self.scale)

    Variables stay float32; floating inputs are cast to `compute_dtype` on entry, weights by
    `self.cast`.

    Args:
        trainable: whether the weights are trained; False also means inference for
            BatchNormalization.
        name: a Python identifier, by default the class's name in snake case.

    Attributes:
        compute_dtype: name of the floating dtype to compute in; may be set at any time.
        output_dtype: None, or a dtype that floating outputs are cast to; set from outside, on a
            model whose outputs are compared with float32 data.
        recompute: whether activations inside this layer are computed again in the backward pass
            rather than kept (see `layers.recompute`); False unless set.
        seed_source: None, or a callable that returns an int32 `[2]` seed; set from outside.
            Initial weights and
            random layers draw from it through `next_seed`.
        input_rank: the one rank that is accepted, where there is one.
        min_rank: the lowest rank that is accepted, where there is one.
        casts_integers: whether integer inputs (images, say) are cast to `compute_dtype` as well.
    """

    input_rank: int | None = None
    min_rank: int | None = None
    casts_integers = False
    _call_takes_training = True
    # tf.Module skips these when it looks for submodules and variables.
    _TF_MODULE_IGNORED_PROPERTIES = frozenset(
        {"seed_source", *tf.Module._TF_MODULE_IGNORED_PROPERTIES}
    )

    def __init__(self, *, trainable: bool = True, name: str | None = None) -> None:
        super().__init__(name=name or snake_case(type(self).__name__))
        self._trainable = bool(trainable)
        self._compute_dtype = "float32"
        self.output_dtype: str | None = None
        self.seed_source: Callable[[], Seed] | None = None
        self.recompute = False
        self._built = False
        self._axis_sizes: dict[int, int] = {}
        self._regularizers: dict[str, Callable[[Any], Any]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "build" in cls.__dict__:
            cls.build = _guarded_build(cls.build)  # type: ignore[method-assign]
        if "call" in cls.__dict__:
            cls._call_takes_training = takes_training(cls.call)

    # ---- to override -------------------------------------------------------------------------

    def build(self, input_shape: Shape) -> None:
        """Creates the weights for inputs of `input_shape`; the default has none."""
        self._built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        """The layer's function of `inputs`, already cast to `compute_dtype`."""
        raise NotImplementedError(
            f"{type(self).__name__} must define call(self, inputs, training=False)"
        )

    # ---- to use ------------------------------------------------------------------------------

    def __call__(self, inputs: Any, *args: Any, training: bool = False, **kwargs: Any) -> Any:
        """Builds the layer if need be, casts the inputs, and runs `call`.

        Further arguments are handed to `call`; those that are floating tensors are cast as well.

        Raises:
            TypeError: if the input is not numeric.
            ValueError: if its rank or one of its axes is not what the layer was built for, or if
                weights would have
                to be created inside a `tf.function`.
        """
        inputs = self._entry(inputs, self.casts_integers)
        args, kwargs = self._entry((args, kwargs), False)
        if self._call_takes_training:
            kwargs["training"] = bool(training)
        with tf.name_scope(self.name):
            self.check_input(inputs)
            if not self._built:
                self.build(self.build_shape(inputs, args, kwargs))
                self._built = True
            if self.recompute:
                outputs = recomputed(self.call, inputs, args, kwargs)
            else:
                outputs = self.call(inputs, *args, **kwargs)
        return outputs if self.output_dtype is None else _floats_to(self.output_dtype, outputs)

    def build_shape(self, inputs: Any, args: Any, kwargs: Any) -> Any:
        """What `build` is told: the shape of the inputs, in their structure."""
        return _shape_of(inputs)

    def add_weight(
        self,
        name: str,
        shape: Sequence[int],
        initializer: Any = "glorot_uniform",
        *,
        regularizer: Any = None,
        trainable: bool = True,
    ) -> tf.Variable:
        """Creates a float32 variable.

        Assign it to the attribute `name`: the order of attributes is the order of `weights`.
        """
        _refuse_in_trace(self)
        make = initializers.get(initializer)
        value = make(tuple(shape), tf.float32, seed=self.next_seed())
        # Statistics are kept by each replica for itself and averaged when read from outside.
        kind = (
            {}
            if trainable
            else {
                "synchronization": tf.VariableSynchronization.ON_READ,
                "aggregation": tf.VariableAggregation.MEAN,
            }
        )
        variable = tf.Variable(value, trainable=trainable, name=name, dtype=tf.float32, **kind)
        penalty = regularizers.get(regularizer)
        if penalty is not None:
            self._regularizers[name] = penalty
        return variable

    def cast(self, weight: Any) -> Any:
        """A weight (or None) in `compute_dtype`."""
        return None if weight is None else tf.cast(weight, self._compute_dtype)

    def next_seed(self, seed: int | None = None) -> Seed:
        """An int32 `[2]` seed, from `seed_source` if there is one (which may give `[b, 2]`).

        Otherwise it is a stateful draw that obeys `tf.random.set_seed`. `seed`, a layer's own seed
        argument, is mixed in: two layers that differ in it draw differently.
        """
        return drawn(lambda: self._draw_seed(seed))

    def _draw_seed(self, seed: int | None) -> Seed:
        if self.seed_source is None:
            limits = tf.int32.limits
            return tf.random.uniform([2], limits[0], limits[1], dtype=tf.int32, seed=seed)
        fresh = tf.cast(self.seed_source(), tf.int32)
        if seed is None:
            return fresh
        return folded(fresh, seed)

    def fix_axes(self, sizes: Mapping[int, int]) -> None:
        """Records the axis sizes, `{-1: channels}`, that later inputs must agree with."""
        self._axis_sizes = dict(sizes)

    def check_input(self, inputs: Any) -> None:
        """Raises unless `inputs` suits `input_rank`, `min_rank` and the axes it was built with."""
        if self.input_rank is None and self.min_rank is None and not self._axis_sizes:
            return
        if not isinstance(inputs, tf.Tensor):
            raise TypeError(
                f"{self._label()} takes one dense tensor, got {type(inputs).__name__}; "
                "convert it first (a ragged tensor by .to_tensor(), a sparse one by "
                "tf.sparse.to_dense)"
            )
        if not (inputs.dtype.is_floating or inputs.dtype.is_integer or inputs.dtype.is_bool):
            raise TypeError(
                f"{self._label()} takes numbers, got dtype {inputs.dtype.name}; encode it as "
                "numbers first"
            )
        rank = inputs.shape.rank
        if rank is None:
            raise ValueError(
                f"{self._label()} needs an input of known rank, got an unknown shape; "
                "give the tensor a rank with tf.ensure_shape"
            )
        if self.input_rank is not None and rank != self.input_rank:
            raise ValueError(
                f"{self._label()} takes inputs of rank {self.input_rank}, got rank {rank} with "
                f"shape {inputs.shape}; "
                "add or remove an axis (tf.expand_dims, layers.Reshape, layers.Flatten)"
            )
        if self.min_rank is not None and rank < self.min_rank:
            raise ValueError(
                f"{self._label()} takes inputs of rank {self.min_rank} or more (the batch axis "
                "first), "
                f"got rank {rank} with shape {inputs.shape}; add an axis with tf.expand_dims"
            )
        for axis, size in self._axis_sizes.items():
            got = inputs.shape[axis]
            if got is not None and got != size:
                raise ValueError(
                    f"{self._label()} was built for inputs with {size} values on axis {axis}, got "
                    f"{got} with shape "
                    f"{inputs.shape}; feed the shape it was built with, or make a new layer for "
                    "the new shape"
                )

    def known_axis(self, input_shape: Shape, axis: int = -1) -> int:
        """The size of an axis that weights depend on; an error if it is not known yet."""
        size = input_shape[axis]
        if size is None:
            raise ValueError(
                f"{self._label()} creates weights from axis {axis} of its input, whose size is "
                "unknown in shape "
                f"{input_shape}; set it with tf.ensure_shape or build on a batch of known shape"
            )
        return int(size)

    # ---- state -------------------------------------------------------------------------------

    @property
    def built(self) -> bool:
        """Whether the weights exist."""
        return self._built

    @property
    def compute_dtype(self) -> str:
        """Name of the floating dtype that inputs and weights are cast to on entry."""
        return self._compute_dtype

    @compute_dtype.setter
    def compute_dtype(self, value: Any) -> None:
        try:
            dtype = tf.as_dtype(value)
        except TypeError:
            dtype = None
        if dtype is None or not dtype.is_floating:
            raise ValueError(
                "compute_dtype must be a floating dtype such as 'float32', 'bfloat16' or "
                f"'float16', got {value!r}"
            )
        self._compute_dtype = dtype.name

    @property
    def trainable(self) -> bool:
        """Whether the weights here and below are trained; setting it sets the layers below too."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        for child in own_parts(self)[1]:
            if isinstance(child, Layer):
                child.trainable = value

    @property
    def weights(self) -> list[tf.Variable]:
        """All variables in Keras's order: own trainable, own others, then the children's."""
        return collect(self, trained_only=False)

    @property
    def variables(self) -> list[tf.Variable]:  # type: ignore[override]
        """The same as `weights`."""
        return self.weights

    @property
    def trainable_variables(self) -> list[tf.Variable]:  # type: ignore[override]
        """The variables to train, in the order of `weights`; none when `trainable` is False."""
        return collect(self, trained_only=True)

    @property
    def non_trainable_variables(self) -> list[tf.Variable]:  # type: ignore[override]
        """The variables of `weights` that are not in `trainable_variables`."""
        trained = {id(v) for v in self.trainable_variables}
        return [v for v in self.weights if id(v) not in trained]

    @property
    def losses(self) -> list[tf.Tensor]:
        """Float32 scalars: the regularisers of the trained weights here and below."""
        return list(penalties(self, set()))

    def get_weights(self) -> list[np.ndarray]:
        """The values of `weights` as arrays, one to one with a Keras twin's."""
        return [v.numpy() for v in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Assigns arrays, in the order of `weights`; a Keras twin's `get_weights()` fits.

        Raises:
            ValueError: if the number of arrays or a shape differs; nothing is assigned then.
        """
        variables = self.weights
        if len(weights) != len(variables):
            hint = "" if self.built else "; it is not built yet: call it once on a batch"
            raise ValueError(
                f"{self._label()} has {len(variables)} weights, got {len(weights)} arrays: give "
                "one array for each of "
                f"{[v.name for v in variables]}{hint}"
            )
        values = [np.asarray(w) for w in weights]
        for i, (variable, value) in enumerate(zip(variables, values, strict=True)):
            if tuple(variable.shape) != value.shape:
                raise ValueError(
                    f"weights[{i}] of {self._label()} is {variable.name} of shape "
                    f"{tuple(variable.shape)}, "
                    f"got an array of shape {value.shape}; give the arrays in the order and "
                    "shapes of get_weights()"
                )
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "trainable":
            # tf.Module skips a value that is there already; the layers below may have another.
            object.__setattr__(self, name, value)
        else:
            super().__setattr__(name, value)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(shown_arguments(self))})"

    def __deepcopy__(self, memo: dict[int, Any]) -> Layer:
        # The seed source belongs to whoever set it: copying it could copy a whole trainer.
        twin = type(self).__new__(type(self))
        memo[id(self)] = twin
        for key, value in vars(self).items():
            twin.__dict__[key] = value if key == "seed_source" else copy.deepcopy(value, memo)
        return twin

    # ---- helpers -----------------------------------------------------------------------------

    def _label(self) -> str:
        kind = type(self).__name__
        return f"{kind} layer {self.name!r}"

    def _entry(self, tree: Any, integers: bool) -> Any:
        """The nest's tensors in `compute_dtype` where floating (or integers, if asked)."""
        if isinstance(tree, (tf.Tensor, tf.Variable, np.ndarray)):
            return self._cast_input(tree, integers)
        if isinstance(tree, list) and _is_numbers(tree):
            return self._cast_input(tree, integers)
        if isinstance(tree, Mapping):
            return {k: self._entry(v, integers) for k, v in tree.items()}
        if isinstance(tree, tuple) and hasattr(tree, "_fields"):
            return type(tree)(*(self._entry(v, integers) for v in tree))
        if isinstance(tree, (list, tuple)):
            return type(tree)(self._entry(v, integers) for v in tree)
        return tree

    def _cast_input(self, value: Any, integers: bool) -> Any:
        tensor = tf.convert_to_tensor(value)
        dtype = tensor.dtype
        if dtype.is_floating or (integers and (dtype.is_integer or dtype.is_bool)):
            return tf.cast(tensor, self._compute_dtype)
        return tensor


def snake_case(name: str) -> str:
    """Keras's snake case: "Conv2D" is "conv2d", "LayerNormalization" is "layer_normalization"."""
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name.lstrip("_"))
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _guarded_build(build: Callable[..., None]) -> Callable[..., None]:
    """Refuses to build inside a trace, and marks the layer as built."""

    def guarded(self: Layer, input_shape: Any) -> None:
        _refuse_in_trace(self)
        if isinstance(input_shape, tf.TensorShape):
            input_shape = input_shape.as_list()
        shape = tuple(input_shape) if isinstance(input_shape, (list, tuple)) else input_shape
        build(self, shape)
        self._built = True

    guarded.__doc__ = build.__doc__
    guarded.__name__ = "build"
    return guarded


def _refuse_in_trace(layer: Layer) -> None:
    if not tf.executing_eagerly():
        raise ValueError(
            f"{layer._label()} has no weights yet and cannot create them inside a tf.function; "
            "build the model first: "
            "call it once on a batch, or let Trainer build it from the data"
        )


def takes_training(function: Callable[..., Any]) -> bool:
    """Whether `function` can be called with `training=`."""
    if isinstance(function, Layer):
        return True
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return False
    return any(p.name == "training" or p.kind is p.VAR_KEYWORD for p in parameters)


def _floats_to(dtype: str, outputs: Any) -> Any:
    def one(x: Any) -> Any:
        return tf.cast(x, dtype) if tf.is_tensor(x) and x.dtype.is_floating else x

    return tf.nest.map_structure(one, outputs)


def _is_numbers(tree: list[Any]) -> bool:
    """Whether a list, perhaps of lists, holds plain numbers: one array, not several inputs."""
    leaf: Any = tree
    while isinstance(leaf, list) and leaf:
        leaf = leaf[0]
    return isinstance(leaf, (bool, int, float, np.number))


def _shape_of(inputs: Any) -> Any:
    if isinstance(inputs, Mapping):
        return {k: _shape_of(v) for k, v in inputs.items()}
    if isinstance(inputs, (list, tuple)):
        return [_shape_of(v) for v in inputs]
    shape = getattr(inputs, "shape", None)
    if shape is None:
        return None
    return tuple(shape.as_list()) if isinstance(shape, tf.TensorShape) else tuple(shape)
