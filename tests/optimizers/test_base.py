"""What surrounds the rule: rate, slots, order, decay, averages, missing gradients, errors."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import optimizers
from optimizers import schedules


@pytest.fixture
def weights():
    return [
        tf.Variable([[1.0, 2.0]], name="dense/kernel"),
        tf.Variable([3.0, 4.0], name="dense/bias"),
    ]


@pytest.fixture
def ones(weights):
    return [tf.ones_like(w) for w in weights]


def values(weights):
    return np.concatenate([np.ravel(w) for w in weights])


def test_a_new_rate_needs_no_retracing(weights, ones):
    optimizer = optimizers.SGD(0.5)
    traces = []

    @tf.function
    def step():
        traces.append(1)
        optimizer.apply(ones, weights)

    step()
    np.testing.assert_allclose(values(weights), [0.5, 1.5, 2.5, 3.5])
    optimizer.learning_rate = 2.0
    step()
    np.testing.assert_allclose(values(weights), [-1.5, -0.5, 0.5, 1.5])
    assert len(traces) == 1
    assert optimizer.learning_rate.dtype == tf.float32 and float(optimizer.learning_rate) == 2.0


def test_a_schedule_is_not_changed_by_a_number():
    scheduled = optimizers.SGD(lambda step: 0.1 * tf.cast(step + 1, tf.float32))
    np.testing.assert_allclose(scheduled.learning_rate, 0.1)
    with pytest.raises(TypeError, match=r"learning_rate=0\.2 cannot replace the schedule"):
        scheduled.learning_rate = 0.2
    with pytest.raises(TypeError, match="cannot become a schedule"):
        optimizers.SGD(0.1).learning_rate = schedules.Constant(0.2)
    assert scheduled.schedule is not None and optimizers.SGD().schedule is None


@pytest.mark.parametrize("jit", [False, True])
def test_a_rate_and_a_decay_in_variables_of_ones_own(jit, weights, ones):
    rate, decay = tf.Variable(0.5), tf.Variable(0.0)
    optimizer = optimizers.Lion(rate, weight_decay=decay)
    optimizer.build(weights)
    step = tf.function(lambda: optimizer.apply(ones, weights), jit_compile=jit)
    step()
    np.testing.assert_allclose(values(weights), [0.5, 1.5, 2.5, 3.5])
    rate.assign(1.0)
    decay.assign(0.5)
    step()
    np.testing.assert_allclose(values(weights), [-0.75, -0.25, 0.25, 0.75])
    assert optimizer.schedule is None and float(optimizer.learning_rate) == 1.0


def test_variables_that_come_later_keep_the_state_of_the_others(weights, ones):
    optimizer, alone = optimizers.Adam(0.1, use_ema=True), optimizers.Adam(0.1)
    twin = tf.Variable(weights[0].read_value())
    optimizer.build(weights[:1])
    for _ in range(2):
        optimizer.apply(ones[:1], weights[:1])
        alone.apply(ones[:1], [twin])
    optimizer.add(weights[1:])
    optimizer.apply(ones, weights)
    alone.apply(ones[:1], [twin])
    np.testing.assert_array_equal(weights[0], twin)
    np.testing.assert_allclose(optimizer.slot("momentum", weights[1]), [0.1, 0.1], rtol=1e-6)
    assert optimizer.weight_names == ["dense/kernel", "dense/bias"]
    with pytest.raises(ValueError, match="same variable twice: 'dense/bias'"):
        optimizer.add(weights[1:])
    with pytest.raises(ValueError, match="is not built"):
        optimizers.SGD().add(weights)


def test_clip_then_decay_then_update_then_average(weights):
    optimizer = optimizers.SGD(0.5, weight_decay=0.1, clipvalue=1.0, use_ema=True)
    for grad in (3.0, -0.5):
        before = values(weights)
        optimizer.apply([tf.fill(w.shape, grad) for w in weights], weights)
        decayed = before - before * 0.1 * 0.5
        np.testing.assert_allclose(values(weights), decayed - 0.5 * min(grad, 1.0), rtol=1e-6)
        if grad == 3.0:
            first = values(weights)
    average = values(optimizer.slots["average"])
    np.testing.assert_allclose(average, 0.99 * first + 0.01 * values(weights), rtol=1e-6)
    optimizer.finalize_variable_values(weights)
    np.testing.assert_array_equal(values(weights), average)
    assert int(optimizer.iterations) == 2


@pytest.mark.parametrize("jit", [False, True])
def test_none_leaves_a_variable_alone(jit, weights, ones):
    optimizer = optimizers.Adam(0.1, weight_decay=0.5, use_ema=True)
    optimizer.build(weights)
    step = tf.function(lambda: optimizer.apply([ones[0], None], weights), jit_compile=jit)
    step()
    step()
    np.testing.assert_array_equal(weights[1], [3.0, 4.0])
    np.testing.assert_array_equal(optimizer.slot("momentum", weights[1]), [0.0, 0.0])
    np.testing.assert_array_equal(optimizer.slot("average", weights[1]), [3.0, 4.0])
    assert (weights[0].numpy() < [[1.0, 2.0]]).all()


def test_some_of_the_variables(weights, ones):
    optimizer = optimizers.SGD(1.0, 0.5)
    optimizer.build(weights)
    optimizer.build(weights[1:])
    optimizer.apply(ones[1:], weights[1:])
    np.testing.assert_array_equal(values(weights), [1.0, 2.0, 2.0, 3.0])


def test_slots_are_named_after_variables(weights):
    optimizer = optimizers.Adam(amsgrad=True, use_ema=True)
    optimizer.build(weights)
    slots = ("momentum", "velocity", "velocity_hat")
    wanted = ["iterations", "learning_rate", "dense/kernel/average", "dense/bias/average"]
    wanted += [f"dense/{w}/{slot}" for slot in slots for w in ("kernel", "bias")]
    assert [v.name.split(":")[0] for v in optimizer.variables] == wanted
    theirs = keras.optimizers.Adam(amsgrad=True, use_ema=True)
    theirs.build([keras.Variable(w) for w in weights])
    assert len(theirs.variables) == len(wanted)
    assert not optimizer.trainable_variables
    assert all(v is not w for v in optimizer.variables for w in weights)


def test_a_checkpoint_holds_iterations_rate_and_slots(weights, ones, tmp_path):
    first, second = optimizers.Nadam(0.1), optimizers.Nadam(0.2)
    first.apply(ones, weights)
    second.build(weights)
    path = tf.train.Checkpoint(optimizer=first).save(str(tmp_path / "c"))
    tf.train.Checkpoint(optimizer=second).restore(path).assert_existing_objects_matched()
    for a, b in zip(first.variables, second.variables, strict=True):
        np.testing.assert_array_equal(a, b)


def test_keras_variables(ones):
    weights = [keras.Variable([[1.0, 2.0]], name="kernel"), keras.Variable([3.0, 4.0], name="bias")]
    optimizer = optimizers.SGD(1.0, 0.9, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    tf.function(lambda: optimizer.apply(ones, weights))()  # builds the slots outside the graph
    np.testing.assert_allclose(values([w.value for w in weights]), [-0.5, 0.0, 2.0, 3.0])
    assert optimizer.slots["momentum"][0].name.startswith("kernel/momentum")


def constrained(optimizer, jit):
    """A weight after three updates under a constraint, and one that never had a gradient."""
    start = np.float32([[1.0, -2.0], [3.0, 4.0]])
    weight, still = (keras.Variable(start, name=f"k{i}") for i in range(2))
    weight.constraint = still.constraint = keras.constraints.MaxNorm(2.0)
    optimizer.build([weight, still])

    @tf.function(jit_compile=jit)
    def step(gradient):
        optimizer.apply([gradient, None], [weight, still])

    for scale in (1.0, -2.0, 3.0):
        step(scale * tf.constant([[1.0, 2.0], [-1.0, -3.0]]))
    np.testing.assert_array_equal(still.numpy()[1], [3.0, 4.0])
    return weight.numpy()


@pytest.mark.parametrize("jit", [False, True])
def test_constraints_of_variables_are_called_as_keras_does(jit):
    """After the update and the average, of variables that had a gradient; also within wrappers."""
    config = {"learning_rate": 0.5, "use_ema": True, "ema_overwrite_frequency": 2}
    wanted = constrained(keras.optimizers.SGD(**config), False)
    assert np.linalg.norm(wanted, axis=0).max() > 1.99
    around = optimizers.EMA(optimizers.Groups({"k": optimizers.SGD(**config)}))
    for ours in (optimizers.SGD(**config), around):
        np.testing.assert_allclose(constrained(ours, jit), wanted, rtol=1e-6)


@pytest.mark.parametrize("by", [{"var_names": ["/b.as$"]}, "variable"])
def test_exclusion_from_weight_decay(by, weights):
    optimizer = optimizers.SGD(1.0, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(**({"var_list": weights[1:]} if by == "variable" else by))
    optimizer.apply([tf.zeros_like(w) for w in weights], weights)
    np.testing.assert_array_equal(values(weights), [0.5, 1.0, 3.0, 4.0])
    with pytest.raises(ValueError, match="before the optimizer is built"):
        optimizer.exclude_from_weight_decay(var_names=["bias"])


def test_an_exclusion_that_matches_nothing(weights):
    optimizer = optimizers.SGD(1.0, weight_decay=0.5)
    optimizer.exclude_from_weight_decay(var_names=["bias", "norm"])
    with pytest.raises(ValueError, match=r"'norm' is found in no variable name.*dense/kernel"):
        optimizer.build(weights)


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("name", optimizers.names())
def test_other_dtypes_of_variables(name, fused):
    """16-bit variables make the steps of float32 ones, rounded where they are stored."""
    moved = {}
    halves = {"bfloat16": 0.05, "float16": 0.01} if fused else {}  # no kernel takes them
    for dtype in map(tf.as_dtype, ("float32", "float64", *halves)):
        optimizer = optimizers.get(name)
        optimizer.fused = fused
        weight = tf.Variable([[1.0, -2.0]], dtype=dtype)
        optimizer.build([weight])
        if optimizer.schedule is None:
            optimizer.learning_rate = 10.0 if name == "Adadelta" else 0.25
        if name == "Sophia":
            optimizer.update_hessian([tf.zeros([1, 2])], [weight])
        for _ in range(3):  # the first update of some rules only measures
            optimizer.apply([tf.constant([[0.5, 0.25]])], [weight])
        moved[dtype.name] = weight.numpy().astype(float) - [[1.0, -2.0]]
    wanted = moved["float32"]
    assert np.abs(wanted).min() > 0
    # SOAP makes steps of the rounding errors across the one direction of a constant gradient.
    exact = 0.5 if name == "SOAP" else 1e-4
    np.testing.assert_allclose(moved["float64"], wanted, rtol=exact, atol=1e-6)
    for dtype, bound in halves.items():
        np.testing.assert_allclose(moved[dtype], wanted, rtol=max(bound, exact), atol=bound / 2)


@pytest.mark.parametrize("name", ["Adam", "AdamW", "Nadam", "Lamb", "AdEMAMix"])
@pytest.mark.parametrize("jit", [False, True])
def test_bfloat16_variables_are_corrected_for_the_start(name, jit):
    """In 16 bits 1 - 0.999^t would be 0, and so the step 0 or NaN."""
    weight = tf.Variable([1.0, -1.0], dtype=tf.bfloat16)
    optimizer = getattr(optimizers, name)(0.1)
    optimizer.build([weight])
    step = tf.function(lambda: optimizer.apply([tf.ones([2])], [weight]), jit_compile=jit)
    for _ in range(5):
        step()
    moved = weight.numpy().astype(float) - [1.0, -1.0]
    assert (moved < -0.3).all() and (moved > -3.0).all()


def test_slow_averages_of_bfloat16_variables_move():
    weight = tf.Variable([1.0], dtype=tf.bfloat16)
    inner = optimizers.SGD(0.5, use_ema=True, ema_momentum=0.999)
    optimizer = optimizers.EMA(inner, 0.999)
    for grad in (0.0, 1.0, *[0.0] * 9):
        optimizer.apply([tf.constant([grad])], [weight])
    for average in (inner.slot("average", weight), optimizer.slot("average", weight)):
        np.testing.assert_allclose(average, [0.5 + 0.5 * 0.999**10], rtol=1e-5)
    with optimizer.evaluating():
        assert weight.dtype == tf.bfloat16 and float(weight[0]) > 0.9
    assert float(weight[0]) == 0.5


def test_misuse(weights, ones):
    optimizer = optimizers.SGD()
    assert not optimizer.built and optimizer.slots == {}
    with pytest.raises(ValueError, match="1 grads for 2 variables"):
        optimizer.apply(ones[:1], weights)
    with pytest.raises(ValueError, match="every gradient is None"):
        optimizer.apply([None, None], weights)
    optimizer.build(weights)
    with pytest.raises(ValueError, match="'other' of shape"):
        optimizer.apply([tf.ones([1])], [tf.Variable([1.0], name="other")])
    with pytest.raises(ValueError, match="slot 'momentum' is unknown"):
        optimizer.slot("momentum", weights[0])
    with pytest.raises(ValueError, match="same variable twice"):
        optimizers.SGD().build([weights[0], weights[0]])
    with pytest.raises(ValueError, match="variables is empty"):
        optimizers.SGD().build([])
    with pytest.raises(TypeError, match=r"only tf\.Variable and Keras variables"):
        optimizers.SGD().build([tf.constant(1.0)])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"learning_rate": -0.1}, "learning_rate=-0.1 must be finite"),
        ({"learning_rate": float("nan")}, "learning_rate=nan must be finite"),
        ({"weight_decay": -1}, "weight_decay=-1 must be"),
        ({"clipnorm": 0}, "clipnorm=0 must be positive"),
        ({"clipnorm": 1.0, "clipvalue": 1.0}, "clipnorm and clipvalue are set together"),
        ({"ema_momentum": 1.5}, r"ema_momentum=1.5 must lie in \[0.0, 1.0\]"),
        ({"ema_overwrite_frequency": 5}, "needs use_ema=True"),
        ({"momentum": 1.5}, "momentum=1.5 must lie"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        optimizers.SGD(**arguments)


def test_bad_arguments_of_other_rules():
    with pytest.raises(TypeError, match="must be a number, a schedule"):
        optimizers.Adam("fast")
    for bad in ({"beta_1": 1.0}, {"beta_2": -0.1}, {"epsilon": -1.0}):
        name, value = next(iter(bad.items()))
        for cls in (optimizers.Adam, optimizers.Nadam, optimizers.Adamax):
            with pytest.raises(ValueError, match=f"{name}={value} must"):
                cls(**bad)
    with pytest.raises(ValueError, match="without decay use Adam"):
        optimizers.AdamW(weight_decay=None)
    with pytest.raises(ValueError, match="beta_1=0 leaves"):
        optimizers.Lion(beta_1=0.0)
    with pytest.raises(ValueError, match="initial_accumulator_value=-1 must be"):
        optimizers.Adagrad(initial_accumulator_value=-1)
