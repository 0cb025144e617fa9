"""StepTimer: steps and examples per second, and how much of the device's arithmetic is used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainer.callbacks.base import Callback, Control, Report, Run
from trainer.callbacks.triggers import Every, Trigger


class StepTimer(Callback):
    """Notes the speed of training whenever it is called.

    Args:
        peak_flops: floating-point operations that the device can make in a second, for the model
            FLOPs utilization (MFU; Chowdhery et al. 2022, PaLM, appendix B); None for none.
        flops: operations of a step (forward and backward; an update of n parameters on b examples
            of a dense model takes about 6 n b); told from the graph when not given, where that can
            be told (`Run.flops`).
        verbose: 1 prints a line whenever it is called, 2 only one at the end.
        when: the trigger; the end of every epoch when not given.

    Attributes:
        history: a dict for each call: "step"; "steps_per_second" of the compiled loop, without
            compilation; "examples_per_second" likewise; "overall_steps_per_second" since the last
            call, with input, callbacks, validation, checkpoints and compilation; "mfu" where it is
            known.
    """

    def __init__(
        self,
        peak_flops: float | None = None,
        flops: float | None = None,
        verbose: int = 0,
        *,
        when: Trigger | None = None,
    ) -> None:
        for name, value in {"peak_flops": peak_flops, "flops": flops}.items():
            if value is not None and not value > 0:
                raise ValueError(f"StepTimer({name}={value!r}): it must be above 0, or None.")
        self.peak_flops, self.flops, self.verbose = peak_flops, flops, verbose
        self.when = when or Every(epochs=1)
        self.history: list[dict[str, float]] = []
        self._last = 0, 0.0

    def on_train_begin(self, run: Run) -> None:
        """Forgets earlier fits."""
        self.history, self._last = [], (run.step, 0.0)

    def __call__(self, report: Report) -> Control | None:
        """Notes the speed."""
        step, seconds = self._last
        self._last = report.step, report.seconds
        found: dict[str, float] = {"step": report.step}
        if report.seconds > seconds:
            found["overall_steps_per_second"] = (report.step - step) / (report.seconds - seconds)
        if report.steps_per_second:
            found["steps_per_second"] = report.steps_per_second
            if report.run.rows:
                found["examples_per_second"] = report.steps_per_second * report.run.rows
            if (mfu := self._mfu(report)) is not None:
                found["mfu"] = mfu
        self.history.append(found)
        if self.verbose == 1:
            print(f"Epoch {report.epoch}, step {report.step}: {_told(found)}")
        return None

    def on_train_end(self, report: Report) -> None:
        """Prints the last speed, if that was asked for."""
        if self.verbose == 2 and self.history:
            print(f"StepTimer: {_told(self.history[-1])}")

    def memory(self) -> Mapping[str, Any]:
        """What was noted so far."""
        return {"history": list(self.history)}

    def load_memory(self, memory: Mapping[str, Any]) -> None:
        """Goes on from what `memory` gave."""
        self.history = list(memory["history"])

    def _mfu(self, report: Report) -> float | None:
        flops = self.flops or report.run.flops
        if not (self.peak_flops and flops and report.steps_per_second):
            return None
        return flops * report.steps_per_second / self.peak_flops


def _told(found: Mapping[str, float]) -> str:
    names = {
        "steps_per_second": "{:,.1f} steps/s",
        "examples_per_second": "{:,.0f} examples/s",
        "overall_steps_per_second": "{:,.1f} steps/s overall",
        "mfu": "MFU {:.1%}",
    }
    return ", ".join(words.format(found[name]) for name, words in names.items() if name in found)
