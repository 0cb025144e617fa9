"""The script runs as if Python had been called with it, and gives signs of life."""

import os
import subprocess
import sys

import pytest

from trainer.launch import bootstrap
from trainer.launch.bootstrap import beat


def _run(kind, name, *words, cwd, code=0):
    read, write = os.pipe()
    done = subprocess.run(
        [sys.executable, bootstrap.__file__, str(write), "0.01", kind, name, *words],
        pass_fds=[write],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
    )
    os.close(write)
    with os.fdopen(read, "rb") as signs:
        beats = signs.read()
    assert done.returncode == code, done.stderr
    return done.stdout, beats


SCRIPT = """
import sys, time
import beside
print(__name__, sys.argv[1:], sys.path[0], "tensorflow" in sys.modules, "trainer" in sys.modules)
time.sleep(0.1)
if "fail" in sys.argv: sys.exit(7)
"""


@pytest.mark.parametrize(("kind", "name"), [("script", "a/job.py"), ("module", "job")])
def test_runs_as_by_python_itself(kind, name, tmp_path):
    folder = tmp_path / "a" if kind == "script" else tmp_path
    folder.mkdir(exist_ok=True)
    (folder / "job.py").write_text(SCRIPT)
    (folder / "beside.py").write_text("")
    words = [sys.executable, *(["-m"] if kind == "module" else []), name, "--x=1", "y"]
    plain = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, check=True).stdout
    said, beats = _run(kind, name, "--x=1", "y", cwd=tmp_path)
    assert said == plain == f"__main__ ['--x=1', 'y'] {folder} False False\n"
    assert len(beats) > 1
    _run(kind, name, "fail", cwd=tmp_path, code=7)


def test_what_the_script_starts_is_no_sign_of_life(tmp_path):
    """Its pipe ends with it, though a process that it started lives on."""
    (tmp_path / "job.py").write_text(
        "import subprocess, sys\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1)'], stdout=-3)\n"
    )
    _, beats = _run("script", "job.py", cwd=tmp_path)
    assert beats


def test_beats_end_when_nobody_reads():
    read, write = os.pipe()
    os.close(read)
    try:
        beat(write, 0.001)
    finally:
        os.close(write)
