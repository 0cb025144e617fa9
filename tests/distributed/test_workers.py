"""Two processes on the loopback train as one device does."""

import pytest

from benchmarks.replicated import matrix, workers
from benchmarks.replicated.trainings import distance
from tests.distributed.test_replicas import CASES

HERE = [case for case in CASES if case.where == "workers"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workers")
    matrix.name_cases(HERE, folder)
    workers.run("tests.distributed.jobs:cases", folder)
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
