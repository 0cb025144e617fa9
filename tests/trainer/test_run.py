"""The host loop: runs to the nearest trigger, and every boundary tells the truth."""

import numpy as np
import pytest

from trainer import At, Callback, Every


class See(Callback):
    """Keeps what it is told."""

    def __init__(self, when):
        self.when = when
        self.reports = []
        self.ended = 0

    def __call__(self, report):
        steps = {name: report.steps[name] for name in report.steps}
        self.reports.append((report, steps))

    def on_train_end(self, report):
        self.ended += 1


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        (Every(steps=1), list(range(1, 22))),
        (Every(steps=5), [5, 10, 15, 20]),
        (Every(epochs=1), [7, 14, 21]),
        (Every(epochs=2), [14]),
        (At(3, 4, 20), [3, 4, 20]),
        (Every(steps=10) | Every(epochs=1), [7, 10, 14, 20, 21]),
    ],
    ids=str,
)
def test_callbacks_are_called_exactly_when_due(fit, when, expected):
    see = See(when)
    fit(see)
    assert [report.step for report, _ in see.reports] == expected
    assert see.ended == 1


def test_each_callback_sees_every_step_once_whatever_the_others_want(fit):
    often, seldom = See(Every(steps=2)), See(Every(epochs=1))
    _, history = fit(often, seldom)
    for see in (often, seldom):
        seen = np.concatenate([steps["step"] for _, steps in see.reports])
        np.testing.assert_array_equal(seen, np.arange(1, len(seen) + 1))
        losses = np.concatenate([steps["loss"] for _, steps in see.reports])
        np.testing.assert_array_equal(losses, history.steps["loss"][: len(losses)])


def test_logs_are_means_over_the_epoch_so_far(fit):
    see = See(Every(steps=1))
    _, history = fit(see, epochs=2)
    rows = np.array([8] * 6 + [5])
    for report, _ in see.reports:
        epoch, at = divmod(report.step - 1, 7)
        losses = history.steps["loss"][7 * epoch : report.step]
        np.testing.assert_allclose(
            report.logs["loss"], losses @ rows[: at + 1] / rows[: at + 1].sum(), rtol=1e-6
        )
        assert report.epoch_end == (at == 6)
        assert report.epoch == epoch + (at == 6)
        assert report.epoch_step == at + 1


def test_a_run_by_steps_closes_its_epoch(fit, data):
    """Nothing goes unreported: the open epoch's values, and a validation, at the end."""
    see = See(Every(epochs=1))
    _, history = fit(see, epochs=None, steps=10, validation_data=data)
    assert history.epoch_steps == [7, 10]
    assert [report.step for report, _ in see.reports] == [7, 10]
    assert len(history.history["val_loss"]) == 2
    np.testing.assert_allclose(history.history["loss"][1], history.steps["loss"][7:].mean())


def test_callbacks_end_even_when_training_fails(fit):
    see = See(Every(steps=1))

    class Fail(Callback):
        when = At(2)

        def __call__(self, report):
            raise KeyError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        fit(see, Fail())
    assert see.ended == 1
