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


@pytest.mark.parametrize("name", WORKLOADS)
def test_workers_train_as_one_device_does(name, trained):
    first, second = (dict(np.load(trained / f"{name}-{i}.npz")) for i in range(2))
    assert distance(first, second) == 0.0
    assert distance(first, train(name)[2]) < 1e-6
