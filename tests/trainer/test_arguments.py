"""Wrong calls: each names the argument, what it had, and the way out, and trains nothing."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import layers
import optimizers
from trainer import At, EarlyStopping, Every, TensorBoard, Trainer
from trainer.callbacks import Progress

X = np.random.default_rng(0).normal(size=(20, 3)).astype("float32")
Y = np.arange(20) % 4


def _model():
    return layers.Sequential([layers.Dense(4, activation="softmax")])


def _trainer(**options):
    loss = "sparse_categorical_crossentropy"
    return Trainer(_model(), **{"loss": loss, "optimizer": "sgd", **options})


CONSTRUCTION = [
    (lambda: Trainer(layers.Dense, loss="mse"), TypeError, "Dense is a class"),
    (lambda: Trainer(3, loss="mse"), TypeError, "neither a Task nor a model"),
    (lambda: _trainer(optimizer="adamm"), ValueError, "(?i)did you mean.*adam"),
    (lambda: _trainer(optimizer=optimizers.Adam), TypeError, r"Adam is a class"),
    (lambda: _trainer(optimizer=0.1), TypeError, "apply"),
    (lambda: _trainer(accumulate=0), ValueError, "accumulate=0"),
    (lambda: _trainer(accumulate=1.5), TypeError, "accumulate=1.5"),
    (lambda: _trainer(jit="xla"), ValueError, "jit='xla'"),
    (lambda: _trainer(jit=True), ValueError, "jit=True"),
    (lambda: _trainer(seed="a"), TypeError, "seed='a'"),
    (lambda: _trainer(loss="msee"), ValueError, "(?i)did you mean.*mse"),
    (lambda: _trainer(loss=["mse", "maee"]), ValueError, "(?i)did you mean.*mae"),
    (lambda: _trainer(metrics=["acc", "recal"]), ValueError, "(?i)did you mean.*recall"),
    (lambda: _trainer(weighted_metrics={"a": [["f1_scor"]]}), ValueError, "mean.*f1_score"),
]


@pytest.mark.parametrize(("call", "error", "words"), CONSTRUCTION)
def test_wrong_construction(call, error, words):
    with pytest.raises(error, match=words):
        call()


FITS = {
    "lengths differ": (dict(y=Y[:19]), ValueError, r"(?s)20.*19|19.*20"),
    "no targets": (dict(y=None), ValueError, "y is missing"),
    "labels out of range": (dict(y=Y + 1), ValueError, r"(?s)y.*4"),
    "a list of labels": (dict(y=Y.tolist()), ValueError, r"list of 20 numbers.*np\.asarray\(y\)"),
    "negative labels": (dict(y=Y - 1), ValueError, r"-1"),
    "labels that are not numbers": (dict(y=np.where(Y > 2, np.nan, Y)), ValueError, "(?i)nan"),
    "labels that are words": (dict(y=np.array(["a", "b"] * 10)), (TypeError, ValueError), "y"),
    "no epochs": (dict(epochs=0), ValueError, "epochs=0"),
    "half an epoch": (dict(epochs=0.5), TypeError, "epochs=0.5"),
    "steps and epochs": (dict(epochs=1, steps=1), ValueError, "one of the two"),
    "batch of none": (dict(batch_size=0), ValueError, "batch_size"),
    "batch of a half": (dict(batch_size=2.5), (TypeError, ValueError), "batch_size"),
    "empty data": (dict(x=X[:0], y=Y[:0]), ValueError, "x has no rows"),
    "verbose": (dict(verbose=7), ValueError, "verbose=7"),
    "split": (dict(validation_split=1.5), ValueError, "validation_split"),
    "split and data": (
        dict(validation_split=0.5, validation_data=(X, Y)),
        ValueError,
        "not both",
    ),
    "validation without targets": (dict(validation_data=X), ValueError, "validation_data is a nd"),
    "validation labels": (dict(validation_data=(X, Y + 1)), ValueError, r"validation_data\[1\]"),
    "freq": (dict(validation_data=(X, Y), validation_freq=0), ValueError, "validation_freq=0"),
    "monitor": (
        dict(callbacks=[EarlyStopping(monitor="los")]),
        ValueError,
        r"(?s)'los'.*Did you mean 'loss'",
    ),
    "monitor without validation": (
        dict(callbacks=[EarlyStopping(monitor="val_loss")]),
        ValueError,
        "validation_data",
    ),
    "a Keras callback by batches": (
        dict(callbacks=[keras.callbacks.LambdaCallback(on_train_batch_end=lambda *_: None)]),
        TypeError,
        "Keras callback",
    ),
    "a class as callback": (dict(callbacks=[Progress]), TypeError, "is the class Progress"),
    "weights too long": (dict(sample_weight=np.ones(21)), ValueError, "sample_weight"),
    "weights that are no numbers": (
        dict(sample_weight=np.full(20, np.nan)),
        ValueError,
        "(?i)nan",
    ),
    "class weights": (dict(class_weight={9: 1.0}), ValueError, "class_weight"),
    "channels": (dict(x=X[:, :2]), ValueError, r"(?s)3.*2|2.*3"),
}


@pytest.mark.parametrize("name", list(FITS))
def test_wrong_fits_train_nothing(name):
    given, error, words = FITS[name]
    trainer = _trainer()
    trainer.task.model(X[:1])
    before = trainer.task.model.get_weights()
    with pytest.raises(error, match=words):
        trainer.fit(**{"x": X, "y": Y, "verbose": 0, **given})
    assert trainer.step == 0
    for a, b in zip(before, trainer.task.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    trainer.fit(X, Y, verbose=0)  # and it is whole
    assert trainer.step == 1


def test_wrong_triggers():
    for wrong in (
        Every,
        lambda: Every(steps=1, epochs=1),
        lambda: Every(steps=0),
        lambda: Every(steps=1.5),
        At,
        lambda: At(0),
    ):
        with pytest.raises(ValueError, match=r"Every|At"):
            wrong()


def test_a_dataset_takes_no_batch_size(tmp_path):
    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(4)
    trainer = _trainer()
    with pytest.raises(ValueError, match="batch_size"):
        trainer.fit(data, batch_size=4, verbose=0)
    with pytest.raises(ValueError, match="y"):
        trainer.fit(data, Y, verbose=0)
    trainer.fit(data, callbacks=[TensorBoard(tmp_path)], verbose=0)
    assert trainer.step == 5


class Gives(tf.Module):
    """A model of one Dense layer, whose output goes through a function."""

    def __init__(self, change):
        super().__init__()
        self.dense, self.change = layers.Dense(3), change

    def __call__(self, x):
        return self.change(self.dense(x))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda z: None, "output is None; does the model's __call__ end in a return"),
        (lambda z: tf.argmax(z, -1), "output is int64, which has no gradient.*tf.argmax"),
        (lambda z: {"a": z, "b": z > 0}, "output 'b' is bool"),
    ],
)
def test_outputs_that_nothing_can_be_learnt_from(change, words):
    trainer = Trainer(Gives(change), loss="mse", optimizer="sgd")
    with pytest.raises(TypeError, match=words):
        trainer.fit(X, Y, verbose=0)


@pytest.mark.parametrize("verb", ["fit", "evaluate", "predict"])
def test_inside_a_tf_function_the_way_out_is_told(verb):
    call = getattr(_trainer(), verb)
    with pytest.raises(RuntimeError, match=r"called inside a tf\.function.*from plain Python"):
        tf.function(lambda: call(X), autograph=False)()


def test_data_that_end_before_steps_per_epoch_are_told_of(caplog):
    history = _trainer().fit(X, Y, batch_size=10, steps_per_epoch=3, epochs=2, verbose=0)
    assert history.epoch_steps == [2, 4]
    assert "the data ended after 2 steps of an epoch, before steps_per_epoch=3" in caplog.text
