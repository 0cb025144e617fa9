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
