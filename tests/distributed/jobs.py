"""What processes do in tests, as `benchmarks.replicated.workers` calls it."""

import numpy as np

from benchmarks.replicated import matrix
from benchmarks.replicated.trainings import train
from trainer.data import source
from trainer.distribution import replicas


def cases(strategy, folder):
    """Trains the cases that the folder names; then one that reads only its rows."""
    matrix.train_named(strategy, folder)
    number = replicas.worker_index(strategy)
    for name, budget in (("whole", source.default_budget), ("rows", lambda: 0)):
        source.default_budget = budget  # 0: arrays stay on the host
        _, _, found = train("mlp", strategy)
        np.savez(folder / f"{name}-{number}.npz", **found)
