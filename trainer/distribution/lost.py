"""A lost worker: what TensorFlow raises of it becomes one clear error, and the process ends.

A worker that died or froze takes the others' next exchange with it. TensorFlow tells of it within
about ten seconds, in several kinds of errors; a process cannot go on without its peer, nor take
part in another start, so it says what has happened and ends with a code that asks for a restart.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import socket
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import tensorflow as tf
from absl import logging

from trainer.distribution.replicas import Replicas
from trainer.exits import LOST_PEER

LEAVE_SECONDS = 10.0  # from the error to the end of the process, whatever it still does
PROBE_SECONDS = 3.0  # of these, until all others have been asked whether they are there
STALL_VARIABLE = "GRADLOOP_STALL_SECONDS"
STALL_SECONDS = (
    600.0  # without any exchange between the workers, unless the variable says otherwise
)

_Class = TypeVar("_Class", bound=type)
_OF_PEERS = re.compile(
    r"[Cc]ollective|RPC|[Cc]oordination|Socket closed|Connection (?:reset|refused)"
)
_ABORTED = "Collective ops is aborted"  # said in errors of many kinds
_KINDS = (  # others are of this worker's own work: its memory, its shapes
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.DeadlineExceededError,
    tf.errors.CancelledError,
    tf.errors.InternalError,
    tf.errors.FailedPreconditionError,
)
_TASK = re.compile(r"/job:(\w+)/(?:replica:\d+/)?task:(\d+)")


class LostPeer(SystemExit):
    """Another worker is lost: it died, froze, or cannot be reached; the text names it.

    A `SystemExit` of code 75 if uncaught, which asks for all workers to be started again; the
    process ends within ten seconds in any case, as it cannot take part in another start.

    Attributes:
        message: the text.
    """

    def __init__(self, message: str) -> None:
        super().__init__(LOST_PEER)
        self.message = message

    def __str__(self) -> str:
        return self.message


@contextlib.contextmanager
def told(replicas: Replicas) -> Iterator[None]:
    """While open, an error that comes of a lost worker becomes `LostPeer`; a stall ends it all.

    Args:
        replicas: the workers; with one alone nothing changes.
    """
    if replicas.workers == 1:
        yield
        return
    with _watched(replicas):
        try:
            yield
        except tf.errors.OpError as error:
            if not _of_peers(replicas, error):
                _tell_others(replicas, error)
                raise
            _leave_within(LEAVE_SECONDS)
            message = _words(replicas, error)
            logging.error(message)
            raise LostPeer(message) from error
        except Exception as error:
            _tell_others(replicas, error)
            raise


def among_peers(*verbs: str) -> Callable[[_Class], _Class]:
    """Decorates a class that has `_replicas`: while one of these methods runs, `told` is open."""

    def guarded(verb: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(verb)
        def run(self: Any, *args: Any, **settings: Any) -> Any:
            with told(self._replicas):
                return verb(self, *args, **settings)

        return run

    def decorate(kind: _Class) -> _Class:
        for verb in verbs:
            setattr(kind, verb, guarded(getattr(kind, verb)))
        return kind

    return decorate


def addresses(replicas: Replicas) -> list[str]:
    """Of the workers, in the order of their numbers: the chief first."""
    jobs = replicas.strategy.cluster_resolver.cluster_spec().as_dict()
    return [*jobs.get("chief", []), *jobs.get("worker", [])]


def _of_peers(replicas: Replicas, error: tf.errors.OpError) -> bool:
    """Whether an error comes of another worker; its own name stands in many of a worker's own."""
    if _ABORTED in error.message:
        return True
    others = _named(replicas, error.message) - {replicas.worker}
    return isinstance(error, _KINDS) and bool(others or _OF_PEERS.search(error.message))


