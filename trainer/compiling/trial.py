"""Trial: times ways of compiling in turns, with an estimate of the noise and within a budget."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf

from trainer.compiling.choice import Choice, Trial
from trainer.compiling.refused import RefusedError, why

_ROUND_SECONDS = 0.1  # of one turn of the plain graph
_LEAST_ROUNDS, _MOST_ROUNDS = 5, 60
_FEWEST = 3  # rounds whose spread says anything; made beyond the budget too, where they are short
_LONG_ROUND = 0.5  # seconds
_CLEAR = 3.0  # a difference counts from so many standard errors on,
_SLIGHT = 0.01  # and from this share of the time on
_EQUAL = 0.02  # what differs by less is not looked at any longer
_LAUNCH_SECONDS = 0.5e-3  # the most that an XLA loop can save of an XLA step: its launch
_HOPELESS = 1.5  # times the plain graph, at a glance: then it is not worth compiling


class Stopped(Exception):
    """Raised by what is tried when a signal ended it: its times mean nothing."""


def measure(
    candidates: Mapping[str, Callable[[int], object]],
    most_steps: int,
    *,
    budget: Callable[[float], float] = lambda step_seconds: math.inf,
    compile_seconds: float = 0.0,
    left_out: Mapping[str, str] | None = None,
) -> Choice:
    """Times ways of compiling in turns, and keeps XLA only where its win exceeds the noise.

    What disturbs the machine for longer than a turn disturbs all alike: times are compared pair by
    pair within a round, and the spread of these ratios tells how far they can be trusted.

    Args:
        candidates: mode -> `run(n)`, which makes n steps; "graph" among them.
        most_steps: the most steps one run may make.
        budget: given the seconds of a plain step, those that all of it may take; what would exceed
            them is not tried.
        compile_seconds: what compiling one candidate will take, roughly.
        left_out: mode -> why it is not tried.
    """
    race = _Race(candidates, most_steps, budget, left_out or {})
    race.enter("graph")
    for mode in candidates:
        if mode != "graph":
            race.enter(mode, compile_seconds)
    for number in range(_MOST_ROUNDS):
        if len(race.runs) < 2 or race.over(number):
            break
        race.round(number)
    return race.choice()


class _Race:
    """What has been timed so far."""

    def __init__(
        self,
        candidates: Mapping[str, Callable[[int], object]],
        most_steps: int,
        budget: Callable[[float], float],
        left_out: Mapping[str, str],
    ) -> None:
        self.runs: dict[str, Callable[[int], object]] = {}
        self._candidates, self._most, self._allowed = candidates, most_steps, budget
        self._budget = math.inf
        self._begun = time.perf_counter()
        self._first: dict[str, float] = {}
        self._rough: dict[str, float] = {}  # seconds of a step, from a glance
        self._call: dict[str, float] = {}
        self._notes = dict(left_out)
        self._short = False  # whether the budget left something out
        self._seconds: dict[str, list[float]] = {}
        self._steps = 1
        self._longest = 0.0  # of the rounds

    def enter(self, mode: str, compile_seconds: float = 0.0) -> None:
        """Compiles a candidate and takes a glance at it, unless that cannot be worth it."""
        if mode != "graph":
            self._notes.setdefault(mode, self._left_out(mode, compile_seconds))
        if self._notes.get(mode):
            return
        run = self._candidates[mode]
        try:
            self._first[mode] = _timed(run, 1)
        except (tf.errors.OpError, RefusedError) as error:
            if mode == "graph":
                raise
            no_room = isinstance(error, tf.errors.ResourceExhaustedError)
            said = "does not fit into memory" if no_room else "does not compile"
            self._notes[mode] = f"{said}: {why(error)}"
            return
        one = min(_timed(run, 1) for _ in range(2))
        n = max(1, min(self._most, int(0.2 * _ROUND_SECONDS / max(one, 1e-9))))
        many = min(_timed(run, n) for _ in range(3)) if n > 1 else one
        self._rough[mode] = many / n
        self._call[mode] = max(0.0, one - many / n) if n > 1 else 0.0
        if mode == "graph":
            per_round = int(_ROUND_SECONDS / max(self._rough[mode], 1e-9))
            self._steps = max(1, min(self._most, per_round))
            self._budget = self._allowed(self._rough[mode])
        self.runs[mode] = run
        self._seconds[mode] = []

    def _left_out(self, mode: str, compile_seconds: float) -> str:
        left = self._budget - self._spent()
        # What one of its kind took is a better forecast than the graph's size.
        compile_seconds = max(
            [compile_seconds, *(self._first[m] for m in self.runs if m != "graph")]
        )
        needed = compile_seconds + 2 * _LEAST_ROUNDS * self._steps * self._rough["graph"]
        if needed > left:
            self._short = True
            return (
                f"not tried: about {needed:.2g} s, and {max(left, 0.0):.2g} s are left for trying"
            )
        step = self._rough.get("step")
        hopeless = _HOPELESS * self._rough["graph"] + _LAUNCH_SECONDS
        if mode == "loop" and step is not None and step > hopeless:
            return "not tried: it can only save the launches of an XLA step, which is slower"
        return ""

    def round(self, number: int) -> None:
        """Each in turn, another first each time."""
        modes = list(self.runs)
        moved = number % len(modes)
        begun = time.perf_counter()
        for mode in [*modes[moved:], *modes[:moved]]:
            self._seconds[mode].append(_timed(self.runs[mode], self._steps) / self._steps)
        self._longest = max(self._longest, time.perf_counter() - begun)

    def over(self, rounds: int) -> bool:
        """Whether more rounds would change nothing, or would exceed the budget."""
        needed = rounds >= _FEWEST or self._longest > _LONG_ROUND
        if rounds and needed and self._spent() + self._longest > self._budget:
            return True
        if rounds < _LEAST_ROUNDS:
            return False
        # The best against the graph, and against the next best: clear, or equal for all purposes.
        order = sorted(self.runs, key=lambda mode: self._ratio(mode)[0])
        pairs = {(order[0], "graph"), (order[0], order[1])}
        return all(self._settled(a, b) for a, b in pairs if a != b)

    def _settled(self, mode: str, base: str) -> bool:
        middle, noise = self._ratio(mode, base)
        apart = abs(1.0 - middle)
        return apart > _CLEAR * noise or apart + 2.0 * noise < _EQUAL

    def choice(self) -> Choice:
        """XLA if it wins clearly; of its two ways the step, which hears a signal, if they tie."""
        best, rounds = "graph", min(map(len, self._seconds.values()))
        if len(self.runs) > 1 and rounds < _FEWEST:
            self._short = True  # nothing is known of the noise
        else:
            for mode in ("step", "loop"):
                if mode in self.runs and self._wins(mode, best):
                    best = mode
        trials = tuple(self._trial(mode) for mode in self._candidates)
        said = ", ".join(
            f"{t.mode} {1e3 * t.step_seconds:.3g} ms" for t in trials if t.step_seconds is not None
        )
        said += "".join(f"; {mode} {note}" for mode, note in self._notes.items() if note)
        settled = not self._short
        return Choice(best, f"measured per step: {said}", settled, trials, self._spent())

    def _wins(self, mode: str, base: str) -> bool:
        middle, noise = self._ratio(mode, base)
        return middle < 1.0 - max(_CLEAR * noise, _SLIGHT)

    def _ratio(self, mode: str, base: str = "graph") -> tuple[float, float]:
        return paired_ratio(self._seconds[mode], self._seconds[base])

    def _trial(self, mode: str) -> Trial:
        if mode not in self.runs:
            return Trial(mode, note=self._notes[mode])
        seconds = self._seconds[mode]
        first, call = self._first[mode], self._call[mode]
        if not seconds:
            return Trial(mode, first, self._rough[mode], call)
        ratio, noise = self._ratio(mode)
        return Trial(mode, first, statistics.median(seconds), call, ratio, noise)

    def _spent(self) -> float:
        return time.perf_counter() - self._begun


def paired_ratio(own: Sequence[float], base: Sequence[float]) -> tuple[float, float]:
    """The median of `own[i] / base[i]`, and its standard error.

    The standard error of a median is 1.2533 sigma / sqrt(n) for normal values; sigma is taken as
    1.4826 times the median absolute deviation, which one disturbed round does not move.
    """
    ratios = [a / b for a, b in zip(own, base, strict=True)]
    middle = statistics.median(ratios)
    deviation = statistics.median(abs(ratio - middle) for ratio in ratios)
    return middle, 1.2533 * 1.4826 * deviation / math.sqrt(len(ratios))


def _timed(run: Callable[[int], object], n: int) -> float:
    begun = time.perf_counter()
    run(n)
    return time.perf_counter() - begun
