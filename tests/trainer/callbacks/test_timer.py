"""Timer ends a run after a time; the time before a resume counts."""

import datetime

import pytest

from trainer.callbacks import Timer


@pytest.mark.parametrize("duration", [12.0, datetime.timedelta(seconds=12)])
def test_ends_at_the_step_in_which_the_time_is_over(fit, make_run, duration):
    history = fit([Timer(duration)], make_run())  # a second a step
    assert history.stopped == "Timer: 12.0 of 12 seconds are over"
    assert history.steps["step"][-1] == 12


def test_time_before_a_resume_counts(fit, make_run):
    timer = Timer(12)
    timer.on_train_begin(make_run(seconds=7.0))
    memory = timer.memory()
    assert memory == {"spent": 7.0}
    again = Timer(12)
    begin = again.on_train_begin
    again.on_train_begin = lambda run: (begin(run), again.load_memory(memory))
    assert fit([again], make_run()).steps["step"][-1] == 5


@pytest.mark.parametrize("duration", [0, -1, True, "1h"])
def test_refuses(duration):
    with pytest.raises(ValueError, match="duration="):
        Timer(duration)
