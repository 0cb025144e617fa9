"""Where Keras `fit` is wrong, or surprising: its value and ours, side by side.

Each test asserts what this version of Keras does too, so that a repair there is noticed here.
"""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

import losses
import optimizers
from trainer import Every, Trainer
from trainer.callbacks import LambdaCallback


def largest(a, b):
    """The largest difference between two lists of arrays."""
    return max(float(np.abs(x - y).max()) for x, y in zip(a, b, strict=True))


# ---- the data ----------------------------------------------------------------------------------


class Recorder(tf.Module):
    """A model that only notes what it is shown, by summing `weight * x`."""

    def __init__(self):
        super().__init__()
        self.w = tf.Variable(1.0)

    def __call__(self, x):
        return self.w * x


def test_shuffling_repeats_one_permutation():
    """With a global seed set, Keras shuffles every epoch alike; ours is new in each epoch.

    Each batch has one row, so that the losses of the steps tell the order.
    """
    x = np.arange(16, dtype=np.float32)[:, None]
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    seen = []

    class Look(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            self.model.reset_metrics()

        def on_train_batch_end(self, batch, logs=None):
            seen.append(logs["loss"])

    model.compile(keras.optimizers.SGD(0.0), "mse", jit_compile=False)
    model.fit(x, 0 * x, batch_size=1, epochs=2, verbose=0, callbacks=[Look()])
    assert seen[:16] == seen[16:]
    trainer = Trainer(Recorder(), loss="mse", optimizer=optimizers.SGD(0.0), jit=False)
    losses = trainer.fit(x, 0 * x, batch_size=1, epochs=2, verbose=0).steps["loss"]
    assert sorted(losses[:16]) == sorted(losses[16:]) == list((x[:, 0] ** 2).astype(float))
    assert list(losses[:16]) != list(losses[16:])


def test_class_without_a_weight(keras_fit, our_fit):
    """A class that `class_weight` forgets weighs 1 in Keras, silently; ours names it."""
    forgot = keras_fit("mlp", fit={"class_weight": {0: 1.0, 1: 3.0}})
    spelled = keras_fit("mlp", fit={"class_weight": {0: 1.0, 1: 3.0, 2: 1.0}})
    assert forgot.logs == spelled.logs
    with pytest.raises(ValueError, match="class_weight has no weight for class 2"):
        our_fit("mlp", fit={"class_weight": {0: 1.0, 1: 3.0}})


# ---- losses ------------------------------------------------------------------------------------


def test_list_of_losses_on_one_output(keras_fit, our_fit):
    """Keras uses the first of a list and drops the rest, silently; ours refuses the list.

    The way out that the error names, a function that adds the two, is right.
    """
    both = {"loss": ["mse", "mae"], "metrics": None}
    of_keras = keras_fit("temporal", compile=both)
    first = keras_fit("temporal", compile={"loss": "mse", "metrics": None})
    assert of_keras.logs["loss"] == first.logs["loss"]
    with pytest.raises(ValueError, match="write a function that adds them"):
        our_fit("temporal", compile=both)

    def added(y_true, y_pred):
        return losses.mean_squared_error(y_true, y_pred) + losses.mean_absolute_error(
            y_true, y_pred
        )

    ours = our_fit("temporal", compile={"loss": added, "metrics": ["mse", "mae"]})
    assert ours.logs["loss"][0] == pytest.approx(ours.logs["mse"][0] + ours.logs["mae"][0])


def test_targets_that_would_be_broadcast(keras_fit, our_fit, specimens):
    """Targets `[b, 1]` against predictions `[b, 3]`: Keras's "mse" repeats them; ours refuses."""
    compile = {"loss": "mse", "metrics": None}
    y = specimens["mlp"].y[:, None].astype(np.float32)
    repeated = keras_fit("mlp", compile=compile, fit={"y": np.repeat(y, 3, 1)})
    assert keras_fit("mlp", compile=compile, fit={"y": y}).logs == repeated.logs
    with pytest.raises(ValueError, match="nothing is broadcast"):
        our_fit("mlp", compile=compile, fit={"y": y})


def test_loss_of_each_output_over_a_short_batch(keras_fit, our_fit, specimens):
    """61 rows in batches of 8: Keras's losses per output are plain means over 8 batches.

    The 5 rows of the last batch weigh 8/5 of the others. Ours count every row once, and agree
    with Keras's own total.
    """
    still = ("SGD", {"learning_rate": 0.0})
    theirs, ours = keras_fit("two", still).logs, our_fit("two", still).logs
    y = specimens["two"].y["score"]
    predicted = our_fit("two", still).trained.predict(specimens["two"].x)["score"]
    squares = ((predicted - y) ** 2)[:, 0].astype(np.float64)
    by_batch = np.mean([squares[i : i + 8].mean() for i in range(0, 61, 8)])
    assert theirs["score_loss"][0] == pytest.approx(by_batch, rel=1e-6)
    assert ours["score_loss"][0] == pytest.approx(squares.mean(), rel=1e-6)
    assert abs(by_batch / squares.mean() - 1) > 1e-3
    total = 0.5 * ours["score_loss"][0] + 2.0 * ours["kind_loss"][0]
    assert theirs["loss"][0] == pytest.approx(total, rel=1e-6)


def test_masked_loss_of_an_epoch(keras_model, specimens):
    """Batches with more padding: Keras weighs each batch's mean by its rows.

    Ours is the mean over all unmasked steps of the epoch, however the data is cut.
    """
    model, x, y = keras_model("tagger"), specimens["tagger"].x, specimens["tagger"].y
    model.set_weights([5 * w for w in model.get_weights()])  # losses that differ between steps
    logits = model(x).numpy().astype(np.float64)
    values = np.log(np.exp(logits).sum(-1)) - np.take_along_axis(logits, y[..., None], -1)[..., 0]
    kept = x != 0
    parts = [slice(i, i + 8) for i in range(0, 61, 8)]
    by_rows = sum(values[p][kept[p]].mean() * len(x[p]) for p in parts) / 61
    theirs = model.evaluate(x, y, batch_size=8, verbose=0, return_dict=True)["loss"]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    ours = Trainer(model, loss=loss, jit=False).evaluate(x, y, batch_size=8, verbose=0)["loss"]
    assert theirs == pytest.approx(by_rows, rel=1e-6)
    assert ours == pytest.approx(values[kept].mean(), rel=1e-6)
    assert abs(by_rows / ours - 1) > 1e-3


def test_weighted_mean_of_an_epoch(keras_fit, our_fit, specimens):
    """reduction="mean_with_sample_weight": Keras weighs each batch by its rows, not its weights."""
    still = ("SGD", {"learning_rate": 0.0})
    loss = ("MeanSquaredError", {"reduction": "mean_with_sample_weight"})
    weights = np.linspace(0.01, 3, 61, dtype=np.float32)
    x, y = specimens["temporal"].x[:, 0], specimens["temporal"].y[:, 0]
    compile = {"loss": loss, "metrics": None, "weighted_metrics": ["mse"]}
    fit = {"x": x, "y": y, "sample_weight": weights}
    theirs, ours = keras_fit("pooled", still, compile, fit), our_fit("pooled", still, compile, fit)
    exact = theirs.logs["mse"][0]  # Keras's metric does divide by the sum of all weights
    assert ours.logs["loss"][0] == pytest.approx(exact, rel=1e-6)
    assert abs(theirs.logs["loss"][0] / exact - 1) > 1e-3


# ---- optimizers --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "optimizer",
    [
        ("Adam", {"learning_rate": 0.01}),
        ("RMSprop", {"learning_rate": 0.01}),
        ("SGD", {"learning_rate": 100.0, "global_clipnorm": 1e-3}),
        ("SGD", {"learning_rate": 100.0, "clipnorm": 1e-3}),
    ],
    ids=["Adam", "RMSprop", "global_clipnorm", "clipnorm"],
)
def test_words_that_occur_twice(keras_fit, our_fit, specimens, optimizer):
    """Keras squares each occurrence's gradient by itself: sum(g^2), in rules and in norms.

    The gradient of an embedding row is the sum over its occurrences, and what is asked for is
    (sum g)^2. The reference is Keras's own optimizer on the dense gradient of the same batch.
    """
    fit = {"x": specimens["text"].x[:8], "y": specimens["text"].y[:8]}
    theirs, ours = keras_fit("text", optimizer, fit=fit), our_fit("text", optimizer, fit=fit)
    model = keras.models.clone_model(specimens["text"].keras())
    model.set_weights(our_fit("text", ("SGD", {"learning_rate": 0.0}), fit=fit).weights)
    with tf.GradientTape() as tape:
        value = keras.losses.BinaryCrossentropy()(fit["y"], model(fit["x"]))
    dense = [tf.convert_to_tensor(g) for g in tape.gradient(value, model.trainable_variables)]
    name, kwargs = optimizer
    getattr(keras.optimizers, name)(**kwargs).apply(dense, model.trainable_variables)
    assert largest(ours.weights, model.get_weights()) < 2e-6
    assert largest(theirs.weights, model.get_weights()) > 1e-3


