"""Workers end together: whatever ends one, the others are ended within the stated time."""

import signal

import pytest

from tests.trainer.launch.conftest import await_gone


def test_all_done(launch):
    got = launch("print('one', flush=True); print('two', file=sys.stderr, flush=True)")
    assert got.code == 0
    assert sorted(got.out.splitlines()) == ["[0] one", "[1] one"]
    assert sorted(got.err.splitlines()) == ["[0] two", "[1] two"]
    assert got.said == ""


@pytest.mark.parametrize("lost", [0, 1])
def test_a_worker_that_dies_ends_the_others(launch, lost):
    got = launch(
        f"""
        if task == {lost}:
            time.sleep(0.2)
            os.kill(os.getpid(), signal.SIGKILL)
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        (place / "child-pid-0").write_text(str(child.pid))
        wait()
        """
    )
    assert got.code == 137
    assert f"worker {lost} (process " in got.said
    assert "was ended by SIGKILL" in got.said
    assert f"worker {1 - lost} (process " in got.said
    assert "did not end: killed" in got.said
    assert got.seconds < 10
    assert await_gone(got.pids())


def test_a_frozen_worker_is_seen_by_its_silence(launch):
    got = launch(
        """
        if task == 1:
            time.sleep(0.2)
            os.kill(os.getpid(), signal.SIGSTOP)
        wait()
        """,
        heartbeat=1.0,
    )
    assert got.code == 124
    assert "worker 1" in got.said
    assert "gave no sign of life" in got.said
    assert 1.0 < got.seconds < 15
    assert await_gone(got.pids())


def test_a_worker_that_holds_the_interpreter_is_frozen(launch):
    got = launch(
        """
        if task == 1:
            int("9" * 5000 if sys.set_int_max_str_digits(0) is None else "") ** 100000
        wait()
        """,
        heartbeat=0.5,
    )
    assert got.code == 124


def test_after_a_loss_silence_is_believed_sooner(launch):
    """The peer says that it lost somebody; who is silent meanwhile is the cause."""
    got = launch(
        """
        if task == 1:
            time.sleep(0.1)
            os.kill(os.getpid(), signal.SIGSTOP)
        time.sleep(1.0)
        sys.exit(75)
        """,
        heartbeat=2.0,  # a sign each 0.4 s
        end=30.0,
    )
    assert got.code == 124
    assert "worker 0" in got.said
    assert "ended with code 75: it lost a peer" in got.said
    assert "Ending with exit code 124" in got.said
    assert got.seconds < 15


def test_losing_a_peer_is_not_the_cause(launch):
    got = launch(
        """
        if task == 0:
            sys.exit(75)
        time.sleep(0.15)
        sys.exit(3)
        """,
        end=10.0,
    )
    assert got.code == 3


def test_refusals_are_final(launch):
    got = launch("sys.exit(78 if task else 75)", max_restarts=3, end=10.0)
    assert got.code == 78
    assert got.starts() == 1
    assert "do not agree" in got.said


def test_a_preempted_worker_gives_the_others_its_grace(launch):
    """SIGTERM for one worker: the chief still writes; longer than after a loss, all start again."""
    got = launch(
        """
        if start: sys.exit(0)
        if task == 0:
            time.sleep(1.0)
            (place / "written").touch()
        sys.exit(143)
        """,
        max_restarts=1,
    )
    assert got.code == 0
    assert (got.place / "written").exists()
    assert got.starts() == 2


def test_ends_by_signal_are_told_before_the_grace(launch):
    got = launch("os.kill(os.getpid(), signal.SIGTERM) if task else wait()", grace=0.3)
    assert got.code == 128 + signal.SIGTERM
