"""One worker: its lines, how its end is told."""

import io

import pytest

from trainer.launch.worker import Lines, Worker


def test_lines_are_whole_and_have_their_prefix():
    lines = Lines(b"[0] ", out := io.BytesIO())
    lines(b"one\ntw")
    assert out.getvalue() == b"[0] one\n"
    lines(b"o\n\n\r 50%\r100%\nlast")
    assert out.getvalue() == b"[0] one\n[0] two\n[0]  50%\n[0] 100%\n"
    lines.end()
    lines.end()
    assert out.getvalue().endswith(b"\n[0] last\n")
    assert out.getvalue().count(b"last") == 1


@pytest.mark.parametrize(
    ("code", "frozen", "exit_code", "words"),
    [
        (0, False, 0, "is done"),
        (3, False, 3, "ended with code 3"),
        (75, False, 75, "lost a peer"),
        (78, False, 78, "do not agree"),
        (143, False, 143, "asked to stop by SIGTERM"),
        (-9, False, 137, "ended by SIGKILL (as the system does when memory runs out)"),
        (-11, False, 139, "ended by SIGSEGV"),
        (-9, True, 124, "no sign of life"),
    ],
)
def test_ends_are_told(code, frozen, exit_code, words):
    worker = Worker.__new__(Worker)
    worker.index, worker.pid, worker.code, worker.frozen = 1, 4242, code, frozen
    assert worker.exit_code == exit_code
    assert str(worker).startswith("worker 1 (process 4242) ")
    assert words in str(worker)
