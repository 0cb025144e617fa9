"""Kills the jobs again and again, in every mode, and compares what they end with.

    python -m tests.faults.kills --kills=100

Every continuation must equal an uninterrupted run bit for bit: all variables, history, callbacks'
memories, and the points that TensorBoard shows.
"""

from __future__ import annotations

import argparse
import itertools
import os
import pathlib
import sys
import tempfile
import time

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from trainer.checkpoint.proof import certify

JOBS = ("cnn", "lstm", "gan")
MODES = ("graph", "step", "loop")
DATA = ("arrays", "tf.data")


def points(folder):
    """Run and tag -> [(step, value), ...] as TensorBoard shows them; speeds are left out."""
    found = {}
    for run in sorted(p for p in pathlib.Path(folder).iterdir() if p.is_dir()):
        events = EventAccumulator(str(run), size_guidance={"scalars": 0})
        events.Reload()
        for tag in events.Tags()["scalars"]:
            if not tag.startswith("speed/"):
                found[run.name, tag] = [(e.step, e.value) for e in events.Scalars(tag)]
    return found


def first_point(a, b):
    """The first point in which two folders of events differ, or None."""
    for key in [*a, *(k for k in b if k not in a)]:
        if a.get(key) != b.get(key):
            pairs = itertools.zip_longest(a.get(key, ()), b.get(key, ()))
            return f"{key}: {next(pair for pair in pairs if pair[0] != pair[1])}"
    return None


def strike(job, mode, data, kills, seed, say=print):
    """One job: (kills made, what differs or None)."""
    os.environ["JOB_JIT"], os.environ["JOB_DATA"] = mode, data
    jobs = pathlib.Path(__file__).with_name("jobs.py")
    with tempfile.TemporaryDirectory() as place:
        made = certify(f"{jobs}:{job}", kills=kills, seed=seed, folder=place, say=say)
        curves = [points(pathlib.Path(place) / f"{run}-logs") for run in ("straight", "killed")]
        return made.kills, made.difference or first_point(*curves)


def main():
    """Runs them all; the exit code is the number of jobs that differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100, help="in all, over every combination")
    parser.add_argument("--seed", type=int, default=0, help="of the lots")
    given = parser.parse_args()
    combinations = list(itertools.product(JOBS, MODES, DATA))
    begun, made, differing = time.time(), 0, 0
    for number, (job, mode, data) in enumerate(combinations):
        share = -(-(given.kills - made) // (len(combinations) - number))
        if share <= 0:
            break
        lots = given.seed * len(combinations) + number
        kills, difference = strike(job, mode, data, share, lots, say=lambda line: None)
        made += len(kills)
        differing += difference is not None
        verdict = "same bits" if difference is None else f"DIFFERS: {difference}"
        print(f"{job:5} {mode:6} {data:8} {len(kills)} kills ({'; '.join(kills)}): {verdict}")
        sys.stdout.flush()
    print(f"{made} kills, {differing} jobs differ, {time.time() - begun:.0f} s")
    return differing


if __name__ == "__main__":
    sys.exit(main())
