"""Consensus: the workers of a run make the same calls and end together, or one would wait for ever.

What each does by itself may differ: a signal reaches one process, clocks run apart, a stream lies
ready in other pieces. So before each call they say how far they can go and whether they wish to
end, and all do the same.
"""

from __future__ import annotations

import signal

from trainer.distribute import Replicas
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

    def steps(self, n: int) -> int:
        """How many steps the next call makes: the fewest that any worker can; 0 if the run ends."""
        if self._alone:
            return n
        said = self._replicas.agree(n, bool(self._wish), self._interrupt.wanted or 0)
        if (number := int(said[:, 2].max())) > 0:
            self._interrupt.wanted = self._signal = signal.Signals(number)
        if said[:, 1].any():
            self._stop = self._wish or _ELSEWHERE
        return 0 if self.ends else int(said[:, 0].min())

    def any(self, wish: bool) -> bool:
        """Whether any worker wishes something."""
        return wish if self._alone else bool(self._replicas.agree(wish).any())
