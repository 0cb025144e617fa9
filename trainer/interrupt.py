"""Ctrl-C during training: a wish that is granted at the next boundary, with everything kept."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType


class Interrupt:
    """While open, the first Ctrl-C only sets `wanted`; a second one interrupts at once.

    Signals reach the main thread only; elsewhere (a notebook's worker thread, say) nothing is
    changed and Ctrl-C stays Python's.
    """

    def __init__(self) -> None:
        self.wanted = False
        self._before: object = None
        self._installed = False

    def __enter__(self) -> Interrupt:
        if threading.current_thread() is threading.main_thread():
            before = signal.getsignal(signal.SIGINT)
            if before is signal.default_int_handler:
                signal.signal(signal.SIGINT, self._on_signal)
                self._before, self._installed = before, True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, self._before)  # type: ignore[arg-type]
            self._installed = False

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.wanted:
            raise KeyboardInterrupt
        self.wanted = True
