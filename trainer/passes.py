"""Passes: once over the data, to evaluate or to predict."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf

from trainer.callbacks.triggers import Trigger
from trainer.data.segment import Segment, Source
from trainer.loop import Loop
from trainer.metrics.windows import Window
from trainer.pace import Pace
from trainer.programs import Programs
from trainer.roles import Validation
from trainer.task import Task

_ALL = 2**30  # steps: as many as there are
_EMPTY = "the data gave no batch: pass data with at least one example."


def evaluate(
    task: Task,
    programs: Programs,
    source: Source,
    repeats: int,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, Any] | None:
    """The values over all of the source; None if `stop()` became true before its end.

    Args:
        task: whose metrics say how sums become values.
        programs: its compiled loops.
        source: the data.
        repeats: how often this will be done, for the choice of how to compile it.
        stop: asked after each call.
    """
    window = Window(task.metrics)
    for loop, segment, first, n in _calls("evaluate", programs, source, repeats):
        columns = loop(segment.args, first, n, window.sums)
        if columns.steps < n or stop():
            return None
        window.add(columns.sums, columns.carried)
    return window.values()


def validation(
    task: Task, programs: Programs, held_out: Source | None, asked: Mapping[str, int], when: Trigger
) -> Validation | None:
    """What a call of `fit` validates on, and when; None without data."""
    if held_out is None:
        return None
    repeats = asked.get("epochs", 1)
    return Validation(partial(evaluate, task, programs, held_out, repeats), when)


def predict(programs: Programs, source: Source) -> Any:
    """The outputs for every row of the source, in order: a nest of arrays `[n, ...]`."""
    chunks: list[Any] = []
    for loop, segment, first, n in _calls("predict", programs, source, 1):
        found = loop(segment.args, first, n).outputs
        chunks.append(tf.nest.map_structure(lambda a: a.reshape(-1, *a.shape[2:]), found))
    return tf.nest.map_structure(lambda *parts: np.concatenate(parts), *chunks)


def first_segment(source: Source) -> Segment:
    """The first steps of the source, as many as come at once."""
    reader = source.reader(0)
    try:
        segment = reader.take(_ALL)
    finally:
        reader.close()
    if segment is None:
        raise ValueError(_EMPTY)
    return segment


def _calls(
    verb: str, programs: Programs, source: Source, repeats: int
) -> Iterator[tuple[Loop, Segment, int, int]]:
    """Goes once over the data, in calls that all workers make alike.

    Yields:
        The loop, the segment, its first step to run, and how many.
    """
    known = source.steps_per_epoch
    reader, empty = source.reader(0), True
    pace, paced = Pace(), None
    try:
        while (segment := reader.take(_ALL)) is not None:
            empty = False
            loop = programs.loop(verb, source.fetch, segment, known and known * repeats)
            first = 0
            while first < segment.steps:
                left = segment.steps - first
                end = left if segment.last else math.inf
                # Workers must hear of each other more often than a stall is waited for.
                most = loop.capacity if programs.replicas.workers == 1 else pace.limit()
                n = programs.replicas.fewest(min(most, loop.capacity, left), end)
                begun = time.perf_counter()
                yield loop, segment, first, n
                pace.add(n, time.perf_counter() - begun, compiled=loop is not paced)
                first, paced = first + n, loop
            if segment.last:
                break
        else:
            programs.replicas.fewest(0, 0)
    finally:
        reader.close()
    if empty:
        raise ValueError(_EMPTY)
