"""Initialisers: pure functions of a shape and a seed, with Keras's names and distributions."""

from __future__ import annotations

import difflib
import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

# A normal distribution cut at two standard deviations has this standard deviation.
_TRUNCATED_STDDEV = 0.87962566103423978


class Initializer:
    """Base: `initializer(shape, dtype, seed=[2])` gives a tensor, the same one for the same seed.

    An initialiser made with its own `seed=` uses that alone, so it gives the same values each time
    (as in Keras).
    """

    def __call__(
        self, shape: Sequence[int], dtype: Any = tf.float32, *, seed: Any = None
    ) -> tf.Tensor:
        """Values of `shape`; `seed` is int32 `[2]` (None: drawn from TensorFlow's global state)."""
        own = getattr(self, "seed", None)
        if own is not None:
            seed = tf.constant([own, 0], tf.int32)
        elif seed is None:
            limits = tf.int32.limits
            seed = tf.random.uniform([2], limits[0], limits[1], dtype=tf.int32)
        return self.values(tuple(shape), tf.as_dtype(dtype), seed)

    def values(self, shape: tuple[int, ...], dtype: tf.DType, seed: Any) -> tf.Tensor:
        """The pure function: override this one."""
        raise NotImplementedError(
            f"{type(self).__name__} must define values(self, shape, dtype, seed)"
        )


@dataclass(frozen=True)
class Zeros(Initializer):
    """All zeros."""

    def values(self, shape: tuple[int, ...], dtype: tf.DType, seed: Any) -> tf.Tensor:
        """Zeros of `shape`."""
        return tf.zeros(shape, dtype)


@dataclass(frozen=True)
class Ones(Initializer):
    """All ones."""

    def values(self, shape: tuple[int, ...], dtype: tf.DType, seed: Any) -> tf.Tensor:
        """Ones of `shape`."""
        return tf.ones(shape, dtype)


@dataclass(frozen=True)
class Constant(Initializer):
    """All `value`: a number, or an array that broadcasts to the shape."""

    value: Any = 0.0

    def values(self, shape: tuple[int, ...], dtype: tf.DType, seed: Any) -> tf.Tensor:
        """`value` broadcast to `shape`."""
        return tf.broadcast_to(tf.cast(self.value, dtype), shape)


@dataclass(frozen=True)
class Identity(Initializer):
    """`gain` on the diagonal of a matrix."""

    gain: float = 1.0

    def values(self, shape: tuple[int, ...], dtype: tf.DType, seed: Any) -> tf.Tensor:
        """A `[rows, columns]` matrix."""
        if len(shape) != 2:
            raise ValueError(f"Identity makes matrices: shape must have two axes, got {shape}")
        return self.gain * tf.eye(*shape, dtype=dtype)


@dataclass(frozen=True)
class RandomNormal(Initializer):
    """Normal(mean, stddev)."""

    mean: float = 0.0
    stddev: float = 0.05
    seed: int | None = None

    def values(self, shape: tuple[int, ...], dtype: tf.DType, seed: Any) -> tf.Tensor:
        """Normal draws."""
        return tf.random.stateless_normal(shape, seed, self.mean, self.stddev, dtype, alg="philox")


@dataclass(frozen=True)
class TruncatedNormal(Initializer):
    """Normal(mean, stddev), redrawn beyond two standard deviations."""

    mean: float = 0.0
    stddev: float = 0.05
    seed: int | None = None

    def values(self, shape: tuple[int, ...], dtype: tf.DType, seed: Any) -> tf.Tensor:
        """Truncated normal draws."""
        return tf.random.stateless_truncated_normal(
            shape, seed, self.mean, self.stddev, dtype, alg="philox"
        )


@dataclass(frozen=True)
class RandomUniform(Initializer):
    """Uniform on [minval, maxval)."""

    minval: float = -0.05
    maxval: float = 0.05
    seed: int | None = None

    def values(self, shape: tuple[int, ...], dtype: tf.DType, seed: Any) -> tf.Tensor:
        """Uniform draws."""
        return tf.random.stateless_uniform(
            shape, seed, self.minval, self.maxval, dtype, alg="philox"
        )


@dataclass(frozen=True)
class VarianceScaling(Initializer):
    """Variance `scale / n`, where n is fan-in, fan-out or their mean.

    Args:
        scale: positive factor.
        mode: "fan_in", "fan_out" or "fan_avg".
        distribution: "truncated_normal", "untruncated_normal" or "uniform".
        seed: optional integer that fixes the values.
    """

    scale: float = 1.0
    mode: str = "fan_in"
    distribution: str = "truncated_normal"
    seed: int | None = None

    def __post_init__(self) -> None:
        """Checks the arguments."""
        if self.scale <= 0:
            raise ValueError(f"scale must be positive, got {self.scale}")
        _one_of("mode", self.mode, ("fan_in", "fan_out", "fan_avg"))
        kinds = ("truncated_normal", "untruncated_normal", "uniform")
        _one_of("distribution", self.distribution, kinds)

    def values(self, shape: tuple[int, ...], dtype: tf.DType, seed: Any) -> tf.Tensor:
        """Draws scaled by the fans of `shape`."""
        fan_in, fan_out = fans(shape)
        n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2.0}[self.mode]
        stddev = math.sqrt(self.scale / max(1.0, n))
        if self.distribution == "uniform":
            limit = math.sqrt(3.0) * stddev
            return RandomUniform(-limit, limit).values(shape, dtype, seed)
        if self.distribution == "untruncated_normal":
            return RandomNormal(0.0, stddev).values(shape, dtype, seed)
        return TruncatedNormal(0.0, stddev / _TRUNCATED_STDDEV).values(shape, dtype, seed)


