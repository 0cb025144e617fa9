"""ThresholdStop ends a run that is good enough, in either direction."""

import pytest

from trainer.callbacks import ThresholdStop


@pytest.mark.parametrize(
    ("monitor", "threshold", "mode", "step"),
    [
        ("val_loss", 0.05, "auto", 20),
        ("val_loss", 0.05, "max", 10),
        ("accuracy", 0.5, "auto", 10),
        ("val_accuracy", 0.21, "max", 30),
        ("val_loss", 0.0, "min", None),
    ],
)
def test_stops_where_the_threshold_is_reached(fit, make_run, monitor, threshold, mode, step):
    values = lambda step: {"val_loss": 1 / step, "val_accuracy": step / 100}  # noqa: E731
    history = fit([ThresholdStop(monitor, threshold, mode)], make_run(), values)
    assert (history.stopped is not None) == (step is not None)
    assert history.steps["step"][-1] == (step or 30)
    if step:
        assert f"ThresholdStop: {monitor} is" in history.stopped


def test_refuses():
    with pytest.raises(ValueError, match="mode='up'"):
        ThresholdStop("loss", 1, mode="up")
    for wrong in ("0.1", True, None):
        with pytest.raises(TypeError, match=f"threshold={wrong!r}.*must be a number"):
            ThresholdStop("loss", wrong)
