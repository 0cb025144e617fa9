"""Two processes on the loopback train as one device does."""

import numpy as np
import pytest

from tests.distributed import worker
from tests.distributed.workloads import WORKLOADS, distance, train


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("workers")
    worker.run("six", folder)
    return folder


def _of_both(folder, name):
    return [dict(np.load(folder / f"{name}-{i}.npz")) for i in range(2)]


@pytest.mark.parametrize("name", WORKLOADS)
def test_workers_train_as_one_device_does(name, trained):
    first, second = _of_both(trained, name)
    assert distance(first, second) == 0.0
    assert distance(first, train(name)[2]) < 1e-6


def test_workers_that_read_only_their_rows_train_alike(trained):
    for found in _of_both(trained, "host"):
        assert distance(found, _of_both(trained, "mlp")[0]) == 0.0
