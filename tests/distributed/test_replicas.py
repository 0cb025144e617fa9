"""Replicas train exactly as one device does: the same batches, sums and updates, in every mode."""

import itertools

import numpy as np
import pytest

from benchmarks.replicated import matrix
from benchmarks.replicated.trainings import distance

# One replica is left to `benchmarks.exactness`: it adds up nothing.
EVERYTHING = [case for case in matrix.everything() if case.where != "1"]
ROUNDED = next(case for case in EVERYTHING if case.rounded)  # of which another distance is asked
CASES = [*matrix.pairs(EVERYTHING), ROUNDED]


@pytest.mark.parametrize("case", [c for c in CASES if c.where != "workers"], ids=lambda c: c.name)
def test_replicas_train_as_one_device_does(case, mirrored):
    found, steps = matrix.train(case, mirrored(matrix.REPLICAS[case.where]))
    want, wanted = matrix.alone(case)
    assert distance(found, want) <= case.close
    assert steps.keys() == wanted.keys()
    if case.precision != "float16":  # where sums of other rows are rounded
        for key in steps:
            np.testing.assert_allclose(steps[key], wanted[key], rtol=1e-5, atol=1e-6, err_msg=key)


def test_any_two_choices_meet_in_a_case():
    assert len({case.workload for case in EVERYTHING}) == 6
    assert {case.where for case in EVERYTHING} == {"2", "4", "workers"}

    def met(cases):
        return {two for c in cases for two in itertools.combinations(enumerate(c), 2)}

    assert met(CASES) == met(EVERYTHING)
