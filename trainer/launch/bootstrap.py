"""Runs inside each worker, before and beside its script: a sign of life every so often.

    python bootstrap.py DESCRIPTOR SECONDS script|module NAME [ARGUMENTS]

It is started by its path and imports the standard library alone, so that the script still finds
TensorFlow unimported and may set what TensorFlow reads when it is. The sign is a byte written to
the descriptor by a thread: it stops when the process is stopped, or when something holds on to the
interpreter.
"""

from __future__ import annotations

import os
import runpy
import sys
import threading
import time


def main() -> None:
    """Starts the signs of life, then is the script."""
    descriptor, seconds, kind, name = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3], sys.argv[4]
    sys.argv = sys.argv[4:]
    os.set_inheritable(descriptor, False)  # what the script starts is no sign of its life
    threading.Thread(target=beat, args=(descriptor, seconds), name="signs", daemon=True).start()
    if kind == "module":
        sys.path[0] = os.getcwd()  # as `python -m` does
        runpy.run_module(name, run_name="__main__", alter_sys=True)
    else:
        sys.path[0] = os.path.dirname(os.path.abspath(name))
        runpy.run_path(name, run_name="__main__")


def beat(descriptor: int, seconds: float) -> None:
    """Writes a byte every so many seconds, for as long as somebody reads."""
    try:
        while os.write(descriptor, b"."):
            time.sleep(seconds)
    except OSError:
        return  # the launcher is gone; the guard ends this process


if __name__ == "__main__":
    main()
