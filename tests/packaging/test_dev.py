"""dev.py: what it understands, when it installs, what it says when it cannot."""

from __future__ import annotations

import configparser
import json
import pathlib
import subprocess
import sys
from types import SimpleNamespace

import pytest

import dev


@pytest.fixture
def home(tmp_path, monkeypatch):
    """dev.py in a folder of its own, where installing only takes notes."""
    (tmp_path / "setup.cfg").write_text("[metadata]\n")
    (tmp_path / "pyproject.toml").write_text("")
    monkeypatch.setattr(dev, "ROOT", tmp_path)
    monkeypatch.setattr(dev, "VENV", tmp_path / ".venv")
    record = SimpleNamespace(path=tmp_path, made=[], installed=[])

    def make_venv(venv):
        record.made.append(venv)
        python = dev.venv_python(venv)
        python.parent.mkdir(parents=True, exist_ok=True)
        python.write_text("")
        dev.write_stamp(venv, {"state": "making"})

    monkeypatch.setattr(dev, "make_venv", make_venv)
    monkeypatch.setattr(dev, "install", lambda extras: record.installed.append(sorted(extras)))
    return record


def test_docs_on_a_python_without_its_generator(home, monkeypatch, capsys):
    """Told before anything is installed; setup.cfg has the same bound."""
    monkeypatch.setattr(dev.sys, "version_info", (3, 10, 4))
    assert dev.main(["docs"]) == 1
    said = capsys.readouterr().err
    assert "docs needs Python 3.11 or newer" in said and "this is 3.10" in said
    assert not home.made and not home.installed
    dev.check_python_of_docs((3, 11))
    text = (pathlib.Path(dev.__file__).parent / "setup.cfg").read_text(encoding="utf-8")
    assert 'griffe2md>=1.5; python_version >= "3.11"' in text


def test_flags_after_the_command_are_passed_on():
    assert dev.parse(["train", "--help"]) == ("train", ["--help"])
    assert dev.parse(["test", "-k", "a and b", "--", "-x"]) == (
        "test",
        ["-k", "a and b", "--", "-x"],
    )
    assert dev.parse(["lint"]) == ("lint", [])


@pytest.mark.parametrize("argv", [[], ["tset"], ["--fast", "test"], ["lint", "--fix"]])
def test_what_is_not_understood_is_told(argv, capsys):
    with pytest.raises(SystemExit) as stop:
        dev.parse(argv)
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert all(command in said for command in ("train", "test", "lint", "docs"))


def test_help_names_the_commands_and_the_passing_on(capsys):
    with pytest.raises(SystemExit) as stop:
        dev.parse(["--help"])
    assert stop.value.code == 0
    said = capsys.readouterr().out
    assert "passed on" in said
    assert all(f"  {command} " in said for command in dev.EXTRAS)


def test_training_and_testing_run_in_the_environment():
    python = str(dev.venv_python(dev.VENV))
    assert dev.commands("train", ["--steps", "3"]) == [[python, "-m", "benchmarks", "--steps", "3"]]
    two = ["-n", "2", "--dist", "worksteal"]
    assert dev.commands("test", ["-x"]) == [[python, "-m", "pytest", *two, "-x"]]
    assert [words[2] for words in dev.commands("lint", [])] == ["ruff", "ruff", "mypy"]


@pytest.mark.parametrize(
    "flags", [["-n", "0"], ["-n4"], ["--numprocesses=3"], ["--pdb"], ["-p", "no:xdist"]]
)
def test_the_users_choice_of_processes_stands(flags):
    assert dev.test_processes(flags) == []
    assert dev.test_processes(["-k", "nothing"])[:2] == ["-n", "2"]


@pytest.mark.parametrize("version", [(2, 7), (3, 9), (3, 14), (4, 0)])
def test_other_pythons_are_told_what_is_needed(version, monkeypatch):
    monkeypatch.setattr(dev, "other_python", lambda: "python3.12")
    with pytest.raises(dev.Problem, match=r"3\.10 to 3\.13 is needed.*python3\.12 dev\.py"):
        dev.check_python(version)


@pytest.mark.parametrize("version", [(3, 10), (3, 13)])
def test_supported_pythons_pass(version):
    dev.check_python(version)


def test_supported_versions_are_those_of_setup_cfg(root):
    settings = configparser.ConfigParser()
    settings.read(root / "setup.cfg", encoding="utf-8")
    (low, high) = dev.OLDEST, dev.NEWEST
    wanted = f">={low[0]}.{low[1]},<{high[0]}.{high[1] + 1}"
    assert settings["options"]["python_requires"] == wanted
    classifiers = settings["metadata"]["classifiers"]
    assert all(f":: 3.{minor}" in classifiers for minor in range(low[1], high[1] + 1))
    assert set().union(*dev.EXTRAS.values()) <= set(settings["options.extras_require"])


