"""A run without training: the boundaries a loop would stop at, with made-up values."""

import pathlib
import types

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.plugin_event_accumulator import EventAccumulator

from trainer.callbacks import Callbacks, History, Report
from trainer.callbacks.triggers import Moment


class FakeRun(types.SimpleNamespace):
    """What callbacks see of a run; `weights` is all that is trained."""

    def snapshot(self):
        return self.weights

    def restore(self, snapshot):
        self.weights = snapshot

    def save_weights(self, path):
        pathlib.Path(path).write_text(str(self.weights))

    export = save_weights

    def wait_for_checkpoints(self):
        """There are none."""

    good_state = snapshot
    rewind = restore

    def predict(self, x, batch_size=None):
        return np.asarray(x) * self.weights


class FakeOptimizer:
    """An optimizer as far as its learning rate goes."""

    def __init__(self, rate):
        self._rate = tf.Variable(rate, dtype=tf.float32)

    learning_rate = property(lambda self: self._rate, lambda self, rate: self._rate.assign(rate))

    def apply(self, gradients, variables):
        pass


@pytest.fixture
def drawn():
    """`drawn(folder)`: (run, tag) -> what a TensorBoard server has of each step, clock left out.

    Its reader is the server's: the older one keeps what a resumed run replaces.
    """

    def read(folder):
        found = {}
        for run in ("train", "validation", "predictions"):
            reader = EventAccumulator(str(folder / run), size_guidance={"tensors": 0}).Reload()
            for tag in reader.Tags()["tensors"]:
                if tag.startswith("speed/"):
                    continue
                events = reader.Tensors(tag)
                if tag.startswith("_"):  # a session's own times
                    found[run, tag] = [event.step for event in events]
                else:
                    protos = (event.tensor_proto.SerializeToString() for event in events)
                    found[run, tag] = list(zip((e.step for e in events), protos, strict=True))
            found[run, "graph"] = reader.Tags()["graph"]
        return found

    return read


@pytest.fixture
def fake_optimizer():
    return FakeOptimizer


@pytest.fixture
def make_run():
    """`make_run(**changes)`: a run of 3 epochs of 10 steps, one second a step."""

    def make(**changes):
        names = ["loss", "accuracy", "learning_rate", "val_loss", "val_accuracy"]
        run = FakeRun(
            chief=True,
            names=names,
            step_names=[name for name in names if not name.startswith("val_")],
            variables={},
            monitored={"accuracy": "max"},
            start_step=0,
            step=0,
            total_steps=30,
            epochs=3,
            steps_per_epoch=10,
            validates=True,
            weights=0,
            epoch=0,
            seconds=0.0,
            task=tf.Module(),
            optimizers={"optimizer": FakeOptimizer(0.1)},
            rows=8,
            flops=None,
            graph=None,
        )
        vars(run).update(changes)
        run.step = changes.get("step", run.start_step)
        return run

    return make


@pytest.fixture
def fit():
    """`fit(callbacks, run, values=...)`: drives the callbacks as a loop does; gives the history.

    `values(step)` gives the validation at the end of an epoch. Losses are 1 / step.
    """

    def go(callbacks, run, values=None, fail_at=None):
        callbacks = Callbacks(callbacks)
        history = History()
        length = run.steps_per_epoch or 10
        end = run.total_steps or run.start_step + length * run.epochs
        state = types.SimpleNamespace(step=run.start_step, epoch=run.start_step // length)
        validation = {}

        def report(since):
            logs = {"loss": 1 / max(1, state.step), "accuracy": 0.5, "learning_rate": 0.1}
            return Report(
                step=state.step,
                epoch=state.epoch,
                epoch_end=state.step % length == 0,
                steps=history.since(max(since, run.start_step)),
                logs={**logs, **validation},
                validation=validation,
                seconds=float(state.step - run.start_step),
                steps_per_second=1.0,
                run=run,
            )

        def moment():
            return Moment(
                step=state.step,
                epoch=state.epoch,
                epoch_step=state.step % length,
                steps_per_epoch=run.steps_per_epoch,
                epoch_end=state.step > run.start_step and state.step % length == 0,
                seconds=float(state.step - run.start_step),
                step_seconds=1.0,
                validated=bool(validation),
            )

        error = None
        try:
            callbacks.start(run)
            while state.step < end:
                left = length - state.step % length
                until = min(callbacks.next(moment()), state.step + left, end)
                if fail_at is not None and until >= fail_at:
                    raise KeyboardInterrupt
                numbers = np.arange(state.step + 1, until + 1)
                history.add_steps(state.step + 1, {"loss": 1 / numbers, "accuracy": 0 * numbers})
                state.step = run.step = run.weights = until
                validation = {}
                if until % length == 0:
                    state.epoch = run.epoch = state.epoch + 1
                    validation = values(until) if values else {}
                    history.add_epoch(state.epoch, until, report(0).logs)
                control = callbacks.run(moment(), report)
                if control:
                    history.stopped = control.stop
                    break
        except BaseException as caught:
            error = caught
            raise
        finally:
            callbacks.finish(report, error)
        return history

    return go
