"""The tables of a run: every variable once, with totals that add up."""

import numpy as np

import layers
from trainer.callbacks.tensorboard import about


def test_model_table():
    model = layers.Sequential([layers.Dense(4), layers.BatchNormalization()])
    model(np.ones([2, 3], "float32"))
    text = about.model_table(model)
    assert text.startswith("**Sequential**: 32 numbers, 24 of them trained")
    rows = [line for line in text.splitlines() if line.startswith("| layers/")]
    assert rows[0] == "| layers/0/kernel | 3 x 4 | float32 | 12 | yes |"
    assert len(rows) == 6
    assert sum(row.endswith("| yes |") for row in rows) == 4


def test_run_table(make_run):
    text = about.run_table(make_run())
    assert "| examples a step | 8 |" in text
    assert "| optimizers | optimizer: FakeOptimizer |" in text
    assert "floating-point" not in text  # not known here


def test_cells_do_not_break_the_table():
    assert about.markdown(["a"], [["x|y\nz"]]) == "| a |\n| --- |\n| x\\|y z |"