def test_a_second_run_installs_nothing(home):
    dev.prepare({"test"})
    dev.prepare({"test"})
    assert (len(home.made), home.installed) == (1, [["test"]])


def test_new_needs_are_added_to_what_is_there(home):
    dev.prepare({"test"})
    dev.prepare({"benchmark"})
    dev.prepare({"test"})
    assert (len(home.made), home.installed) == (1, [["test"], ["benchmark", "test"]])


@pytest.mark.parametrize("name", ["setup.cfg", "pyproject.toml"])
def test_changed_settings_are_installed_again(home, name):
    dev.prepare({"test"})
    (home.path / name).write_text("# changed\n")
    dev.prepare({"test"})
    assert (len(home.made), home.installed) == (1, [["test"], ["test"]])


def test_another_python_gets_another_environment(home, monkeypatch):
    dev.prepare({"test"})
    monkeypatch.setattr(dev, "python_identity", lambda: "another")
    dev.prepare({"test"})
    assert (len(home.made), home.installed) == (2, [["test"], ["test"]])


def test_a_half_made_environment_is_made_again(home, monkeypatch):
    def fail(extras):
        raise dev.Problem("pip failed")

    with monkeypatch.context() as patch:
        patch.setattr(dev, "install", fail)
        with pytest.raises(dev.Problem):
            dev.prepare({"test"})
    dev.prepare({"test"})
    assert (len(home.made), home.installed) == (2, [["test"]])


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"state": "making"}', '{"state": "ready"}'])
def test_a_damaged_stamp_means_half_made(home, text):
    dev.prepare({"test"})
    (dev.VENV / "dev.json").write_text(text)
    dev.prepare({"test"})
    assert (len(home.made), home.installed) == (2, [["test"], ["test"]])


def test_an_environment_whose_python_is_gone_is_made_again(home):
    dev.prepare({"test"})
    dev.venv_python(dev.VENV).unlink()
    dev.prepare({"test"})
    assert len(home.made) == 2


def test_a_folder_of_somebody_else_is_left_alone(home):
    (home.path / ".venv").mkdir()
    (home.path / ".venv" / "precious").write_text("")
    with pytest.raises(dev.Problem, match=r"not made by this script\. Remove or rename"):
        dev.prepare({"test"})
    assert (home.path / ".venv" / "precious").exists()


def test_the_stamp_depends_on_which_file_says_what(tmp_path):
    (tmp_path / "setup.cfg").write_text("a")
    (tmp_path / "pyproject.toml").write_text("b")
    one = dev.fingerprint(tmp_path)
    (tmp_path / "setup.cfg").write_text("ab")
    (tmp_path / "pyproject.toml").write_text("")
    assert dev.fingerprint(tmp_path) != one


def test_missing_venv_names_the_package_to_install(home, monkeypatch):
    monkeypatch.undo()
    monkeypatch.setattr(dev.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(dev.Problem, match=r"python3\.\d+-venv"):
        dev.make_venv(home.path / "elsewhere")
    assert not (home.path / "elsewhere").exists()


def test_pips_last_lines_are_shown(tmp_path, monkeypatch):
    monkeypatch.setattr(dev, "ROOT", tmp_path)
    monkeypatch.setattr(dev, "VENV", tmp_path)
    monkeypatch.setattr(dev, "venv_python", lambda venv: sys.executable)
    script = "for i in range(40): print('line', i)\nraise SystemExit(3)"
    followed = dev.followed
    monkeypatch.setattr(
        dev, "followed", lambda words, log: followed([sys.executable, "-c", script], log)
    )
    with pytest.raises(dev.Problem, match="exit code 3") as problem:
        dev.install({"test"})
    assert "line 39" in str(problem.value)
    assert "line 19" not in str(problem.value)
    assert (tmp_path / "pip.log").read_text().count("line") == 40


def test_lint_runs_all_checks_and_keeps_the_first_failure():
    say = "import os, sys; sys.exit(int(os.environ['TF_CPP_MIN_LOG_LEVEL'] == '2') * {})"
    words = [[sys.executable, "-c", say.format(code)] for code in (0, 5, 7)]
    assert dev.run(words) == 5


def test_it_starts_with_nothing_installed(root):
    """No site packages at all, and the exit code of argparse."""
    words = [sys.executable, "-I", "-S", str(root / "dev.py"), "tset"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "invalid choice: 'tset'" in done.stderr


def test_a_stamp_survives_being_written(tmp_path):
    stamp = {"state": "ready", "extras": ["test"]}
    dev.write_stamp(tmp_path, stamp)
    assert dev.read_stamp(tmp_path) == stamp == json.loads((tmp_path / "dev.json").read_text())
    assert dev.read_stamp(tmp_path / "nowhere") is None
