"""ResNet-20 on CIFAR-10."""

from __future__ import annotations

from typing import ClassVar

from benchmarks.data import load_cifar10
from benchmarks.workloads.resnet import ResNet


class Cifar10(ResNet):
    """The network and the rates of `resnet`, on all of CIFAR-10 and without augmentation.

    What it should reach is not stated: it was written on a machine without a network, where nobody
    had the images.
    """

    name = "cifar10"
    title = "ResNet-20 on CIFAR-10"
    expected: ClassVar = {}
    rows = 50_000

    def data(self, data_dir=None):
        """Images [b, 32, 32, 3] in [0, 1] and labels [b].

        They are read from the folder `cifar-10-batches-bin` in `data_dir`; without it Keras
        downloads them.
        """
        return load_cifar10(data_dir, self.rows)
