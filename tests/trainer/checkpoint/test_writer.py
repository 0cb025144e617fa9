"""The background writer: order, at most one write, errors, release, and that it always ends."""

import gc
import os
import subprocess
import sys
import threading
import time
import weakref

import pytest
import tensorflow as tf

from trainer.checkpoint import CheckpointError, CheckpointWriteError, Content, Retention, Store
from trainer.checkpoint import writer as module
from trainer.checkpoint.writer import Writer


def alive():
    return [t for t in threading.enumerate() if t.name == "trainer-checkpoint"]


def until(condition, seconds=5.0):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return condition()


class Shelf:
    """Stands in for a store: commits when it is let go, and says what it did."""

    def __init__(self):
        self.done, self.removed, self.thread = [], [], None
        self.go, self.error, self.busy = threading.Event(), None, threading.Event()
        self.go.set()

    def commit(self, content):
        self.thread = threading.current_thread()
        self.busy.set()
        assert self.go.wait(5)
        self.busy.clear()
        if self.error:
            error, self.error = self.error, None
            raise error
        self.done.append(content.step)

    def entries(self):
        return []


@pytest.fixture
def shelf():
    return Shelf()


@pytest.fixture
def writer(shelf):
    made = Writer(shelf)
    yield made
    shelf.go.set()
    assert made.close(5)
    assert until(lambda: not alive())


def test_what_is_put_is_written_in_order_on_another_thread(writer, shelf, small):
    for step in range(20):
        writer.put(small(step))
    assert writer.flush(5)
    assert shelf.done == list(range(20))
    assert shelf.thread is not threading.current_thread()
    assert writer.failure() is None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a priority per thread")
def test_training_has_the_processors_first(writer, shelf, small):
    writer.put(small(1))
    assert writer.flush(5)
    own = os.getpriority(os.PRIO_PROCESS, 0)
    assert os.getpriority(os.PRIO_PROCESS, shelf.thread.native_id) == min(19, own + module.NICE)


def test_put_returns_at_once_and_the_next_waits_for_it(writer, shelf, small):
    shelf.go.clear()
    assert writer.put(small(1)) < 0.5
    assert shelf.busy.wait(5) and shelf.done == []
    threading.Timer(0.2, shelf.go.set).start()
    assert 0.1 < writer.put(small(2)) < 5
    assert shelf.done == [1] or writer.flush(5)
    assert writer.flush(5) and shelf.done == [1, 2]


def test_flush_and_close_tell_when_time_is_up(writer, shelf, small):
    assert writer.flush(0)
    shelf.go.clear()
    writer.put(small(1))
    assert not writer.flush(0.02)
    assert not writer.close(0.02)
    shelf.go.set()
    assert writer.close(5) and writer.close()
    assert shelf.done == [1]
    with pytest.raises(CheckpointError, match="closed"):
        writer.put(small(2))


def test_closing_lets_in_nobody_who_still_waits(writer, shelf, small):
    shelf.go.clear()
    writer.put(small(1))
    errors = []

    def late():
        try:
            writer.put(small(2))
        except CheckpointError as error:
            errors.append(error)

    waiting = threading.Thread(target=late)
    waiting.start()
    time.sleep(0.05)
    assert not writer.close(0.02)
    waiting.join(5)
    shelf.go.set()
    assert writer.close(5)
    assert len(errors) == 1 and shelf.done == [1]


def test_an_error_ends_only_its_own_write_and_is_told_once(writer, shelf, small):
    shelf.error = error = CheckpointWriteError("full")
    writer.put(small(1))
    writer.put(small(2))
    assert writer.flush(5)
    assert shelf.done == [2]
    assert writer.failure() is error  # although the one after it went well
    assert writer.failure() is None
    shelf.error = second = KeyboardInterrupt()
    writer.put(small(3))
    assert writer.flush(5)
    assert writer.failure() is second
    writer.put(small(4))
    assert writer.flush(5)
    assert shelf.done == [2, 4]


