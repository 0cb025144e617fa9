"""When the launcher is gone, all that it began is ended: running, stopped, and what they began."""

import os
import signal
import subprocess
import sys

import pytest

from tests.trainer.launch.conftest import await_gone
from trainer.launch import guard

CHILD = "import time; time.sleep(60)"
PARENT = f"""
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", {CHILD!r}])
print(child.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def group():
    """Starts a process group of two; gives (leader, child's pid)."""
    made = []

    def start():
        leader = subprocess.Popen(
            [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, start_new_session=True
        )
        made.append(leader)
        return leader, int(leader.stdout.readline())

    yield start
    for leader in made:
        guard.kill_group(leader.pid)
        leader.wait()
        leader.stdout.close()


def test_the_end_of_its_input_ends_all_that_is_left(group):
    (running, child), (stopped, its_child), (over, other) = group(), group(), group()
    stopped.send_signal(signal.SIGSTOP)
    watching = subprocess.Popen(
        [sys.executable, guard.__file__], stdin=subprocess.PIPE, start_new_session=True, text=True
    )
    lines = [f"+{running.pid}", f"+{stopped.pid}", f"+{over.pid}", f"-{over.pid}", ""]
    watching.stdin.write("\n".join(lines))
    watching.stdin.flush()
    watching.stdin.close()
    assert watching.wait(10) == 0
    for leader in (running, stopped):
        assert leader.wait(10) == -signal.SIGKILL
    assert await_gone([child, its_child])
    assert over.poll() is None
    os.kill(other, 0)


def test_a_group_that_is_over_is_no_error():
    done = subprocess.Popen([sys.executable, "-c", ""], start_new_session=True)
    done.wait()
    guard.kill_group(done.pid)
