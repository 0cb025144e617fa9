"""Workers that differ are refused, all of them, by the name of what differs."""

import sys

import pytest

from tests.trainer.pairs import together
from trainer.distribution import agreement
from trainer.distribution.agreement import Disagreement, check, differences, program, tell
from trainer.distribution.replicas import Replicas


def test_workers_that_agree_go_on():
    facts = {"seed": 3, "data": {"kind": "arrays", "rows": 50}, "more": [1, None, "x"]}
    assert together(lambda desk: check(desk, lambda: dict(facts))) == [None, None]
    assert check(Replicas(), lambda: 1 / 0) is None


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ([{"seed": 0}, {"seed": 1}], "seed: 0 on worker 0, 1 on worker 1"),
        (
            [{"data": {"rows": 50, "kind": "arrays"}}, {"data": {"rows": 60, "kind": "arrays"}}],
            "data/rows: 50 on worker 0, 60 on worker 1",
        ),
        ([{"a": 1}, {"a": 1, "b": None}], "b: none on worker 0, null on worker 1"),
        ([{"code": {"train.py": "12ab"}}, {"code": {"train.py": "34cd"}}], "code/train.py"),
    ],
)
def test_all_are_refused_and_told_why(facts, said):
    errors = together(lambda desk: check(desk, lambda: facts[desk.worker]))
    assert all(isinstance(error, Disagreement) for error in errors)
    assert [error.code for error in errors] == [78, 78]
    assert said in str(errors[0])
    assert str(errors[0]) == str(errors[1])


def test_code_that_only_some_have_loaded_does_not_matter():
    facts = [{"code": {"train": "1", "writer": "2"}}, {"code": {"train": "1"}}]
    assert together(lambda desk: check(desk, lambda: facts[desk.worker])) == [None, None]


def test_long_differences_are_cut_and_counted():
    facts = [{"code": {f"m{i}": w for i in range(25)}} for w in ("a" * 500, "b" * 500)]
    error = together(lambda desk: check(desk, lambda: facts[desk.worker]))[0]
    assert "and 5 more" in str(error)
    assert len(str(error)) < 6000
    lines = differences(facts)
    assert lines[0].split(" on worker ")[0] != lines[0].split(", ")[-1].split(" on worker ")[0]


def test_texts_of_any_length_arrive_in_order():
    for texts in (["same", "same"], ["", "größer ≠"], ["a" * 3000, "b"]):
        assert together(lambda desk, texts=texts: tell(desk, texts[desk.worker])) == [texts, texts]
    assert tell(Replicas(), "alone") == ["alone"]


def test_the_program_is_told_by_what_decides_it(tmp_path, monkeypatch):
    """The script, and modules beside it: a changed file is another program."""
    script, beside = tmp_path / "train.py", tmp_path / "mine.py"
    script.write_text("1\n")
    beside.write_text("2\n")
    monkeypatch.setattr(sys.modules["__main__"], "__file__", str(script), raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    __import__("mine")
    first = program(0, 1, "auto")
    assert {"train.py", "mine", "trainer"} <= set(first["code"])
    assert program(0, 1, "auto") == first
    beside.write_text("3\n")
    second = program(1, 1, "auto")
    found = differences([first, second])
    assert [line.split(":")[0] for line in found] == ["seed", "code/mine"]
    assert agreement.Disagreement("x").code == 78
