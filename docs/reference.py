"""Writes docs/reference: what each public module offers, from its docstrings."""

from __future__ import annotations

import argparse
import pathlib
import re
from typing import Any

import griffe
import griffe2md

ROOT = pathlib.Path(__file__).resolve().parents[1]
MODULES = (
    "trainer",
    "trainer.metrics",
    "trainer.callbacks",
    "trainer.callbacks.predictions",
    "trainer.instruments",
    "trainer.inspect",
    "trainer.checkpoint",
    "trainer.weights",
    "trainer.precision.check",
    "layers",
    "layers.activations",
    "layers.initializers",
    "layers.regularizers",
    "layers.conformance",
    "losses",
    "optimizers",
    "optimizers.schedules",
)
LINK = re.compile(r"\[([^][]+)\]\(#([\w.]+)\)")
HOW = {
    "docstring_section_style": "list",
    "filters": ["!^_"],
    "group_by_category": True,
    "inherited_members": False,
    "line_length": 100,
    "members_order": "alphabetical",
    "merge_init_into_class": True,
    "separate_signature": True,
    "show_category_heading": False,
    "show_if_no_docstring": False,
    "show_object_full_path": True,
    "show_root_full_path": True,
    "show_signature_annotations": False,
    "show_submodules": False,
    "summary": {"classes": True, "functions": True},
}


def main() -> None:
    """Writes all pages into a folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "docs" / "reference")
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    pages = render()
    for name, text in pages.items():
        (out / name).write_text(text, encoding="utf-8")
    print(f"{len(pages)} pages in {out}")


def render() -> dict[str, str]:
    """File name -> Markdown."""
    extensions = griffe.load_extensions(Examples())
    loader = griffe.GriffeLoader(
        extensions=extensions, search_paths=[ROOT], docstring_parser="google"
    )
    for name in {module.partition(".")[0]: None for module in MODULES}:
        loader.load(name)
    loader.resolve_aliases(external=False)
    pages = {f"{name}.md": page(loader.modules_collection[name]) for name in MODULES}
    return {"README.md": contents(loader), **pages}


class Examples(griffe.Extension):
    """Lets a single example be one of the sections that are rendered as code."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for whatever was read."""
        if obj.docstring is not None:
            obj.docstring.value = obj.docstring.value.replace("\nExample:\n", "\nExamples:\n")


def page(module: griffe.Module) -> str:
    """One module's page: its public names, except modules, which have their own."""
    names = public(module)
    for name in names:
        if module[name].is_module and name in module[name].members:  # imported from its own file
            module.set_member(name, griffe.Alias(name, module[name][name], parent=module))
    names = [name for name in names if not module[name].is_module]
    how = {**HOW, "members": sorted(names, key=str.lower), "heading_level": 1}
    text = griffe2md.render_object_docs(module, how)
    headings = set(re.findall(r"^#+ `([\w.]+)`$", text, re.MULTILINE))

    def linked(found: re.Match[str]) -> str:
        shown, target = found.groups()
        public = f"{module.path}.{target.rpartition('.')[2]}"  # as a name of its own file
        for heading in (target, public):
            if heading in headings:
                return f"[{shown}](#{slug(heading)})"
        return shown

    text = LINK.sub(linked, text)
    return "\n".join(line.rstrip() for line in text.splitlines()).strip() + "\n"


def public(module: griffe.Module) -> list[str]:
    """What its `__all__` names; without one, the classes and functions it defines."""
    if module.exports is not None:
        return [str(name) for name in module.exports]
    return [
        name
        for name, member in module.members.items()
        if not name.startswith("_")
        and not member.is_alias
        and (member.is_class or member.is_function)
    ]


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading of letters, digits, dots and underscores."""
    return heading.lower().replace(".", "")


def contents(loader: griffe.GriffeLoader) -> str:
    """The page that lists the others."""
    lines = ["# Reference", "", "Every public name, from its docstring.", ""]
    for name in MODULES:
        docstring = loader.modules_collection[name].docstring
        first = docstring.value.split("\n\n")[0].replace("\n", " ") if docstring else ""
        lines.append(f"- [{name}]({name}.md): {first}")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
