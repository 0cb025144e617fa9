"""Keeps TensorFlow's start-up lines off the terminal; shows them when the import fails."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

# Read by TensorFlow and its libraries when they start.
ENVIRONMENT = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "KERAS_BACKEND": "tensorflow",
    "TF_FORCE_GPU_ALLOW_GROWTH": "true",  # several processes share one accelerator
}


@contextlib.contextmanager
def quiet_import() -> Iterator[None]:
    """Holds back what is written to stderr, by native code too, unless the block raises.

    Some of TensorFlow's lines are printed before it reads any setting, so the file descriptor
    itself is turned away.
    """
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        terminal = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(terminal, held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)
