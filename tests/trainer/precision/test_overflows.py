"""What is told of updates that were left out."""

import numpy as np
import pytest
import tensorflow as tf

from trainer.precision.loss_scale import LossScale, Scaler
from trainer.precision.overflows import Overflow, Overflows, stuck


def test_the_table_names_the_most_frequent_first():
    names = ["model/kernel", "model/bias"]
    scalers = [
        Scaler(LossScale(8.0), path, {n: tf.Variable(0.0) for n in names}) for path in ("g", "d")
    ]
    scalers[0].times.assign([1, 5])
    scalers[0].first.assign([7, 2])
    scalers[0].last.assign([7, 9])
    scalers[0].skipped.assign(5)
    scalers[0].forward.assign(1)
    found = Overflows(scalers)
    assert found.rows == [
        Overflow("model/bias", 5, 2, 9, "g"),
        Overflow("model/kernel", 1, 7, 7, "g"),
    ]
    text = str(found).splitlines()
    assert text[0].startswith("g: loss scale 8, 5 updates left out, 1 of them with a loss")
    assert text[1] == "d: loss scale 8, 0 updates left out"
    assert text[3].split() == ["model/bias", "5", "2", "9", "g"]


@pytest.mark.parametrize(
    ("skipped", "scales", "says"),
    [
        (np.ones(30), np.full(30, 2.0**-14), True),
        (np.ones(30), 2.0 ** np.arange(30, 0, -1), False),  # still on its way down
        (np.ones(5), np.full(5, 2.0**-14), False),  # too few to tell
        (np.r_[np.ones(29), 0], np.full(30, 2.0**-14), False),
    ],
)
def test_a_run_that_learns_nothing_is_told(skipped, scales, says):
    scalars = {"g/skipped": skipped, "g/loss_scale": scales, "learning_rate": skipped}
    assert bool(stuck(scalars)) is says
    assert not says or "g/skipped" in stuck(scalars)
