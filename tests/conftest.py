"""What every test may use: both ways of running, fixed seeds, few hypothesis examples."""

from __future__ import annotations

import os
import random
import signal

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before TensorFlow is first imported

import hypothesis
import numpy as np
import pytest
import tensorflow as tf

# Four logical CPUs, so that any test can have replicas; possible only before TensorFlow starts.
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 4
)

# The same few examples every time and no deadline: tracing makes any first call slow.
hypothesis.settings.register_profile(
    "few",
    max_examples=20,
    deadline=None,
    derandomize=True,
    suppress_health_check=[
        hypothesis.HealthCheck.function_scoped_fixture,
        hypothesis.HealthCheck.too_slow,
    ],
)
# For a longer search by hand: pytest --hypothesis-profile=many
hypothesis.settings.register_profile(
    "many", parent=hypothesis.settings.get_profile("few"), max_examples=500, derandomize=False
)
hypothesis.settings.load_profile("few")


def pytest_addoption(parser):
    """An option of our own, for a long look by hand."""
    told = "try all combinations of choices, where tests otherwise take a few of them"
    parser.addoption("--everything", action="store_true", help=told)


@pytest.fixture
def signals_heard():
    """Ctrl-C and a hang-up are heard, also where `nohup` or a shell's `&` had them ignored."""
    usual = {signal.SIGINT: signal.default_int_handler, signal.SIGHUP: signal.SIG_DFL}
    ignored = [n for n in usual if signal.getsignal(n) is signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, usual[number])
    yield
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)


@pytest.fixture(autouse=True)
def seeds():
    """Seeds of everything that keeps global random state, so that no test depends on another."""
    random.seed(0)
    np.random.seed(0)
    tf.random.set_seed(0)


@pytest.fixture(params=["plain", "compiled"])
def mode(request):
    """How TensorFlow code runs: "plain" (eager) or "compiled" (tf.function)."""
    return request.param


@pytest.fixture
def run(mode):
    """`run(fn, *args, **kwargs)`: calls `fn` eagerly, then in a second test inside tf.function.

    Nothing is rewritten by autograph, so code that passes is graph code as it stands. NumPy
    arguments become tensors in both modes.
    """

    def call(fn, *args, **kwargs):
        args, kwargs = tf.nest.map_structure(
            lambda x: tf.convert_to_tensor(x) if isinstance(x, (np.ndarray, np.generic)) else x,
            (args, kwargs),
        )
        if mode == "compiled":
            fn = tf.function(fn, autograph=False)
        return fn(*args, **kwargs)

    return call
