"""Every Python block of every page of docs/ runs as it stands, in order, one namespace a page.

A block that names its file, as in "```python train.py", is a script: it runs by itself. One that
names a library, as in "```python orbit", runs where that is installed.
"""

import importlib.util
import os
import pathlib
import re
import subprocess
import sys

import pytest

PAGES = sorted((pathlib.Path(__file__).parents[2] / "docs").glob("*.md"))
README = PAGES[0].parents[1] / "README.md"


def blocks(page):
    """(line of the page, code) of each Python block."""
    text = page.read_text(encoding="utf-8")
    for found in re.finditer(r"^```python(?: (\w+))?\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        if found[1] is None or importlib.util.find_spec(found[1]):
            yield text.count("\n", 0, found.start(2)), found[2]


def scripts(page):
    """(name, code) of each block that is a script."""
    text = page.read_text(encoding="utf-8")
    return re.findall(r"^```python (\S+\.py)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)


def run(page):
    """Runs a page's blocks."""
    namespace: dict = {}
    found = list(blocks(page))
    assert found, f"{page.name} has no Python block"
    for line, code in found:
        # The newlines before it give errors the line of the page.
        exec(compile("\n" * line + code, str(page), "exec"), namespace)


def test_each_page_leads_to_the_next(root):
    """From the first one a reader comes through all of them, and to the reference."""
    seen, page = [], root / "docs" / "start.md"
    while page.parent == root / "docs":
        assert page not in seen, f"{page.name} comes twice"
        seen.append(page)
        last = page.read_text(encoding="utf-8").splitlines()[-1]
        (found,) = re.findall(r"^Next: \[.*\]\((.*)\)\.$", last)
        page = page.parent / found
    assert sorted(seen) == PAGES and page == root / "docs" / "reference" / "README.md"


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_the_blocks_of(page, tmp_path, monkeypatch, root):
    monkeypatch.chdir(tmp_path)  # what a page writes is written here
    if "MirroredStrategy(" not in page.read_text(encoding="utf-8"):
        run(page)
        return
    # Two strategies over the same devices collide within TensorFlow: it has a process of its own.
    done = subprocess.run(
        [sys.executable, __file__, str(page)],
        env={**os.environ, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_scripts(tmp_path, root):
    """Of several workers one, which is whoever is started without TF_CONFIG."""
    found = [(page.name, *script) for page in PAGES for script in scripts(page)]
    assert [(page, name) for page, name, _ in found] == [("launching.md", "train.py")]
    for _, name, code in found:
        (tmp_path / name).write_text(code, encoding="utf-8")
        subprocess.run(
            [sys.executable, name],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(root)},
            check=True,
        )
    assert list(tmp_path.glob("runs/a/*-step-40"))  # where the page says that checkpoints are


@pytest.mark.parametrize("page", [README, *PAGES], ids=lambda page: page.name)
def test_every_block_says_what_it_is(page):
    """So that no Python is left out because it is called by another name, or by none."""
    fences = re.findall(r"^```(.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert not any(fences[1::2]), "a block is not closed"
    known = {"python", "python train.py", "python orbit", "sh", "yaml", "text"}
    assert set(fences[::2]) <= known, set(fences[::2]) - known


if __name__ == "__main__":
    run(pathlib.Path(sys.argv[1]))
