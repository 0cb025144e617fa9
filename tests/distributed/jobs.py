"""What the processes of `worker` do."""

import numpy as np

from tests.distributed.workloads import WORKLOADS, train
from trainer.data import source
from trainer.distribution import replicas


def six(strategy, folder):
    """Trains every workload and leaves its weights, one file of each worker."""
    number = replicas.worker_index(strategy)
    for name in WORKLOADS:
        _, _, found = train(name, strategy)
        np.savez(folder / f"{name}-{number}.npz", **found)
    source.default_budget = lambda: 0  # arrays stay on the host: each worker reads its own rows
    _, _, found = train("mlp", strategy)
    np.savez(folder / f"host-{number}.npz", **found)
