"""Contenders in processes of their own: answers, failures, the end of the log."""

import time

import pytest

from benchmarks import processes


def spec(tmp_path):
    return {"workload": "digits", "peer": "fit", "folder": str(tmp_path)}


def test_a_command_that_raises_is_told(tmp_path):
    process = processes.Process("a", spec(tmp_path), tmp_path / "a.log")
    try:
        with pytest.raises(processes.Failed, match="no attribute 'dance'"):
            processes.ask(process, "dance")
        with pytest.raises(processes.Failed, match="'NoneType'"):  # it still answers
            processes.ask(process, "evaluate")
        assert "Traceback" in process.tail(100)
    finally:
        process.close()
    assert process.process.returncode == 0


def test_answers_that_came_before_they_were_asked_for_are_kept(tmp_path):
    """Two contenders of one process may both have answered when the first is listened to."""
    process = processes.Process("a", spec(tmp_path), tmp_path / "a.log", seconds=20)
    names = ("first", "second")
    for name in names:
        process.send(name)
    while "no attribute 'second'" not in process.tail():  # its answer follows at once
        time.sleep(0.1)
    time.sleep(0.2)
    for name in names:
        with pytest.raises(processes.Failed, match=f"^AttributeError.*'{name}'"):
            process.receive()
    process.close()


def test_a_dead_process_is_told_with_the_end_of_its_log(tmp_path):
    process = processes.Process("a", spec(tmp_path), tmp_path / "a.log")
    process.log.write_text("last words\n")
    process.process.kill()
    with pytest.raises(processes.Failed, match=r"(?s)exit code -9.*last words"):
        processes.ask(process, "load")
    process.close()


def test_a_process_that_takes_too_long_is_ended(tmp_path):
    process = processes.Process("a", spec(tmp_path), tmp_path / "a.log", seconds=0.01)
    with pytest.raises(processes.Failed, match="took over"):
        process.receive()
    assert process.process.poll() is not None
    process.close()
