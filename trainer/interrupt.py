"""Ctrl-C and SIGTERM during training: granted within a compiled call, with everything kept."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from types import FrameType, TracebackType

import tensorflow as tf
from absl import logging

from trainer.exits import PREEMPTED


class Preempted(SystemExit):
    """SIGTERM ended training and a checkpoint holds all of it; exits with code 143 if uncaught."""

    def __init__(self, message: str) -> None:
        super().__init__(PREEMPTED)
        self.message = message

    def __str__(self) -> str:
        return self.message


class Interrupt:
    """While open, Ctrl-C (and SIGTERM if asked for) ends the running call after its present step.

    Python's own handlers run only when a compiled call returns. Here a thread waits on the pipe
    that the interpreter writes each signal to, and sets the variable that the compiled loop reads
    before each step. A second Ctrl-C interrupts at once.

    Signals reach the main thread only; elsewhere (a notebook's worker thread, say) nothing is
    changed: Ctrl-C stays Python's and SIGTERM ends the process. A handler of the user's own stays.

    Args:
        flag: set to True when a call should end.
        sigterm_grace: None to leave SIGTERM alone. Else it is granted too, and this is how many
            seconds after it the process may go on; then it is ended, whatever it is doing, as the
            sender of SIGTERM would do.

    Attributes:
        wanted: the signal that came, or None.
    """

    def __init__(self, flag: tf.Variable, *, sigterm_grace: float | None = None) -> None:
        self.wanted: signal.Signals | None = None
        self._flag = flag
        self._grace = sigterm_grace
        self._deadline: float | None = None
        self._presses = 0
        self._lock = threading.RLock()
        self._undo: list[Callable[[], object]] = []

    @property
    def seconds_left(self) -> float | None:
        """Until the grace after SIGTERM is over; None before SIGTERM."""
        if self._deadline is None:
            return None
        return max(0.0, self._deadline - time.monotonic())

    def tell(self, number: signal.Signals) -> None:
        """A signal came to another process of this run: it is granted here as well."""
        self._note(number)

    def __enter__(self) -> Interrupt:
        self._flag.assign(False)
        if threading.current_thread() is not threading.main_thread():
            if self._grace is not None:
                logging.warning(
                    "fit runs in a thread other than the main one, which signals do not reach: "
                    "SIGTERM will end the process without a last checkpoint."
                )
            return self
        handled = [signal.SIGINT]
        if self._grace is not None:
            handled.append(signal.SIGTERM)
        for number in handled:
            before = signal.getsignal(number)
            if before in (signal.default_int_handler, signal.SIG_DFL):
                signal.signal(number, self._on_signal)
                self._undo.append(partial(signal.signal, number, before))
        if self._undo:
            self._watch()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        while self._undo:
            self._undo.pop()()
        self._flag.assign(False)

    def _watch(self) -> None:
        """Starts the thread that sees signals while the main one is inside a compiled call."""
        read, write = os.pipe()
        os.set_blocking(write, False)
        old = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        thread = threading.Thread(target=self._work, args=(read, old), daemon=True, name="signals")
        thread.start()

        def undo() -> None:
            signal.set_wakeup_fd(old)
            os.close(write)  # ends the thread
            thread.join()
            os.close(read)

        self._undo.append(undo)

    def _work(self, read: int, old: int) -> None:
        while data := os.read(read, 64):
            for number in data:
                self._note(number)
                if self.wanted is not None:
                    self._flag.assign(True)
            if old >= 0:  # somebody else's pipe (an event loop's), which stood here before
                with contextlib.suppress(OSError):
                    os.write(old, data)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        # May run amid the tracing of a graph, so the flag is left to the thread.
        if number == signal.SIGINT:
            self._presses += 1
            if self._presses > 1:
                raise KeyboardInterrupt
        self._note(number)

    def _note(self, number: int) -> None:
        if number == signal.SIGINT and self.wanted is None:
            self.wanted = signal.SIGINT
        elif number == signal.SIGTERM and self._grace is not None:
            self.wanted = signal.SIGTERM
            with self._lock:
                if self._deadline is not None:
                    return
                self._deadline = time.monotonic() + self._grace
            timer = threading.Timer(self._grace, self._give_up)
            timer.daemon = True
            timer.start()
            self._undo.insert(0, timer.cancel)

    def _give_up(self) -> None:
        print(
            f"SIGTERM's grace of {self._grace:g} s is over: ending without a last checkpoint.",
            file=sys.stderr,
            flush=True,
        )
        os._exit(PREEMPTED)
