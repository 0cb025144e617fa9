"""A choice survives a file, and reads as a table."""

import json

from trainer.compiling.choice import Choice, Trial

CHOICE = Choice(
    "step",
    "measured per step: ...",
    True,
    (
        Trial("graph", 0.25, 0.0123, 0.0004, 1.0, 0.0),
        Trial("step", 2.5, 0.00615, 0.00035, 0.5, 0.0123),
        Trial("loop", note="not tried: it takes about 3 s, and 1 s are left for that"),
    ),
    4.2,
)


def test_it_comes_back_from_json():
    assert Choice.of(json.loads(json.dumps(CHOICE.entry()))) == CHOICE


def test_its_table():
    lines = CHOICE.table().splitlines()
    assert len(lines) == 5
    assert lines[1].split() == (
        ["a", "TensorFlow", "graph", "250", "ms", "12.3", "ms", "400", "us", "1.000", "+-", "0.000"]
    )
    assert "0.500 +- 0.012" in lines[2] and lines[2].endswith("kept")
    assert lines[3].startswith("one XLA loop") and lines[3].endswith("1 s are left for that")
    assert "compiled as an XLA step" in lines[4] and "the trial took 4.2 s" in lines[4]
    assert "as asked" in Choice("loop", "as asked by jit=").table()
