"""Workload: one job to train, and the same job without the Trainer, from the same weights."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from benchmarks.data import Data


@dataclasses.dataclass(frozen=True)
class ByHand:
    """A training step written with `tf.GradientTape` alone, as a careful researcher would.

    Attributes:
        step: `(batch, seeds) -> name -> mean over the batch`, "loss" among the names where there
            is one; updates the models once. `batch` is what the Trainer's task is given, `seeds` a
            `trainer.random.Seeds`, which gives the seeds that `ctx.seed()` gives.
        get_weights: the weights now, in the order of `Workload.initial_weights`.
        state: name -> model or optimizer, all that a checkpoint of it holds.
        evaluate: the test split's values, where they are cheap to write; else nothing.
    """

    step: Callable[[Any, Any], Mapping[str, Any]]
    get_weights: Callable[[], list[np.ndarray]]
    state: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    evaluate: Callable[[Data], dict[str, float]] = lambda data: {}


class Workload:
    """A model, its data and its settings.

    Attributes:
        name: how the commands call it.
        title: what it trains, in a few words.
        batch_size: rows of a step.
        epochs: passes over the data that reach the expected quality.
        learning_rate: the optimizer's.
        expected: name in `quality` -> the value that is reached after `epochs`, whatever the seed;
            what a reader should see, not a record.
        at_most: the names in `expected` that are to stay below; the others are to be reached.
        round_steps: steps of one timed round.
        peers: the contenders that can do the same work, besides ours.
        calm: attributes that are set otherwise where the job is held against its twin step by
            step, so that it does not end in another place for the last bit of a number.
    """

    name: str
    title: str
    batch_size: int
    epochs: int
    learning_rate = 1e-3
    expected: ClassVar[Mapping[str, float]]
    at_most: ClassVar[Sequence[str]] = ("loss",)
    round_steps: int
    calm: ClassVar[Mapping[str, Any]] = {}
    peers: ClassVar[Sequence[str]]

    def data(self, data_dir: str | os.PathLike[str] | None = None) -> Data:
        """The arrays to train and test on."""
        raise NotImplementedError

    def trainer(
        self, data: Data, weights: Sequence[np.ndarray] | None = None, **settings: Any
    ) -> Any:
        """The Trainer of this job.

        Args:
            data: what it will be given; only its shapes count.
            weights: to begin with, in the order of `initial_weights`; None: drawn.
            settings: arguments of the Trainer, such as `seed`, `jit`, `precision`.
        """
        raise NotImplementedError

    def get_weights(self, trainer: Any) -> list[np.ndarray]:
        """The trainer's weights now, in the order of `initial_weights`."""
        raise NotImplementedError

    def trained(self, trainer: Any) -> list[bool]:
        """Of each of these weights whether gradients move it, and not a moving average."""
        raise NotImplementedError

    def initial_weights(self, data: Data, seed: int) -> list[np.ndarray]:
        """Weights for all contenders to begin with."""
        raise NotImplementedError

    def by_hand(self, data: Data, weights: Sequence[np.ndarray]) -> ByHand:
        """The same job without the Trainer."""
        raise NotImplementedError

    def fit(self, trainer: Any, data: Data, **how: Any) -> Any:
        """`trainer.fit` on the training split, in batches of this job; returns its History.

        Args:
            trainer: of `trainer`.
            data: of `data`.
            how: further arguments of `fit`, such as `epochs`, `callbacks`, `verbose`.
        """
        x, y = data.x_train, data.y_train
        return trainer.fit(x, y, batch_size=self.batch_size, **how)

    def validation(self, data: Data) -> Any:
        """What `fit` validates on after every epoch; None: nothing."""
        return data.x_test, data.y_test

    def quality(self, trainer: Any, data: Data) -> dict[str, float]:
        """How good the trained model is on the test split."""
        return trainer.evaluate(data.x_test, data.y_test, verbose=0)

    def sample(self, trainer: Any, data: Data) -> str:
        """What the trained model makes, for a person to read; "" where nothing is to be shown."""
        return ""


