"""One worker: its process, its output line by line, its signs of life, and how it ended."""

from __future__ import annotations

import contextlib
import os
import pathlib
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any

from trainer.exits import DISAGREED, FROZEN, LOST_PEER, PREEMPTED
from trainer.launch.guard import kill_group

_BOOTSTRAP = pathlib.Path(__file__).with_name("bootstrap.py")
_CHUNK = 1 << 16


class Worker:
    """A worker that runs from now on.

    Args:
        index: its number, from 0.
        command: `["script", "train.py", ...]` or `["module", "package.train", ...]`, and arguments.
        environment: of its process.
        beat_seconds: how often it gives a sign of life.
        selector: told of what there is to read; each key's data is a function that reads it.
        out: where its standard output goes; its standard error goes to `err`.

    Attributes:
        pid: of its process, which leads a process group of its own.
        code: what its process ended with, negative for a signal; None while it runs.
        frozen: whether it was killed because it gave no sign of life.
        seen: when it last gave one (`time.monotonic`).
    """

    def __init__(
        self,
        index: int,
        command: Sequence[str],
        environment: Mapping[str, str],
        beat_seconds: float,
        selector: selectors.BaseSelector,
        out: IO[bytes],
        err: IO[bytes],
    ) -> None:
        self.index = index
        self.code: int | None = None
        self.frozen = False
        self.seen = time.monotonic()
        read, write = os.pipe()
        words = [sys.executable, str(_BOOTSTRAP), str(write), str(beat_seconds), *command]
        try:
            self._process = subprocess.Popen(
                words,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=[write],
                bufsize=0,
                start_new_session=True,  # Ctrl-C reaches the launcher alone, which passes it on
            )
        except BaseException:
            os.close(read)
            raise
        finally:
            os.close(write)
        self.pid = self._process.pid
        self._selector = selector
        assert self._process.stdout is not None and self._process.stderr is not None
        self._listen(os.fdopen(read, "rb", 0), self._sign)
        prefix = f"[{index}] ".encode()
        self._lines = [Lines(prefix, out), Lines(prefix, err)]
        self._listen(self._process.stdout, self._lines[0])
        self._listen(self._process.stderr, self._lines[1])

    def poll(self) -> int | None:
        """What it ended with, if it has."""
        if self.code is None:
            self.code = self._process.poll()
        return self.code

    @property
    def stopped(self) -> bool:
        """Whether SIGSTOP holds it, where the system tells (Linux)."""
        try:
            text = pathlib.Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8")
        except FileNotFoundError:
            return False
        return text.rpartition(")")[2].split()[0] in "Tt"

    def signal(self, number: signal.Signals) -> None:
        """Sends it a signal; what it started hears of it by the worker."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def kill(self) -> None:
        """Ends it and all that it started, at once."""
        kill_group(self.pid)
        if self.code is None:
            self.code = self._process.wait()

    def close(self) -> None:
        """Lets go of its pipes, with whatever is left in them said."""
        for key in [k for k in self._selector.get_map().values() if k.data[0] is self]:
            os.set_blocking(key.fd, False)
            with contextlib.suppress(BlockingIOError):  # held open by what left its group
                while key.data[1]():
                    pass
            if key.fd in self._selector.get_map():
                self._forget(key.fileobj)
        for lines in self._lines:
            lines.end()

    @property
    def exit_code(self) -> int:
        """Its end as an exit code: 128 more than the number of a signal."""
        assert self.code is not None
        if self.frozen:
            return FROZEN
        return self.code if self.code >= 0 else 128 - self.code

    def __str__(self) -> str:
        """Who it is, and how it ended."""
        who = f"worker {self.index} (process {self.pid})"
        if self.code is None:
            return f"{who} is running"
        if self.frozen:
            return f"{who} gave no sign of life any more and was killed"
        if self.code < 0:
            name = signal.Signals(-self.code).name
            hint = " (as the system does when memory runs out)" if name == "SIGKILL" else ""
            return f"{who} was ended by {name}{hint}"
        meaning = {
            0: "is done",
            LOST_PEER: f"ended with code {LOST_PEER}: it lost a peer",
            PREEMPTED: f"ended with code {PREEMPTED}: it was asked to stop by SIGTERM",
            DISAGREED: f"ended with code {DISAGREED}: the workers do not agree, see above",
        }
        return f"{who} {meaning.get(self.code, f'ended with code {self.code}')}"

    def _listen(self, file: IO[bytes], take: Callable[[bytes], Any]) -> None:
        def read() -> bool:
            data = os.read(file.fileno(), _CHUNK)
            if data:
                take(data)
            else:
                self._forget(file)
            return bool(data)

        self._selector.register(file, selectors.EVENT_READ, (self, read))

    def _forget(self, file: Any) -> None:
        self._selector.unregister(file)
        file.close()

    def _sign(self, data: bytes) -> None:
        self.seen = time.monotonic()


class Lines:
    r"""Passes bytes on by whole lines, each with a prefix, so that no two workers share a line.

    A bar that is drawn over and over, ended by a carriage return, counts as lines.

    Example:
        >>> import io
        >>> lines = Lines(b"[1] ", out := io.BytesIO())
        >>> lines(b"loss: 0.5\nlo"); lines(b"ss: 0.4\n")
        >>> out.getvalue()
        b'[1] loss: 0.5\n[1] loss: 0.4\n'
    """

    def __init__(self, prefix: bytes, out: IO[bytes]) -> None:
        self._prefix, self._out, self._rest = prefix, out, b""

    def __call__(self, data: bytes) -> None:
        """Takes what was read; says what of it is whole."""
        *whole, self._rest = (self._rest + data).replace(b"\r", b"\n").split(b"\n")
        text = b"".join(self._prefix + line + b"\n" for line in whole if line.strip())
        if text:
            self._out.write(text)
            self._out.flush()

    def end(self) -> None:
        """Says what is left."""
        self(b"\n")
