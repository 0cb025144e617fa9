"""Matches the variables of a file with a program's, by name, and explains what does not fit."""

from __future__ import annotations

import difflib
import heapq
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Spec = tuple[tuple[int, ...], str]  # shape, name of the dtype

_MOST_ROWS = 8  # of each part of the table
_MOST_RENAMES = 3
_SEARCHED = 40  # names that near misses and prefixes are looked for from
_WIDEST = 64  # characters of a name


@dataclass(frozen=True)
class Matched:
    """Everything fits.

    Attributes:
        pairs: (name in the file, name in the program), in the program's order.
    """

    pairs: tuple[tuple[str, str], ...]


class MismatchError(ValueError):
    """A file's variables are not the program's; the text is a table of what differs.

    Attributes:
        missing: names that only the program has.
        unexpected: names that only the file has.
        mismatched: names that both have, with another shape or dtype.
    """

    def __init__(
        self,
        text: str,
        missing: Sequence[str] = (),
        unexpected: Sequence[str] = (),
        mismatched: Sequence[str] = (),
    ) -> None:
        super().__init__(text)
        self.missing, self.unexpected = list(missing), list(unexpected)
        self.mismatched = list(mismatched)


def match(
    have: Mapping[str, tuple[Any, Any]],
    want: Mapping[str, tuple[Any, Any]],
    partial: str | None = None,
    *,
    where: str = "the file",
    hint: str = "",
) -> Matched:
    """Matches variables by name; shape and dtype must agree.

    Args:
        have: name -> (shape, dtype) of the file's variables.
        want: name -> (shape, dtype) of the program's variables. Dtypes are names, or have one.
        partial: a regular expression, searched for in the program's names. None: each side must
            have all that the other has. Given: those of the program that match are wanted, all of
            them, and nothing else is.
        where: what to call the file in the error.
        hint: the way out, for the end of the error.

    Raises:
        MismatchError: something does not fit.
        ValueError: `partial` is not a regular expression.

    Example:
        >>> there = {"old/w": ([3], "float32"), "old/b": ([], "float32")}
        >>> here = {"new/w": ([3], "float32"), "new/b": ([], "float32")}
        >>> match(there, there).pairs
        (('old/w', 'old/w'), ('old/b', 'old/b'))
        >>> match(there, here, where="a.npz")
        Traceback (most recent call last):
        trainer.match.MismatchError: a.npz does not fit: it has 0 of ...
          "old/" renamed to "new/" at the head of the names in a.npz makes 2 more fit.
    """
    there = {name: _spec(*given) for name, given in have.items()}
    here = {name: _spec(*given) for name, given in want.items()}
    chosen = list(here) if partial is None else _chosen(here, partial)
    missing = [name for name in chosen if name not in there]
    mismatched = [name for name in chosen if name in there and there[name] != here[name]]
    spare = [name for name in there if name not in here]
    unexpected = spare if partial is None else []
    if not (missing or mismatched or unexpected):
        return Matched(tuple((name, name) for name in chosen))
    fit = len(chosen) - len(missing) - len(mismatched)
    of = f"{len(chosen)} variables" + (f" that match {partial!r}" if partial is not None else "")
    first = f"{where} does not fit: it has {fit} of the program's {of}."
    lines = [first if here else f"{where} does not fit: the program has no variables; is it built?"]
    lines += _table(
        {name: there[name] for name in spare},
        {name: here[name] for name in missing},
        [(name, there[name], here[name]) for name in mismatched],
        where=where,
        list_spare=partial is None,
    )
    text = "\n".join(lines + ([hint] if hint else []))
    raise MismatchError(text, missing, unexpected, mismatched)


def searched(partial: str) -> re.Pattern[str]:
    """`partial` as a pattern, or an error that shows it."""
    try:
        return re.compile(partial)
    except (re.error, TypeError) as error:
        raise ValueError(
            f"partial={partial!r} is not a regular expression ({error}); give one that is searched "
            "for in the names, such as '^encoder/'."
        ) from None


def _chosen(names: Iterable[str], partial: str) -> list[str]:
    pattern = searched(partial)
    names = list(names)
    chosen = [name for name in names if pattern.search(name)]
    if not chosen:
        some = ", ".join(shortened(name) for name in spread(names, 5))
        known = f"They are such as {some}." if names else "It has none: is it built?"
        raise MismatchError(
            f"partial={partial!r} is found in none of the program's {len(names)} names. {known}"
        )
    return chosen


def _table(
    spare: dict[str, Spec],
    missing: dict[str, Spec],
    mismatched: list[tuple[str, Spec, Spec]],
    *,
    where: str,
    list_spare: bool,
) -> Iterator[str]:
    """The lines of the table, what helps most first; their number is bounded."""
    for rename, names in _renames(spare, missing):
        yield f"  {rename.told(where)} makes {len(names)} more fit."
        for name in names:
            del spare[name], missing[rename(name)]
    rows = [
        (name, f"{shown(there)} in {where}, {shown(here)} in the program")
        for name, there, here in mismatched
    ]
    yield from _rows("of another shape or dtype", rows)
    near = dict(_near_misses(spare, missing))
    explained = sorted(missing, key=lambda name: name not in near)  # stable: near misses first
    yield from _rows(
        f"missing from {where}",
        [
            (name, shown(missing[name]) + (f"; is it {near[name]}?" if name in near else ""))
            for name in explained
        ],
    )
    if list_spare:
        yield from _rows(
            f"only in {where}", [(name, shown(given)) for name, given in spare.items()]
        )


