"""Jit: how a trainer compiles, where `jit="auto"` is not enough."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

VERBS = ("train", "evaluate", "predict")
_MODES = {"auto": "auto", False: "graph", "step": "step", "loop": "loop"}


class Jit:
    """How each function of a trainer is compiled, and how often it may be.

    Args:
        mode: "auto" finds the fastest way and remembers it; False leaves loop and step to
            TensorFlow, "step" lets XLA compile each step, "loop" the whole loop. Or a dict of
            these by function: `{"train": "loop", "evaluate": False}`; those not named are "auto".
        programs: how many programs each function may be traced to before it is said what makes
            them differ: one for each number of rows and each other shape of the data.
        strict: raise a `RecompileError` then.

    Example:
        >>> Jit({"train": "loop"}, programs=4, strict=True).mode("train")
        'loop'
    """

    def __init__(self, mode: Any = "auto", *, programs: int = 12, strict: bool = False) -> None:
        by_verb = mode if isinstance(mode, Mapping) else dict.fromkeys(VERBS, mode)
        for verb, value in by_verb.items():
            if verb not in VERBS:
                raise ValueError(
                    f"jit has the key {verb!r}; a dict is keyed by {', '.join(VERBS)}."
                )
            if not isinstance(value, (str, bool)) or value not in _MODES:
                raise ValueError(
                    f"jit={value!r}; it is 'auto' (the fastest is found), False (TensorFlow "
                    "alone), 'step' or 'loop' (XLA compiles each step, or the whole loop)."
                )
        if isinstance(programs, bool) or not isinstance(programs, int) or programs < 1:
            raise ValueError(f"programs={programs!r}; it must be a whole number from 1 on.")
        self._modes = {verb: _MODES[by_verb.get(verb, "auto")] for verb in VERBS}
        self.programs = programs
        self.strict = bool(strict)

    @classmethod
    def of(cls, given: Any, replicas: int = 1, as_one: bool = False) -> Jit:
        """What a trainer was given: settings, or a mode.

        Args:
            given: `Jit`, or what it takes.
            replicas: how many train together.
            as_one: whether their device compiles them as one program anyway.

        Raises:
            ValueError: such replicas cannot be compiled as asked.
        """
        made = given if isinstance(given, Jit) else cls(given)
        asked = sorted({"loop", "step"} & set(made._modes.values()))
        if as_one and asked:
            raise ValueError(
                f"jit={asked[0]!r} with a TPUStrategy: XLA compiles what its replicas do in any "
                "case. Leave jit='auto', or use jit=False."
            )
        if replicas > 1 and "loop" in made._modes.values():
            raise ValueError(
                f"jit='loop' with {replicas} replicas: they exchange gradients in every step, "
                "which XLA cannot compile. Use jit='step', which compiles what lies between, or "
                "jit=False."
            )
        return made

    def mode(self, verb: str) -> str:
        """How a function is compiled: "auto", "graph", "step" or "loop"."""
        return self._modes[verb]
