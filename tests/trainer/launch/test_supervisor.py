"""Restarts: bounded, on other ports, not when a signal asked for the end."""

import json
import os
import signal
import subprocess
import threading
import time

import pytest

from tests.trainer.launch.conftest import await_gone, python
from trainer.launch import supervisor
from trainer.launch.supervisor import passed_on


def test_restarts_on_other_ports_until_it_succeeds(launch):
    got = launch("sys.exit(0 if start == 2 else 5)", max_restarts=5)
    assert got.code == 0
    assert got.starts(0) == got.starts(1) == 3
    configs = [json.loads(p.read_text()) for p in sorted(got.place.glob("start-0-*"))]
    ports = [tuple(config["cluster"]["worker"]) for config in configs]
    assert len(set(ports)) == 3
    assert "restart 2 of 5 in 0.1 s" in got.said


def test_restarts_are_bounded(launch):
    got = launch("sys.exit(5)", max_restarts=2)
    assert got.code == 5
    assert got.starts() == 3
    assert "the 2 restarts of --max_restarts are used up" in got.said


@pytest.mark.usefixtures("signals_heard")
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 143)]
)
def test_signals_are_passed_on_and_end_it(launch, number, code):
    """The workers write a last checkpoint, in the grace, and are not restarted."""
    heard = signal.SIGTERM if number == signal.SIGHUP else number
    before = signal.getsignal(number)
    threading.Timer(0.5, os.kill, [os.getpid(), number]).start()
    got = launch(
        f"""
        def last(number, frame):
            (place / f"last-{{task}}").touch()
            sys.exit({code})
        signal.signal({int(heard)}, last)
        wait()
        """,
        max_restarts=3,
    )
    assert got.code == code
    assert got.starts() == 1
    assert (got.place / "last-0").exists()
    assert (got.place / "last-1").exists()
    assert f"{heard.name} is passed on" in got.said
    assert signal.getsignal(number) == before


def test_the_grace_is_the_longest(launch):
    threading.Timer(0.5, os.kill, [os.getpid(), signal.SIGTERM]).start()
    got = launch("signal.signal(signal.SIGTERM, signal.SIG_IGN); wait()", grace=0.5)
    assert got.code == 143
    assert got.seconds < 15
    assert "did not end: killed" in got.said
    assert await_gone(got.pids())


def test_who_is_done_in_the_grace_is_done(launch):
    threading.Timer(0.5, os.kill, [os.getpid(), signal.SIGTERM]).start()
    got = launch("signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); wait()")
    assert got.code == 0


def test_a_signal_in_the_pause_ends_it(launch, monkeypatch):
    monkeypatch.setattr(supervisor, "_interrupted", lambda signals, pause: _press(signals))
    got = launch("sys.exit(5)", max_restarts=6)
    assert got.code == 143
    assert got.starts() == 1


def _press(signals):
    os.kill(os.getpid(), signal.SIGTERM)
    return bool(signals)


def test_nohup_is_honored():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with passed_on() as came:
            os.kill(os.getpid(), signal.SIGHUP)
        assert came == []
    finally:
        signal.signal(signal.SIGHUP, before)


LAUNCHER = """
from trainer.launch.supervisor import supervise
sys.exit(supervise(["script", *sys.argv[1:]], 2))
"""


def test_a_killed_launcher_leaves_nobody(write, tmp_path):
    """Not the workers, one of them stopped, nor what they began."""
    script = write(
        """
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        (place / f"child-pid-{task}").write_text(str(child.pid))
        if task:
            os.kill(os.getpid(), signal.SIGSTOP)
        wait()
        """
    )
    launcher = subprocess.Popen(python(LAUNCHER, script, tmp_path))
    until = time.monotonic() + 20
    while len(found := [p for p in tmp_path.glob("*pid-*") if p.read_text()]) < 4:
        assert time.monotonic() < until, found
        time.sleep(0.02)
    launcher.kill()
    launcher.wait()
    assert await_gone([int(path.read_text()) for path in found])
