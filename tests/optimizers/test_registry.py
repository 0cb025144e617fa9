"""Names to optimizers, with Keras's defaults."""

from __future__ import annotations

import inspect

import keras
import pytest

import optimizers


@pytest.mark.parametrize("name", optimizers.names())
def test_names_and_defaults_are_keras_s(name):
    optimizer = optimizers.get(name.lower())
    assert type(optimizer) is getattr(optimizers, name) and optimizer.name == name.lower()
    ours = inspect.signature(type(optimizer)).parameters
    surroundings = set(inspect.signature(optimizers.Optimizer).parameters)
    assert surroundings <= set(ours)
    if not hasattr(keras.optimizers, name):
        return
    theirs = inspect.signature(getattr(keras.optimizers, name)).parameters
    left_out = {"loss_scale_factor", "gradient_accumulation_steps", "kwargs"}
    assert set(ours) - {"paper"} == set(theirs) - left_out
    assert "paper" not in ours or ours["paper"].default is False
    # The default name was a string in older versions of Keras; ours was compared above.
    compared = set(ours) - {"name", "paper"}
    assert {n: ours[n].default for n in compared} == {n: theirs[n].default for n in compared}
    positional = [n for n, p in ours.items() if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert [n for n in theirs if n in ours][: len(positional)] == positional


def test_objects_classes_and_configs():
    adam = optimizers.Adam(0.5)
    assert optimizers.get(adam) is adam
    assert isinstance(optimizers.get(optimizers.SGD), optimizers.SGD)
    config = {"class_name": "SGD", "config": {"learning_rate": 0.25}}
    assert float(optimizers.get(config).learning_rate) == 0.25
    theirs = keras.optimizers.SGD()
    assert optimizers.get(theirs) is theirs


def test_unknown_names_show_the_nearest():
    with pytest.raises(ValueError, match="did you mean 'Adam"):
        optimizers.get("adan")
    with pytest.raises(ValueError, match="known: "):
        optimizers.get("zzz")
    with pytest.raises(TypeError, match="optimizer=None is neither"):
        optimizers.get(None)
