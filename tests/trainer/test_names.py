"""Strings become objects of the sibling packages; objects pass."""

import pytest

import losses
import optimizers
from trainer import names


def test_strings_name_siblings():
    assert isinstance(names.loss("mse"), losses.MeanSquaredError)
    assert isinstance(names.optimizer("adam"), optimizers.Adam)


def test_objects_pass():
    thing = object()
    assert names.loss(thing) is thing
    assert names.optimizer(thing) is thing


@pytest.mark.parametrize("name", ["sparse_categorical_crossentropie", "mean_squared"])
def test_a_near_miss_is_named(name):
    with pytest.raises(ValueError, match=r"sparse_categorical_crossentropy|mean_squared_error"):
        names.loss(name)
    with pytest.raises(ValueError, match=r"(?i)adam"):
        names.optimizer("adm")
