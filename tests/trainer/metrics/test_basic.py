"""Mean and Sum against Keras's, of functions and of entries of an output."""

import keras
import numpy as np
import pytest

from trainer.metrics import Mean, Sum


def prediction(y_true, y_pred):
    return y_pred


@pytest.mark.parametrize("shape", [(7,), (7, 3)])
@pytest.mark.parametrize("weighted", [False, True])
def test_mean_and_sum_equal_keras(sums_of, shape, weighted):
    rng = np.random.default_rng(0)
    values = rng.normal(size=shape).astype("f")
    weight = rng.random(7).astype("f") if weighted else None
    theirs = keras.metrics.Mean()
    theirs.update_state(values, weight)
    ours = Mean(prediction)
    assert ours.result(sums_of(ours, None, values, weight)) == pytest.approx(
        float(theirs.result()), rel=1e-6
    )
    wide = 1 if weight is None else weight.reshape((7,) + (1,) * (len(shape) - 1))
    total = Sum(prediction)
    assert total.result(sums_of(total, None, values, weight)) == pytest.approx(
        (values.astype(float) * wide).sum(), rel=1e-5
    )


def test_of_an_entry_of_the_output():
    output = {"kl": np.array([1.0, 3.0], "f"), "logits": np.zeros([2, 4], "f")}
    metric = Mean("kl", direction="min")
    assert (metric.name, metric.direction) == ("kl", "min")
    assert metric.result(metric(None, output)) == 2.0
    total = Sum("kl", name="kl_sum")
    assert (total.name, total.result(total(None, output))) == ("kl_sum", 4.0)


def test_says_which_entries_there_are():
    with pytest.raises(ValueError, match=r"entry 'kl'.*\['logits'\]"):
        Mean("kl")(None, {"logits": [1.0]})
    with pytest.raises(ValueError, match=r"entry 'kl'.*list"):
        Mean("kl")(None, [1.0])
    with pytest.raises(TypeError, match="of=3"):
        Mean(3)
