"""Ctrl-C is a wish; a second one insists; elsewhere nothing is touched."""

import os
import signal
import threading

import pytest

from trainer.interrupt import Interrupt


def _press():
    os.kill(os.getpid(), signal.SIGINT)


def test_first_is_noted_second_interrupts(ctrl_c):
    before = signal.getsignal(signal.SIGINT)
    with Interrupt() as interrupt:
        assert not interrupt.wanted
        _press()
        assert interrupt.wanted
        with pytest.raises(KeyboardInterrupt):
            _press()
    assert signal.getsignal(signal.SIGINT) is before


def test_a_users_own_handler_stays():
    seen = []
    before = signal.signal(signal.SIGINT, lambda *_: seen.append(1))
    try:
        with Interrupt() as interrupt:
            _press()
            assert seen == [1]
            assert not interrupt.wanted
    finally:
        signal.signal(signal.SIGINT, before)


def test_other_threads_have_no_handler():
    failures = []

    def work():
        try:
            with Interrupt() as interrupt:
                assert not interrupt.wanted
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert failures == []
