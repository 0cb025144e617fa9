"""Replicas held against one device: cases join a file, which says how far they ended from it."""

from benchmarks import exactness, results
from benchmarks.replicated import matrix


def test_pieces_make_one_file_and_what_it_lacks_is_left(tmp_path, monkeypatch):
    path = tmp_path / "exactness.json"
    cases = exactness.asked(exactness.WORKLOADS, exactness.WHERE, path)
    assert cases == matrix.everything() and len(cases) == 648
    rounded, other = [case for case in cases if case.rounded][:2]
    for case, far, nudged in (
        (cases[0], 2e-7, None),
        (rounded, 5e-4, 2e-4),
        (cases[1], 3e-6, None),
        (cases[2], float("nan"), None),
    ):
        exactness.keep(path, case, far, nudged)
    monkeypatch.setattr(matrix.Case, "close", 1e-2)  # once another distance was asked
    exactness.keep(path, other, 5e-3, None)
    monkeypatch.undo()
    left = exactness.asked(exactness.WORKLOADS, exactness.WHERE, path)
    assert left == [case for case in cases[3:] if case != rounded]
    piece = exactness.asked(["rnn"], ["workers"], None)
    assert {(case.workload, case.where) for case in piece} == {("rnn", "workers")}
    said = exactness.to_markdown(results.load(path))
    assert said.startswith(
        "5 cases have been trained: 3 of which at most 1e-06 is asked, 2 of them further away, the "
        "furthest 3.0e-06; 1 of which at most 0.001 is asked, 0 of them further away, the furthest "
        "5.0e-04 (one device from itself, where one number of its data differs by one unit of "
        "float16: 2.0e-04); 1 of which at most 0.01 is asked, 0 of them further away, the furthest "
        "5.0e-03 (20"
    )


def test_a_case_that_differs_is_named(tmp_path, monkeypatch):
    three = matrix.everything()[:3]
    monkeypatch.setattr(
        exactness,
        "trained",
        lambda cases: zip(cases, (1e-7, 2e-6, float("nan")), [None] * 3, strict=True),
    )
    bad = exactness.compare(three, tmp_path / "exactness.json")
    assert bad == [case.name for case in three[1:]]