def test_moving_average_at_the_end(keras_fit, our_fit):
    """Keras replaces the weights by their average when `fit` ends, so a second `fit` starts there.

    Ours goes on from the weights themselves; one call of the optimizer gives the average.
    """
    optimizer = ("SGD", {"learning_rate": 0.1, "use_ema": True, "ema_momentum": 0.8})
    theirs, ours = keras_fit("mlp", optimizer), our_fit("mlp", optimizer)
    plain = keras_fit("mlp", ("SGD", {"learning_rate": 0.1}))
    assert largest(ours.weights, plain.weights) < 1e-6
    assert largest(theirs.weights, plain.weights) > 1e-3
    task = ours.trained.task
    task.optimizer.finalize_variable_values(task.model.trainable_variables)
    assert largest(task.model.get_weights(), theirs.weights) < 1e-6


# ---- accumulation ------------------------------------------------------------------------------


@pytest.fixture
def accumulated(keras_fit, our_fit, specimens):
    """48 rows with an optimizer's arguments: (Keras over 2 parts, Keras in one batch, ours)."""

    def run(kwargs, name="SGD"):
        fit = {"x": specimens["mlp"].x[:48], "y": specimens["mlp"].y[:48], "epochs": 2}
        parts = (name, {**kwargs, "gradient_accumulation_steps": 2})
        return (
            keras_fit("mlp", parts, fit=fit),
            keras_fit("mlp", (name, kwargs), fit={**fit, "batch_size": 16}),
            our_fit("mlp", (name, kwargs), fit=fit, accumulate=2),
        )

    return run


