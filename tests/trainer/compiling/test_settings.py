"""What `jit=` may be."""

import pytest

from trainer.compiling.settings import Jit


def test_one_mode_or_one_for_each_function():
    assert Jit.of("auto").mode("train") == "auto"
    assert Jit.of(False).mode("predict") == "graph"
    own = Jit.of({"train": "loop", "evaluate": False})
    assert [own.mode(v) for v in ("train", "evaluate", "predict")] == ["loop", "graph", "auto"]
    assert Jit.of(own) is own


@pytest.mark.parametrize("given", ["fast", True, 1, 0, None, {"train": "fast"}, ["loop"]])
def test_others_are_refused(given):
    with pytest.raises(ValueError, match=r"jit=.*'auto'"):
        Jit.of(given)


def test_keys_and_limits_are_checked():
    with pytest.raises(ValueError, match=r"'fit'.*train, evaluate, predict"):
        Jit.of({"fit": "loop"})
    for programs in (0, True, 2.0):
        with pytest.raises(ValueError, match="programs="):
            Jit("auto", programs=programs)