class Supervised(Workload):
    """A model that `fit` can train: inputs, targets, a loss.

    Attributes:
        own_layers: whether `model` is built of this project's layers (else it is the Keras model).
    """

    own_layers = True
    peers = ("fit", "fit_best", "orbit", "hand")

    def model(self) -> Any:
        """The model of this project's layers; its weights are in the order of `keras_model`'s."""
        raise NotImplementedError

    def keras_model(self) -> Any:
        """The same model of Keras's layers, built."""
        raise NotImplementedError

    def loss(self) -> Any:
        """This project's loss."""
        import losses

        return losses.SparseCategoricalCrossentropy(from_logits=True)

    def optimizer(self) -> Any:
        """This project's optimizer."""
        import optimizers

        return optimizers.Adam(self.learning_rate)

    def metrics(self) -> list[str]:
        """Names that Keras and the Trainer both understand."""
        return ["accuracy"]

    def keras_loss(self) -> Any:
        """Keras's loss."""
        import keras

        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def keras_optimizer(self) -> Any:
        """Keras's Adam: see `keras_adam`."""
        return keras_adam(self.learning_rate)

    def trainer(self, data, weights=None, **settings):
        """Model, loss, optimizer and metrics."""
        from trainer import Trainer

        model = self.model() if self.own_layers else self.keras_model()
        if weights is not None:
            model(data.x_train[: self.batch_size])  # builds
            model.set_weights(weights)
        how = {"metrics": self.metrics(), **settings}
        return Trainer(model, loss=self.loss(), optimizer=self.optimizer(), **how)

    def get_weights(self, trainer):
        """The model's."""
        return trainer.task.model.get_weights()

    def trained(self, trainer):
        """The model's variables that are trainable."""
        return [bool(v.trainable) for v in trainer.task.model.weights]

    def initial_weights(self, data, seed):
        """As Keras draws them."""
        import keras

        keras.utils.set_random_seed(seed)
        return self.keras_model().get_weights()

    def by_hand(self, data, weights):
        """The Keras model, with its loss and optimizer and without its `fit`."""
        import keras
        import tensorflow as tf

        model, loss_fn, optimizer = self.keras_model(), self.keras_loss(), self.keras_optimizer()
        model.set_weights(weights)
        optimizer.build(model.trainable_variables)
        chosen = self.metrics()
        names = {getattr(m, "__name__", m): keras.metrics.get(m) for m in chosen if m != "accuracy"}
        if "accuracy" in chosen:
            names["accuracy"] = keras.metrics.sparse_categorical_accuracy

        def values(y, outputs):
            found = {name: tf.reduce_mean(metric(y, outputs)) for name, metric in names.items()}
            return {"loss": loss_fn(y, outputs), **found}

        def step(batch, seeds):
            x, y = batch
            with tf.GradientTape() as tape:
                outputs = model(x, training=True)
                found = values(y, outputs)
            variables = model.trainable_variables
            optimizer.apply(tape.gradient(found["loss"], variables), variables)
            return found

        def evaluate(data):
            outputs = model.predict(data.x_test, batch_size=256, verbose=0)
            return {name: float(value) for name, value in values(data.y_test, outputs).items()}

        state = {"model": model, "optimizer": optimizer}
        return ByHand(step, model.get_weights, state, evaluate)


class Custom(Workload):
    """A task with a step of its own; `fit` cannot say it, a hand-written loop can.

    Attributes:
        models: the task's attributes that hold models of this project's layers.
    """

    models: ClassVar[Sequence[str]] = ("model",)
    peers = ("orbit", "hand")

    def task(self) -> Any:
        """The task: models, optimizers and the step."""
        raise NotImplementedError

    def trainer(self, data, weights=None, **settings):
        """A Trainer of the task."""
        from trainer import Trainer

        settings.pop("metrics", None)  # a task has its own
        trainer = Trainer(self.task(), **settings)
        if weights is None:
            self.pretrain(trainer, data)
        else:
            self.build(trainer, data)
            left = list(weights)
            for model in self._models(trainer.task):
                model.set_weights([left.pop(0) for _ in model.weights])
        return trainer

    def pretrain(self, trainer: Any, data: Data) -> None:
        """What comes before, where no weights are given: training a teacher, say."""

    def build(self, trainer: Any, data: Data) -> None:
        """Makes all variables, as `fit` would."""
        rows = self.batch_size
        trainer.prepare(*data.head(rows), batch_size=rows).close()

    def get_weights(self, trainer):
        """Those of all models, one model after the other."""
        return [w for model in self._models(trainer.task) for w in model.get_weights()]

    def trained(self, trainer):
        """The variables of all models that are trainable."""
        return [bool(v.trainable) for model in self._models(trainer.task) for v in model.weights]

    def initial_weights(self, data, seed):
        """As this project's layers draw them."""
        trainer = self.trainer(data, seed=seed)
        self.build(trainer, data)
        return self.get_weights(trainer)

    def by_hand(self, data, weights):
        """The same models in a step that is written with `tf.GradientTape`: see `hand_step`."""
        trainer = self.trainer(data, weights)
        return ByHand(self.hand_step(trainer.task), lambda: self.get_weights(trainer))

    def hand_step(self, task: Any) -> Callable[[Any, Any], Mapping[str, Any]]:
        """The step of `ByHand`, on the models of `task` and with Keras's optimizers."""
        raise NotImplementedError

    def _models(self, task: Any) -> list[Any]:
        return [getattr(task, name) for name in self.models]


def keras_adam(learning_rate: float) -> Any:
    """Keras's Adam, with the gradients of embeddings made dense first.

    An embedding's gradient has a row per use. Keras's Adam squares each row before it adds them up,
    so a row that is used n times in a batch moves up to sqrt(n) times too far; for the same work by
    all, the rows are added first.
    """
    import keras
    import tensorflow as tf

    class Adam(keras.optimizers.Adam):
        def apply(self, grads, trainable_variables=None):
            dense = [None if g is None else tf.convert_to_tensor(g) for g in grads]
            return super().apply(dense, trainable_variables)

    return Adam(learning_rate)
