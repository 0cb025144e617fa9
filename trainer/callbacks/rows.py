"""RowFile: a text file of rows that a resumed run goes on with, no row lost or doubled."""

from __future__ import annotations

import os
import pathlib


class RowFile:
    """Appends rows to a file; each is on its way to the disk when `add` returns.

    Args:
        path: the file; its folder is made if it is not there.
        append: go on after what is there, instead of in its place.
    """

    def __init__(self, path: str | os.PathLike[str], append: bool) -> None:
        self.path = pathlib.Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # Not emptied here: a run that is resumed comes back to what it had written (`cut`).
        self.size = self.path.stat().st_size if append and self.path.exists() else 0

    def cut(self, size: int) -> None:
        """Goes on after the first `size` bytes.

        Raises:
            ValueError: the file is shorter: rows that a resumed run had written are gone.
        """
        there = self.path.stat().st_size if self.path.exists() else 0
        if there < size:
            raise ValueError(
                f"{self.path} has {there} bytes, and the run that is resumed had written {size}: "
                "put the file back, or resume without this callback."
            )
        self.size = size

    def add(self, rows: str) -> None:
        """Appends text that ends in a newline."""
        data = rows.encode()
        with self.path.open("r+b" if self.path.exists() else "w+b") as file:
            file.truncate(self.size)
            file.seek(self.size)
            file.write(data)
        self.size += len(data)
