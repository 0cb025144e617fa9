"""Fine-tuning a Keras model: frozen first layer, small steps for the others, a new head."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

import losses
import optimizers
from benchmarks.data import Data, load_digits
from benchmarks.workloads.base import Custom
from trainer import Trainer

HALF = 700  # of the images are for pretraining
SHOTS = 4  # images of each digit that are then labeled as even or odd


def model(classes: int) -> Any:
    """Keras's layers: images [b, 8, 8] -> logits [b, classes]."""
    import keras

    return keras.Sequential(
        [
            keras.Input([8, 8]),
            keras.layers.Reshape([8, 8, 1]),
            keras.layers.Conv2D(32, 3, activation="relu", name="edges"),
            keras.layers.Conv2D(64, 3, activation="relu", name="shapes"),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(64, activation="relu", name="features"),
            keras.layers.Dense(classes, name="head"),
        ]
    )


class FineTuning(Custom):
    """What tells the ten digits apart is taken over to tell even from odd, with 40 images for it.

    `Groups` gives each layer its learning rate by name: None freezes it, a number is multiplied
    with that of the rest. The Trainer takes the Keras model as it is. `fit` has one optimizer with
    one learning rate, so the twin is a tape with two Keras optimizers.
    """

    name = "fine_tuning"
    title = "Fine-tuning a Keras CNN on 40 images"
    batch_size = 8
    epochs = 60
    learning_rate = 1e-3  # of pretraining; the new head's is ten times it, the old layers' a third
    expected: ClassVar = {"accuracy": 0.87, "gain": 0.02}
    round_steps = 300
    own_layers = False
    pretraining_epochs = 40

    def data(self, data_dir=None):
        """Images [b, 8, 8] and whether they show an odd digit, [b]; `data_dir` is not needed."""
        digits = load_digits()
        x, y = digits.x_train[HALF:], np.asarray(digits.y_train)[HALF:]
        few = np.concatenate([np.flatnonzero(y == digit)[:SHOTS] for digit in range(10)])
        few = np.random.default_rng(0).permutation(few)
        return Data(x[few], y[few] % 2, digits.x_test, np.asarray(digits.y_test) % 2)

    def trainer(self, data, weights=None, **settings):
        """The pretrained model with a new head, each layer in its group."""
        head = optimizers.Adam(10 * self.learning_rate)
        groups = {"edges/": None, "shapes/|features/": 0.03, "...": head}
        if weights is None:
            weights = self.initial_weights(data, settings.get("seed", 0))
        tuned = model(2)
        tuned.set_weights(weights)
        return self._trainer(tuned, optimizers.Groups(groups), **settings)

    def initial_weights(self, data, seed):
        """What was learned of the ten digits, and a head as Keras draws it."""
        import keras

        keras.utils.set_random_seed(seed)
        digits, tuned = model(10), model(2)
        trainer = self._trainer(digits, self.optimizer(), seed=seed)
        half, epochs = load_digits().head(HALF), self.pretraining_epochs
        trainer.fit(*half, batch_size=32, epochs=epochs, verbose=0)
        return [*digits.get_weights()[:-2], *tuned.layers[-1].get_weights()]

    def optimizer(self):
        """For all layers alike, in pretraining and from scratch."""
        return optimizers.Adam(self.learning_rate)

    def quality(self, trainer, data):
        """Accuracy, and how much more it is than from scratch, trained as long on the same."""
        import keras

        keras.utils.set_random_seed(trainer.seed)
        scratch = self._trainer(model(2), self.optimizer(), seed=trainer.seed)
        size, epochs = self.batch_size, self.epochs
        scratch.fit(data.x_train, data.y_train, batch_size=size, epochs=epochs, verbose=0)
        accuracy = trainer.evaluate(data.x_test, data.y_test, verbose=0)["accuracy"]
        alone = scratch.evaluate(data.x_test, data.y_test, verbose=0)["accuracy"]
        return {"accuracy": accuracy, "gain": accuracy - alone}

    def hand_step(self, task):
        """The same update with a tape, and an optimizer for each learning rate."""
        import keras

        loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        slow = keras.optimizers.Adam(0.3 * self.learning_rate)
        fast = keras.optimizers.Adam(10 * self.learning_rate)
        variables = {
            name: task.model.get_layer(name).trainable_variables
            for name in ("shapes", "features", "head")
        }
        body, head = [*variables["shapes"], *variables["features"]], variables["head"]

        def step(batch, seeds):
            images, labels = batch
            with tf.GradientTape() as tape:
                logits = task.model(images, training=True)
                loss = loss_fn(labels, logits)
            of_body, of_head = tape.gradient(loss, [body, head])
            slow.apply(of_body, body)
            fast.apply(of_head, head)
            right = tf.cast(labels == tf.argmax(logits, -1, labels.dtype), tf.float32)
            return {"loss": loss, "accuracy": tf.reduce_mean(right)}

        return step

    def _trainer(self, keras_model: Any, optimizer: Any, **settings: Any) -> Trainer:
        loss = losses.SparseCategoricalCrossentropy(from_logits=True)
        how = {"metrics": ["accuracy"], **settings}
        return Trainer(keras_model, loss=loss, optimizer=optimizer, **how)
