"""Distributed variables: each replica updates its own copy, in loops and compiled."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest
import tensorflow as tf

from optimizers import variables

SCRIPT = """
import numpy as np
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import optimizers

strategy = tf.distribute.MirroredStrategy(
    ["CPU:0", "CPU:1"], tf.distribute.ReductionToOneDevice()
)
cases = {
    "adam": lambda: optimizers.Adam(0.1, weight_decay=0.1, use_ema=True),
    "nadam": lambda: optimizers.Nadam(0.1, global_clipnorm=1.0),
    "wrapped": lambda: optimizers.EMA(
        optimizers.Lookahead(optimizers.SkipNotFinite(optimizers.Prodigy(initial_d=0.1)), 2)
    ),
    "groups": lambda: optimizers.Groups({"...": optimizers.Accumulate(optimizers.SOAP(), 2)}),
    "free": lambda: optimizers.ScheduleFreeAdamW(0.1, paper=True),
}
for name, make in cases.items():
    single, alone = tf.Variable([1.0, 2.0]), make()
    for done in range(6):
        alone.fused = done < 4  # outside of replicas there is no kernel for all copies
        alone.apply([tf.constant([1.0, -2.0])], [single])
    with strategy.scope():
        weight, optimizer = tf.Variable([1.0, 2.0]), make()
        optimizer.build([weight])

    def body(i):
        optimizer.apply([tf.constant([1.0, -2.0])], [weight])
        return (i + 1,)

    @tf.function
    def run():
        looped = lambda: tf.while_loop(lambda i: i < 3, body, (tf.constant(0),))
        # A compiled function belongs to one device: each replica makes its own.
        compiled = lambda: tf.function(lambda: body(tf.constant(0)), jit_compile=True)()
        strategy.run(looped)
        strategy.run(compiled)

    run()
    with strategy.scope():
        body(tf.constant(0))  # outside the replicas
    body(tf.constant(0))  # outside the strategy: the variables still know their copies
    for copy in strategy.experimental_local_results(weight):
        np.testing.assert_allclose(copy, single, rtol=2e-6, err_msg=name)
    made = [int(v) for v in strategy.experimental_local_results(optimizer.iterations)]
    assert made == [int(alone.iterations)] * 2, name
print("same")
"""


def test_two_replicas_equal_one():
    script = textwrap.dedent(SCRIPT)
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.stdout.strip().endswith("same"), done.stderr[-3000:]


def test_one_replica_alone_updates_as_without_a_strategy():
    """A mirrored variable with one copy too: it is the copy that a kernel can update in place."""
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    with strategy.scope():
        weight = tf.Variable([1.0, 2.0])
        assert variables.local(weight) is weight
    found = []
    tf.function(lambda: strategy.run(lambda: found.append(variables.local(weight))))()
    assert found[0] is strategy.experimental_local_results(weight)[0]
    assert variables.has_handle(found[0]) and not variables.has_handle(weight)


def test_patterns_and_names_that_come_near():
    names = ["encoder/kernel", "encoder/bias", "head/kernel"]
    assert variables.found_in("kernel$", names, "groups") == [0, 2]
    with pytest.raises(ValueError, match=r"groups: 'kernal\$' is found.*did you mean '.*/kernel'"):
        variables.found_in("kernal$", names, "groups")
    assert variables.near("zzz", names) == f"the names are {names}."
    assert variables.near("^hed/kernel$", names).startswith("did you mean 'head/kernel'")


def test_gradients_are_matched_to_variables():
    weights = [tf.Variable(1.0, name="a"), tf.Variable(2.0, name="b")]
    ((gradient, variable),) = variables.matched([None, 3.0], weights)
    assert gradient == 3.0 and variable is weights[1]
    with pytest.raises(ValueError, match=r"every gradient is None.*\['a', 'b'\]"):
        variables.matched([None, None], weights)