class _Scaled(VarianceScaling):
    """A VarianceScaling whose law is fixed by the class: only the seed is left to choose."""

    law: tuple[float, str, str]

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(*self.law, seed=seed)

    def __repr__(self) -> str:
        seed = "" if self.seed is None else f"seed={self.seed}"
        return f"{type(self).__name__}({seed})"


class GlorotUniform(_Scaled):
    """Uniform, variance 2 / (fan_in + fan_out). Glorot and Bengio 2010."""

    law = (1.0, "fan_avg", "uniform")


class GlorotNormal(_Scaled):
    """Truncated normal, variance 2 / (fan_in + fan_out). Glorot and Bengio 2010."""

    law = (1.0, "fan_avg", "truncated_normal")


class HeUniform(_Scaled):
    """Uniform, variance 2 / fan_in. He et al. 2015."""

    law = (2.0, "fan_in", "uniform")


class HeNormal(_Scaled):
    """Truncated normal, variance 2 / fan_in. He et al. 2015."""

    law = (2.0, "fan_in", "truncated_normal")


class LecunUniform(_Scaled):
    """Uniform, variance 1 / fan_in. LeCun et al. 1998."""

    law = (1.0, "fan_in", "uniform")


class LecunNormal(_Scaled):
    """Truncated normal, variance 1 / fan_in. Klambauer et al. 2017."""

    law = (1.0, "fan_in", "truncated_normal")


@dataclass(frozen=True)
class Orthogonal(Initializer):
    """A random orthogonal matrix times `gain`; leading axes become rows. Saxe et al. 2014."""

    gain: float = 1.0
    seed: int | None = None

    def values(self, shape: tuple[int, ...], dtype: tf.DType, seed: Any) -> tf.Tensor:
        """The Q of a normal matrix, signs fixed so that it is uniformly distributed."""
        if len(shape) < 2:
            raise ValueError(
                f"Orthogonal makes matrices: shape must have at least two axes, got {shape}"
            )
        rows, columns = math.prod(shape[:-1]), shape[-1]
        tall = (max(rows, columns), min(rows, columns))
        normal = tf.random.stateless_normal(tall, seed, dtype=tf.float32, alg="philox")
        q, r = tf.linalg.qr(normal, full_matrices=False)
        q *= tf.sign(tf.linalg.tensor_diag_part(r))
        if rows < columns:
            q = tf.transpose(q)
        return tf.cast(self.gain * tf.reshape(q, shape), dtype)


def fans(shape: Sequence[int]) -> tuple[float, float]:
    """(fan-in, fan-out): the last two axes are in and out, those before them a receptive field."""
    if len(shape) < 1:
        return 1.0, 1.0
    if len(shape) == 1:
        return float(shape[0]), float(shape[0])
    field = math.prod(shape[:-2])
    return float(field * shape[-2]), float(field * shape[-1])


def get(identifier: Any) -> Callable[..., tf.Tensor]:
    """An initialiser from a name ("glorot_uniform", "GlorotUniform"), instance, class or callable.

    A plain callable is called as `f(shape, dtype)`, with `seed=` where it has such an argument.
    None gives zeros.

    Raises:
        ValueError: for an unknown name.
        TypeError: for anything else.
    """
    if identifier is None:
        return Zeros()
    if isinstance(identifier, str):
        key = identifier.replace("_", "").lower()
        if key not in _NAMES:
            near = difflib.get_close_matches(key, _NAMES, n=3, cutoff=0.5)
            raise ValueError(
                f"unknown initializer {identifier!r}; did you mean one of "
                f"{[_NAMES[n].__name__ for n in near]}? "
                f"Known: {sorted({c.__name__ for c in _NAMES.values()})}, or pass a callable "
                "(shape, dtype) -> tensor"
            )
        return _NAMES[key]()
    if isinstance(identifier, type) and issubclass(identifier, Initializer):
        return identifier()
    if isinstance(identifier, (Initializer, _Wrapped)):
        return identifier
    if callable(identifier):
        return _Wrapped(identifier)
    raise TypeError(
        f"an initializer must be a name, an Initializer or a callable, got {identifier!r}"
    )


@dataclass(frozen=True)
class _Wrapped:
    """A plain callable with the signature of an Initializer."""

    function: Callable[..., Any]

    def __call__(
        self, shape: Sequence[int], dtype: Any = tf.float32, *, seed: Any = None
    ) -> tf.Tensor:
        takes_seed = "seed" in inspect.signature(self.function).parameters
        extra = {"seed": seed} if takes_seed else {}
        value = tf.cast(tf.convert_to_tensor(self.function(shape, dtype=dtype, **extra)), dtype)
        if tuple(value.shape) != tuple(shape):
            raise ValueError(
                f"initializer {self.function!r} must return shape {tuple(shape)}, got "
                f"{tuple(value.shape)}"
            )
        return value

    def __repr__(self) -> str:
        return getattr(self.function, "__name__", repr(self.function))


def _one_of(argument: str, value: str, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise ValueError(f"{argument} must be one of {list(allowed)}, got {value!r}")


_NAMES: dict[str, type[Initializer]] = {
    "uniform": RandomUniform,
    "normal": RandomNormal,
    "one": Ones,
    "zero": Zeros,
}
for _class in (
    Zeros, Ones, Constant, Identity, RandomNormal, TruncatedNormal, RandomUniform, VarianceScaling,
    GlorotUniform,
    GlorotNormal, HeUniform, HeNormal, LecunUniform, LecunNormal, Orthogonal,
):  # fmt: skip
    _NAMES[_class.__name__.lower()] = _class
