"""Whatever the model and the data are: replicas fit, evaluate and predict as one device does."""

import numpy as np
import pytest

from tests.distributed.runs import MODELS, all_verbs


@pytest.mark.parametrize("name", MODELS)
def test_all_verbs(name, mirrored):
    compare(name, mirrored(2))


def test_all_verbs_of_replicas_that_are_traced_as_one(mirrored, as_one):
    """Four of them: neither the rows of an epoch's end nor those of a validation go by four."""
    compare("keras, lazy", mirrored(4))


def compare(name, strategy):
    """All that comes of the verbs on one device and by a strategy."""
    want, got = all_verbs(name, None), all_verbs(name, strategy)
    assert got.keys() == want.keys()
    for key in want:
        np.testing.assert_allclose(got[key], want[key], rtol=1e-5, atol=2e-6, err_msg=key)
