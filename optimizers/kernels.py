"""How the means that TensorFlow's kernels keep differ from those of rules as they are written.

A kernel takes in `1 - b` of what comes with b rounded to its dtype, rules as written (and Keras)
take `1 - b` rounded. For 0.999 in float32 that is 1.3e-5 less, for 0.9999 up to 3e-4.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf


def share_of_mean(beta: float, step: tf.Tensor) -> tf.Tensor:
    """What a kernel's mean has taken in by a step, over what one as written has.

    For `m + (x - m)(1 - b)`, which forgets where it began: the share goes to 1.
    """
    kind = step.dtype.as_numpy_dtype
    kernel, written = np.float64(kind(beta)), 1.0 - np.float64(kind(1.0 - beta))
    if kernel == written or beta == 0.0:
        return tf.ones([], step.dtype)
    return tf.math.expm1(step * kind(np.log(kernel))) / tf.math.expm1(step * kind(np.log(written)))


def share_of_one(beta: float, dtype: tf.DType) -> float:
    """What a kernel takes in at each step, over what a rule as written does.

    For `b m + (1 - b) x`, whose share stays.
    """
    kind = dtype.as_numpy_dtype
    taken = np.float64(kind(1.0 - beta))
    return float((1.0 - np.float64(kind(beta))) / taken) if taken else 1.0


def takes_in(beta: float, dtype: tf.DType) -> bool:
    """Whether a kernel takes in anything: not where beta is rounded to 1."""
    return float(dtype.as_numpy_dtype(beta)) < 1.0
