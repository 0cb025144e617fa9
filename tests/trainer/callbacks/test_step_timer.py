"""StepTimer: speeds agree with the clock that the reports carry, and MFU with its formula."""

import pytest

import layers
from trainer import Every, Trainer
from trainer.callbacks import LambdaCallback, StepTimer


def test_speeds_are_steps_over_seconds(fit, make_run, capsys):
    timer = StepTimer(when=Every(steps=10), peak_flops=1e3, flops=500.0, verbose=2)
    fit([timer], make_run())  # a second a step, 8 rows each
    expected = {"overall_steps_per_second": 1.0, "steps_per_second": 1.0}
    assert timer.history[-1] == {"step": 30, **expected, "examples_per_second": 8.0, "mfu": 0.5}
    assert "StepTimer: 1.0 steps/s, 8 examples/s, 1.0 steps/s overall, MFU 50.0%" in (
        capsys.readouterr().out
    )
    fit([unknown := StepTimer(peak_flops=1e3)], make_run())
    assert "mfu" not in unknown.history[-1]  # the graph does not tell


def test_the_graph_tells_the_flops_of_matrix_products(data):
    """Dense 3 -> 2 on 8 rows: 2 b n m forward, and as much for the kernel's gradient."""
    told = []
    trainer = Trainer(layers.Dense(2), loss="mse", optimizer="sgd", jit=False)
    look = LambdaCallback(lambda report: told.append((report.run.rows, report.run.flops)))
    trainer.fit(*data, batch_size=8, verbose=0, callbacks=[look])
    assert told == [(8, 2 * (2 * 8 * 3 * 2))]


def test_refuses():
    with pytest.raises(ValueError, match="peak_flops=0"):
        StepTimer(peak_flops=0)
