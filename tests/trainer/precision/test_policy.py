"""What each precision sets, puts back, keeps and refuses; parity is in tests/parity."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import layers
from trainer import LossScale, Precision, Task, Trainer
from trainer.graphs import operations
from trainer.precision.policy import in_force


@pytest.mark.parametrize(
    ("given", "dtype", "scale"),
    [
        ("float32", "float32", None),
        ("mixed_bfloat16", "bfloat16", None),
        ("mixed_float16", "float16", LossScale()),
        (Precision("float16", loss_scale=None), "float16", None),
        (Precision("bfloat16", loss_scale=8.0), "bfloat16", LossScale(8.0, dynamic=False)),
    ],
)
def test_what_each_name_means(given, dtype, scale):
    found = Precision.of(given)
    assert (found.compute_dtype, found.scale) == (dtype, scale)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Precision.of("float16"), "mixed_float16"),
        (lambda: Precision.of(16), "precision=16"),
        (lambda: Precision("float64"), "float64"),
        (lambda: Precision("mixed_float16"), "Did you mean 'float16'"),
        (lambda: Precision("float16", loss_scale=True), "loss_scale=True"),
        (lambda: Precision("float16", loss_scale=[8.0]), r"loss_scale=\[8.0\]"),
        (lambda: Precision("float16", keep=[3]), r"keep=\[3\]"),
        (lambda: Precision("float16", keep=3), "keep=3"),
        (lambda: Precision("float16", loss_scale="big"), "loss_scale='big'"),
        (lambda: Precision("float16", loss_scale=1000.0), "power of two"),
        (lambda: Precision("float16", keep="("), "regular expression"),
    ],
)
def test_what_is_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


class Plain(tf.Module):
    def __init__(self):
        super().__init__()
        self.w = tf.Variable(tf.ones([4, 4]))

    def __call__(self, x):
        return tf.matmul(tf.cast(x, tf.float32), self.w)


class Holder(Task):
    """Layers of ours and of Keras, in attributes, lists and dicts."""

    def __init__(self):
        super().__init__()
        wrapped = keras.layers.Bidirectional(keras.layers.LSTM(2))
        self.keras = keras.Sequential([keras.layers.Dense(4), keras.Sequential([wrapped])])
        self.ours = layers.Sequential([layers.Dense(4, name="body"), layers.Dense(4, name="head")])
        self.listed = [layers.Dense(4), {"plain": Plain()}]


def _dtypes(task):
    bidirectional = task.keras.layers[1].layers[0]
    keras_layers = [task.keras, *task.keras.layers, bidirectional, bidirectional.forward_layer.cell]
    ours = [task.ours, *task.ours.layers, task.listed[0]]
    return [x.compute_dtype for x in (*keras_layers, *ours)]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_every_layer_is_set_and_put_back(dtype):
    task, said = Holder(), []
    task.ours.layers[1].compute_dtype = "float64"
    before = _dtypes(task)
    with pytest.raises(KeyError), in_force(Precision(dtype), task, said.append):
        assert set(_dtypes(task)) == {dtype}
        assert task.listed[0].output_dtype == task.ours.output_dtype == "float32"
        assert task.ours.layers[0].output_dtype is None
        raise KeyError
    assert _dtypes(task) == before
    assert task.ours.output_dtype is None
    assert len(said) == 1
    assert "listed/1/plain (Plain)" in said[0]


def test_nothing_is_set_where_nothing_is_asked():
    task, said = Holder(), []
    task.ours.layers[0].compute_dtype = "bfloat16"
    before = _dtypes(task)
    with in_force(None, task, said.append):
        assert _dtypes(task) == before
    with in_force(Precision(), task, said.append):
        assert set(_dtypes(task)) == {"float32"}
    assert said == []


def test_what_is_kept_stays_float32():
    task = Holder()
    keep = ["^ours/layers/1$", "bidirectional"]
    with in_force(Precision("bfloat16", keep=keep), task):
        assert task.ours.layers[1].compute_dtype == "float32"
        assert task.ours.layers[0].compute_dtype == "bfloat16"
        assert task.keras.layers[1].layers[0].compute_dtype == "float32"
    wrong, words = Precision("bfloat16", keep=["tail"]), "'tail'.*ours/layers/1"
    with pytest.raises(ValueError, match=words), in_force(wrong, task):
        pass


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_layers_compute_in_it_and_models_give_float32(dtype):
    """The product equals NumPy's of rounded inputs; it comes back as float32."""
    task = Holder()
    x = np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    with in_force(Precision(dtype), task):
        inner = task.ours.layers[0](x)
        outer = task.listed[0](x)
    assert inner.dtype.name == dtype
    assert outer.dtype == tf.float32
    kernel = tf.cast(task.listed[0].kernel, dtype).numpy().astype("float64")
    exact = tf.cast(x, dtype).numpy().astype("float64") @ kernel
    rounded = tf.cast(tf.cast(exact, dtype), tf.float32)
    np.testing.assert_allclose(outer, rounded, rtol=2**-7 if dtype == "bfloat16" else 2**-9)
    assert {v.dtype for v in task.ours.layers[0].weights} == {tf.float32}


