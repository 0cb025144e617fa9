"""The workloads by name; each file reads as an example of its own."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from benchmarks.workloads.base import ByHand, Custom, Supervised, Workload
from benchmarks.workloads.digits import Digits
from benchmarks.workloads.gpt import Gpt
from benchmarks.workloads.lstm import Lstm
from benchmarks.workloads.mnist import Mnist
from benchmarks.workloads.mnist_cnn import MnistCnn
from benchmarks.workloads.wide import Wide

WORKLOADS: dict[str, type[Workload]] = {
    kind.name: kind for kind in (Digits, Mnist, MnistCnn, Lstm, Gpt)
}
OTHERS: dict[str, type[Workload]] = {"wide": Wide}  # of commands that train nothing else


def get(name: str, overrides: Mapping[str, Any] | None = None) -> Workload:
    """The workload called `name`, with some of its attributes set otherwise.

    Raises:
        ValueError: there is none; names those that come near.
    """
    if kind := (WORKLOADS | OTHERS).get(name):
        workload = kind()
        vars(workload).update(overrides or {})
        return workload
    near = difflib.get_close_matches(name.lower(), WORKLOADS, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"workload {name!r} is not one of {', '.join(WORKLOADS)}.{hint}")


__all__ = ["WORKLOADS", "OTHERS", "ByHand", "Custom", "Supervised", "Workload", "get"]