def _words(replicas: Replicas, error: tf.errors.OpError) -> str:
    places = addresses(replicas)
    lost = _lost(replicas, error.message, places)
    one_of = sorted(set(range(len(places))) - {replicas.worker})
    names = [f"worker {i} ({places[i]})" for i in lost or one_of]
    who = " and ".join(names) + (" is" if len(names) == 1 else " are") + " lost"
    if not lost:
        who = f"one of {', '.join(names)} is lost"
    return (
        f"{who}: it died, froze, or cannot be reached over the network, or ended because it lost "
        f"another ({_gist(error)}). Worker {replicas.worker} cannot go on without it: start all "
        "workers again, and they continue from the newest checkpoint; python -m trainer.launch "
        f"does that by itself. Ending with exit code {LOST_PEER}."
    )


def _lost(replicas: Replicas, text: str, places: list[str]) -> list[int]:
    """Who it is: as TensorFlow names it, or whose port is closed, or whoever is left."""
    others = [i for i in range(len(places)) if i != replicas.worker]
    if found := sorted(_named(replicas, text) & set(others)):
        return found
    if "CoordinationService" in text and replicas.worker != 0:
        return [0]  # the chief answers for that service
    return _silent(places, others) or (others if len(others) == 1 else [])


def _named(replicas: Replicas, text: str) -> set[int]:
    """The numbers of the workers that TensorFlow's message names."""
    chiefs = len(replicas.strategy.cluster_resolver.cluster_spec().as_dict().get("chief", []))
    return {int(n) + (chiefs if job == "worker" else 0) for job, n in _TASK.findall(text)}


def _silent(places: Sequence[str], asked: Sequence[int]) -> list[int]:
    """Those of the workers asked, all at once, that have not answered in time."""
    heard: set[int] = set()

    def ask(i: int) -> None:
        if _listens(places[i]):
            heard.add(i)

    threads = [threading.Thread(target=ask, args=[i], daemon=True) for i in asked]
    until = time.monotonic() + PROBE_SECONDS
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    return [i for i in asked if i not in heard]


def _listens(place: str) -> bool:
    host, _, port = place.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=1.0).close()
    except OSError:
        return False
    return True


def _gist(error: tf.errors.OpError) -> str:
    """The line of TensorFlow's message that says why, without graph and advice."""
    lines = [line.strip() for line in error.message.splitlines() if line.strip()]
    found = [line for line in lines if "aborted by" in line] or lines[-1:]
    return f"{type(error).__name__}: {found[0][:200]}" if found else type(error).__name__


def _tell_others(replicas: Replicas, error: Exception) -> None:
    """They would wait for this worker, which ends by an error of its own."""
    from tensorflow.python.eager import context  # no public name

    words = f"worker {replicas.worker} failed: {type(error).__name__}: {error}"
    with contextlib.suppress(tf.errors.OpError):  # the chief, who passes it on, is gone
        context.context().report_error_to_cluster(tf.errors.ABORTED, words[:500])


# The ends that nothing can hold up.


def _leave_within(seconds: float) -> None:
    timer = threading.Timer(seconds, os._exit, [LOST_PEER])
    timer.daemon = True
    timer.start()


@contextlib.contextmanager
def _watched(replicas: Replicas) -> Iterator[None]:
    """Ends the process when the workers have exchanged nothing for too long."""
    limit = float(os.environ.get(STALL_VARIABLE, STALL_SECONDS))
    over = threading.Event()
    main = threading.get_ident()
    replicas.exchanged = time.monotonic()

    def watch() -> None:
        while not over.wait(min(1.0, limit / 10)):
            if time.monotonic() - replicas.exchanged > limit:
                _say_stalled(replicas, limit, main)
                os._exit(LOST_PEER)

    thread = threading.Thread(target=watch, name="trainer-stall", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _say_stalled(replicas: Replicas, limit: float, thread: int) -> None:
    frame = sys._current_frames().get(thread)
    stack = traceback.extract_stack(frame) if frame else []
    own = [entry for entry in stack if "site-packages" not in entry.filename]
    where = "".join(traceback.format_list(own))
    print(
        f"{where}worker {replicas.worker}: no worker has heard of another for {limit:g} s, so one "
        "of them hangs or a callback or compilation takes that long; where this one stands is told "
        f"above. Raise {STALL_VARIABLE} if it should take that long. Ending with exit code "
        f"{LOST_PEER}.",
        file=sys.stderr,
        flush=True,
    )
