"""Chooser: how a program is compiled: as on record, as its graph tells, or as a trial finds."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial

import tensorflow as tf

from trainer.compiling import activations, constants, cost, record, trial
from trainer.compiling.choice import MODES, Choice


def choose(
    key: str,
    graph: tf.Graph,
    steps: int | None,
    run_in: Callable[[str], Callable[[int], object]],
    most_steps: int,
    scratch: Callable[[], AbstractContextManager[None]],
) -> tuple[Choice, str | None]:
    """The choice for a run, and why it could not be recorded, if so.

    What was decided for a run of this very length comes first, then what a trial found, then what
    the graph tells, then a trial. All is recorded, so that the same script is compiled the same way
    again, whatever was run in between.

    Args:
        key: of the program, in the record.
        graph: of one step.
        steps: that are ahead; None when it is not known.
        run_in: mode -> `run(n)`, which makes n steps; called when the mode is tried.
        most_steps: the most steps of one run.
        scratch: what is open while steps are tried.
    """
    own = f"{key}-{steps}"
    if (known := record.recall(own) or record.recall(key)) is not None:
        return known, None
    told = cost.cost_of(graph)
    on_cpu = all(d.device_type == "CPU" for d in tf.config.list_logical_devices())
    choice = cost.decide(told, steps, on_cpu)
    if choice is None:
        left_out = cost.hopeless(told, on_cpu)
        if anew := constants.said(graph):
            left_out["step"] = f"not tried: {anew}"
        try:
            with scratch():
                choice = trial.measure(
                    {mode: partial(_run, run_in, mode) for mode in MODES},
                    most_steps,
                    budget=partial(cost.trial_budget, steps),
                    compile_seconds=told.compile_seconds,
                    left_out=left_out,
                )
        except trial.Stopped:
            return Choice("graph", "a signal ended the trial", settled=False), None
    choice = choice._replace(peak_bytes=activations.peak_bytes(graph))
    return choice, record.remember(key if choice.settled else own, choice)


def _run(run_in: Callable[[str], Callable[[int], object]], mode: str, n: int) -> object:
    return run_in(mode)(n)
