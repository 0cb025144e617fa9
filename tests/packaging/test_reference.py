"""The reference in docs/ is what the docstrings say now, and nothing public is missing there."""

import importlib
import inspect
import pathlib
import re
import subprocess
import sys

import pytest

REFERENCE = pathlib.Path("docs") / "reference"
# The generator needs a newer Python than the library does; its pages are the same for all.
pytestmark = pytest.mark.skipif(sys.version_info < (3, 11), reason="griffe2md needs Python 3.11")


@pytest.fixture(scope="module")
def written(root, tmp_path_factory):
    """The pages as they would be written now: name -> text."""
    out = tmp_path_factory.mktemp("reference")
    subprocess.run(
        [sys.executable, root / "docs" / "reference.py", f"--out={out}"], cwd=root, check=True
    )
    return {path.name: path.read_text(encoding="utf-8") for path in out.iterdir()}


def test_the_pages_are_up_to_date(written, root):
    pages = {p.name: p.read_text(encoding="utf-8") for p in (root / REFERENCE).iterdir()}
    assert pages.keys() == written.keys()
    old = [name for name in pages if pages[name] != written[name]]
    assert not old, f"{', '.join(old)}: run `python3 dev.py docs`"


# Without a page: `fit` opens what it is given by itself, and TensorBoard is one of the callbacks.
INTERNAL = {"trainer.data", "trainer.callbacks.tensorboard"}


def offered(root):
    """The modules that users import from: packages that list names, modules listed there, and
    whatever a page imports."""
    packages = ("trainer", "layers", "losses", "optimizers")
    found = set()
    for path in (path for package in packages for path in (root / package).rglob("__init__.py")):
        module = importlib.import_module(".".join(path.parent.relative_to(root).parts))
        listed = [getattr(module, name) for name in getattr(module, "__all__", ())]
        found |= {module.__name__} if listed else set()
        found |= {value.__name__ for value in listed if inspect.ismodule(value)}
    for page in [root / "README.md", *(root / "docs").glob("*.md")]:
        text = page.read_text(encoding="utf-8")
        for name, imported in re.findall(r"^ *from ([\w.]+) import ([\w, ]+)", text, re.MULTILINE):
            if name.partition(".")[0] in packages:
                there: dict = {}
                exec(f"from {name} import {imported}", there)
                found |= {name, *(v.__name__ for v in there.values() if inspect.ismodule(v))}
    return found - INTERNAL


def test_every_public_module_has_its_page(written, root):
    missing = {f"{name}.md" for name in offered(root)} - written.keys()
    assert not missing


def test_every_public_class_and_function_has_its_entry(written):
    for name in (page.removesuffix(".md") for page in written if page != "README.md"):
        module = importlib.import_module(name)
        headings = re.findall(r"^#+ `(.*)`$", written[f"{name}.md"], re.MULTILINE)
        for public in getattr(module, "__all__", vars(module)):
            value = getattr(module, public)
            if not (inspect.isclass(value) or inspect.isfunction(value)):
                continue
            if hasattr(module, "__all__") or (value.__module__ == name and public[0] != "_"):
                assert f"{name}.{public}" in headings


def test_every_error_that_a_user_may_catch_has_its_entry(written, root):
    defined = {
        name
        for package in ("trainer", "layers", "losses", "optimizers")
        for path in (root / package).rglob("*.py")
        for name, base in re.findall(r"^class (\w+)\((\w+)", path.read_text("utf-8"), re.MULTILINE)
        if re.search(r"(Error|Exception|Exit)$", base)
    }
    assert {"RecompileError", "LostPeer", "CorruptCheckpointError"} <= defined
    headings = re.findall(r"^#+ `(?:\w+\.)*(\w+)`$", "\n".join(written.values()), re.MULTILINE)
    assert defined - set(headings) == {"Stopped"}  # within a trial of ways to compile


def test_links_lead_to_headings(written):
    for name, text in written.items():
        anchors = {h.lower().replace(".", "") for h in re.findall(r"^#+ `(.*)`$", text, re.M)}
        assert set(re.findall(r"\]\(#(.*?)\)", text)) <= anchors, name