def test_moving_average_under_accumulation(accumulated):
    """Keras's average decays at every micro-batch, twice as fast as asked for."""
    parts, whole, ours = accumulated(
        {"learning_rate": 0.1, "use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 3}
    )
    assert largest(ours.weights, whole.weights) < 1e-6
    assert largest(parts.weights, whole.weights) > 1e-3


def test_schedule_under_accumulation(accumulated):
    """Keras's schedules count micro-batches: a decay over 3 updates is over after 1.5."""
    schedule = (
        "ExponentialDecay",
        {"initial_learning_rate": 0.3, "decay_steps": 3, "decay_rate": 0.1},
    )
    parts, whole, ours = accumulated({"learning_rate": schedule})
    assert largest(ours.weights, whole.weights) < 1e-6
    assert largest(parts.weights, whole.weights) > 1e-3


def test_micro_batches_left_over(keras_fit, our_fit):
    """61 rows are 8 micro-batches: by 3, Keras makes 2 updates and keeps 2 gradients back.

    The next epoch's first update mixes them with its own; ours makes a third update of the rest.
    """
    optimizer = ("SGD", {"learning_rate": 0.1, "gradient_accumulation_steps": 3})
    theirs = keras_fit("mlp", optimizer)
    assert int(theirs.trained.optimizer.iterations) == 2
    kept = theirs.trained.optimizer._accumulated_gradients
    assert any(np.abs(tf.convert_to_tensor(g)).max() > 0 for g in kept)
    ours = our_fit("mlp", ("SGD", {"learning_rate": 0.1}), accumulate=3)
    assert ours.trained.step == 3
    whole = keras_fit("mlp", ("SGD", {"learning_rate": 0.1}), fit={"batch_size": 24})
    assert largest(ours.weights, whole.weights) < 1e-6


def test_short_micro_batch(keras_fit, our_fit):
    """One update of 61 rows in 8 micro-batches: Keras's last one, of 5 rows, weighs like 8.

    Ours is the gradient of the mean over 61 rows.
    """
    theirs = keras_fit("mlp", ("SGD", {"learning_rate": 0.5, "gradient_accumulation_steps": 8}))
    whole = keras_fit("mlp", ("SGD", {"learning_rate": 0.5}), fit={"batch_size": 61})
    ours = our_fit("mlp", ("SGD", {"learning_rate": 0.5}), accumulate=8)
    assert ours.trained.step == int(theirs.trained.optimizer.iterations) == 1
    assert largest(ours.weights, whole.weights) < 1e-6
    assert largest(theirs.weights, whole.weights) > 1e-3


# ---- what is reported --------------------------------------------------------------------------


def test_values_of_a_step(keras_model, our_fit, specimens):
    """What Keras hands `on_train_batch_end` is the mean of the epoch so far, not of the batch."""
    still = ("SGD", {"learning_rate": 0.0})
    model, specimen, running = keras_model("mlp", still), specimens["mlp"], []
    model.fit(
        specimen.x,
        specimen.y,
        batch_size=8,
        shuffle=False,
        verbose=0,
        callbacks=[
            keras.callbacks.LambdaCallback(
                on_train_batch_end=lambda batch, logs: running.append(logs["loss"])
            )
        ],
    )
    steps = our_fit("mlp", still).trained.history.steps["loss"]
    rows = np.minimum(8, 61 - 8 * np.arange(8))
    np.testing.assert_allclose(running, np.cumsum(steps * rows) / np.cumsum(rows), 1e-6)
    model.reset_metrics()
    alone = model.evaluate(specimen.x[48:56], specimen.y[48:56], verbose=0)[0]
    assert steps[6] == pytest.approx(alone, rel=1e-6)
    assert abs(running[6] / alone - 1) > 1e-3


def test_validation_resets_training_metrics(keras_model, specimens):
    """At the end of an epoch Keras's own metrics hold validation's values; ours keep both.

    Ours may validate in mid-epoch too, and the epoch's values are what they are without.
    """
    model, specimen, read = keras_model("mlp"), specimens["mlp"], []
    held_out = (specimen.x[:24], 2 - specimen.y[:24])
    how = {"batch_size": 8, "shuffle": False, "verbose": 0}
    logs = model.fit(
        specimen.x,
        specimen.y,
        validation_data=held_out,
        callbacks=[
            keras.callbacks.LambdaCallback(
                on_epoch_end=lambda epoch, logs: read.append(model.get_metrics_result())
            )
        ],
        **how,
    ).history
    assert float(read[0]["accuracy"]) == pytest.approx(logs["val_accuracy"][0])
    assert float(read[0]["accuracy"]) != pytest.approx(logs["accuracy"][0], rel=1e-2)

    reports = []
    net = keras.models.clone_model(specimen.keras())
    net.set_weights(keras_model("mlp").get_weights())
    trainer = Trainer(
        net,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        optimizer=keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
        metrics=["accuracy"],
        jit=False,
    )
    trainer.fit(
        specimen.x,
        specimen.y,
        validation_data=held_out,
        validation_freq=Every(steps=3),
        callbacks=[LambdaCallback(reports.append, when=Every(steps=3))],
        **how,
    )
    assert [report.step for report in reports][:2] == [3, 6]
    assert all({"loss", "val_loss"} <= report.logs.keys() for report in reports[:2])
    epoch = trainer.history.history
    assert epoch["accuracy"][0] == pytest.approx(logs["accuracy"][0])
    assert epoch["loss"][0] == pytest.approx(logs["loss"][0], rel=1e-6)
