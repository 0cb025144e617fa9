"""AUC both ways: by thresholds (Keras's value: catalogue) and exact, by counting pairs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer import metrics

SCORED = st.lists(
    st.tuples(st.booleans(), st.integers(0, 8), st.integers(0, 3)), min_size=1, max_size=12
)


@given(SCORED)
def test_exact_is_the_share_of_pairs_in_order(rows):
    y, p, w = (np.array(column) for column in zip(*rows, strict=True))
    right = both = 0.0
    for i in np.flatnonzero(y):
        for j in np.flatnonzero(~y):
            both += w[i] * w[j]
            right += w[i] * w[j] * ((p[i] > p[j]) + 0.5 * (p[i] == p[j]))
    assert metrics.exact_auc(y, p, w) == pytest.approx(right / both if both else 0.0)


def test_exact_average_precision_by_hand():
    # Precision at the three hits: 1, 2/3, 3/4.
    found = metrics.exact_auc([1, 0, 1, 1, 0], [0.9, 0.8, 0.7, 0.6, 0.5], curve="PR")
    assert found == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)


def test_many_thresholds_come_near_the_exact_value():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 5000)
    p = np.clip(rng.normal(0.5 + 0.2 * y, 0.2), 0, 1).astype("f")
    exact = metrics.exact_auc(y, p)
    errors = []
    for n in (5, 50, 5000):
        metric = metrics.AUC(n)
        errors.append(abs(metric.result(metric(y, p)) - exact))
    assert errors[0] > errors[1] > errors[2] < 1e-5


def test_the_bounds_enclose_the_exact_value():
    rng = np.random.default_rng(1)
    y, p = rng.integers(0, 2, 300), rng.uniform(size=300).astype("f")
    low, high = (metrics.AUC(20, summation_method=how) for how in ("minoring", "majoring"))
    assert low.result(low(y, p)) <= metrics.exact_auc(y, p) <= high.result(high(y, p))


def test_refusals():
    with pytest.raises(ValueError, match="curve='RoC2' is unknown"):
        metrics.AUC(curve="RoC2")
    with pytest.raises(ValueError, match="summation_method='mean'"):
        metrics.AUC(summation_method="mean")
    with pytest.raises(ValueError, match="num_thresholds=1 must be 2"):
        metrics.AUC(1)
    with pytest.raises(ValueError, match="multi_label=True only"):
        metrics.AUC(num_labels=3)
    with pytest.raises(ValueError, match="specificity=2 must lie"):
        metrics.SensitivityAtSpecificity(2)
    with pytest.raises(ValueError, match="equally many"):
        metrics.exact_auc([1, 0], [0.5])
    with pytest.raises(ValueError, match="curve='PRGAIN'"):
        metrics.exact_auc([1, 0], [0.5, 0.4], curve="PRGAIN")
