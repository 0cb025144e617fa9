"""What the processes of `worker` do."""

import numpy as np

from tests.distributed.workloads import WORKLOADS, train
from trainer import distribute


def six(strategy, folder):
    """Trains every workload and leaves its weights, one file of each worker."""
    number = distribute.worker_index(strategy)
    for name in WORKLOADS:
        _, _, found = train(name, strategy)
        np.savez(folder / f"{name}-{number}.npz", **found)
