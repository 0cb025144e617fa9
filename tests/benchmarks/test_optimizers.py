"""The benchmark of updates alone, on few parameters."""

import json

import pytest

from benchmarks import optimizers as bench


def test_ours_and_keras_in_turns(tmp_path):
    lines = []
    measured = bench.measure(
        ["AdamW", "LARS"],
        [2],
        ["graph", "xla"],
        parameters=2000,
        rounds=2,
        say=lambda form, line: lines.append(line),
    )
    assert len(measured["rows"]) == len(lines) == 4 and measured["copy_gb_per_s"] > 0.1
    for row in measured["rows"]:
        assert row["ours_ms"] > 0 and row["of_limit"] > 0
        assert ("ratio" in row) == (row["optimizer"] == "AdamW")
    assert lines[0].startswith("AdamW 2 graph: ") and "Keras" in lines[0]
    json.dumps(measured)
    bench.draw(measured, tmp_path / "drawn.png")
    assert (tmp_path / "drawn.png").stat().st_size > 1000


def test_pieces_make_one_table():
    """What was measured before stays, unless it was measured anew or elsewhere."""

    also = {"of_limit": 2.0, "ours_first_s": 0.5, "keras_first_s": 0.3}

    def piece(*rows, processor="p", date="today"):
        rows = [
            {"optimizer": o, "variables": v, "mode": m, "ours_ms": t, **also} for o, v, m, t in rows
        ]
        return {
            "machine": {
                "processor": processor,
                "cores": 2,
                "memory_gb": 1,
                "python": "3",
                "date": date,
                "load": [0.1],
            },
            "threads": {},
            "parameters": 100,
            "copy_gb_per_s": 10.0,
            "rows": rows,
        }

    order = ["Adam", "Lion"]
    old = piece(("Lion", 10, "xla", 1.0), ("Lion", 10, "graph", 2.0), date="before")
    new = piece(("Lion", 10, "graph", 3.0), ("Adam", 100, "graph", 4.0))
    both = bench.joined(old, new, order)
    assert [row["ours_ms"] for row in both["rows"]] == [4.0, 3.0, 1.0]
    assert both["machine"]["date"] == "today"
    page = bench.to_markdown(both)
    assert "| | 10 graph | 10 XLA | 100 graph |" in page
    assert "| Lion | 3.0 / - / 2.0 / 0.5 (0.3) | 1.0 / - / 2.0 / 0.5 (0.3) | |" in page
    elsewhere = bench.joined({**old, "machine": {**old["machine"], "cores": 4}}, new, order)
    assert [row["ours_ms"] for row in elsewhere["rows"]] == [4.0, 3.0]


def test_what_an_update_has_to_move():
    import optimizers

    _, moved = bench.program(optimizers.Adam(), 3, 300, "graph")
    # Weights twice, gradients once, two slots twice, in 3 matrices of 100; and two scalars.
    assert moved == 4 * 300 * (2 + 1 + 4) + 2 * (8 + 4)
    assert bench.shape_of(5000) == (70, 71)


def test_mistakes_are_told(run_module):
    done = run_module("benchmarks.optimizers", "--modes=xlaa")
    assert done.returncode != 0 and "Did you mean 'xla'?" in done.stderr
    with pytest.raises(AttributeError):
        bench.one("Nothing", 1, "graph", 10, 1, False)
