"""What callbacks know of a run, and what they may do to it at a boundary."""

import numpy as np
import pytest

import layers as L
import optimizers
from trainer import At, Callback, Trainer, state


class Then(Callback):
    """Does something to the run at each of some steps."""

    def __init__(self, **actions):
        self.actions = {int(name[4:]): action for name, action in actions.items()}
        self.when = At(*self.actions)

    def on_train_begin(self, run):
        self.names, self.total, self.chief = list(run.names), run.total_steps, run.chief

    def __call__(self, report):
        self.actions[report.step](report.run)


def test_names_are_known_before_training(fit, data):
    names = Then(step21=lambda run: None)
    fit(names, validation_data=data)
    assert names.names == ["loss", "learning_rate", "val_loss"]
    assert names.total == 21 and names.chief


def test_what_a_run_tells_of_its_steps(fit):
    told = []
    fit(Then(step7=lambda run: told.append((run.step, run.epoch, run.rows, run.epochs))))
    assert told == [(7, 1, 8, 3)]  # of whole batches, not of the ragged one that ran last


def test_a_snapshot_brings_the_models_weights_back(fit):
    kept = []
    keep = Then(
        step3=lambda run: kept.append(run.snapshot()), step9=lambda run: run.restore(kept[0])
    )
    trainer, _ = fit(keep, epochs=None, steps=9)
    early, _ = fit(epochs=None, steps=3)
    for a, b in zip(trainer.task.model.get_weights(), early.task.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert int(trainer.task.optimizer.iterations) == 9  # as in Keras, the optimizer goes on


def test_rewinding_takes_the_steps_since_out_of_all_sums(fit):
    kept = []
    undo = Then(
        step3=lambda run: kept.append(run.good_state()), step5=lambda run: run.rewind(kept[0])
    )
    trainer, history = fit(undo, epochs=1)
    losses, rows = history.steps["loss"], np.array([8] * 6 + [5])
    counted = [0, 1, 2, 5, 6]  # steps 4 and 5 were undone; their batches are used up
    expected = np.average(losses[counted], weights=rows[counted])
    np.testing.assert_allclose(history.history["loss"][0], expected, rtol=1e-6)
    assert trainer.step == 7 and int(trainer.task.optimizer.iterations) == 5


def test_weights_and_outputs_are_those_of_the_moment(fit, data, tmp_path):
    found = []

    def look(run):
        run.save_weights(tmp_path / "w.npz")
        found.append(run.predict(data[0][:4]))

    fit(Then(step3=look), epochs=None, steps=9)
    early, _ = fit(epochs=None, steps=3)
    np.testing.assert_array_equal(found[0], early.predict(data[0][:4]))
    early.load_weights(tmp_path / "w.npz")  # the same again
    np.testing.assert_array_equal(found[0], early.predict(data[0][:4]))


@pytest.mark.parametrize("jit", [False, "step", "loop"])
def test_a_snapshot_is_not_changed_by_the_updates_that_follow(data, jit):
    """Reading shares memory with the variable until an update, which must not write into it."""
    kept = {}

    def keep(run):
        kept["snapshot"] = run.snapshot()
        kept["numbers"] = {path: v.numpy().copy() for path, v in run.variables.items()}

    trainer = Trainer(L.Dense(2), loss="mse", optimizer=optimizers.Adam(0.1), jit=jit)
    trainer.fit(*data, batch_size=8, epochs=3, verbose=0, callbacks=[Then(step3=keep)])
    moved = 0
    for path, number in kept["numbers"].items():
        np.testing.assert_array_equal(kept["snapshot"][path], number, err_msg=path)
        moved += bool(np.any(number != state.variables(trainer.task)[path].numpy()))
    assert moved > 6  # weights, and both moments of each