def _rows(title: str, rows: list[tuple[str, str]]) -> Iterator[str]:
    if not rows:
        return
    yield f"  {len(rows)} {title}:"
    kept = rows if len(rows) <= _MOST_ROWS + 1 else rows[:_MOST_ROWS]
    width = max(len(shortened(name)) for name, _ in kept)
    for name, told in kept:
        yield f"    {shortened(name):{width}}  {told}"
    if len(kept) < len(rows):
        yield f"    and {len(rows) - len(kept)} more"


@dataclass(frozen=True)
class _Rename:
    """One change of a path: of its head, or of a part inside it. Both parts end with a slash."""

    was: str
    now: str
    inside: bool = False

    def __call__(self, name: str) -> str:
        """The name after the change, or as it was where there is nothing to change."""
        if self.inside:
            return f"/{name}".replace(f"/{self.was}", f"/{self.now}", 1)[1:]
        return self.now + name[len(self.was) :] if name.startswith(self.was) else name

    def told(self, where: str) -> str:
        """The change in words."""
        was, now = shortened(self.was), shortened(self.now)
        if not now:
            return f'"{was}" dropped from the head of the names in {where}'
        if not was:
            return f'"{now}" put before the names in {where}'
        place = "inside" if self.inside else "at the head of"
        return f'"{was}" renamed to "{now}" {place} the names in {where}'


def _renames(have: dict[str, Spec], want: dict[str, Spec]) -> Iterator[tuple[_Rename, list[str]]]:
    """(rename, names of the file) where one change of path makes names fit, the best first."""
    have, want = dict(have), dict(want)
    for _ in range(_MOST_RENAMES):
        tried = {
            rename: [name for name, spec in have.items() if want.get(rename(name)) == spec]
            for rename in _likely_renames(have, want)
        }
        if not tried:
            return
        rename, names = max(tried.items(), key=lambda pair: len(pair[1]))
        if len(names) < max(2, len(want) // 50):  # one alone is a near miss, few are chance
            return
        yield rename, names
        for name in names:
            have.pop(name)
            want.pop(rename(name), None)


def _likely_renames(have: dict[str, Spec], want: dict[str, Spec]) -> list[_Rename]:
    """The renames that a sample of the names proposes, the most frequent first."""
    heads: dict[tuple[str, Spec], list[str]] = {}
    for name, spec in want.items():
        for head, tail in _cuts(name):
            known = heads.setdefault((tail, spec), [])
            if len(known) < 8:
                known.append(head)
    votes: Counter[_Rename] = Counter()
    for name in spread(list(have), _SEARCHED):
        for head, tail in _cuts(name):  # the longest common ending says the least change
            if others := heads.get((tail, have[name])):
                votes.update(_Rename(head, other) for other in others)
                votes.update(_inner_rename(head, other) for other in others)
                break
    return [rename for rename, _ in votes.most_common(16)]


def _inner_rename(was: str, now: str) -> _Rename:
    """The rename of what is left of two heads without the path that they share."""
    shared = was[: _shared(was, now)].rfind("/") + 1
    rest = _Rename(was[shared:], now[shared:], inside=True)
    return rest if shared and rest.was and rest.now else _Rename(was, now)


def _cuts(name: str) -> Iterator[tuple[str, str]]:
    """(head, tail) for each place where a path can be cut, the longest tail first."""
    yield "", name
    for i, letter in enumerate(name):
        if letter == "/":
            yield name[: i + 1], name[i + 1 :]


def _near_misses(have: dict[str, Spec], want: dict[str, Spec]) -> Iterator[tuple[str, str]]:
    """(name in the program, similar name in the file of the same shape and dtype)."""
    alike: dict[Spec, list[str]] = {}
    for name, spec in have.items():
        alike.setdefault(spec, []).append(name)
    counts = Counter(want.values())
    for name, spec in list(want.items())[:_SEARCHED]:
        if counts[spec] == len(alike.get(spec, ())) == 1:  # no other has this shape: surely
            yield name, shortened(alike[spec][0])
            continue
        likely = heapq.nlargest(16, alike.get(spec, ()), key=lambda other: _affinity(name, other))
        closest = difflib.get_close_matches(name, likely, n=1, cutoff=0.6)
        if closest:
            yield name, shortened(closest[0])


def _affinity(a: str, b: str) -> int:
    """Letters that two names share at their ends: cheap, to choose whom to compare well."""
    return _shared(a, b) + _shared(a[::-1], b[::-1])


def _shared(a: str, b: str) -> int:
    """How many letters two names have in common from their beginning on."""
    for i, (x, y) in enumerate(zip(a, b, strict=False)):
        if x != y:
            return i
    return min(len(a), len(b))


def _spec(shape: Any, dtype: Any) -> Spec:
    return tuple(int(size) for size in shape), str(getattr(dtype, "name", dtype))


def shown(spec: Spec) -> str:
    """A shape and dtype for people."""
    return f"{shortened(str(list(spec[0])))} {shortened(spec[1])}"


def shortened(name: str) -> str:
    """A name without what cannot be printed, and without its middle where it is long."""
    name = name if name.isprintable() else repr(name)[1:-1]
    if len(name) <= _WIDEST:
        return name
    return f"{name[: _WIDEST // 2 - 1]}..{name[-_WIDEST // 2 + 1 :]}"


def spread(names: Sequence[str], most: int) -> Sequence[str]:
    """At most so many of the names, from all over."""
    return names[:: -(-len(names) // most)] if len(names) > most else names
