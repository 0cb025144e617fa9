"""R2 and correlations far from 0, over all data, and of constants; Keras's values: catalogue."""

import numpy as np
import pytest

from trainer import metrics


def test_numbers_far_from_zero_keep_their_digits():
    """Sums of squares in float32 would leave nothing of a spread of 1 around 10,000."""
    rng = np.random.default_rng(0)
    y = (1e4 + rng.normal(size=(1000, 1))).astype("f")
    p = (y + 0.1 * rng.normal(size=y.shape)).astype("f")
    exact, fit = y.astype(float), p.astype(float)
    r2, pearson = metrics.R2Score(), metrics.PearsonCorrelation(axis=None)
    wanted = 1 - ((exact - fit) ** 2).sum() / ((exact - exact.mean()) ** 2).sum()
    assert r2.result(r2(y, p)) == pytest.approx(wanted, rel=1e-6)
    assert pearson.result(pearson(y, p)) == pytest.approx(
        np.corrcoef(exact[:, 0], fit[:, 0])[0, 1], rel=1e-6
    )


@pytest.mark.parametrize("value", [0.0, 0.1, 12345.678])
def test_constants_have_no_variation_to_explain(value):
    y = np.full([7, 3], value, "f")
    p = y + np.arange(3, dtype="f")
    for metric in (metrics.R2Score(), metrics.PearsonCorrelation(axis=None)):
        assert metric.result(metric(y, p)) == 0.0
    each = metrics.PearsonCorrelation()
    assert each.result(each(y, p)) == 0.0


def test_concordance_over_all_data_by_its_formula():
    a, b = np.random.default_rng(0).normal(size=(2, 50))
    metric = metrics.ConcordanceCorrelation(axis=None)
    wanted = 2 * np.cov(a, b, ddof=0)[0, 1] / (a.var() + b.var() + (a.mean() - b.mean()) ** 2)
    assert metric.result(metric(a, b)) == pytest.approx(wanted, rel=1e-6)


def test_refusals():
    with pytest.raises(ValueError, match="axis=0 is the batch"):
        metrics.PearsonCorrelation(axis=0)
    with pytest.raises(ValueError, match="class_aggregation='sum'"):
        metrics.R2Score("sum")
    with pytest.raises(ValueError, match="num_regressors=-1"):
        metrics.R2Score(num_regressors=-1)
    with pytest.raises(ValueError, match=r"must be \[batch, k\]"):
        metrics.R2Score()(np.zeros([2, 3, 4]), np.zeros([2, 3, 4]))
