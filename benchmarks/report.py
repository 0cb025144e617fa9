"""Writes measured figures into the pages, so that nobody types them.

A page says where: what stands between `<!-- generated: NAME -->` and `<!-- end -->` is made of the
file `benchmarks/results/NAME.json` by the function `to_markdown` of the module `benchmarks.NAME`,
which is the command that measured it. `NAME.part` is another table of the same file, made by the
function `part` of that module.

    python -m benchmarks.speed --out=benchmarks/results
    python -m benchmarks.report
"""

from __future__ import annotations

import importlib
import os
import pathlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from absl import flags, logging

from benchmarks import cli, results

ROOT = pathlib.Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
END = "<!-- end -->"
BEGIN = re.compile(r"^<!-- generated: ([\w.]+) -->\n", re.MULTILINE)


def define_flags() -> None:
    """This command's flags."""
    flags.DEFINE_string("results", str(RESULTS), "Folder with the JSON files.")
    flags.DEFINE_list("pages", list(map(str, pages())), "Files to write into.")


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    given = flags.FLAGS
    for page in map(pathlib.Path, given.pages):
        for name in names(page.read_text(encoding="utf-8")):
            changed = splice(page, name, generate(name, given.results))
            logging.info("%s: %s %s", page, name, "written" if changed else "unchanged")
    return 0


def pages() -> list[pathlib.Path]:
    """All that may have generated parts."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def names(text: str) -> list[str]:
    """The names of a page's generated parts."""
    return BEGIN.findall(text)


def splice(path: str | os.PathLike[str], name: str, text: str) -> bool:
    """Puts `text` between the markers of `name` in a file.

    Args:
        path: of the file.
        name: of the part.
        text: Markdown.

    Returns:
        Whether that changed the file.

    Raises:
        ValueError: the file has no such markers, or has them twice.
    """
    page = pathlib.Path(path)
    before = page.read_text(encoding="utf-8")
    after = spliced(before, name, text, where=str(page))
    if after != before:
        page.write_text(after, encoding="utf-8")
    return after != before


def spliced(page: str, name: str, text: str, *, where: str = "the page") -> str:
    """A page's text with a part replaced, see `splice`."""
    begin = f"<!-- generated: {name} -->\n"
    part = re.compile(f"^{re.escape(begin)}.*?^{END}$", re.MULTILINE | re.DOTALL)
    found = len(part.findall(page))
    if found != 1:
        raise ValueError(
            f"{where} has {found} parts {begin.strip()!r} ... {END!r}; it must have exactly one, "
            "each marker on a line of its own."
        )
    return part.sub(lambda _: f"{begin}{text.strip()}\n{END}", page)


def generate(name: str, folder: str | os.PathLike[str] = RESULTS) -> str:
    """The Markdown of a part, see the module's docstring.

    Raises:
        FileNotFoundError: it was not measured.
        ValueError: no command makes it.
    """
    module, _, part = name.partition(".")
    path = pathlib.Path(folder) / f"{module}.json"
    if not path.exists():
        raise FileNotFoundError(
            f"{path} is not there, which {name!r} is made of; measure it: "
            f"python -m benchmarks.{module} --out={folder}"
        )
    return maker(module, part or "to_markdown")(results.load(path))


def maker(module: str, function: str) -> Callable[[Mapping[str, Any]], str]:
    """The function of a command that turns what it measured into Markdown."""
    made = getattr(importlib.import_module(f"benchmarks.{module}"), function, None)
    if made is None:
        raise ValueError(f"benchmarks.{module} has no function {function!r} that makes Markdown.")
    return made


if __name__ == "__main__":
    define_flags()
    cli.run(main)
