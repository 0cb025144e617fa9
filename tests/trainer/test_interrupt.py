"""Signals end a running call after its present step; a second Ctrl-C insists."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest
import tensorflow as tf

from trainer.exits import PREEMPTED
from trainer.interrupt import Interrupt, Preempted
from trainer.loop import Loop, StepOutput
from trainer.sums import Sums


def _press(number=signal.SIGINT):
    os.kill(os.getpid(), number)


@pytest.fixture
def flag():
    return tf.Variable(False)


def _wait_for(flag):
    until = time.monotonic() + 5
    while not flag.numpy() and time.monotonic() < until:
        time.sleep(0.001)
    return bool(flag.numpy())


def test_first_is_noted_second_interrupts(ctrl_c, flag):
    before = signal.getsignal(signal.SIGINT)
    with Interrupt(flag) as interrupt:
        assert interrupt.wanted is None
        _press()
        assert interrupt.wanted is signal.SIGINT
        assert _wait_for(flag)
        with pytest.raises(KeyboardInterrupt):
            _press()
    assert signal.getsignal(signal.SIGINT) is before
    assert not flag.numpy()
    assert "signals" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("mode", ["graph", "step"])
def test_a_compiled_call_ends_after_its_present_step(ctrl_c, flag, mode):
    """A long call stops within moments, and what was made is reported."""
    w = tf.Variable(0.0)

    def step(batch, number):
        w.assign_add(1.0)
        return StepOutput({"loss": Sums.of(batch)}, {}, ())

    data = (tf.ones([1, 1, 1]),)
    loop = Loop(
        step, lambda args, i, rows: tf.gather(args[0], 0), 1, stop=flag, mode=mode, capacity=10**6
    )
    loop(data, 0, 1)
    with Interrupt(flag):
        threading.Timer(0.1, _press).start()
        begun = time.perf_counter()
        columns = loop(data, 0, 10**6)
        took = time.perf_counter() - begun
    assert 0 < columns.steps < 10**6, "the call was over before the signal came"
    assert took < 5
    assert columns.sums["loss"].total.shape == (columns.steps,)
    assert float(w) == columns.steps + 1


def test_a_users_own_handler_stays(flag):
    seen = []
    before = signal.signal(signal.SIGINT, lambda *_: seen.append(1))
    try:
        with Interrupt(flag) as interrupt:
            _press()
            assert seen == [1]
            assert interrupt.wanted is None
    finally:
        signal.signal(signal.SIGINT, before)


def test_sigterm_only_where_asked_for(flag):
    before = signal.getsignal(signal.SIGTERM)
    with Interrupt(flag):
        assert signal.getsignal(signal.SIGTERM) is before
    with Interrupt(flag, sigterm_grace=60) as interrupt:
        assert interrupt.seconds_left is None
        _press(signal.SIGTERM)
        assert interrupt.wanted is signal.SIGTERM
        assert 50 < interrupt.seconds_left <= 60
        assert _wait_for(flag)
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_grace_is_the_longest(tmp_path):
    script = """
        import os, signal, time
        import tensorflow as tf
        from trainer.interrupt import Interrupt
        with Interrupt(tf.Variable(False), sigterm_grace=0.2):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(60)
        """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert done.returncode == PREEMPTED == 143
    assert "grace of 0.2 s is over" in done.stderr


def test_preempted_exits_with_its_code():
    assert Preempted("saved").code == 143
    assert str(Preempted("saved")) == "saved"
    assert isinstance(Preempted("saved"), SystemExit)


def test_other_threads_have_no_handler_and_say_so(flag, caplog):
    failures = []
    before = signal.getsignal(signal.SIGTERM)

    def work():
        try:
            with Interrupt(flag, sigterm_grace=1) as interrupt:
                assert interrupt.wanted is None
                assert signal.getsignal(signal.SIGTERM) is before
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert failures == []
    assert "SIGTERM will end the process without a last checkpoint" in caplog.text


def test_somebody_elses_pipe_still_hears(ctrl_c, flag):
    read, write = os.pipe()
    os.set_blocking(write, False)
    before = signal.set_wakeup_fd(write)
    try:
        with Interrupt(flag):
            _press()
            assert os.read(read, 1) == bytes([signal.SIGINT])
        assert signal.set_wakeup_fd(before) == write
    finally:
        signal.set_wakeup_fd(before)
        os.close(read)
        os.close(write)


def test_a_signal_to_another_worker_counts_here_too(ctrl_c, flag):
    with Interrupt(flag, sigterm_grace=60) as interrupt:
        interrupt.tell(signal.SIGTERM)
        assert interrupt.wanted is signal.SIGTERM
        assert 50 < interrupt.seconds_left <= 60
    with Interrupt(flag) as interrupt:
        interrupt.tell(signal.SIGINT)
        assert interrupt.wanted is signal.SIGINT