@pytest.mark.parametrize("fails", [False, True])
def test_the_content_is_let_go_as_soon_as_it_is_written(writer, shelf, fails):
    class Values(dict):
        pass

    values = Values(n=tf.constant(1))
    gone = weakref.ref(values)
    if fails:

        def commit(content, before=shelf.commit):
            held = content.values  # as a real error's frames would
            try:
                before(content)
                raise OSError("inner")
            except OSError as error:
                raise CheckpointWriteError(f"outer {len(held)}") from error

        shelf.commit = commit
    writer.put(Content(step=1, values=values))
    del values
    assert writer.flush(5)
    assert until(lambda: gone() is None)
    if fails:
        assert "outer 1" in str(error := writer.failure())
        assert error.__traceback__ is not None  # where it happened is still told


def test_retention_is_applied_after_each_commit(tmp_path, small):
    with Store(tmp_path) as store:
        writer = Writer(store, Retention(keep_last=1, keep_best=1, monitor="loss"))
        seen = []
        for step, loss in enumerate([3.0, 1.0, 2.0, 5.0], start=1):
            writer.put(small(step, metrics={"loss": loss}))
            assert writer.flush(5)
            seen.append([int(name[-1]) for name in store.names()])
        assert seen == [[1], [2], [2, 3], [2, 4]]
        assert writer.close(5) and writer.failure() is None


def test_a_checkpoint_that_cannot_be_removed_does_not_stop_the_next(tmp_path, small, monkeypatch):
    with Store(tmp_path) as store:
        remove, stuck = store.remove, []

        def fail_once(name):
            if not stuck:
                stuck.append(name)
                raise CheckpointWriteError("cannot be removed")
            remove(name)

        monkeypatch.setattr(store, "remove", fail_once)
        writer = Writer(store, Retention(keep_last=1))
        for step in (1, 2, 3):
            writer.put(small(step))
        assert writer.close(5)
        assert "cannot be removed" in str(writer.failure())
        assert store.names() == ["000003-step-3"]


def test_a_forgotten_writer_finishes_and_ends_its_thread(shelf, small):
    writer = Writer(shelf)
    shelf.go.clear()
    writer.put(small(1))
    assert shelf.busy.wait(5)
    del writer
    gc.collect()
    shelf.go.set()
    assert until(lambda: not alive())
    assert shelf.done == [1]


def test_a_forked_child_is_told_that_the_thread_is_not_its_own(writer, small):
    content = small(1)
    child = os.fork()
    if child == 0:
        try:
            writer.put(content)
        except CheckpointError:
            os._exit(0)
        os._exit(1)
    assert os.waitpid(child, 0)[1] == 0


EXIT = """
import sys, time, types
sys.modules["trainer.checkpoint.store"] = types.SimpleNamespace(Content=None, Store=None)
sys.modules["trainer.checkpoint.errors"] = types.SimpleNamespace(CheckpointError=Exception)
sys.modules["trainer.checkpoint.retention"] = types.SimpleNamespace(
    Retention=lambda keep_last: types.SimpleNamespace(to_remove=lambda entries: [])
)
import importlib.util as u
spec = u.spec_from_file_location("writer", sys.argv[1])
writer_py = u.module_from_spec(spec)
spec.loader.exec_module(writer_py)
writer_py._LINGER = float(sys.argv[2])

class Slow:
    def commit(self, content):
        time.sleep(float(sys.argv[3]))
        print("written", content, flush=True)
    def entries(self):
        return []

idle, busy = writer_py.Writer(Slow()), writer_py.Writer(Slow())
busy.put("it")
print("done", flush=True)
"""


@pytest.mark.parametrize(
    ("linger", "write", "said"), [(30, 0.3, "done\nwritten it\n"), (0.1, 30, "done\n")]
)
def test_the_interpreter_waits_for_a_write_but_not_for_ever(linger, write, said):
    run = subprocess.run(  # loaded by its path, as the package would import TensorFlow
        [sys.executable, "-c", EXIT, module.__file__, str(linger), str(write)],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (run.returncode, run.stdout) == (0, said), run.stderr
