"""Learning rates are set where the compiled step reads them, or refused with the reason."""

import keras
import pytest
import tensorflow as tf

import optimizers
from trainer.callbacks import rates


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
