"""What arguments may be, and what is said of those that may not."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

from optimizers import checks, schedules


def test_what_is_well_comes_back():
    assert checks.check_rate(np.float32(0.5)) == 0.5
    assert checks.check_range("x", 1.0, 0.0, 1.0) == 1.0
    assert checks.check_mean("beta", 0.999999) == 0.999999
    assert checks.check_epsilon(0.0) == 0.0
    assert checks.check_count("n", 3.0) == 3
    assert checks.check_steps("steps", 0.5) == 0.5
    for decay in (None, 0.1, schedules.Constant(0.1), tf.Variable(0.1)):
        assert checks.check_decay(decay) is decay


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: checks.check_rate(math.inf), "learning_rate=inf must be finite"),
        (lambda: checks.check_decay(-0.1), "weight_decay=-0.1 must be None, at least 0"),
        (lambda: checks.check_decay(True), "weight_decay=True must be None"),
        (lambda: checks.check_range("x", True, 0, 1), r"x=True must lie in \[0, 1\]"),
        (lambda: checks.check_mean("beta_1", 1.0), "beta_1=1.0 must lie in"),
        (lambda: checks.check_epsilon(math.nan), "epsilon=nan must be at least 0"),
        (lambda: checks.check_least("x", 1, 2.5), "x=1 must be at least 2.5"),
        (lambda: checks.check_count("every", 1.5), "every=1.5 must be an integer of at least 1"),
        (lambda: checks.check_count("every", 0), "every=0 must be an integer of at least 1"),
        (lambda: checks.check_steps("steps", 0), "steps=0 must be positive"),
    ],
)
def test_what_is_not_is_named(check, message):
    with pytest.raises(ValueError, match=message):
        check()


@pytest.mark.parametrize("rate", [None, "0.1"])
def test_a_rate_that_is_no_number(rate):
    with pytest.raises(TypeError, match=f"learning_rate={rate!r} must be a number, a schedule"):
        checks.check_rate(rate)
