"""Pictures from arrays, without a plotting library."""

from __future__ import annotations

import numpy as np

_CELL = 28  # pixels
# 3 x 5 pixels of each digit, row by row from the top, as bits.
_DIGITS = (0o75557, 0o26227, 0o71747, 0o71717, 0o55711, 0o74717, 0o74757, 0o71111, 0o75757, 0o75717)
# White to dark blue: colors at shares 0, 0.25, ... 1.
_COLORS = np.array(
    [[247, 251, 255], [198, 219, 239], [107, 174, 214], [33, 113, 181], [8, 48, 107]], float
)


def matrix(counts: np.ndarray) -> np.ndarray:
    """A confusion matrix as a picture, uint8 `[h, w, 3]`.

    Rows are true classes, columns predicted ones, from the upper left; the color, and the number in
    percent where there is room, is the share of the row.

    Args:
        counts: `[k, k]`.
    """
    counts = np.asarray(counts, float)
    total = counts.sum(1, keepdims=True)
    shares = np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)
    k = len(counts)
    cell = _CELL if k <= 32 else max(2, 1024 // k)
    out = np.repeat(np.repeat(_color(shares), cell, 0), cell, 1)
    if cell == _CELL:
        for i, j in np.ndindex(k, k):
            if counts[i, j]:
                ink = 255 if shares[i, j] > 0.5 else 60
                _write(out[i * cell : (i + 1) * cell, j * cell : (j + 1) * cell], shares[i, j], ink)
        out[::cell], out[:, ::cell] = 255, 255
    return out


def pixels(array: np.ndarray) -> np.ndarray:
    """Images `[n, h, w]` or `[n, h, w, c]` as uint8 `[n, h, w, c]`.

    Whole numbers are taken as they are; floats of [0, 1] are scaled to 255, others from their least
    to their largest value over all of the images.
    """
    array = np.asarray(array)
    if array.ndim == 3:
        array = array[..., np.newaxis]
    if array.ndim != 4 or array.shape[-1] not in (1, 3, 4):
        raise ValueError(
            f"images have shape {array.shape}; they must be [n, h, w] or [n, h, w, c] with 1, 3 or "
            "4 channels."
        )
    if array.dtype == np.uint8:
        return array
    array = np.nan_to_num(array.astype(float))
    low, high = (0.0, 255.0) if array.max(initial=0.0) > 1.5 else (0.0, 1.0)
    if array.min(initial=0.0) < low or array.max(initial=0.0) > high:
        low, high = array.min(), array.max()
    return np.round(255.0 * (array - low) / (high - low)).clip(0, 255).astype(np.uint8)


def enlarged(picture: np.ndarray, least: int = 96) -> np.ndarray:
    """A picture `[h, w, c]` whose pixels are repeated until its sides have so many."""
    times = max(1, -(-least // min(picture.shape[:2])))
    return np.repeat(np.repeat(picture, times, 0), times, 1)


def framed(picture: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    """A picture `[h, w, c]` in color, within a frame."""
    colored = np.repeat(picture, 3, 2) if picture.shape[2] == 1 else picture[..., :3]
    out = np.empty([colored.shape[0] + 8, colored.shape[1] + 8, 3], np.uint8)
    out[:] = color
    out[4:-4, 4:-4] = colored
    return out


def beside(pictures: list[np.ndarray]) -> np.ndarray:
    """Pictures of one height side by side, with a white line between."""
    channels = max(p.shape[2] for p in pictures)
    alike = [np.repeat(p, channels, 2) if p.shape[2] == 1 else p for p in pictures]
    line = np.full([alike[0].shape[0], 4, channels], 255, np.uint8)
    parts = [part for p in alike for part in (line, p)][1:]
    return np.concatenate(parts, 1)


def _color(shares: np.ndarray) -> np.ndarray:
    at = np.linspace(0.0, 1.0, len(_COLORS))
    channels = [np.interp(shares, at, _COLORS[:, c]) for c in range(3)]
    return np.stack(channels, -1).astype(np.uint8)


def _write(cell: np.ndarray, share: float, ink: int) -> None:
    """Writes percent into a cell, in place."""
    digits = [int(d) for d in str(max(1, round(100 * share)))]
    left = (cell.shape[1] - 8 * len(digits)) // 2 + 1
    top = (cell.shape[0] - 10) // 2
    for n, digit in enumerate(digits):
        bits = np.array([_DIGITS[digit] >> i & 1 for i in range(14, -1, -1)], bool).reshape(5, 3)
        mask = np.repeat(np.repeat(bits, 2, 0), 2, 1)
        cell[top : top + 10, left + 8 * n : left + 8 * n + 6][mask] = ink
