"""What the instruments draw with: matplotlib, which only they need and only then."""

from __future__ import annotations

import pathlib
from typing import Any


def figure(width: float = 7.0, height: float = 3.6) -> Any:
    """An empty figure, with no window and no global state.

    Raises:
        ImportError: matplotlib is not there, with the way to get it.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            "plots need matplotlib, which the library itself does not: pip install matplotlib"
        ) from error
    return Figure(figsize=(width, height), layout="constrained")


def plain(axes: Any, *, title: str = "", x: str = "", y: str = "") -> None:
    """Labels, and no more lines than are needed."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25, linewidth=0.6)
    axes.set(title=title, xlabel=x, ylabel=y)


def write(made: Any, path: Any) -> None:
    """Writes a figure in the format of the path's ending."""
    pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
    made.savefig(path, dpi=110)
