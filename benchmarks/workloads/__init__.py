"""The workloads by name; each file reads as an example of its own."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from typing import Any

from benchmarks import quiet
from benchmarks.workloads.base import ByHand, Custom, Supervised, Workload

# Name of the file -> its workload's class and title. A file is imported, TensorFlow with it, when
# its workload is asked for: `--help` and a mistyped flag need none of them.
WORKLOADS: dict[str, tuple[str, str]] = {
    "digits": ("Digits", "MLP on 8x8 handwritten digits"),
    "mnist": ("Mnist", "MLP on MNIST"),
    "mnist_cnn": ("MnistCnn", "CNN on MNIST"),
    "resnet": ("ResNet", "ResNet-20 on drawn images of shapes"),
    "unet": ("UNet", "U-Net segmentation of shapes"),
    "lstm": ("Lstm", "LSTM on characters"),
    "gpt": ("Gpt", "GPT on characters"),
    "vae": ("Vae", "VAE on 8x8 handwritten digits"),
    "dcgan": ("Dcgan", "DCGAN on 8x8 handwritten digits"),
    "simclr": ("SimClr", "SimCLR on digits out of place"),
    "policy_gradient": ("PolicyGradient", "Actor and critic on CartPole"),
    "distillation": ("Distillation", "Distillation on digits, with one missing"),
    "two_tower": ("Retrieval", "Two-tower retrieval of items for users"),
    "fine_tuning": ("FineTuning", "Fine-tuning a Keras CNN on 40 images"),
    "quantile": ("Quantile", "Quantiles of a target whose spread varies"),
}
# Those that a command trains only when it is given their names.
OTHERS: dict[str, tuple[str, str]] = {
    "cifar10": ("Cifar10", "ResNet-20 on CIFAR-10"),
    "wide": ("Wide", "MLP with 17 million weights"),
}


def get(name: str, overrides: Mapping[str, Any] | None = None) -> Workload:
    """The workload called `name`, with some of its attributes set otherwise.

    Raises:
        ValueError: there is none; names those that come near.
    """
    kind, _ = find(name)
    with quiet.quiet_import():
        module = importlib.import_module(f"benchmarks.workloads.{name}")
    workload = getattr(module, kind)()
    vars(workload).update(overrides or {})
    return workload


def find(name: str) -> tuple[str, str]:
    """The class and the title of the workload called `name`; errors as in `get`."""
    known = WORKLOADS | OTHERS
    if found := known.get(name):
        return found
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"workload {name!r} is not one of {', '.join(known)}.{hint}")


__all__ = ["WORKLOADS", "OTHERS", "ByHand", "Custom", "Supervised", "Workload", "find", "get"]
