#!/usr/bin/env python3
"""The one command of this project, on a machine that has nothing but Python.

It makes a virtual environment in `.venv`, installs there what setup.cfg asks for, and runs the
command in it. A second run finds the environment ready and starts at once. Only the standard
library is used, and only syntax that Python 3.7 can read, so that an old one can tell what is
missing.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
OLDEST, NEWEST = (3, 10), (3, 13)
DOCS_OLDEST = (3, 11)  # of griffe2md; setup.cfg leaves it out below

# What each command needs beside the library itself: names of extras in setup.cfg.
EXTRAS = {
    "train": {"benchmark"},
    "test": {"benchmark", "test"},
    "lint": {"benchmark", "test"},
    "docs": {"benchmark", "test"},
}

HELP = """\
commands:
  train [flags]   train the benchmark models; flags go to `python -m benchmarks`
  test [flags]    run the tests; flags go to pytest (two processes unless -n says otherwise)
  lint            check style, format and types: ruff check, ruff format --check, mypy
  docs            write what docs/ has of docstrings: the reference of every public name

All that follows the command is passed on untouched, so `dev.py train --help` shows the flags of
training and `dev.py test -k dropout -x` runs a few tests. Commands run in the project's folder.
The first run downloads TensorFlow into .venv (about 2 GB on disk); later runs reuse it until
setup.cfg, pyproject.toml or the Python version changes. Delete .venv to start over.
"""


class Problem(Exception):
    """Something the user can put right; its text says what and how."""


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        argv: The words after the script's name; those of this process when None.
    """
    command, flags = parse(sys.argv[1:] if argv is None else argv)
    try:
        check_python()
        if command == "docs":
            check_python_of_docs()
        prepare(EXTRAS[command])
    except Problem as problem:
        print(f"dev.py: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("dev.py: interrupted; the next run goes on from a clean start", file=sys.stderr)
        return 130
    return run(commands(command, flags))


def parse(argv: list[str]) -> tuple[str, list[str]]:
    """Split the command line into the command and the flags that are passed on to it."""
    parser = argparse.ArgumentParser(
        prog="dev.py",
        usage="python3 dev.py [-h] {train,test,lint,docs} [flags passed on]",
        description="Train, test, lint, document: in an environment made when it is missing.",
        epilog=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=tuple(EXTRAS), help="what to do; see below")
    command = parser.parse_args(argv[:1]).command  # not the rest: it is not ours to understand
    flags = argv[1:]
    if command in ("lint", "docs") and flags:
        parser.error(f"{command} takes no flags, got {' '.join(flags)!r}")
    return command, flags


def commands(command: str, flags: list[str]) -> list[list[str]]:
    """What to run in the environment: lists of words, all run whatever the first one says."""
    python = str(venv_python(VENV))
    if command == "train":
        return [[python, "-m", "benchmarks", *flags]]
    if command == "test":
        return [[python, "-m", "pytest", *test_processes(flags), *flags]]
    if command == "docs":
        return [[python, "docs/reference.py"]]
    return [
        [python, "-m", "ruff", "check", "."],
        [python, "-m", "ruff", "format", "--check", "."],
        [python, "-m", "mypy"],
    ]


def test_processes(flags: list[str]) -> list[str]:
    """The flags for two test processes; none where the user chose, or wants to look into one.

    Each begins with one half of the tests, so that neighbours share what they set up, and whichever
    is done first takes over from the other.
    """
    chosen = ("-n", "--numprocesses", "--dist", "--pdb", "--trace")
    if any(flag.startswith(chosen) or flag == "no:xdist" for flag in flags):
        return []
    return ["-n", "2", "--dist", "worksteal"]


def run(all_words: list[list[str]]) -> int:
    """Run each command in the project's folder; the exit code is the first that is not zero."""
    environment = dict(os.environ)
    environment.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stdout.flush()
    if len(all_words) == 1 and os.name != "nt":
        # Become the command, so that a signal to this process (stop and save) reaches it.
        os.chdir(ROOT)
        os.execve(all_words[0][0], all_words[0], environment)
    codes = []
    for words in all_words:
        if len(all_words) > 1:
            print("$", " ".join(words[2:]), flush=True)
        codes.append(subprocess.call(words, cwd=ROOT, env=environment))
    return next((code for code in codes if code != 0), 0)


# The environment.


def check_python(version: tuple[int, int] | None = None) -> None:
    """Raise a Problem unless this Python is one that the library supports."""
    found = sys.version_info[:2] if version is None else version
    if OLDEST <= found <= NEWEST:
        return
    other = other_python()
    way_out = f"`{other} dev.py` would do here" if other else "Install one and run dev.py with it"
    raise Problem(
        f"Python {OLDEST[0]}.{OLDEST[1]} to {NEWEST[0]}.{NEWEST[1]} is needed, the versions that "
        f"TensorFlow and this library support; this is {found[0]}.{found[1]}. {way_out}."
    )


def check_python_of_docs(version: tuple[int, int] | None = None) -> None:
    """Raise a Problem unless this Python can run what reads docstrings."""
    found = sys.version_info[:2] if version is None else version
    oldest = f"{DOCS_OLDEST[0]}.{DOCS_OLDEST[1]}"
    if found < DOCS_OLDEST:
        raise Problem(
            f"docs needs Python {oldest} or newer, as griffe2md does, which writes the reference; "
            f"this is {found[0]}.{found[1]}. All other commands run here. Run docs with a newer "
            "one: its pages are the same for all."
        )


def other_python() -> str | None:
    """The name of a supported Python that is installed here and starts, the newest first."""
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        name = f"python{NEWEST[0]}.{minor}"
        if shutil.which(name) and quietly([name, "-c", ""])[0] == 0:
            return name
    return None


def prepare(extras: set[str]) -> None:
    """Make the environment hold the library and these extras; quick when it already does.

    The stamp inside the environment tells what was installed. It says "making" until all is done,
    so an environment whose making was cut short is made again. A folder without a stamp is somebody
    else's: it is left alone.
    """
    stamp = read_stamp(VENV)
    wanted = {"project": fingerprint(ROOT), "python": python_identity()}
    if is_ready(stamp, wanted, extras, VENV):
        return
    kept = set(stamp.get("extras", [])) if stamp else set()
    if stamp is None and VENV.exists() and any(VENV.iterdir()):
        raise Problem(f"{VENV} was not made by this script. Remove or rename it, then run again.")
    if not (stamp and stamp.get("python") == wanted["python"] and venv_python(VENV).exists()):
        make_venv(VENV)
    write_stamp(VENV, {"state": "making"})
    extras = extras | (kept & set().union(*EXTRAS.values()))
    install(extras)
    write_stamp(VENV, {"state": "ready", "extras": sorted(extras), **wanted})


def is_ready(stamp: dict | None, wanted: dict, extras: set[str], venv: Path) -> bool:
    """Whether the environment is finished for this project, this Python and these extras."""
    return (
        stamp is not None
        and stamp.get("state") == "ready"
        and all(stamp.get(key) == value for key, value in wanted.items())
        and extras <= set(stamp.get("extras", []))
        and venv_python(venv).exists()
    )


def fingerprint(root: Path) -> str:
    """A hash of the files that say what is installed."""
    digest = hashlib.sha256()
    for name in ("setup.cfg", "pyproject.toml"):
        digest.update(name.encode() + b"\0" + (root / name).read_bytes() + b"\0")
    return digest.hexdigest()


def python_identity() -> str:
    """The interpreter and the place an environment is bound to: it works with no other."""
    return f"{sys.version} | {sys.base_prefix} | {ROOT}"


def venv_python(venv: Path) -> Path:
    """The interpreter of an environment."""
    return venv / "Scripts" / "python.exe" if os.name == "nt" else venv / "bin" / "python"


def read_stamp(venv: Path) -> dict | None:
    """What the environment says of itself; None when it has no stamp."""
    try:
        text = (venv / "dev.json").read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    try:
        stamp = json.loads(text)
    except ValueError:
        stamp = None
    return stamp if isinstance(stamp, dict) else {"state": "making"}  # cut short while written


def write_stamp(venv: Path, stamp: dict) -> None:
    """Write what the environment says of itself."""
    (venv / "dev.json").write_text(json.dumps(stamp, indent=1), encoding="utf-8")


def make_venv(venv: Path) -> None:
    """Make an empty environment, in place of the one that may be there."""
    for module in ("venv", "ensurepip"):
        if importlib.util.find_spec(module) is None:
            raise Problem(missing_module(module))
    print(f"dev.py: making {venv}", flush=True)
    shutil.rmtree(venv, ignore_errors=True)
    venv.mkdir()
    write_stamp(venv, {"state": "making"})
    # The interpreter below any environment that runs this script: that one was just removed.
    python = getattr(sys, "_base_executable", None) or sys.executable
    code, said = quietly([python, "-m", "venv", str(venv)])
    if code != 0:
        raise Problem(f"`python -m venv` failed and said:\n{said}\n{missing_module('venv')}")


def quietly(words: list[str]) -> tuple[int, str]:
    """Run a command; returns its exit code and what it printed."""
    done = subprocess.run(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    return done.returncode, done.stdout.strip()


def missing_module(module: str) -> str:
    """How to get a module that some distributions leave out of Python."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return (
        f"This Python cannot make environments: its module {module} is missing or broken. Debian "
        f"and Ubuntu have it in the package python{version}-venv; elsewhere install a complete "
        f"Python {version}."
    )


def install(extras: set[str]) -> None:
    """Install the library, editable, with its dependencies; the log stays in the environment."""
    names = ",".join(sorted(extras))
    print(f"dev.py: installing .[{names}]; the first time takes minutes", flush=True)
    pip = [str(venv_python(VENV)), "-m", "pip", "install", "--no-input"]
    code, last = followed([*pip, "--editable", f"{ROOT}[{names}]"], VENV / "pip.log")
    if code != 0:
        tail = "\n".join(f"  {line}" for line in last)
        raise Problem(
            f"pip failed with exit code {code}. Its last lines (all: {VENV / 'pip.log'}):\n{tail}"
        )


def followed(words: list[str], log: Path) -> tuple[int, list[str]]:
    """Run pip and print its milestones; returns its exit code and last lines; `log` keeps all."""
    last: collections.deque[str] = collections.deque(maxlen=20)
    process = subprocess.Popen(
        words,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    with process, log.open("w", encoding="utf-8") as out:
        for line in process.stdout or ():
            out.write(line)
            last.append(line.rstrip())
            if line.strip().startswith(("Downloading tensorflow", "Installing collected")):
                print(f"dev.py: {line.strip()[:90]}", flush=True)
    return process.returncode, list(last)


if __name__ == "__main__":
    sys.exit(main())
