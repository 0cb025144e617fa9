"""The benchmark of convergence, on few steps."""

import numpy as np
import pytest

from benchmarks import convergence


@pytest.mark.parametrize("problem", list(convergence.PROBLEMS))
def test_losses_fall(problem, tmp_path):
    names = ["Adam", "SAM(SGD)"] if problem != "quadratic" else ["Sophia", "ScheduleFreeAdamW"]
    measured = convergence.measure(names, [problem], steps=60, rates=(1e-2, 1e-3, 1e30))
    for curve in measured["curves"][problem].values():
        assert curve["loss"][-1] < curve["loss"][0] and curve["rate"] < 1.0
        assert len(curve["steps"]) == 60 and curve["seconds"] > 0
    convergence.draw(measured, tmp_path / "drawn.png")
    assert (tmp_path / "drawn.png").stat().st_size > 1000


def test_the_valley_ends_at_one():
    made = convergence.rosenbrock()
    assert float(made.whole([np.ones((4, 4), np.float32)])) == 0.0
    assert float(made.whole(made.weights)) > 1000.0


def test_every_optimizer_takes_part():
    import optimizers

    assert set(optimizers.names()) < set(convergence.contenders())
