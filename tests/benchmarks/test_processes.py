"""Contenders in processes of their own: answers, failures, the end of the log."""

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
