"""What docs/parity.md says of tests is true: each that it names is there."""

import re


def test_every_named_test_is_there(root):
    page = (root / "docs" / "parity.md").read_text(encoding="utf-8")
    named = re.findall(r"\| `(test_\w+)` \|$", page, re.MULTILINE)
    rows = [line for line in page.splitlines() if line.startswith("| ") and "`test_" in line]
    assert len(named) == len(rows) > 20
    sources = [path.read_text(encoding="utf-8") for path in (root / "tests").rglob("test_*.py")]
    defined = set(re.findall(r"^def (test_\w+)\(", "\n".join(sources), re.MULTILINE))
    assert not set(named) - defined
