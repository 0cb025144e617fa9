"""Writes checkpoints in the background, one after the other."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
import time
import traceback
import weakref

from trainer.checkpoint.errors import CheckpointError
from trainer.checkpoint.retention import Retention
from trainer.checkpoint.store import Content, Store

NICE = 10  # below the priority of training: about a tenth of a core that both want
_LINGER = 300.0  # seconds that the interpreter's exit waits for a write that is under way


class Writer:
    """Commits contents to a store on a thread of its own, in order, at most one at a time.

    After each commit the retention is applied. An error ends only its own write: it waits in
    `failure()`, and the next `put` works as ever. The thread keeps no content once it is written,
    so at most one copy of a state is held on its behalf.

    Args:
        store: open, and written to by nobody else meanwhile.
        retention: what is kept; everything by default.

    Example:
        >>> import tempfile
        >>> with Store(tempfile.mkdtemp()) as store:
        ...     writer = Writer(store, Retention(keep_last=2))
        ...     for step in (10, 20, 30):
        ...         waited = writer.put(Content(step=step, values={"w": tf.zeros([2])}))
        ...     written = writer.close()
        >>> written, writer.failure(), store.names()
        (True, None, ['000002-step-20', '000003-step-30'])
    """

    def __init__(self, store: Store, retention: Retention | None = None) -> None:
        self._desk = _Desk()
        self._thread = threading.Thread(
            target=_work,
            args=(self._desk, store, retention or Retention(keep_last=None)),
            name="trainer-checkpoint",
            daemon=True,
        )
        _live[self._thread] = self._desk
        weakref.finalize(self, self._desk.stop).atexit = False
        self._thread.start()

    def put(self, content: Content) -> float:
        """Hands over a content, as soon as the one before is written.

        Returns:
            The seconds waited for that.

        Raises:
            CheckpointError: the writer is closed.
        """
        if not self._thread.is_alive():
            raise CheckpointError("this writer is closed (or belongs to the parent process).")
        return self._desk.put(content)

    def failure(self) -> BaseException | None:
        """The error of the last write that failed, once; None if there is none since."""
        return self._desk.failure()

    def flush(self, timeout: float | None = None) -> bool:
        """Waits until all is written, or has failed; False if it takes longer than `timeout` s."""
        return self._desk.idle(timeout)

    def close(self, timeout: float | None = None) -> bool:
        """As `flush`, and ends the thread; harmless when repeated."""
        self._desk.stop()
        if self._thread is not threading.current_thread():
            self._thread.join(timeout)
        return not self._thread.is_alive()


class _Desk:
    """Where one content lies until it is written."""

    def __init__(self) -> None:
        self._changed = threading.Condition(threading.RLock())
        self._content: Content | None = None
        self._busy = self._stopped = False
        self._error: BaseException | None = None

    def put(self, content: Content) -> float:
        begun = time.perf_counter()
        with self._changed:
            while self._busy and not self._stopped:
                self._changed.wait()
            if self._stopped:
                raise CheckpointError("this writer is closed.")
            waited = time.perf_counter() - begun
            self._content, self._busy = content, True
            self._changed.notify_all()
        return waited

    def take(self) -> Content | None:
        """Waits for a content; None when there will be no more."""
        with self._changed:
            while self._content is None and not self._stopped:
                self._changed.wait()
            content, self._content = self._content, None
            return content

    def done(self, error: BaseException | None) -> None:
        with self._changed:
            self._busy = False
            self._error = error or self._error
            self._changed.notify_all()

    def failure(self) -> BaseException | None:
        with self._changed:
            error, self._error = self._error, None
            return error

    def idle(self, timeout: float | None) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: not self._busy, timeout)

    def stop(self) -> None:
        with self._changed:  # reentrant, as a collection may call this on any thread at any time
            self._stopped = True
            self._changed.notify_all()


def _work(desk: _Desk, store: Store, retention: Retention) -> None:
    _give_way()
    while (content := desk.take()) is not None:
        error: BaseException | None = None
        try:
            store.commit(content)
            del content
            for name in retention.to_remove(store.entries()):
                store.remove(name)
        except BaseException as raised:  # handed to whoever asks for it, whatever it is
            content = None
            error = raised
            _let_go(raised)
        desk.done(error)
        del error


def _give_way() -> None:
    """Lets training have the processors first: this thread takes what it leaves.

    Linux alone keeps a priority per thread. Hashing and copying beside a step that keeps all cores
    busy would make the whole step wait for the core that is shared; whoever waits for a write
    leaves the cores to it, so none takes longer than it must.
    """
    if sys.platform == "linux":
        with contextlib.suppress(PermissionError):  # a sandbox may forbid it: only speed is lost
            thread = threading.get_native_id()
            os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + NICE)


def _let_go(error: BaseException | None) -> None:
    """Empties the frames of an error and of its causes, which would hold the tensors."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


_live: weakref.WeakKeyDictionary[threading.Thread, _Desk] = weakref.WeakKeyDictionary()


@atexit.register
def _finish_all() -> None:
    """Lets writes that are under way end before the interpreter goes.

    One that takes still longer is left: what it has written so far counts as nothing.
    """
    threads = [thread for thread in list(_live) if thread.is_alive()]
    for thread in threads:
        _live[thread].stop()
    until = time.monotonic() + _LINGER
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
