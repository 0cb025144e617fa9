"""Generated parts of the pages: where they belong, and equal to what the JSON files say."""

import pytest

from benchmarks import report, results
from tests.benchmarks.files import MACHINE

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


SPREAD = {"median": 1.25, "low": 1.0, "high": 1.5, "noise": 0.0}
# What commands write, and a line that the page must have.
MEASURED = {
    "overhead": (
        {
            "steps_per_call": 500,
            "workloads": {
                "w": {"contenders": {"all": {"ratio": SPREAD, "steps_per_second": SPREAD}}}
            },
        },
        "| all | 1 | -20.0% | -33.3% .. +0.0% |",
    ),
    "optimizers": (
        {
            "parameters": 1000,
            "copy_gb_per_s": 10.0,
            "rows": [
                {
                    "optimizer": "Adam",
                    "variables": 10,
                    "mode": "xla",
                    "ours_ms": 2.0,
                    "of_limit": 1.5,
                    "ours_first_s": 0.5,
                }
            ],
        },
        "| Adam | 2.0 / - / 1.5 / 0.5 |",
    ),
    "instruments": (
        {
            "workload": "w",
            "steps": 10,
            "training": {"norms": {"extra": SPREAD, "steps_per_second": 10.0}},
            "once": {"doctor": {"seconds": 2.0, "found": "well"}},
        },
        "| doctor | 2.0 | well |",
    ),
}


@pytest.mark.parametrize("name", list(MEASURED))
def test_what_commands_print_becomes_a_page(tmp_path, name):
    measured, line = MEASURED[name]
    results.save(tmp_path / f"{name}.json", {"machine": MACHINE, **measured})
    page = report.generate(name, tmp_path)
    assert line in page.splitlines() and page.endswith("load before: 0.1")


@pytest.mark.parametrize("page", report.pages(), ids=lambda page: page.name)
def test_regenerating_changes_nothing(page):
    """No figure of a generated part was typed, and none is older than its file."""
    text = page.read_text(encoding="utf-8")
    for name in report.names(text):
        assert report.spliced(text, name, report.generate(name), where=page.name) == text, name
