"""What processes do in tests, as `benchmarks.replicated.workers` calls it."""

import numpy as np

from benchmarks.replicated import matrix
from benchmarks.replicated.trainings import train
from tests.distributed.runs import all_verbs, dropped
from trainer.data import source
from trainer.distribution import replicas

VERBS = "keras, lazy", "ours"


def cases(strategy, folder):
    """Trains what the folder names; by all verbs; on from a checkpoint; reading only its rows."""
    number = replicas.worker_index(strategy)

    def leave(name, found):
        np.savez(folder / f"{name}-{number}.npz", **found)

    matrix.train_named(strategy, folder)
    for name in VERBS:
        leave(name, all_verbs(name, strategy))
    leave("dropped", dropped(strategy, 2, steps=13, checkpoint=str(folder / "run")))
    for name, budget in (("whole", source.default_budget), ("rows", lambda: 0)):
        source.default_budget = budget  # 0: arrays stay on the host
        leave(name, train("mlp", strategy)[2])
