"""Weights of a checkpoint go into a new run: all, or a part; verified first."""

import numpy as np
import pytest
import tensorflow as tf

import layers
from trainer import Task, Trainer
from trainer.checkpoint import Content, CorruptCheckpointError, Store
from trainer.match import MismatchError
from trainer.weights import load_weights


def _trainer(units=3, **options):
    model = layers.Sequential([layers.Dense(8, "relu"), layers.Dense(units)])
    return Trainer(model, loss="mse", optimizer="adam", jit=False, **options)


@pytest.fixture
def trained(tmp_path, data):
    x, _ = data
    trainer = _trainer(checkpoint=tmp_path / "run")
    trainer.fit(x, x, epochs=1, verbose=0)
    return trainer


def test_a_run_s_newest_and_one_by_name(trained, tmp_path, data):
    (name,) = Store(tmp_path / "run").names()
    for path in (tmp_path / "run", tmp_path / "run" / name):
        other = _trainer(seed=5)
        other.load_weights(path)  # waits for the model to be built
        np.testing.assert_array_equal(other.predict(data[0]), trained.predict(data[0]))
        assert other.step == 0


def test_files_are_verified_once_however_many_weights_there_are(
    trained, tmp_path, data, monkeypatch
):
    verified = []
    verify = Store.verify
    monkeypatch.setattr(Store, "verify", lambda self, n: verified.append(n) or verify(self, n))
    other = _trainer()
    other.predict(data[0])
    other.load_weights(tmp_path / "run")
    assert len(verified) == 1


def test_a_part_for_another_head(trained, tmp_path, data):
    other = _trainer(units=2)
    other.load_weights(tmp_path / "run", partial="^layers/0/")
    other.predict(data[0])
    first, head = other.task.model.layers
    np.testing.assert_array_equal(first.kernel, trained.task.model.layers[0].kernel)
    assert head.kernel.shape == (8, 2)
    with pytest.raises(MismatchError, match=r"layers/1/kernel"):
        other.load_weights(tmp_path / "run")


def test_a_task_s_names_begin_at_the_task(tmp_path):
    class Two(Task):
        def __init__(self):
            super().__init__()
            self.a, self.b = tf.Variable([1.0]), tf.Variable([2.0])

    with Store(tmp_path) as store:
        values = {"a": tf.constant([3.0]), "b": tf.constant([4.0]), "slot": tf.zeros([5])}
        store.commit(Content(step=1, values=values, weights=["a", "b"]))
    task = Two()
    assert load_weights(task, tmp_path) == ["a", "b"]
    assert (task.a.numpy(), task.b.numpy()) == ([3.0], [4.0])


def test_nothing_is_loaded_from_what_does_not_verify(trained, tmp_path, data):
    (name,) = Store(tmp_path / "run").names()
    file = tmp_path / "run" / name / "state.data-00000-of-00001"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    other = _trainer()
    other.predict(data[0])
    before = other.task.model.get_weights()
    for path in (tmp_path / "run", tmp_path / "run" / name):
        with pytest.raises(CorruptCheckpointError):
            other.load_weights(path)
    for a, b in zip(before, other.task.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(FileNotFoundError, match="no checkpoint in"):
        other.load_weights(tmp_path)
