"""The command line: help, what is refused, and that the script's flags are the script's."""

import subprocess
import sys

import pytest

from tests.trainer.launch.conftest import python
from trainer.launch.__main__ import gpus

COMMAND = """
import runpy
runpy.run_module("trainer.launch.__main__", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--help"], 1, "Runs a training script as several workers on this machine"),
        (["--helpshort"], 1, "--workers: How many."),
        ([], 1, "name the script to run"),
        (["missing.py"], 1, "there is no file 'missing.py'"),
    ],
)
def test_words(words, code, said):
    done = subprocess.run(
        python(COMMAND, *words),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code
    assert said in done.stdout + done.stderr


def test_flags_after_the_script_are_its_own(tmp_path):
    (tmp_path / "job.py").write_text("import sys\nprint(sys.argv[1:])\n")
    done = subprocess.run(
        [sys.executable, "-m", "trainer.launch", "--workers=1", tmp_path / "job.py", "--workers=9"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert done.stdout == "[0] ['--workers=9']\n"


def test_gpus_are_shared_out():
    assert gpus(1, 0) == {}
    assert gpus(0, 2) == {"CUDA_VISIBLE_DEVICES": "0,1"}
    assert gpus(1, 2) == {"CUDA_VISIBLE_DEVICES": "2,3"}
