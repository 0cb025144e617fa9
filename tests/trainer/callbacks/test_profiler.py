"""Profiler writes a trace of its window, in the place where TensorBoard looks for it."""

import pytest

import layers
from trainer import Trainer
from trainer.callbacks import Profiler


@pytest.mark.parametrize(
    ("first", "steps", "traced"), [(1, 3, (1, 3)), (5, 4, (5, 8)), (20, 9, (20, 21)), (99, 1, None)]
)
def test_traces_its_window(data, tmp_path, first, steps, traced):
    profiler = Profiler(tmp_path, first, steps)
    trainer = Trainer(layers.Dense(2), loss="mse", optimizer="sgd", jit=False)
    trainer.fit(*data, batch_size=8, epochs=3, verbose=0, callbacks=[profiler])
    assert profiler.traced == traced
    written = list(tmp_path.glob("plugins/profile/*/*.xplane.pb"))
    assert len(written) == (1 if traced else 0)
    if traced:
        assert written[0].stat().st_size > 1000


@pytest.mark.parametrize("options", [{"first": 0}, {"steps": 0}, {"first": 1.5}])
def test_refuses(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Profiler(**options)
