"""Two processes on the loopback train as one device does."""

import numpy as np
import pytest

from benchmarks.replicated import matrix, workers
from benchmarks.replicated.trainings import distance
from tests.distributed.jobs import VERBS
from tests.distributed.runs import all_verbs, dropped
from tests.distributed.test_replicas import CASES, EVERYTHING

HERE = [case for case in CASES if case.where == "workers"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workers")
    matrix.name_cases(HERE, folder)
    dropped(None, 2, steps=7, checkpoint=str(folder / "run"))  # what they go on from
    workers.run("tests.distributed.jobs:cases", folder, seconds=400)
    return folder


def _of_both(folder, name):
    return [matrix.trained_by(i, name, folder) for i in range(2)]


@pytest.mark.parametrize("case", HERE, ids=lambda c: c.name)
def test_workers_train_as_one_device_does(case, trained):
    first, second = _of_both(trained, case.name)
    assert distance(first, second) == 0.0
    assert distance(first, matrix.alone(case)[0]) <= case.close


def test_workers_that_read_only_their_rows_train_alike(trained):
    for found in _of_both(trained, "rows"):
        assert distance(found, _of_both(trained, "whole")[0]) == 0.0


@pytest.mark.parametrize("name", VERBS)
def test_workers_fit_evaluate_and_predict_as_one_device_does(name, trained):
    want = all_verbs(name, None)
    for got in _of_both(trained, name):
        assert got.keys() == want.keys()
        for key in want:
            np.testing.assert_allclose(got[key], want[key], rtol=1e-5, atol=2e-6, err_msg=key)


def test_one_process_two_and_four_devices_go_on_from_each_other(trained, mirrored):
    """With dropout by example, and batches in two parts, amid epochs."""
    first, second = _of_both(trained, "dropped")
    assert distance(first, second) == 0.0
    assert distance(first, dropped(None, 2, steps=13)) < 1e-6
    got = dropped(mirrored(4), 2, steps=20, checkpoint=str(trained / "run"))
    assert distance(got, dropped(None, 2)) < 1e-6


@pytest.mark.parametrize(
    ("processes", "why"),
    [(1, "devices that add up as TensorFlow has it without a word"), (2, "four replicas")],
)
def test_processes_of_two_devices_train_as_one_device_does(processes, why, tmp_path):
    case = next(case for case in EVERYTHING if case.name == "cnn-2-graph-2-None-float32")
    matrix.name_cases([case], tmp_path)
    workers.run("benchmarks.replicated.matrix:train_named", tmp_path, workers=processes, devices=2)
    want, _ = matrix.alone(case)
    for number in range(processes):
        got = matrix.trained_by(number, case.name, tmp_path)
        assert distance(got, want) <= case.close, why
