"""Generated parts of the pages: where they belong, and equal to what the JSON files say."""

import pytest

from benchmarks import report, results

PAGE = """# Title

<!-- generated: speed -->
| old |
<!-- end -->

between

<!-- generated: speed.headline -->
<!-- end -->
"""


def test_a_part_is_replaced_and_nothing_else(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    assert report.names(PAGE) == ["speed", "speed.headline"]
    assert report.splice(page, "speed", r"| new \1 |" + "\n")
    assert page.read_text() == PAGE.replace("| old |", r"| new \1 |")
    assert not report.splice(page, "speed", r"| new \1 |")  # nothing changes
    assert report.splice(page, "speed.headline", "first")
    assert page.read_text().endswith("<!-- generated: speed.headline -->\nfirst\n<!-- end -->\n")


@pytest.mark.parametrize(("page", "found"), [("no markers", 0), (PAGE + PAGE, 2)])
def test_a_part_that_is_not_there_once_is_refused(tmp_path, page, found):
    path = tmp_path / "page.md"
    path.write_text(page)
    with pytest.raises(ValueError, match=rf"page\.md has {found} parts"):
        report.splice(path, "speed", "text")
    assert path.read_text() == page


def test_what_was_not_measured_says_how_to(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"python -m benchmarks\.speed --out="):
        report.generate("speed", tmp_path)


def test_what_no_command_makes_is_refused(tmp_path):
    results.save(tmp_path / "quiet.json", {})
    with pytest.raises(ValueError, match=r"benchmarks\.quiet has no function 'to_markdown'"):
        report.generate("quiet", tmp_path)


@pytest.mark.parametrize("page", report.pages(), ids=lambda page: page.name)
def test_regenerating_changes_nothing(page):
    """No figure of a generated part was typed, and none is older than its file."""
    text = page.read_text(encoding="utf-8")
    for name in report.names(text):
        assert report.spliced(text, name, report.generate(name), where=page.name) == text, name
