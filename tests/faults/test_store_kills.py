"""Processes that are killed amid their work on a store, and processes that share one.

The kills are real (SIGKILL), at every file operation in turn and at many moments of real writing;
the processes are those of store_children.py.
"""

import os
import pathlib
import shutil
import subprocess
import sys
import time

import pytest
import tensorflow as tf

from trainer.checkpoint import Content, Store, StoreInUseError

CHILDREN = pathlib.Path(__file__).with_name("store_children.py")
NAMES = ["000001-step-1", "000002-step-2", "000003-step-3"]


def start(*words):
    root = CHILDREN.parents[2]
    return subprocess.Popen(
        [sys.executable, str(CHILDREN), *map(str, words)],
        env={**os.environ, "PYTHONPATH": str(root), "TF_CPP_MIN_LOG_LEVEL": "3"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def output(*words):
    with start(*words) as child:
        said, errors = child.communicate(timeout=100)
    assert child.returncode == 0, errors[-3000:]
    return said


def content(step):
    return Content(step=step, values={"a": tf.fill([4], float(step)), "b": tf.constant(step)})


def is_whole(store, name):
    manifest, values = store.load(name)
    step = manifest.step
    return int(values["b"]) == step and values["a"].numpy().tolist() == [float(step)] * 4


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """Action -> the folders it left, killed at its 1st, 2nd, ... operation; the last not at all."""
    place = tmp_path_factory.mktemp("kills")
    template = place / "template"
    with Store(template) as store:
        for step in (1, 2, 3):
            store.commit(content(step))
    for left in (".tmp-000004-step-9", ".trash-000001-step-0"):  # of a kill before
        shutil.copytree(template / NAMES[0], template / left)
    output("kills", template, place / "out")
    return {
        action: sorted((place / "out" / action).iterdir(), key=lambda path: int(path.name))
        for action in ("commit", "remove", "set_aside", "pin")
    }


@pytest.mark.parametrize(
    ("action", "least", "before", "after"),
    [
        ("commit", 25, NAMES, [*NAMES, "000004-step-99"]),
        ("remove", 20, NAMES, [NAMES[0], NAMES[2]]),
        ("set_aside", 14, NAMES, [NAMES[0], NAMES[2]]),
        ("pin", 14, NAMES, NAMES),
    ],
)
def test_killed_at_any_file_operation_it_is_all_or_nothing(killed, action, least, before, after):
    folders = killed[action]
    assert len(folders) > least, "too few kills: the operations are no longer counted"
    seen = []
    for folder in folders:
        with Store(folder) as store:  # opens clean
            names = store.names()
            assert names in (before, after), folder
            seen.append(names == after)
            assert not [name for name in os.listdir(folder) if name.startswith(".")]
            found = store.newest()
            assert (found.name, found.set_aside) == (names[-1], ())
            assert all(is_whole(store, name) for name in [*names, *store.aside()])
            if action == "set_aside":
                assert len(names) + len(store.aside()) == 3  # nothing is ever lost
            again = store.commit(content(7))
            assert is_whole(store, again) and store.names() == [*names, again]
    assert seen == sorted(seen)  # once done, it stays done
    if before != after:
        assert not seen[0] and seen[-1]


def test_killed_at_any_moment_of_real_writing_it_goes_on_from_the_last(tmp_path):
    last = int(output("storm", tmp_path))
    assert last >= 3, "hardly anything was written between the kills"
    with Store(tmp_path) as store:
        found = store.newest()
        assert found.manifest.step >= last and found.set_aside == ()


def test_two_processes_on_one_folder(tmp_path):
    with start("busy", tmp_path) as child:
        try:
            assert child.stdout.readline() == "ready\n", child.stderr.read()
            with pytest.raises(
                StoreInUseError, match=f"in use by process {child.pid} on .*since 2"
            ):
                Store(tmp_path).__enter__()
            reader, steps = Store(tmp_path), []
            until = time.monotonic() + 60
            # While the other, which gives way to this one, commits and removes all but the last.
            while len(steps) < 30 or (len(set(steps)) < 5 and time.monotonic() < until):
                found = reader.newest()
                assert found.set_aside == ()
                steps.append(found.manifest.step)
            assert steps == sorted(steps)
            assert len(set(steps)) >= 5
        finally:
            child.kill()
            child.communicate()
    with Store(tmp_path) as store:
        found = store.newest()
        assert found.manifest.step >= steps[-1]
        assert store.commit(content(1)) > found.name


@pytest.mark.skipif(
    not pathlib.Path("/proc/self/clear_refs").exists(), reason="needs Linux's /proc"
)
def test_memory_while_saving_and_loading(tmp_path):
    """In units of a state of 200 MB, beyond the state itself."""
    took = [line.split() for line in output("memory", tmp_path).splitlines()]
    assert [name for name, _ in took] == ["commit", "load", "training", "training", "training"]
    commit, load, first, second, third = (float(share) for _, share in took)
    assert commit < 0.15  # no copy at all
    assert load < 1.2  # what is loaded, and no more
    assert first < 1.2  # the copy that training makes beside the snapshot, and no more
    assert second < 1.6 and third < second + 0.1  # the allocator keeps some; nothing adds up
