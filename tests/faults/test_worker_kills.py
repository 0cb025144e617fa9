"""A few of the strikes of `python -m tests.faults.worker_kills`: each signal, chief and worker."""

import signal

from tests.faults import worker_kills
from tests.faults.worker_kills import Blow, Striker, compare, lots, run, stated
from trainer.launch.crew import Limits

KINDS = (
    (signal.SIGKILL, "write"),
    (signal.SIGSTOP, "training"),
    (signal.SIGSTOP, "start"),
    (signal.SIGTERM, "training"),
)


def test_struck_workers_end_as_undisturbed_ones(tmp_path):
    """Killed amid a write, frozen and asked to stop amid training: variables, history, curves.

    And in time, each with an exit code and a word of what happened.
    """
    straight, struck = tmp_path / "straight", tmp_path / "struck"
    code, _, said = run(straight, 97)
    assert code == 0, said
    strikes = [
        (signal.SIGKILL, 0, "write", 2),
        (signal.SIGTERM, 1, "training", 0.5),
        (signal.SIGSTOP, 1, "training", 0.3),
    ]
    code, made, said = run(struck, 97, strikes, Limits(pause=0.1, heartbeat=20.0))
    assert code == 0, said
    assert len(made) >= 2, said  # the last may find the work done
    assert not [str(blow) for blow in made if blow.late]
    words = "\n".join(said)
    assert "was ended by SIGKILL" in words and "ended with code 75: it lost a peer" in words
    assert "ended with code 143: it was asked to stop by SIGTERM" in words
    assert compare(straight, struck) is None


def test_workers_that_end_late_are_found():
    """A life that ends after what is stated; one that never ended was done."""
    limits = Limits(heartbeat=30.0)
    assert [stated(number, moment, limits) for number, moment in KINDS] == [15.0, 27.0, 45.0, 40.0]
    striker = Striker(None, [], limits)
    striker.made = [("a", 15.0, 100.0), ("b", 27.0, 130.0), ("c", 45.0, 200.0)]
    found = list(striker.blows([119.0, 162.5]))
    assert found == [Blow("a", 15.0, 19.0), Blow("b", 27.0, 32.5), Blow("c", 45.0, None)]
    assert [blow.late for blow in found] == [False, True, False]


def test_the_page_states_what_is_held_to():
    page = (worker_kills.ROOT / "docs" / "launching.md").read_text(encoding="utf-8")
    told = "15 s, `--end_seconds`", "27 s", "75 s", "40 s, `--grace_seconds`"
    rows = [line for line in page.splitlines() if line.startswith("|")]
    for words in told:
        assert any(words in row for row in rows), words
    usual = Limits()
    assert [stated(n, m, usual) for n, m in KINDS] == [15.0, 27.0, 75.0, 40.0]


def test_lots_meet_every_signal_on_every_worker():
    found = list(lots(30, 1))
    assert len(found) == 30
    assert {(number, worker) for number, worker, _, _ in found} == {
        (number, worker)
        for number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM)
        for worker in (0, 1)
    }
    assert found == list(lots(30, 1)) != list(lots(30, 2))
