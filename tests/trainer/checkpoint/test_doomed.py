"""The trigger that ends its own process, and the job it finds by name."""

import os
import signal

import pytest

from trainer.callbacks.triggers import Moment
from trainer.checkpoint.doomed import Doom, find


def test_it_saves_every_so_many_steps_and_strikes_before_one(monkeypatch, capsys):
    struck = []
    monkeypatch.setattr(os, "kill", lambda pid, number: struck.append((pid, number)))
    doom = Doom(every=10, step=25)
    assert [doom.next(Moment(step=s)) for s in (0, 7, 10, 20, 23)] == [10, 10, 20, 24, 24]
    assert [doom.due(Moment(step=s)) for s in (10, 24, 30)] == [True, False, True]
    assert struck == []
    assert doom.next(Moment(step=24)) > 24
    assert struck == [(os.getpid(), signal.SIGKILL)]
    assert capsys.readouterr().out.splitlines() == ["begun", "struck before step 25"]


def test_jobs_are_found_by_file_or_module(tmp_path):
    (tmp_path / "job.py").write_text("def train(checkpoint):\n    return checkpoint + 1\n")
    assert find(f"{tmp_path / 'job.py'}:train")(1) == 2
    assert find("os.path:join")("a", "b") == os.path.join("a", "b")
    for job in (f"{tmp_path / 'job.py'}:other", "no_such_module:train", f"{tmp_path}/none.py:x"):
        with pytest.raises(ValueError, match=r"give 'file.py:function'"):
            find(job)
