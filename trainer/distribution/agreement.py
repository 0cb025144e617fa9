"""Agreement: workers that differ in settings, code or data are refused before they train.

Each would go on by itself, and the sums of all would be of different things. So at the start each
says what it has; where that differs, all end, told by name what differs.
"""

from __future__ import annotations

import hashlib
import json
import pathlib
import platform
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from trainer.distribution.replicas import Replicas
from trainer.distribution.settings import OWN
from trainer.exits import DISAGREED

_MOST = 20  # differences that are told


class Disagreement(SystemExit):
    """The workers differ in settings, code or data; the text names all that differs.

    A `SystemExit` of code 78 if uncaught: starting again is no use, and the launcher does not.

    Attributes:
        message: the text.
    """

    def __init__(self, message: str) -> None:
        super().__init__(DISAGREED)
        self.message = message

    def __str__(self) -> str:
        return self.message


def check(
    replicas: Replicas, facts: Callable[[], Mapping[str, Any]], lead: str = "nothing is trained"
) -> None:
    """Returns where all workers say the same; every worker must call it.

    Args:
        replicas: the workers.
        facts: gives what must be the same: name -> JSON; not asked where there is one worker.
        lead: what follows from a difference.

    Raises:
        Disagreement: on every worker, if any differs.
    """
    if replicas.workers == 1:
        return
    text = json.dumps(facts(), sort_keys=True, default=str)
    said = tell(replicas, text)
    if len(set(said)) == 1:
        return
    lines = differences([json.loads(one) for one in said])
    if not lines:
        return
    more = f"\n  and {len(lines) - _MOST} more" if len(lines) > _MOST else ""
    message = (
        f"the workers do not agree, so {lead}:\n  "
        + "\n  ".join(lines[:_MOST])
        + more
        + "\nGive every worker the same script, settings and data, and start all of them again."
    )
    logging.error(message)
    raise Disagreement(message)


def tell(replicas: Replicas, text: str) -> list[str]:
    """What every worker says, in order; every worker must call it."""
    if replicas.workers == 1:
        return [text]
    data = text.encode()
    digest = np.frombuffer(hashlib.sha256(data).digest()[:24], np.uint32)
    table = replicas.agree(len(data), *digest.tolist())
    if (table == table[0]).all():
        return [text] * replicas.workers
    longest = int(table[:, 0].max())
    padded = np.zeros(longest, np.uint8)
    padded[: len(data)] = np.frombuffer(data, np.uint8)
    rows = replicas.agree(*padded.tolist()).astype(np.uint8)
    return [bytes(row[: int(n)]).decode() for row, n in zip(rows, table[:, 0], strict=True)]


def differences(facts: Sequence[Mapping[str, Any]]) -> list[str]:
    """In what the facts of several workers differ, a line for each.

    Of "code" only what all of them have loaded counts: the chief may well use more.

    Example:
        >>> differences([{"seed": 0, "data": {"rows": 50}}, {"seed": 0, "data": {"rows": 60}}])
        ['data/rows: 50 on worker 0, 60 on worker 1']
    """
    flat = [dict(_flat(one, "")) for one in facts]
    names = [
        name
        for name in dict.fromkeys(name for one in flat for name in one)
        if not name.startswith("code/") or all(name in one for one in flat)
    ]
    return [
        f"{name}: "
        + ", ".join(f"{one.get(name, 'none')} on worker {i}" for i, one in enumerate(flat))
        for name in names
        if len({one.get(name) for one in flat}) > 1
    ]


def program(given: Mapping[str, Any]) -> dict[str, Any]:
    """Facts of what runs here: what the trainer was given, versions, hashes of the code.

    The code is that of our packages, of the script, and of the modules that lie beside it.
    """
    return {
        **given,
        "versions": {
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "numpy": np.__version__,
        },
        "code": dict(sorted(_code())),
    }


def same(replicas: Replicas, values: Mapping[str, tf.Tensor], step: int) -> None:
    """Refuses to go on with variables that are not the same on all workers, bit for bit.

    Raises:
        Disagreement: on every worker, if any differs.
    """

    def facts() -> dict[str, Any]:
        numbers = {name: value for name, value in values.items() if value.dtype != tf.string}
        return {"variables": {name: _bits(_array(value)) for name, value in numbers.items()}}

    check(replicas, facts, f"no checkpoint of step {step} is taken: each trains something else")


def _array(value: tf.Tensor) -> np.ndarray:
    """Its numbers, not copied where NumPy can look at them (it cannot at one bfloat16 alone)."""
    return np.asarray(value if value.shape.rank else value.numpy())


def _bits(array: np.ndarray) -> str:
    """The sum of an array's bits, taken as numbers of 64 bits and modulo 2**64.

    One number that differs always changes it, several do but by a chance of 2**-64; it does not see
    that numbers changed places. Training waits for it, so it is no CRC: of 200 MB it takes 50 ms,
    which is to read them, and a CRC 300 ms.
    """
    data = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    whole = data.size - data.size % 8
    rest = np.zeros(8, np.uint8)
    rest[: data.size - whole] = data[whole:]
    total = np.add.reduce(data[:whole].view(np.uint64)) + rest.view(np.uint64)[0]
    return f"{total:016x}"


def _code() -> Iterator[tuple[str, str]]:
    """Name -> hash: our packages, the script, and each module that lies beside it."""
    main = getattr(sys.modules.get("__main__"), "__file__", None)
    beside = pathlib.Path(main).resolve().parent if main else None
    for name, module in list(sys.modules.items()):
        found = getattr(module, "__file__", None)
        if not isinstance(found, str) or not found.endswith(".py"):
            continue
        path = pathlib.Path(found).resolve()
        if not path.is_file():
            continue
        if name in OWN:
            yield name, _hash(*sorted(path.parent.rglob("*.py")))
        elif beside in path.parents and not {*OWN, "site-packages"} & {*path.parts}:
            yield path.name if name == "__main__" else name, _hash(path)


def _hash(*paths: pathlib.Path) -> str:
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _flat(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flat(item, f"{path}/{key}" if path else str(key))
    else:
        text = json.dumps(value)
        yield path, text if len(text) <= 60 else f"{text[:40]}... ({_short(text)})"


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
