"""A few of the strikes of `python -m tests.faults.worker_kills`: each signal, chief and worker."""

import signal

from tests.faults.worker_kills import compare, lots, run
from trainer.launch.crew import Limits


def test_struck_workers_end_as_undisturbed_ones(tmp_path):
    """Killed amid a write, frozen and asked to stop amid training: variables, history, curves."""
    straight, struck = tmp_path / "straight", tmp_path / "struck"
    code, _, said, _ = run(straight, 97)
    assert code == 0, said
    strikes = [
        (signal.SIGKILL, 0, "write", 2),
        (signal.SIGTERM, 1, "training", 0.5),
        (signal.SIGSTOP, 1, "training", 0.3),
    ]
    code, made, said, _ = run(struck, 97, strikes, Limits(pause=0.1, heartbeat=20.0))
    assert code == 0, said
    assert len(made) >= 2, said  # the last may find the work done
    assert compare(straight, struck) is None


def test_lots_meet_every_signal_on_every_worker():
    found = list(lots(30, 1))
    assert len(found) == 30
    assert {(number, worker) for number, worker, _, _ in found} == {
        (number, worker)
        for number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM)
        for worker in (0, 1)
    }
    assert found == list(lots(30, 1)) != list(lots(30, 2))
