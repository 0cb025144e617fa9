"""MemoryMonitor notes the process's memory, and ends a run that takes too much."""

import numpy as np
import pytest

from trainer.callbacks import Every, MemoryMonitor


def test_notes_what_the_process_holds(fit, make_run, capsys):
    held = []

    class Grow(MemoryMonitor):
        def __call__(self, report):
            super().__call__(report)
            held.append(np.ones(8 << 20))  # 64 MB, each page touched

    monitor = Grow(verbose=1, when=Every(steps=10))
    fit([monitor], make_run())
    assert [entry["step"] for entry in monitor.history] == [10, 20, 30]
    first, last = monitor.history[0], monitor.history[-1]
    assert last["host"] - first["host"] > 100 << 20
    assert last["host_peak"] >= last["host"] * 0.9
    assert "step 30: host " in capsys.readouterr().out


def test_a_limit_ends_the_run(fit, make_run):
    assert fit([MemoryMonitor(limit=1e15)], make_run()).stopped is None
    stopped = fit([MemoryMonitor(limit=1 << 20)], make_run()).stopped
    assert stopped.startswith("MemoryMonitor: the process has ")
    with pytest.raises(ValueError, match="limit=0"):
        MemoryMonitor(limit=0)
