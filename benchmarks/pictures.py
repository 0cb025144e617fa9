"""Pictures in characters, for a terminal."""

from __future__ import annotations

import numpy as np

SHADES = " .:-=+*#%@"  # from empty to full


def side_by_side(images: np.ndarray) -> str:
    """Gray images `[n, height, width]` in [0, 1], next to each other, two characters a pixel."""
    images = np.asarray(images, np.float32)
    levels = np.clip(np.rint(images * (len(SHADES) - 1)), 0, len(SHADES) - 1).astype(int)
    lines = []
    for rows in levels.transpose(1, 0, 2):  # [n, width] of each height
        drawn = ["".join(2 * SHADES[level] for level in row) for row in rows]
        lines.append("  ".join(drawn).rstrip())
    return "\n".join(lines)
