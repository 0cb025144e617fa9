"""Looks after folders of checkpoints: python -m trainer.checkpoint COMMAND ...

    list DIR              what is there: step, time, size, values logged
    show PLACE            what one holds, and where it was made
    verify PLACE          reads every byte and holds it against its hash
    diff PLACE PLACE      what differs between two, the largest differences first
    prune DIR             removes all but some
    pin PLACE, unpin PLACE   keeps one whatever else is removed
    certify JOB           kills a job of yours again and again, and compares how it ends

A PLACE is a checkpoint's folder (runs/a/000017-step-3400), or a run's, of which it is the newest.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence

from trainer.checkpoint import tables
from trainer.checkpoint.errors import CheckpointError, CorruptCheckpointError
from trainer.checkpoint.place import Place
from trainer.checkpoint.proof import certify
from trainer.checkpoint.reading import Checkpoints
from trainer.checkpoint.retention import Retention
from trainer.checkpoint.store import Store


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; 1 where something is corrupt, differs or failed, 2 where it makes no sense.

    Args:
        argv: the words after the module's name; those of this process when None.
    """
    given = _parser().parse_args(argv)
    try:
        return given.run(given)
    except (CheckpointError, ValueError) as error:
        print(f"{error}", file=sys.stderr)
        return 1 if isinstance(error, CorruptCheckpointError) else 2


def _list(given: argparse.Namespace) -> int:
    checkpoints = Checkpoints(given.directory)
    if not checkpoints.names() and not checkpoints.aside():
        raise CheckpointError(f"{checkpoints.directory} has no checkpoints.")
    tables.show_list(checkpoints)
    return 0


def _show(given: argparse.Namespace) -> int:
    place = Place.of(given.place)
    tables.show_manifest(place.path, place.checkpoints.manifest(place.name), given.values)
    return 0


def _verify(given: argparse.Namespace) -> int:
    place = Place.of(given.place)
    names = [place.name] if place.single else place.checkpoints.names()
    corrupt = 0
    for name in names:
        try:
            manifest = place.checkpoints.verify(name)
        except CorruptCheckpointError as error:
            corrupt += 1
            print(f"{name}  CORRUPT: {error}")
        else:
            print(f"{name}  good: {len(manifest.values)} values, {manifest.nbytes / 1e6:,.1f} MB")
    return int(corrupt > 0)


def _diff(given: argparse.Namespace) -> int:
    return int(tables.show_diff(Place.of(given.place), Place.of(given.other), given.most))


def _prune(given: argparse.Namespace) -> int:
    retention = Retention(
        keep_last=given.keep_last,
        keep_best=given.keep_best,
        monitor=given.monitor,
        mode=given.mode,
        keep_every=given.keep_every,
    )
    if given.dry_run:
        surplus = retention.to_remove(Checkpoints(given.directory).entries())
        print("\n".join(f"would remove {name}" for name in surplus) or "nothing to remove")
        return 0
    with Store(given.directory) as store:
        surplus = retention.to_remove(store.entries())
        for name in surplus:
            store.remove(name)
            print(f"removed {name}")
    if not surplus:
        print("nothing to remove")
    return 0


def _pin(given: argparse.Namespace) -> int:
    place = Place.of(given.place)
    store = Store(place.checkpoints.directory)
    if given.command == "pin":
        store.pin(place.name)
    else:
        store.unpin(place.name)
    print(f"{given.command}ned {place.path}")
    return 0


def _certify(given: argparse.Namespace) -> int:
    found = certify(
        given.job, kills=given.kills, seed=given.seed, say=lambda s: print(s, flush=True)
    )
    print(found)
    return int(not found.passed)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m trainer.checkpoint",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, run, **about) -> argparse.ArgumentParser:  # type: ignore[no-untyped-def]
        made = commands.add_parser(name, **about)
        made.set_defaults(run=run)
        return made

    add("list", _list, help="what is there").add_argument("directory")
    show = add("show", _show, help="what one holds")
    show.add_argument("place")
    show.add_argument(
        "--values", type=_pattern, default=None, help="only those whose name has this pattern"
    )
    add("verify", _verify, help="holds every byte against its hash").add_argument("place")
    diff = add("diff", _diff, help="what differs between two")
    diff.add_argument("place")
    diff.add_argument("other")
    diff.add_argument("--most", type=int, default=20, help="rows shown (20)")
    prune = add("prune", _prune, help="removes all but some")
    prune.add_argument("directory")
    prune.add_argument("--keep_last", type=int, default=3, help="of the newest (3)")
    prune.add_argument("--keep_best", type=int, default=0, help="of the best by --monitor (0)")
    prune.add_argument("--monitor", default=None, help="a logged value")
    prune.add_argument(
        "--mode", choices=("min", "max"), default="min", help="which is better (min)"
    )
    prune.add_argument("--keep_every", type=int, default=None, help="one of each so many steps")
    prune.add_argument("--dry_run", action="store_true", help="only says what it would remove")
    for name in ("pin", "unpin"):
        add(name, _pin, help="keeps one, or no longer").add_argument("place")
    job = add("certify", _certify, help="kills a job of yours and compares how it ends")
    job.add_argument("job", help="file.py:function or package.module:function")
    job.add_argument("--kills", type=int, default=5, help="how many (5)")
    job.add_argument("--seed", type=int, default=0, help="of the lots (0)")
    return parser


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no regular expression: {error}") from None


if __name__ == "__main__":
    sys.exit(main())
