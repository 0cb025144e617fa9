"""Distillation: a small student learns of a digit that it never sees, from how a teacher doubts."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

import layers
import losses
import optimizers
from benchmarks.data import Data, load_digits
from benchmarks.workloads.base import Custom
from trainer import Sums, Task, Trainer
from trainer.metrics import SparseCategoricalAccuracy

MISSING = 3  # the digit that the student is not shown
TEMPERATURE = 4.0


class Distill(Task):
    """Hinton, Vinyals and Dean 2015: the student's targets are the teacher's soft probabilities."""

    def __init__(self, learning_rate: float) -> None:
        super().__init__()
        self.teacher = layers.Sequential(
            [
                layers.Flatten(),
                layers.Dense(256, activation="relu"),
                layers.Dropout(0.3),
                layers.Dense(10),
            ]
        )
        self.student = student()
        self.optimizer = optimizers.Adam(learning_rate)
        self.metrics = {"accuracy": SparseCategoricalAccuracy("accuracy")}

    def step(self, batch, ctx):
        """Images [b, 8, 8]; what they show, [b], is not needed to learn."""
        targets = {"image": batch[0], "doubts": self.teacher(batch[0])}

        def loss_fn(part):
            return losses.distillation(part["doubts"], self.student(part["image"]), TEMPERATURE)

        variables = self.student.trainable_variables
        return {"loss": ctx.minimize(loss_fn, targets, self.optimizer, variables)}

    def eval_step(self, batch, ctx):
        """How far the student is from the teacher, and how often it is right."""
        image, label = batch
        logits = self.student(image)
        loss = losses.distillation(self.teacher(image), logits, TEMPERATURE)
        return {"loss": Sums.of(loss), "accuracy": self.metrics["accuracy"](label, logits)}


def student() -> Any:
    """Images [b, 8, 8] -> logits [b, 10]; 32 hidden units."""
    return layers.Sequential(
        [layers.Flatten(), layers.Dense(32, activation="relu"), layers.Dense(10)]
    )


def learn_labels(model: Any, data: Data, *, epochs: int, seed: int) -> Trainer:
    """Trains a model on labels alone."""
    trainer = Trainer(
        model,
        loss=losses.SparseCategoricalCrossentropy(from_logits=True),
        optimizer=optimizers.Adam(1e-3),
        metrics=["accuracy"],
        seed=seed,
    )
    trainer.fit(data.x_train, data.y_train, batch_size=32, epochs=epochs, verbose=0)
    return trainer


class Distillation(Custom):
    """The teacher sees all digits; the student's images hold no 3 (section 3 of the paper).

    On labels alone it could never say 3; distilled, it recognizes most of them in the test split.
    """

    name = "distillation"
    title = "Distillation on digits, with one missing"
    batch_size = 32
    epochs = 100
    expected: ClassVar = {"accuracy": 0.93, "missing": 0.8, "gain": 0.05}
    round_steps = 2000
    models = ("teacher", "student")
    teacher_epochs = 40

    def data(self, data_dir=None):
        """Images [b, 8, 8] and labels [b], in the training split none of `MISSING`."""
        digits = load_digits()
        x, y = digits.x_train, np.asarray(digits.y_train)
        return Data(x[y != MISSING], y[y != MISSING], digits.x_test, digits.y_test)

    def task(self):
        """Teacher and student."""
        return Distill(self.learning_rate)

    def pretrain(self, trainer, data):
        """The teacher learns from all digits."""
        learn_labels(
            trainer.task.teacher, load_digits(), epochs=self.teacher_epochs, seed=trainer.seed
        )

    def quality(self, trainer, data):
        """Accuracy of the student, on the missing digit too, and beside one trained on labels."""
        x, y = data.x_test, data.y_test
        alone = learn_labels(student(), data, epochs=self.epochs, seed=trainer.seed)
        missing = trainer.evaluate(x[y == MISSING], y[y == MISSING], verbose=0)
        accuracy = trainer.evaluate(x, y, verbose=0)["accuracy"]
        on_labels = alone.evaluate(x, y, verbose=0)["accuracy"]
        teacher = np.mean(np.argmax(trainer.task.teacher(x), -1) == y)
        return {
            "accuracy": accuracy,
            "missing": missing["accuracy"],
            "gain": accuracy - on_labels,
            "teacher": float(teacher),
        }

    def hand_step(self, task):
        """The same update with a tape."""
        import keras

        optimizer = keras.optimizers.Adam(self.learning_rate)
        variables = task.student.trainable_variables

        def step(batch, seeds):
            doubts = task.teacher(batch[0])
            with tf.GradientTape() as tape:
                found = losses.distillation(doubts, task.student(batch[0]), TEMPERATURE)
                loss = tf.reduce_mean(found)
            optimizer.apply(tape.gradient(loss, variables), variables)
            return {"loss": loss}

        return step
