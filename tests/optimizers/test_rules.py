"""Every optimizer and option against Keras for 200 steps: dense, sparse and scalar variables.

The rule as written runs the operations of Keras in its order, so in a plain graph the weights
agree to the last bits; TensorFlow's kernels and XLA (which contracts a * b + c) round differently,
and 200 steps add that up: their bound is 2e-6 of each variable's norm.
"""

from __future__ import annotations

import keras
import pytest

import optimizers

CASES = [
    ("SGD", {}),
    ("SGD", {"momentum": 0.9, "weight_decay": 0.01, "global_clipnorm": 2.0}),
    ("SGD", {"momentum": 0.9, "nesterov": True, "clipvalue": 0.5}),
    ("Adam", {}),
    ("Adam", {"amsgrad": True, "clipnorm": 0.5}),
    ("Adam", {"use_ema": True, "ema_momentum": 0.9, "ema_overwrite_frequency": 7}),
    ("AdamW", {"learning_rate": 0.01, "weight_decay": 0.1}),
    ("Nadam", {"learning_rate": 0.01}),
    ("Adamax", {}),
    ("RMSprop", {}),
    ("RMSprop", {"momentum": 0.9, "centered": True}),
    ("Adagrad", {"learning_rate": 0.1}),
    ("Adadelta", {"learning_rate": 1.0}),
    ("Lion", {"learning_rate": 0.01}),
]


@pytest.mark.parametrize(("name", "config"), CASES)
def test_equals_keras(name, config, train, train_keras, close):
    wanted = train_keras(getattr(keras.optimizers, name)(**config))
    ours = getattr(optimizers, name)
    written = ours(**config)
    written.fused = False
    close(train(written), wanted, 1e-6, "as written")
    if name in ("SGD", "Adam", "AdamW"):
        close(train(ours(**config)), wanted, 2e-6, "by kernel")
    close(train(ours(**config), jit=True), wanted, 2e-6, "compiled")


def test_sparse_and_dense_gradients_mean_the_same_in_keras_too(train, problem):
    """Row 5 has no gradient: plain SGD leaves it alone, Adam too, and momentum moves the others."""
    for optimizer in (optimizers.SGD(0.1), optimizers.Adam(0.1), optimizers.SGD(0.1, 0.9)):
        after = train(optimizer, steps=5)["table"]
        assert (after[5] == problem["weights"]["table"][5]).all()
        assert (after[:5] != problem["weights"]["table"][:5]).any()
