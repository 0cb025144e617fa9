"""What a task was made with: any setting that is another is found by its name."""

import functools

import keras
import pytest
import tensorflow as tf

import layers
import losses
import optimizers
from trainer import Task
from trainer.distribution.agreement import differences
from trainer.distribution.settings import settings


def made(**other):
    """What a trainer is given, with other settings where asked."""
    how = {"rate": 0.1, "decay": 0.01, "beta": 0.9, "dropout": 0.2, "keras_rate": 0.3}
    how |= {"smoothing": 0.0, "act": "relu", "delta": 1.0, **other}
    model = layers.Sequential(
        [
            layers.Dense(4, activation=how["act"]),
            layers.Dropout(how["dropout"]),
        ]
    )
    task = Task()
    task.model, task.keras = model, keras.layers.Dropout(how["keras_rate"])
    task.losses = [
        losses.CategoricalCrossentropy(label_smoothing=how["smoothing"]),
        functools.partial(losses.huber, delta=how["delta"]),
    ]
    task.optimizer = optimizers.AdamW(how["rate"], beta_1=how["beta"], weight_decay=how["decay"])
    return task


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("rate", 0.2, "learning_rate"),
        ("decay", 0.0, "weight_decay"),
        ("beta", 0.8, "beta_1"),
        ("dropout", 0.5, "rate"),
        ("keras_rate", 0.5, "rate"),
        ("smoothing", 0.1, "label_smoothing"),
        ("act", "gelu", "activation"),
        ("delta", 2.0, "delta"),
    ],
)
def test_a_setting_that_is_another_is_named(name, value, said):
    assert not differences([settings(made()), settings(made())])
    lines = differences([settings(made()), settings(made(**{name: value}))])
    assert lines and all(said in line.partition(":")[0] for line in lines), lines


def test_what_a_task_of_ones_own_keeps_is_its_own():
    """It may say which worker it is; what it holds of ours is compared."""

    class Mine(Task):
        def __init__(self, worker, rate):
            super().__init__()
            self.worker, self.folder = worker, f"runs/{worker}"
            self.w = tf.Variable(float(worker))
            self.parts = {"a": [layers.Dropout(rate)]}

    assert not differences([settings(Mine(0, 0.1)), settings(Mine(1, 0.1))])
    lines = differences([settings(Mine(0, 0.1)), settings(Mine(0, 0.2))])
    assert [line.partition(":")[0] for line in lines] == ["parts/a/0/rate"]
