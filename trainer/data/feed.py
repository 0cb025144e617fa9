"""A background thread that works a few items ahead, and ends when nobody wants them any more."""

from __future__ import annotations

import atexit
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

_LINGER = 2.0  # seconds that close() and the interpreter's exit wait for a thread in foreign code


class Feed:
    """Runs an iterator on a thread of its own, at most `ahead` items ahead of the reader.

    The thread knows the iterator and a queue, never the feed: a forgotten feed is collected, and
    its thread ends at the next item.

    Args:
        make: called on the thread with a function `hungry()` that tells whether the reader waits
            for an item just now, or wants no more: then the iterator should come forth with what it
            has. Returns the iterator.
        ahead: how many items may lie ready.
    """

    def __init__(self, make: Callable[[Callable[[], bool]], Iterator[Any]], ahead: int = 2) -> None:
        self._queue = _Queue(ahead)
        self._thread = threading.Thread(
            target=_work, args=(self._queue, make), name="trainer-data", daemon=True
        )
        _live[self._thread] = self._queue
        weakref.finalize(self, self._queue.stop).atexit = False
        self._thread.start()

    def get(self) -> Any:
        """The next item; None at the end. An error of the iterator is raised here, unchanged."""
        return self._queue.get()

    def close(self) -> None:
        """Ends the thread, which may be amid an item; harmless when repeated."""
        self._queue.stop()
        if self._thread is not threading.current_thread():
            self._thread.join(_LINGER)


class _Queue:
    """A bounded queue with an end, an error and a stop."""

    def __init__(self, ahead: int) -> None:
        self._items: deque[Any] = deque()
        self._ahead = ahead
        self._changed = threading.Condition(threading.RLock())
        self._waiting = self._ended = self._stopped = False
        self._error: BaseException | None = None

    def hungry(self) -> bool:
        return self._stopped or (self._waiting and not self._items)

    def put(self, item: Any) -> bool:
        """Waits for room and adds an item; False when nobody wants it."""
        with self._changed:
            while len(self._items) >= self._ahead and not self._stopped:
                self._changed.wait()
            if not self._stopped:
                self._items.append(item)
                self._changed.notify_all()
            return not self._stopped

    def get(self) -> Any:
        with self._changed:
            self._waiting = True
            try:
                while not (self._items or self._ended or self._stopped):
                    self._changed.wait()
            finally:
                self._waiting = False
            if self._items and not self._stopped:
                self._changed.notify_all()
                return self._items.popleft()
            if self._error is not None and not self._stopped:
                raise self._error
            return None

    def end(self, error: BaseException | None) -> None:
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify_all()

    def stop(self) -> None:
        with self._changed:  # reentrant, as a collection may call this on any thread at any time
            self._stopped = True
            self._items.clear()
            self._changed.notify_all()


def _work(queue: _Queue, make: Callable[[Callable[[], bool]], Iterator[Any]]) -> None:
    error: BaseException | None = None
    items: Any = None
    try:
        items = make(queue.hungry)
        for item in items:
            wanted = queue.put(item)
            del item
            if not wanted:
                break
    except BaseException as raised:  # handed to the reader, whatever it is
        error = raised
    finally:
        if hasattr(items, "close"):
            items.close()
        queue.end(error)


_live: weakref.WeakKeyDictionary[threading.Thread, _Queue] = weakref.WeakKeyDictionary()


@atexit.register
def _stop_all() -> None:
    """Ends the threads before the interpreter goes: a TensorFlow call must not outlive it."""
    threads = [thread for thread in list(_live) if thread.is_alive()]
    for thread in threads:
        _live[thread].stop()
    until = time.monotonic() + _LINGER
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
