"""The background thread: order, bound, errors, and that it always ends."""

import gc
import itertools
import subprocess
import sys
import threading
import time

import pytest

from trainer.data import feed as module
from trainer.data.feed import Feed


def alive():
    return [t for t in threading.enumerate() if t.name == "trainer-data"]


def until(condition, seconds=5.0):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return condition()


def test_items_come_in_order_and_then_none_for_ever():
    feed = Feed(lambda hungry: iter(range(100)))
    assert [feed.get() for _ in range(102)] == [*range(100), None, None]
    assert until(lambda: not alive())


def test_it_works_only_so_far_ahead():
    made = []
    feed = Feed(lambda hungry: (made.append(i) or i for i in itertools.count()), ahead=2)
    assert until(lambda: len(made) == 3)  # two lie ready, the third waits for room
    time.sleep(0.05)
    assert len(made) == 3
    assert feed.get() == 0
    assert until(lambda: len(made) == 4)
    feed.close()


def test_an_error_comes_after_what_was_made_before_it():
    def items(hungry):
        yield 1
        raise KeyError("lost")

    feed = Feed(items)
    assert feed.get() == 1
    with pytest.raises(KeyError, match="lost"):
        feed.get()
    assert until(lambda: not alive())


def test_hungry_tells_whether_the_reader_waits():
    go, seen = threading.Event(), []

    def items(hungry):
        seen.append(hungry())
        go.wait()
        until(hungry)
        seen.append(hungry())
        yield 1

    feed = Feed(items)
    assert until(lambda: seen)
    threading.Timer(0.05, go.set).start()
    assert feed.get() == 1
    assert seen == [False, True]


def test_close_ends_the_thread_and_the_iterator_even_while_it_waits_for_room():
    closed = []

    def items(hungry):
        try:
            yield from itertools.count()
        finally:
            closed.append(True)

    feed = Feed(items)
    feed.close()
    feed.close()
    assert not alive()
    assert closed == [True]
    assert feed.get() is None


def test_a_forgotten_feed_ends_its_thread():
    feed = Feed(lambda hungry: itertools.count())
    assert feed.get() == 0
    del feed
    gc.collect()
    assert until(lambda: not alive())


def test_close_does_not_wait_for_foreign_code_for_ever(monkeypatch):
    monkeypatch.setattr(module, "_LINGER", 0.05)
    go = threading.Event()

    def items(hungry):
        go.wait()
        yield 1

    feed = Feed(items)
    start = time.monotonic()
    feed.close()
    assert time.monotonic() - start < 2
    go.set()
    assert until(lambda: not alive())


def test_the_interpreter_exits_while_threads_work():
    code = (  # loaded by its path, as the package would import TensorFlow
        "import importlib.util as u, itertools\n"
        f"spec = u.spec_from_file_location('feed', {module.__file__!r})\n"
        "feed_py = u.module_from_spec(spec)\n"
        "spec.loader.exec_module(feed_py)\n"
        "Feed = feed_py.Feed\n"
        "feeds = [Feed(lambda hungry: itertools.count()) for _ in range(3)]\n"
        "[feed.get() for feed in feeds]\n"
        "print('done', flush=True)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (run.returncode, run.stdout.strip()) == (0, "done"), run.stderr
