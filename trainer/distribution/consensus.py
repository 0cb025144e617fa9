"""Consensus: the workers of a run make the same calls and end together, or one would wait for ever.

What each does by itself may differ: a signal reaches one process, clocks run apart, a stream lies
ready in other pieces. So before each call they say how far they can go and whether they wish to
end, and all do the same.
"""

from __future__ import annotations

import math
import signal
import time

from trainer.distribution.replicas import Replicas, check_ends
from trainer.interrupt import Interrupt

_ELSEWHERE = "another worker asked for it"


class Consensus:
    """What all workers have agreed on; with one worker, what it wishes.

    Args:
        replicas: the workers.
        interrupt: whether a signal has come to this process; told of one that came to another.
    """

    def __init__(self, replicas: Replicas, interrupt: Interrupt) -> None:
        self._replicas, self._interrupt = replicas, interrupt
        self._alone = replicas.workers == 1
        self._wish: str | None = None
        self._stop: str | None = None
        self._signal: signal.Signals | None = None
        self._begun, self._seconds = time.perf_counter(), 0.0

    @property
    def chief(self) -> bool:
        """Whether this worker is the one that writes."""
        return self._replicas.chief

    @property
    def seconds(self) -> float:
        """Since fit began; of several workers by the chief's clock, after the last call.

        So a trigger that counts seconds is due on all of them at once.
        """
        return time.perf_counter() - self._begun if self._alone else self._seconds

    @property
    def stop(self) -> str | None:
        """Why a callback ends the run, if one does."""
        return self._wish if self._alone else self._stop

    @property
    def signal(self) -> signal.Signals | None:
        """The signal that ends the run, if one came."""
        return self._interrupt.wanted if self._alone else self._signal

    @property
    def ends(self) -> bool:
        """Whether the run ends before its goal."""
        return bool(self.stop or self.signal)

    def wish(self, stop: str | None) -> None:
        """A callback of this worker wishes to end the run, for a reason."""
        self._wish = stop or self._wish

    def steps(self, n: int, end: float = math.inf) -> int:
        """How many steps the next call makes: the fewest that any worker can; 0 if the run ends.

        Args:
            n: how many this worker can make.
            end: after how many its data ends, where that is known.

        Raises:
            ValueError: the data ends for some workers, and not for the others.
        """
        if self._alone:
            return n
        said = self._replicas.agree(n, bool(self._wish), self._interrupt.wanted or 0, end)
        if (number := int(said[:, 2].max())) > 0:
            self._signal = signal.Signals(number)
            self._interrupt.tell(self._signal)
        if said[:, 1].any():
            self._stop = self._wish or _ELSEWHERE
        if self.ends:
            return 0
        fewest = int(said[:, 0].min())
        check_ends(said[:, 3] <= fewest)
        return fewest

    def after(self, took: float, compiled: bool) -> tuple[float, bool]:
        """How long a call took and whether it compiled, by the chief's clock; sets `seconds`."""
        if self._alone:
            return took, compiled
        chief = self._replicas.agree(took, compiled, time.perf_counter() - self._begun)[0]
        self._seconds = float(chief[2])
        return float(chief[0]), bool(chief[1])

    def any(self, wish: bool) -> bool:
        """Whether any worker wishes something."""
        return wish if self._alone else bool(self._replicas.agree(wish).any())
