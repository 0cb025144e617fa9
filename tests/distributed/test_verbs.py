"""Whatever the model and the data are: replicas fit, evaluate and predict as one device does."""

import numpy as np
import pytest

from tests.distributed.runs import MODELS, all_verbs


@pytest.mark.parametrize("name", MODELS)
def test_all_verbs(name, mirrored):
    want, got = all_verbs(name, None), all_verbs(name, mirrored(2))
    assert got.keys() == want.keys()
    for key in want:
        np.testing.assert_allclose(got[key], want[key], rtol=1e-5, atol=2e-6, err_msg=key)
