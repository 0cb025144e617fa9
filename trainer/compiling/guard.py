"""The recompile guard: every program with the signature that caused it, and a limit to them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from trainer.data.convert import names_of


class RecompileError(RuntimeError):
    """A function was traced and compiled more often than its limit allows."""


class Program(NamedTuple):
    """One trace, and in the modes of XLA one compilation.

    Attributes:
        verb: "train", "evaluate" or "predict".
        mode: how it was compiled.
        rows: of a batch.
        signature: name -> `dtype[shape]` of what the program takes.
        trace_seconds: what tracing took.
        first_seconds: what its first call took, compiling included; None before it is over.
    """

    verb: str
    mode: str
    rows: int
    signature: dict[str, str]
    trace_seconds: float
    first_seconds: float | None = None

    @property
    def key(self) -> tuple[Any, ...]:
        """Tells programs apart."""
        return self.verb, self.mode, self.rows, tuple(self.signature.items())


class Guard:
    """Counts the programs of a trainer.

    XLA compiles a program once for each signature, as tracing does, unless the program has
    operations that need values at compile time (see `constants`); so traces in the modes of XLA
    are compilations.

    Args:
        limit: programs of each verb and mode.
        strict: raise when there are more.
        warn: told what makes them differ, when there are more; once for each verb and mode.
    """

    def __init__(self, limit: int, strict: bool, warn: Callable[[str], None]) -> None:
        self._limit, self._strict, self._warn = limit, strict, warn
        self._warned: set[tuple[str, str]] = set()
        self.programs: list[Program] = []

    def traced(self, verb: str, mode: str, rows: int, args: Any, seconds: float) -> None:
        """Counts a new program.

        Raises:
            RecompileError: it is one too many, and the guard is strict.
        """
        new = Program(verb, mode, rows, signature_of(args), seconds)
        alike = [p for p in self.programs if (p.verb, p.mode) == (verb, mode)]
        self.programs.append(new)
        if len(alike) < self._limit:
            return
        message = (
            f"{verb} was traced{'' if mode == 'graph' else ' and compiled by XLA'} "
            f"{len(alike) + 1} times, and the limit is {self._limit}: {difference(alike, new)}. "
            "Pad batches to a few shapes, drop the remainder, or raise the limit: "
            "Trainer(jit=Jit(..., programs=n))."
        )
        if self._strict:
            raise RecompileError(message)
        if (verb, mode) not in self._warned:
            self._warned.add((verb, mode))
            self._warn(message)

    def ran(self, verb: str, mode: str, rows: int, args: Any, seconds: float) -> None:
        """Told that a program's first call is over."""
        key = Program(verb, mode, rows, signature_of(args), 0.0).key
        for i, program in enumerate(self.programs):
            if program.key == key and program.first_seconds is None:
                self.programs[i] = program._replace(first_seconds=seconds)

    def by_value(self, verb: str, found: str) -> None:
        """Told that XLA will compile a verb's step again and again though it is traced once.

        Raises:
            RecompileError: the guard is strict.
        """
        message = f"{verb}: {found}, or use jit='loop' or False"
        if self._strict:
            raise RecompileError(message)
        self._warn(message)

    def table(self) -> str:
        """Every program in a line."""
        lines = [
            f"{p.verb:<8}  {p.mode:<5}  traced in {p.trace_seconds:.2f} s, "
            f"{'not run' if p.first_seconds is None else f'first call {p.first_seconds:.2f} s'}  "
            + ", ".join(f"{name} {text}" for name, text in p.signature.items())
            for p in self.programs
        ]
        compiled = sum(p.mode != "graph" and p.first_seconds is not None for p in self.programs)
        total = f"{len(lines)} programs traced, {compiled} of them run in XLA's modes"
        if compiled:
            total += ", which compile once for each (inferred: XLA's own compilations are not seen)"
        return "\n".join([*lines, total])


def signature_of(args: Any) -> dict[str, str]:
    """Name -> `dtype[shape]` of the tensors or specs of a nest."""
    leaves = tf.nest.flatten(args)
    names = names_of(args, "data")
    return {
        name: f"{leaf.dtype.name}{_shape(leaf)}" for name, leaf in zip(names, leaves, strict=True)
    }


def many_shapes(shapes: Sequence[dict[str, str]]) -> str:
    """Why shapes that differ so often stay out of XLA."""
    told = "; ".join(sorted({", ".join(signature.values()) for signature in shapes}))
    if len({tuple(map(_but_first, signature.values())) for signature in shapes}) == 1:
        return (
            f"its data come in {len(shapes)} sizes and maybe more ({told}), each of which XLA "
            "would compile anew; give data of one size, or ask for XLA by Jit({...: 'step'})"
        )
    return (
        f"its batches come in {len(shapes)} shapes and maybe more ({told}), each of which XLA "
        "would compile anew; pad them to a few lengths to have XLA"
    )


def _but_first(shape: str) -> str:
    """A shape without its first axis, along which lie examples or steps."""
    return re.sub(r"\[\d+", "[", shape)


def difference(before: Sequence[Program], new: Program) -> str:
    """What sets a program apart from the nearest of those before it."""

    def changes(old: Program) -> list[str]:
        rows = [] if old.rows == new.rows else [f"rows {old.rows} before, {new.rows} now"]
        return rows + [
            f"{name} {old.signature.get(name, 'missing')} before, {text} now"
            for name, text in new.signature.items()
            if old.signature.get(name) != text
        ]

    found = min((changes(old) for old in reversed(before)), key=len, default=[])
    return "; ".join(found) or "nothing in its shapes changed, another kind of data was read"


def _shape(leaf: Any) -> str:
    if leaf.shape.rank is None:
        return "[...]"
    return f"[{', '.join('?' if size is None else str(size) for size in leaf.shape)}]"