def test_a_step_that_mixes_dtypes_is_told_what_to_do():
    class Net(tf.Module):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(4)

        def __call__(self, x):
            return x + self.dense(x)

    x = np.ones((8, 4), "float32")
    trainer = Trainer(Net(), loss="mse", optimizer="sgd", precision="mixed_bfloat16")
    with pytest.raises(TypeError, match=r"tf.cast\(x, tf.float32\)"):
        trainer.fit(x, x, verbose=0)


def test_predictions_are_float32_also_from_plain_modules_and_keras():
    class Net(tf.Module):
        def __init__(self, model):
            super().__init__()
            self.model = model

        def __call__(self, x):
            return self.model(x)

    x = np.ones((8, 4), "float32")
    for model in (Net(layers.Dense(2)), keras.layers.Dense(2)):
        assert Trainer(model, precision="mixed_bfloat16").predict(x).dtype == np.float32


def _model():
    return layers.Sequential([layers.Dense(8, activation="tanh"), layers.Dense(2)])


def test_two_trainers_share_a_model(data):
    """A float32 trainer is not touched by a bfloat16 one on the same model."""
    model = _model()
    model(data[0])
    evaluate = {"batch_size": 8, "verbose": 0}
    exact = Trainer(model, loss="mse")
    first = exact.evaluate(*data, **evaluate)
    half = Trainer(model, loss="mse", precision="mixed_bfloat16").evaluate(*data, **evaluate)
    assert exact.evaluate(*data, batch_size=4, verbose=0) == pytest.approx(first, rel=1e-6)
    assert half != first
    assert half["loss"] == pytest.approx(first["loss"], rel=2**-6)


def test_float16_set_by_hand_is_scaled_all_the_same(data):
    model = keras.Sequential([keras.layers.Dense(2, dtype="mixed_float16")])
    history = Trainer(model, loss="mse", optimizer="sgd").fit(*data, verbose=0)
    assert set(history.steps["loss_scale"]) == {2.0**15}


def test_optimizers_with_a_scale_of_their_own_are_refused(data):
    inner = keras.optimizers.SGD(0.1)
    own = keras.optimizers.LossScaleOptimizer(inner)
    factor = keras.optimizers.SGD(0.1, loss_scale_factor=8.0)
    for optimizer, words in ((own, "inner_optimizer"), (factor, "loss_scale_factor=8.0")):
        trainer = Trainer(_model(), loss="mse", optimizer=optimizer)
        with pytest.raises(ValueError, match=words):
            trainer.fit(*data, verbose=0)


def test_the_scale_of_an_optimizer_out_of_sight_is_refused(data, sgd):
    class Hidden(Task):
        def __init__(self):
            super().__init__()
            self.model = _model()

        def step(self, batch, ctx):
            x, y = batch

            def loss_fn(part):
                return tf.reduce_mean(tf.square(self.model(part[0]) - part[1]), -1)

            return {"loss": ctx.minimize(loss_fn, (x, y), sgd(), self.model.trainable_variables)}

    with pytest.raises(ValueError, match="no attribute of the task"):
        Trainer(Hidden(), precision="mixed_float16", jit=False).fit(*data, verbose=0)


def test_another_precision_does_not_go_on_in_the_same_folder(data, tmp_path):
    def train(precision):
        trainer = Trainer(
            _model(), loss="mse", optimizer="sgd", precision=precision, checkpoint=tmp_path
        )
        trainer.fit(*data, steps=3, verbose=0)

    train("mixed_bfloat16")
    with pytest.raises(ValueError, match=r"float32.*bfloat16"):
        train("float32")


def _operations(precision, data):
    trainer = Trainer(_model(), loss="mse", optimizer="adam", precision=precision, jit=False)
    trainer.fit(*data, batch_size=53, verbose=0)
    return sorted(op.type for op in operations(trainer.programs.loops[0].graphs[0]))


def test_the_graph_holds_nothing_that_the_precision_does_not_need(data):
    """float32 is the step as it was; bfloat16 adds casts and no more; float16 decides once."""
    plain = _operations(None, data)
    assert _operations("float32", data) == plain
    assert not {"IsFinite", "If", "StatelessIf"} & set(plain)
    half = _operations("mixed_bfloat16", data)
    assert [k for k in half if k != "Cast"] == [k for k in plain if k != "Cast"]
    assert sum(kind == "IsFinite" for kind in _operations("mixed_float16", data)) > 0


@pytest.mark.parametrize(
    ("precision", "jit"),
    [("mixed_bfloat16", "step"), ("mixed_float16", "step"), ("mixed_float16", "loop")],
)
def test_one_device_as_of_an_accelerator_is_the_same_run(data, precision, jit):
    """`OneDeviceStrategy` stands in for one GPU or one core of a TPU: the same bits as without,
    loss scale and decisions included."""

    def train(strategy):
        tf.random.set_seed(0)
        how = {"precision": precision, "strategy": strategy, "jit": jit}
        trainer = Trainer(_model(), loss="mse", optimizer="adam", **how)
        return trainer.fit(*data, batch_size=8, verbose=0).steps

    under, alone = train(tf.distribute.OneDeviceStrategy("CPU:0")), train(None)
    assert set(under) == set(alone)
    assert ("loss_scale" in under) == (precision == "mixed_float16")
    for name, values in alone.items():
        np.testing.assert_array_equal(under[name], values, err_msg=name)
