"""What the processes of `worker` do."""

import numpy as np

from tests.distributed import matrix
from tests.distributed.workloads import train
from trainer.data import source
from trainer.distribution import replicas


def cases(strategy, folder):
    """Trains the cases of `matrix` that the folder names; then one that reads only its rows."""
    number = replicas.worker_index(strategy)
    known = {case.name: case for case in matrix.everything()}
    for name in (folder / "cases.txt").read_text().split():
        found, _ = matrix.train(known[name], strategy)
        np.savez(folder / f"{name}-{number}.npz", **found)
    for name, budget in (("whole", source.default_budget), ("rows", lambda: 0)):
        source.default_budget = budget  # 0: arrays stay on the host
        _, _, found = train("mlp", strategy)
        np.savez(folder / f"{name}-{number}.npz", **found)
