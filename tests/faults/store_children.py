"""Run by the tests in processes of their own, to be killed or to be measured.

    python store_children.py kills TEMPLATE OUT   every action, killed at every file operation
    python store_children.py storm FOLDER         killed at many moments of real writing
    python store_children.py busy FOLDER          writes until it is killed
    python store_children.py memory FOLDER        how much memory saving and loading take

Importing TensorFlow takes seconds, so one process imports it and forks a child for every kill; it
runs no operation itself, as TensorFlow's threads would not live on in the children.
"""

import os
import pathlib
import random
import shutil
import signal
import sys
import time

import tensorflow as tf

from trainer.checkpoint import Content, Retention, Store, Writer, bundle

COUNTED = {"os.mkdir", "os.rename", "os.remove", "os.rmdir"}


def content(step, size=4):
    return Content(step=step, values={"a": tf.fill([size], float(step)), "b": tf.constant(step)})


class Killer:
    """Ends this process with SIGKILL at the `at`-th file operation, some of them half done."""

    def __init__(self, at):
        self.left = at
        self.real = os.write, os.fsync, bundle.write
        os.write, os.fsync, bundle.write = self.write, self.fsync, self.tensors
        sys.addaudithook(self.audit)

    def due(self):
        self.left -= 1
        return self.left == 0

    def die(self):
        os.kill(os.getpid(), signal.SIGKILL)

    def audit(self, event, args):
        writes = event == "open" and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if (writes or event in COUNTED) and self.due():
            self.die()

    def write(self, fd, data):
        if self.due():
            self.real[0](fd, data[: len(data) // 2])
            self.die()
        return self.real[0](fd, data)

    def fsync(self, fd):
        if self.due():
            self.die()
        self.real[1](fd)

    def tensors(self, prefix, values):
        if self.due():  # what a kill amid TensorFlow's own writing leaves
            self.real[2](prefix, values)
            data = f"{prefix}.data-00000-of-00001"
            os.truncate(data, os.path.getsize(data) // 2)
            os.rename(data, f"{data}.tempstate123")
            os.unlink(f"{prefix}.index")
            self.die()
        self.real[2](prefix, values)


def commit(store):
    store.commit(content(99))


def remove(store):
    store.remove(store.names()[1])


def set_aside(store):
    store.set_aside(store.names()[1])


def pin(store):
    store.pin(store.names()[0])


def in_child(work):
    """Runs `work` in a forked child; how that ended: 0, or minus the signal."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def kills(template, out):
    for action in (commit, remove, set_aside, pin):
        for at in range(1, 200):
            folder = pathlib.Path(out, action.__name__, str(at))
            shutil.copytree(template, folder)

            def work(at=at, folder=folder, action=action):
                Killer(at)
                with Store(folder) as store:
                    action(store)

            code = in_child(work)
            assert code in (0, -signal.SIGKILL), code
            if code == 0:
                break


def storm(folder):
    dice, step = random.Random(0), 0
    for _ in range(8):
        ready, told = os.pipe()
        child = os.fork()
        if child == 0:
            go_on(folder, told)
            os._exit(0)
        os.close(told)
        started = os.read(ready, 20)
        os.close(ready)
        assert started, "the child found something wrong; see above"
        assert int(started) >= step, f"went back from step {step} to {int(started)}"
        step = int(started)
        time.sleep(dice.uniform(0.02, 0.25))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    print(step)


def go_on(folder, told):
    """Goes on from the newest checkpoint, which must be whole, and commits without end."""
    try:
        with Store(folder) as store:
            assert not [name for name in os.listdir(folder) if name.startswith(".")]
            found, step = store.newest(), 0
            if found:
                assert found.set_aside == (), found.set_aside
                manifest, values = store.load(found.name)
                step = manifest.step
                assert int(values["b"]) == step
                assert float(tf.reduce_max(tf.abs(values["a"] - step))) == 0.0
            os.write(told, str(step).encode())
            writer = Writer(store, Retention(keep_last=2))
            while True:
                step += 1
                writer.put(content(step, 5_000_000))
                assert writer.failure() is None
    finally:
        os.close(told)


def busy(folder):
    with Store(folder) as store:
        writer, step = Writer(store, Retention(keep_last=1)), 0
        while True:
            step += 1
            writer.put(content(step, 1000))
            if step == 2:
                print("ready", flush=True)


def memory(folder):
    """Prints the most memory each took beyond what the state itself takes, in units of it."""
    size = 200 * 2**20
    variables = [tf.Variable(tf.fill([size // 40], float(i))) for i in range(10)]
    change = tf.ones([size // 40])

    def used(line):
        lines = pathlib.Path("/proc/self/status").read_text().splitlines()
        return next(int(text.split()[1]) * 1024 for text in lines if text.startswith(line))

    def snapshot():
        return Content(step=1, values={str(i): v.read_value() for i, v in enumerate(variables)})

    def while_training():
        writer.put(snapshot())
        for variable in variables:  # a copy has to be made, as the snapshot lives on
            variable.assign_add(change)
        assert writer.flush() and writer.failure() is None

    with Store(folder) as store:
        store.load(store.commit(content(0)))  # what is made once only
        writer = Writer(store)
        before = used("VmRSS")

        def measured(name, work):
            pathlib.Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
            work()
            print(name, (used("VmHWM") - before) / size)

        measured("commit", lambda: store.commit(snapshot()))
        measured("load", lambda: store.load(store.names()[-1]))
        for _ in range(3):
            measured("training", while_training)


if __name__ == "__main__":
    globals()[sys.argv[1]](*sys.argv[2:])
