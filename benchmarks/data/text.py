"""Text for character language models: a file of the user's, or Python's own library sources."""

from __future__ import annotations

import os
import pathlib
import sysconfig

import numpy as np

from benchmarks.data.arrays import Data

CHARACTERS = "\n" + "".join(map(chr, range(32, 127)))
VOCABULARY = len(CHARACTERS) + 1  # one more for every other character
_OTHER = VOCABULARY - 1
_CODES = np.full(128, _OTHER, np.int32)
_CODES[[ord(c) for c in CHARACTERS]] = np.arange(len(CHARACTERS))


def load_text(
    data_dir: str | os.PathLike[str] | None = None,
    *,
    length: int = 64,
    characters: int = 1_000_000,
) -> Data:
    """Windows of text, and the same windows one character later.

    Args:
        data_dir: a folder whose first `*.txt` file (by name) is read. Without it, or when it holds
            none, the text is the sources of Python's standard library, in the order of their names.
        length: characters in a window.
        characters: how much of the text is read.

    Returns:
        `x` and `y` int32 `[windows, length]` with codes below `VOCABULARY`. Windows do not overlap
        and are shuffled once by a fixed permutation; the last tenth of the text is the test split.
    """
    codes = encode(_read(data_dir, characters))
    windows = (len(codes) - 1) // length
    if windows < 10:
        raise ValueError(
            f"the text has {len(codes)} characters, which make {windows} windows of length="
            f"{length}; at least 10 are needed. Use a longer text or a smaller length."
        )
    x = codes[: windows * length].reshape(windows, length)
    y = codes[1 : windows * length + 1].reshape(windows, length)
    split = windows - windows // 10
    order = np.random.Generator(np.random.Philox(key=length)).permutation(split)
    return Data(x[:split][order], y[:split][order], x[split:], y[split:])


def encode(text: str) -> np.ndarray:
    """Codes int32 `[len(text)]` of a text; all characters outside `CHARACTERS` share the last."""
    points = np.frombuffer(text.encode("utf-32-le"), np.uint32)
    return _CODES[np.minimum(points, 127)]  # 127, the delete character, is none of ours


def decode(codes: np.ndarray) -> str:
    """The text of codes; what was outside `CHARACTERS` becomes a replacement character."""
    return "".join(
        CHARACTERS[c] if c < len(CHARACTERS) else "\N{REPLACEMENT CHARACTER}" for c in codes
    )


def _read(data_dir: str | os.PathLike[str] | None, characters: int) -> str:
    if data_dir is not None:
        for path in sorted(pathlib.Path(data_dir).glob("*.txt")):
            return path.read_text(encoding="utf-8", errors="replace")[:characters]
    text = ""
    # Names that start with an underscore include files that the build wrote.
    for path in sorted(pathlib.Path(sysconfig.get_path("stdlib")).glob("[a-z]*.py")):
        text += path.read_text(encoding="utf-8", errors="replace")
        if len(text) >= characters:
            break
    return text[:characters]
