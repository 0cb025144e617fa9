"""What the commands share: flags that are checked, quiet logging, errors in one line."""

from __future__ import annotations

import difflib
import logging as python_logging
import sys
from collections.abc import Callable, Collection, Sequence

from absl import app, flags, logging

from benchmarks import peers, workloads

# What `--data_dir` is, of every command that has it.
DATA_DIR = (
    "Folder with mnist.npz, *.txt files for the language models, and cifar-10-batches-bin, as "
    "cifar-10-binary.tar.gz unpacks. What is not there is downloaded by Keras, and the text is "
    "Python's library sources."
)


def run(main: Callable[[Sequence[str]], int | None]) -> None:
    """Runs a command: parses the flags, logs from INFO on, ends with `main`'s exit code."""

    def checked(argv: Sequence[str]) -> int | None:
        if len(argv) > 1:
            given = " ".join(argv[1:])
            raise app.UsageError(f"{given!r} is not a flag; flags are written --name=value.")
        return entered(argv)

    def entered(argv: Sequence[str]) -> int | None:
        logging.set_verbosity(logging.INFO)
        logging.set_stderrthreshold("info")
        logging.get_absl_handler().setFormatter(Plain())
        try:
            return main(argv)
        except (ValueError, FileNotFoundError, ImportError) as error:
            print(f"{error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return 130

    app.run(checked)


class Plain(python_logging.Formatter):
    """The time of day and what is said; what is more than information says so."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s  %(message)s", datefmt="%H:%M:%S")

    def formatMessage(self, record: python_logging.LogRecord) -> str:
        """One record's line."""
        head = "" if record.levelno <= python_logging.INFO else f"{record.levelname.lower()}: "
        return f"{record.asctime}  {head}{record.message}"


def check_workload(name: str) -> bool:
    """A flag validator: `name` is a workload."""
    return _checked(lambda: workloads.find(name))


def check_workloads(names: Sequence[str]) -> bool:
    """A flag validator: all are workloads."""
    return bool(names) and all(check_workload(name) for name in names)


def check_contenders(names: Sequence[str]) -> bool:
    """A flag validator: all are contenders."""
    return bool(names) and all(check_one(name, peers.PEERS) for name in names)


def check_peers(names: Sequence[str] | None) -> bool:
    """A flag validator: all are contenders other than ours; there may be none."""
    others = [name for name in peers.PEERS if not name.startswith("ours")]
    return all(check_one(name, others) for name in names or ())


def check_one(name: str, known: Collection[str]) -> bool:
    """Whether `name` is known; if not, a `ValidationError` that names those that come near."""
    if name in known:
        return True
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise flags.ValidationError(f"{name!r} is not one of {', '.join(known)}.{hint}")


def _checked(find: Callable[[], object]) -> bool:
    try:
        find()
    except ValueError as error:
        raise flags.ValidationError(str(error)) from None
    return True
