"""Two replicas, or four, train exactly as one device does: the same batches, sums and updates."""

import functools

import numpy as np
import pytest

from tests.distributed.workloads import WORKLOADS, distance, train

# Sums are added in another order; Adam turns a last bit of a tiny gradient into more than one.
CLOSE = 1e-6


@functools.cache
def alone(name):
    return train(name)


@pytest.mark.parametrize("name", WORKLOADS)
@pytest.mark.parametrize("replicas", [2, 4])
def test_replicas_train_as_one_device_does(name, replicas, mirrored):
    _, history, want = alone(name)
    _, shared, got = train(name, mirrored(replicas))
    assert distance(got, want) < CLOSE
    assert history.steps.keys() == shared.steps.keys()
    for key, values in history.steps.items():
        np.testing.assert_allclose(shared.steps[key], values, rtol=1e-5, atol=1e-6, err_msg=key)
