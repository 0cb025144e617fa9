"""Every command that a page names can be given as it stands there: its module and its flags."""

import importlib
import importlib.util
import pathlib
import re
import shlex
import subprocess

import pytest
from absl import flags

import dev
from trainer.checkpoint import __main__ as checkpoint

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMAND = re.compile(r"\bpython3?\s+((?:-m\s+[\w.]+|dev\.py)\b[^`\n]*)")


def commands(text):
    """The words of each command after `python`, in blocks and within lines that may be broken."""
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    rest = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    spans = [span.replace("\n", " ") for span in re.findall(r"`([^`]+)`", rest)]
    found = [COMMAND.search(line) for line in [*"".join(blocks).splitlines(), *spans]]
    return [shlex.split(match[1], comments=True) for match in found if match]


def check(words):
    """Raises where the command would not start."""
    if words[0] == "dev.py":
        command, given = dev.parse(words[1:])
        words = ["-m", "benchmarks", *given] if command == "train" else ["-m", "dev"]
    name, arguments = words[1], [word for word in words[2:] if word != "--help"]
    spec = importlib.util.find_spec(name)
    assert spec is not None, f"there is no module {name}"
    if spec.submodule_search_locations:
        name = f"{name}.__main__"
        assert importlib.util.find_spec(name) is not None, f"{words[1]} cannot be run"
    module = importlib.import_module(name)
    if module is checkpoint:
        if arguments:
            module._parser().parse_args(arguments)
    elif hasattr(module, "define_flags"):
        parse(module, arguments)
    else:
        source = pathlib.Path(module.__file__).read_text(encoding="utf-8")
        for flag in re.findall(r"--(\w+)", " ".join(arguments)):
            assert f'"--{flag}"' in source, f"{name} has no flag --{flag}"


def parse(module, arguments):
    """Has absl parse the flags of a command; a launched script's stand behind it."""
    known = set(flags.FLAGS)
    try:
        module.define_flags()
        flags.FLAGS.set_gnu_getopt(False)
        rest = flags.FLAGS([module.__name__, *arguments])[1:]
        assert not rest or module.__name__ == "trainer.launch.__main__", rest
    finally:
        for name in set(flags.FLAGS) - known:
            delattr(flags.FLAGS, name)
        flags.FLAGS.unparse_flags()


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_commands_of(page):
    for words in commands(page.read_text(encoding="utf-8")):
        try:
            check(words)
        except (Exception, SystemExit) as error:
            pytest.fail(f"{page.name}: python {shlex.join(words)}: {error!r}")


def test_the_pages_have_commands():
    found = [words for page in PAGES for words in commands(page.read_text(encoding="utf-8"))]
    assert len(found) > 40
    assert {words[0] for words in found} == {"-m", "dev.py"}


@pytest.mark.parametrize(
    "text",
    [
        "`python -m benchmarks.sped`",
        "`python -m benchmarks --precision`",
        "`python -m\nbenchmarks.speed --workloads=mnits`",
        "```sh\npython -m trainer.checkpoint pin runs/b NAME\n```",
        "`python3 dev.py tets`",
        "`python -m tests.faults.kills --kill=3`",
    ],
)
def test_a_wrong_one_is_found(text):
    (words,) = commands(text)
    with pytest.raises((AssertionError, SystemExit, flags.Error)):
        check(words)


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_shell_blocks_are_shell(page):
    text = page.read_text(encoding="utf-8")
    for block in re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        subprocess.run(["bash", "-n"], input=block, text=True, check=True)
