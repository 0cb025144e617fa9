"""Checkpoint: where, when and how many checkpoints a trainer keeps."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from typing import Any

from trainer.callbacks.monitor import MODES, direction
from trainer.callbacks.triggers import AnyOf, Every, Trigger, Validated
from trainer.checkpoint.retention import Retention


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """How a trainer keeps itself on disk; `Trainer(..., checkpoint="runs/a")` takes the defaults.

    A checkpoint holds everything that the run's future depends on, so that the same script, run
    again after it was killed, goes on as if nothing had happened, bit for bit. A thread writes it;
    training waits only if the one before is not written yet. A last one is taken when fit ends, by
    whatever way but an error.

    Args:
        directory: the folder; a local path, or any that `tf.io.gfile` knows.
        when: a trigger, `Every(steps=1000)` say; every minute by default. With `keep_best` one is
            also taken whenever its value is known.
        keep_last: how many of the newest are kept; None keeps all.
        keep_best: how many with the best `monitor` are kept besides.
        monitor: name of a logged value, for `keep_best`.
        mode: "min" or "max", where the better values are; "auto" asks the metric, then the name.
        keep_every: one in each so many steps is kept for good.
        on_error: "raise" ends fit at the next boundary when one could not be written; "warn" goes
            on training and tries again when the next is due. Older checkpoints are whole either
            way.
        grace_seconds: after SIGTERM, the longest until the process ends, last checkpoint or not.

    Raises:
        ValueError: a number is out of range, or `keep_best` has no monitor.
        TypeError: `when` is no trigger.

    Example:
        >>> from trainer import Every
        >>> Checkpoint("runs/a", when=Every(steps=500), keep_best=2, monitor="val_loss").keep_last
        3
    """

    directory: Any
    when: Trigger | None = None
    keep_last: int | None = 3
    keep_best: int = 0
    monitor: str | None = None
    mode: str = "auto"
    keep_every: int | None = None
    on_error: str = "raise"
    grace_seconds: float = 30.0

    def __post_init__(self) -> None:
        if not isinstance(self.directory, (str, os.PathLike)):
            raise TypeError(f"Checkpoint(directory={self.directory!r}): it must be a path.")
        if self.when is not None and not (hasattr(self.when, "next") and hasattr(self.when, "due")):
            raise TypeError(
                f"Checkpoint(when={self.when!r}): it must be a trigger such as Every(steps=1000)."
            )
        if self.mode not in MODES:
            raise ValueError(f"Checkpoint(mode={self.mode!r}): mode must be one of {MODES}.")
        if self.on_error not in ("raise", "warn"):
            raise ValueError(
                f"Checkpoint(on_error={self.on_error!r}): it must be 'raise' or 'warn'."
            )
        if not self.grace_seconds > 0:
            raise ValueError(f"Checkpoint(grace_seconds={self.grace_seconds!r}): must be above 0.")
        self.retention({}, mode="min")  # checks the rest

    @classmethod
    def of(cls, given: Any) -> Checkpoint:
        """From a path, or itself."""
        if isinstance(given, cls):
            return given
        if isinstance(given, (str, os.PathLike)):
            return cls(given)
        raise TypeError(
            f"checkpoint={given!r} is a {type(given).__name__}; pass a folder, or "
            "trainer.Checkpoint(folder, ...)."
        )

    @property
    def trigger(self) -> Trigger:
        """When one is taken."""
        when = self.when or Every(seconds=60)
        if not self.keep_best:
            return when
        validated = str(self.monitor).startswith("val_")
        return AnyOf((when, Validated() if validated else Every(epochs=1)))

    def retention(self, monitored: Mapping[str, str], mode: str | None = None) -> Retention:
        """What is kept.

        Args:
            monitored: metric name -> "min" or "max", as the run knows them.
            mode: which it is, if that is known.
        """
        if mode is None and self.keep_best and self.monitor:
            mode = direction(self.monitor, self.mode, monitored, "Checkpoint")
        return Retention(
            keep_last=self.keep_last,
            keep_best=self.keep_best,
            monitor=self.monitor,
            mode=mode or "min",
            keep_every=self.keep_every,
        )
