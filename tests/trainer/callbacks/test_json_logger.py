"""JSONLogger: lines that any JSON reader takes, of calls and of steps."""

import json

import numpy as np

from trainer.callbacks import JSONLogger


def strictly(text):
    def refuse(name):
        raise ValueError(name)

    return [json.loads(line, parse_constant=refuse) for line in text.splitlines()]


def test_a_line_a_call(fit, make_run, tmp_path):
    path = tmp_path / "log.jsonl"
    fit([JSONLogger(path)], make_run(), lambda step: {"val_loss": -np.inf, "val_accuracy": np.nan})
    lines = strictly(path.read_text())
    assert [(line["step"], line["epoch"], line["seconds"]) for line in lines] == [
        (10, 1, 10.0),
        (20, 2, 20.0),
        (30, 3, 30.0),
    ]
    assert lines[1]["loss"] == 1 / 20
    assert (float(lines[0]["val_loss"]), lines[0]["val_accuracy"]) == (-np.inf, "NaN")


def test_a_line_a_step(fit, make_run, tmp_path):
    path = tmp_path / "log.jsonl"
    history = fit([JSONLogger(path, steps=True)], make_run())
    lines = strictly(path.read_text())
    assert [line["step"] for line in lines if "epoch" not in line] == list(range(1, 31))
    assert [x["loss"] for x in lines if "epoch" not in x] == history.steps["loss"].tolist()
    fit([JSONLogger(path, append=True)], make_run(start_step=30, total_steps=40))
    assert strictly(path.read_text())[-1]["step"] == 40
