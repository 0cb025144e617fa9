"""What docs/parity.md says of tests is true: each that it names is there, and runs Keras."""

import re


def test_every_named_test_is_there(root):
    page = (root / "docs" / "parity.md").read_text(encoding="utf-8")
    named = re.findall(r"\| `(test_\w+)` \|$", page, re.MULTILINE)
    rows = [line for line in page.splitlines() if line.startswith("| ") and "`test_" in line]
    assert len(named) == len(rows) > 20
    sources = [path.read_text(encoding="utf-8") for path in (root / "tests").rglob("test_*.py")]
    pattern = re.compile(r"^def (test_\w+)\((.*?)(?=^\S|\Z)", re.MULTILINE | re.DOTALL)
    defined = dict(found for source in sources for found in pattern.findall(source))
    assert not set(named) - defined.keys()
    without = [name for name in named if "keras" not in defined[name].lower()]
    assert not without, f"{', '.join(without)}: what fit does is told, and not run"
