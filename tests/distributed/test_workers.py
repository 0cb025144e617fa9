"""Two processes on the loopback train as one device does."""

import numpy as np
import pytest

from tests.distributed import matrix
from tests.distributed.test_replicas import CASES
from tests.distributed.workloads import distance

HERE = [case for case in CASES if case.where == "workers"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workers")
    matrix.of_workers(HERE, folder)
    return folder


def _of_both(folder, name):
    return [dict(np.load(folder / f"{name}-{i}.npz")) for i in range(2)]


@pytest.mark.parametrize("case", HERE, ids=lambda c: c.name)
def test_workers_train_as_one_device_does(case, trained):
    first, second = _of_both(trained, case.name)
    assert distance(first, second) == 0.0
    assert distance(first, matrix.alone(case)[0]) <= case.close


def test_workers_that_read_only_their_rows_train_alike(trained):
    for found in _of_both(trained, "rows"):
        assert distance(found, _of_both(trained, "whole")[0]) == 0.0
