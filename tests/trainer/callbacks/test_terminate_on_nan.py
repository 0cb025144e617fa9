"""TerminateOnNaN names the first step whose loss is no number."""

import numpy as np
import pytest
import tensorflow as tf

import layers
import optimizers
from trainer import Every, Trainer
from trainer.callbacks import TerminateOnNaN


@pytest.mark.parametrize(("value", "said"), [(np.nan, "nan"), (np.inf, "inf")])
def test_stops_and_names_the_step(data, value, said):
    x, y = data
    x = np.concatenate([x, np.zeros_like(x[:, :1])], 1)
    x[8 * 4 : 8 * 5, -1] = 1.0  # the fifth batch

    def loss(y_true, y_pred):
        return tf.reduce_mean(tf.square(y_pred[:, :2] - y_true), -1) + y_pred[:, 2]

    class Model(layers.Layer):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(2)

        def call(self, x):
            bad = tf.where(x[:, -1:] == 1.0, value, 0.0)
            return tf.concat([self.dense(x), bad], 1)

    trainer = Trainer(Model(), loss=loss, optimizer=optimizers.SGD(0.1), jit=False)
    callback = TerminateOnNaN(when=Every(steps=3))
    history = trainer.fit(
        x, y, batch_size=8, epochs=3, shuffle=False, verbose=0, callbacks=[callback]
    )
    assert history.stopped == f"TerminateOnNaN: loss is {said} at step 5"
    assert trainer.step == 6


def test_looks_at_what_it_is_told_to(fit, make_run):
    with pytest.raises(ValueError, match="has 'loss' in it; pass names=, of accuracy"):
        fit([TerminateOnNaN()], make_run(names=["accuracy", "val_loss"]))
    with pytest.raises(ValueError, match=r"monitors 'los'.*Did you mean 'loss'"):
        fit([TerminateOnNaN("los")], make_run())
    history = fit([TerminateOnNaN("val_loss")], make_run(), lambda step: {"val_loss": np.nan})
    assert history.stopped == "TerminateOnNaN: val_loss is nan at step 10"
