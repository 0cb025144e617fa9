"""Every Python block of every page of docs/ runs as it stands, in order, one namespace a page."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

PAGES = sorted((pathlib.Path(__file__).parents[2] / "docs").glob("*.md"))


def blocks(page):
    """(line of the page, code) of each Python block."""
    text = page.read_text(encoding="utf-8")
    for found in re.finditer(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
        yield text.count("\n", 0, found.start(1)), found.group(1)


def run(page):
    """Runs a page's blocks."""
    namespace: dict = {}
    found = list(blocks(page))
    assert found, f"{page.name} has no Python block"
    for line, code in found:
        # The newlines before it give errors the line of the page.
        exec(compile("\n" * line + code, str(page), "exec"), namespace)


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


if __name__ == "__main__":
    run(pathlib.Path(sys.argv[1]))
