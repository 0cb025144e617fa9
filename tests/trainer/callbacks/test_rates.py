"""Learning rates are set where the compiled step reads them, or refused with the reason."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import layers
import losses
import optimizers
from trainer import Trainer
from trainer.callbacks import LambdaCallback, LearningRateScheduler, ReduceLROnPlateau, rates


def test_reads_and_sets_ours_kerass_and_ones_own(make_run, fake_optimizer):
    run = make_run(
        optimizers={
            "ours": optimizers.Adam(0.1),
            "around": optimizers.EMA(optimizers.SGD(0.2)),
            "keras": keras.optimizers.SGD(0.3),
            "own": fake_optimizer(0.4),
        }
    )
    paths = rates.chosen(run, None, "Test")
    assert [rates.read(run, path) for path in paths] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    rates.write(run, rates.chosen(run, "keras", "Test"), 0.5)
    assert [rates.read(run, path) for path in paths] == pytest.approx([0.1, 0.2, 0.5, 0.4])


def schedule(step):
    return 0.1 / tf.cast(step + 1, tf.float32)


class Plain:
    learning_rate = 0.1


@pytest.mark.parametrize(
    ("optimizer", "words"),
    [
        (optimizers.SGD(schedule), "cannot be set.*schedule"),
        (keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(0.1, 9)), "cannot be set"),
        (Plain(), "the Python number 0.1"),
        (object(), "nowhere to be found"),
    ],
    ids=["schedule", "keras_schedule", "number", "none"],
)
def test_refuses_what_would_not_reach_the_step(make_run, optimizer, words):
    with pytest.raises(ValueError, match=f"(?s)Test: the learning rate of g .*{words}"):
        rates.chosen(make_run(optimizers={"g": optimizer}), None, "Test")


def test_refuses_an_optimizer_that_is_not_there(make_run):
    with pytest.raises(ValueError, match=r"optimizer='g'.*it has 'optimizer'"):
        rates.chosen(make_run(), "g", "Test")
    with pytest.raises(ValueError, match="has no optimizer"):
        rates.chosen(make_run(optimizers={}), None, "Test")


def grouped():
    groups = {
        "bias": optimizers.SGD(0.4),
        "kernel": optimizers.EMA(optimizers.SGD(0.2)),
        "...": optimizers.SGD(0.1),
    }
    return optimizers.Lookahead(optimizers.Groups(groups), 2)


def test_every_group_has_a_rate_of_its_own(make_run):
    run = make_run(optimizers={"g": grouped(), "h": optimizers.SGD(0.3)})
    paths = rates.chosen(run, None, "Test")
    assert paths == ["g/bias", "g/kernel", "g/...", "h"]
    assert rates.chosen(run, "g", "Test") == paths[:3]
    rates.write(run, rates.chosen(run, "g/kernel", "Test"), 0.5)
    assert [rates.read(run, path) for path in paths] == pytest.approx([0.4, 0.5, 0.1, 0.3])
    with pytest.raises(ValueError, match=r"it has 'g/bias', 'g/kernel', 'g/\.\.\.', 'h'"):
        rates.chosen(run, "g/scale", "Test")


def test_callbacks_reach_the_groups_of_a_compiled_run():
    """The bias stands from the second epoch on, the rest goes on at half of its rate."""
    optimizer = optimizers.Groups({"bias": optimizers.SGD(0.4), "...": optimizers.SGD(0.1)})
    model, seen = layers.Dense(1), []
    look = LambdaCallback(lambda report: seen.append([w.numpy() for w in model.variables]))
    stop = LearningRateScheduler(
        lambda epoch: 0.4 if epoch < 1 else 0.0, optimizer="optimizer/bias"
    )
    halve = ReduceLROnPlateau(
        "loss", 0.5, patience=1, min_delta=1e9, optimizer="optimizer/..."
    )  # the first epoch is the best, any other no better
    x, y = np.ones((8, 2), np.float32), np.float32([[1.0]] * 8)
    trainer = Trainer(model, loss=losses.MeanSquaredError(), optimizer=optimizer, seed=0, jit=False)
    trainer.fit(x, y, batch_size=8, epochs=3, verbose=0, callbacks=[look, stop, halve])
    found = [float(o.learning_rate) for o in optimizer.optimizers.values()]
    assert found == pytest.approx([0.0, 0.025])
    bias = next(i for i, w in enumerate(model.variables) if w.shape.rank == 1)
    np.testing.assert_array_equal(seen[1][bias], seen[0][bias])
    assert (seen[1][1 - bias] != seen[0][1 - bias]).all()
