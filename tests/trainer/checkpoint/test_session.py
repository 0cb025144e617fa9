"""A run that was cut short goes on bit for bit, and says clearly when it cannot."""

import logging
import signal
import time

import numpy as np
import pytest
import tensorflow as tf

import layers
import losses
import optimizers
from tests.trainer.pairs import together
from trainer import (
    At,
    Callback,
    Checkpoint,
    Control,
    EarlyStopping,
    Every,
    Preempted,
    Trainer,
    state,
)
from trainer.callbacks import CallbackError, Validated
from trainer.checkpoint import CheckpointWriteError, Store, StoreInUseError
from trainer.checkpoint.session import Session
from trainer.checkpoint.store import Content
from trainer.distribution.agreement import Disagreement
from trainer.interrupt import Interrupt

EVERY_3 = Every(steps=3)
OPTIONS = {"batch_size": 8, "epochs": 3, "verbose": 0}  # 7 steps an epoch, the last of 2 rows


class Crash(Callback):
    """Ends fit by an error, as a kill would: nothing is saved on the way out."""

    def __init__(self, at):
        self.when = At(at)

    def __call__(self, report):
        raise MemoryError("crash")


@pytest.fixture
def crash():
    return Crash


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return rng.normal(size=(50, 4)).astype("float32"), rng.integers(0, 3, 50)


@pytest.fixture
def make(tmp_path):
    """`make(when=...)`: a trainer that keeps itself in the test's folder; `make(None)`: nowhere."""

    def trainer(when=EVERY_3, folder="run", model=None, settings=None, **options):
        model = model or layers.Sequential(
            [
                layers.Dense(8, activation="relu"),
                layers.Dropout(0.3),
                layers.BatchNormalization(),
                layers.Dense(3),
            ]
        )
        checkpoint = Checkpoint(tmp_path / folder, when=when, **(settings or {}))
        options = {
            "loss": losses.SparseCategoricalCrossentropy(from_logits=True),
            "optimizer": optimizers.Adam(0.01),
            "metrics": ["accuracy"],
            "jit": False,
            "checkpoint": checkpoint if when is not None else None,
            **options,
        }
        return Trainer(model, **options)

    return trainer


@pytest.fixture
def same():
    """`same(a, b)`: two trainers hold the same bits, and their last fit recorded the same."""

    def check(a, b):
        ours, theirs = state.variables(a.task), state.variables(b.task)
        assert ours.keys() == theirs.keys()
        for name, variable in ours.items():
            np.testing.assert_array_equal(variable.numpy(), theirs[name].numpy(), name)
        assert a.history.history == b.history.history
        assert a.history.epoch_steps == b.history.epoch_steps
        assert set(a.history.steps) == set(b.history.steps)
        for name in a.history.steps:
            np.testing.assert_array_equal(a.history.steps[name], b.history.steps[name])
        assert (a.step, a.epoch) == (b.step, b.epoch)

    return check


@pytest.mark.parametrize(
    ("at", "jit"), [(4, False), (7, False), (16, False), (7, "step"), (4, "loop"), (16, "loop")]
)
def test_resumed_equals_uninterrupted(make, arrays, crash, same, jit, at):
    """Amid an epoch, at its end, and late; validation, early stopping and history included."""
    options = {**OPTIONS, "validation_data": arrays}

    def stop():
        return EarlyStopping("val_loss", patience=9, restore_best_weights=True)

    whole = make(None, jit=jit)
    whole.fit(*arrays, **options, callbacks=[stop()])
    with pytest.raises(CallbackError, match="crash"):
        make(jit=jit).fit(*arrays, **options, callbacks=[stop(), crash(at)])
    again = make(jit=jit)
    again.fit(*arrays, **options, callbacks=[stop()])
    same(again, whole)


def test_accumulation_and_a_schedule_amid_its_warm_up(make, arrays, crash, same):
    def trainer(when):
        rate = optimizers.schedules.CosineDecay(0.0, 20, warmup_target=0.1, warmup_steps=9)
        return make(when, optimizer=optimizers.SGD(rate, momentum=0.9), accumulate=2)

    whole = trainer(None)
    whole.fit(*arrays, **OPTIONS)
    with pytest.raises(CallbackError):
        trainer(Every(steps=2)).fit(*arrays, **OPTIONS, callbacks=[crash(5)])
    again = trainer(Every(steps=2))
    again.fit(*arrays, **OPTIONS)
    same(again, whole)


def test_it_says_what_it_resumed_from(make, arrays, crash, capsys, tmp_path):
    with pytest.raises(CallbackError):
        make().fit(*arrays, **OPTIONS, callbacks=[crash(11)])
    (newest,) = (tmp_path / "run").glob("*-step-9")
    make().fit(*arrays, **{**OPTIONS, "verbose": 2})
    said = capsys.readouterr().out.splitlines()
    assert said[0] == f"resumed from step 9 (2 steps into epoch 2): {newest}"


def test_a_script_of_several_fits(make, arrays, crash, same):
    """Those that were done are not done again; the one that was cut short goes on."""
    first, second = {**OPTIONS, "epochs": 1}, {**OPTIONS, "epochs": 2}
    whole = make(None)
    kept = whole.fit(*arrays, **first)
    whole.fit(*arrays, **second)
    killed = make()
    killed.fit(*arrays, **first)
    with pytest.raises(CallbackError):
        killed.fit(*arrays, **second, callbacks=[crash(17)])
    again = make()
    assert again.fit(*arrays, **first).history == kept.history
    assert again.step == 15
    again.fit(*arrays, **second)
    same(again, whole)
    # All is done: nothing is trained, and nothing is written.
    names = Store(again._session.settings.directory).names()
    last = make()
    last.fit(*arrays, **first)
    assert last.fit(*arrays, **second).history == whole.history.history
    assert Store(again._session.settings.directory).names() == names


def test_steps_are_a_goal(make, arrays, same):
    """`fit(steps=n)` trains to step n, in one run or several."""
    whole = make(None)
    whole.fit(*arrays, batch_size=8, steps=12, verbose=0)
    make().fit(*arrays, batch_size=8, steps=5, verbose=0)
    again = make()
    again.fit(*arrays, batch_size=8, steps=12, verbose=0)
    assert again.step == 12
    for a, b in zip(again.task.model.get_weights(), whole.task.model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match=r"steps=12.*at step 12 already.*trainer.step \+ n"):
        again.fit(*arrays, batch_size=8, steps=12, verbose=0)


def test_a_finished_run_is_evaluated_without_training(make, arrays):
    trained = make()
    trained.fit(*arrays, **OPTIONS)
    assert make().evaluate(*arrays, verbose=0) == trained.evaluate(*arrays, verbose=0)
    np.testing.assert_array_equal(make().predict(arrays[0]), trained.predict(arrays[0]))


def test_more_epochs_go_on(make, arrays):
    make().fit(*arrays, **OPTIONS)
    again = make()
    history = again.fit(*arrays, **{**OPTIONS, "epochs": 5})
    assert again.step == 35
    assert history.epoch == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("trainer", "fit", "words"),
    [
        ({"seed": 1}, {}, r"seed=1 here, 0 there"),
        ({"accumulate": 2}, {}, r"accumulate=2 here, 1 there"),
        ({}, {"batch_size": 16}, r"the data is not what.*16"),
        ({"optimizer": optimizers.SGD(0.1, momentum=0.9)}, {}, r"(?s)does not fit.*optimizer/"),
        ({"model": layers.Dense(3)}, {}, r"(?s)does not fit.*model/kernel"),
    ],
    ids=["seed", "accumulate", "data", "optimizer", "model"],
)
def test_a_changed_program_is_refused(make, arrays, crash, trainer, fit, words):
    with pytest.raises(CallbackError):
        make().fit(*arrays, **OPTIONS, callbacks=[crash(11)])
    other = make(**trainer)
    with pytest.raises(ValueError, match=words):
        other.fit(*arrays, **{**OPTIONS, **fit})
    assert other.step == 0 or "data" in words
    again = make()  # what was refused has done no harm
    again.fit(*arrays, **OPTIONS)
    assert again.step == 21


def test_a_corrupt_checkpoint_is_named_and_passed_over(make, arrays, crash, same, caplog, tmp_path):
    whole = make(None)
    whole.fit(*arrays, **OPTIONS)
    with pytest.raises(CallbackError):
        make().fit(*arrays, **OPTIONS, callbacks=[crash(11)])
    newest = sorted((tmp_path / "run").glob("0*"))[-1]
    data = newest / "state.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:-1] + b"x")
    again = make()
    with caplog.at_level(logging.WARNING):
        again.fit(*arrays, **OPTIONS)
    assert newest.name in caplog.text
    assert "set aside" in caplog.text
    assert list((tmp_path / "run").glob(f"corrupt-{newest.name}"))
    same(again, whole)


def test_callbacks_may_ask_for_one(make, arrays, tmp_path):
    class Ask(Callback):
        when = Every(steps=5)

        def __call__(self, report):
            return Control(save=True)

    make(Every(steps=10**6), settings={"keep_last": None}).fit(
        *arrays, **OPTIONS, callbacks=[Ask()]
    )
    names = Store(tmp_path / "run").names()
    assert [int(name.split("-")[-1]) for name in names] == [5, 10, 15, 20, 21]


def test_the_best_are_kept(make, arrays, tmp_path):
    settings = {"keep_last": 1, "keep_best": 2, "monitor": "val_loss"}
    trainer = make(settings=settings)
    history = trainer.fit(*arrays, **{**OPTIONS, "epochs": 6}, validation_data=arrays)
    values = np.array(history.history["val_loss"])
    best = {7 * (i + 1) for i in np.argsort(values, kind="stable")[:2]}
    kept = {entry.step for entry in Store(tmp_path / "run").entries()}
    assert best | {42} == kept
    with pytest.raises(ValueError, match=r"monitors 'val_f1'.*it reports loss, accuracy"):
        make(folder="other", settings={**settings, "monitor": "val_f1", "mode": "max"}).fit(
            *arrays, **OPTIONS, validation_data=arrays
        )


def test_a_write_that_fails_ends_fit_or_is_warned_of(make, arrays, monkeypatch, caplog, tmp_path):
    def commit(self, content):
        raise CheckpointWriteError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "commit", commit)
        trainer = make()
        with pytest.raises(CheckpointWriteError, match="no space left"):
            trainer.fit(*arrays, **OPTIONS)
        assert trainer.step >= 3
        going_on = make(settings={"on_error": "warn"})
        with caplog.at_level(logging.WARNING):
            going_on.fit(*arrays, **OPTIONS)
        assert going_on.step == 21
        assert "goes on without this checkpoint: no space left" in caplog.text
    assert Store(tmp_path / "run").names() == []


def test_two_runs_in_one_folder_are_refused(make, arrays):
    class Second(Callback):
        when = Every(steps=2)

        def __call__(self, report):
            make().fit(*arrays, **OPTIONS)

    with pytest.raises(CallbackError) as error:
        make().fit(*arrays, **OPTIONS, callbacks=[Second()])
    assert isinstance(error.value.__cause__, StoreInUseError)


class Loose(tf.Module):
    """Keeps a variable where nobody finds it."""

    def __init__(self):
        super().__init__()
        self.w = tf.Variable(tf.ones([4, 3]))
        hidden = tf.Variable(tf.ones([3]), name="hidden")
        self.scale = lambda x: x * hidden.assign(0.9 * hidden)

    def __call__(self, x):
        return self.scale(x @ self.w)


def test_a_variable_that_would_be_left_out_is_refused(make, arrays):
    with pytest.raises(ValueError, match=r"cannot be found from the task: hidden"):
        make(model=Loose()).fit(*arrays, **OPTIONS)


def test_keras_models_with_layers_in_dicts_and_seeds(tmp_path, arrays, crash, same):
    """What TensorFlow's own checkpoints lose of a Keras model."""
    import keras

    class Model(keras.Model):
        def __init__(self):
            super().__init__()
            self.parts = {"a": [keras.layers.Dense(6, activation="relu")]}
            self.drop = keras.layers.Dropout(0.4, seed=3)
            self.out = keras.layers.Dense(3)

        def call(self, x, training=False):
            return self.out(self.drop(self.parts["a"][0](x), training=training))

    def trainer(checkpoint):
        keras.utils.set_random_seed(1)
        return Trainer(
            Model(),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            optimizer=keras.optimizers.Adam(0.01),
            jit=False,
            checkpoint=checkpoint,
        )

    settings = Checkpoint(tmp_path / "run", when=Every(steps=3))
    whole = trainer(None)
    whole.fit(*arrays, **OPTIONS)
    with pytest.raises(CallbackError):
        trainer(settings).fit(*arrays, **OPTIONS, callbacks=[crash(11)])
    keras.utils.set_random_seed(99)
    again = trainer(settings)
    again.fit(*arrays, **OPTIONS)
    same(again, whole)


@pytest.mark.parametrize("kind", ["shuffled", "function", "endless"])
def test_streams_go_on_where_they_were(make, arrays, crash, same, kind):
    x, y = arrays

    def batches():
        for start in range(0, 48, 8):
            yield x[start : start + 8], y[start : start + 8]

    def data():
        if kind == "function":
            return batches
        dataset = tf.data.Dataset.from_tensor_slices((x, y))
        if kind == "endless":
            return dataset.repeat().batch(8)
        return dataset.shuffle(20, seed=1).batch(8)

    options = {"epochs": 3, "verbose": 0}
    if kind == "endless":
        options["steps_per_epoch"] = 5
    whole = make(None)
    whole.fit(data(), **options)
    with pytest.raises(CallbackError):
        make().fit(data(), **options, callbacks=[crash(11)])
    again = make()
    again.fit(data(), **options)
    same(again, whole)


@pytest.mark.parametrize("when", [1, Every(steps=5)], ids=["epochs", "steps"])
def test_a_signal_amid_validation_leaves_it_to_the_resumed_run(make, arrays, same, when):
    """What a boundary still owes (validation, the epoch's values, callbacks) is kept."""
    options = {**OPTIONS, "validation_data": arrays, "validation_freq": when}

    def stop():
        return EarlyStopping("val_loss", patience=9, when=Validated())

    whole = make(None)
    whole.fit(*arrays, **options, callbacks=[stop()])
    cut, caught = make(Every(steps=10**6)), []

    class Caught(Interrupt):
        def __enter__(self):
            caught.append(self)
            return super().__enter__()

    def evaluate(*_):
        caught[0].wanted = signal.SIGTERM
        return None

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("trainer.fit.Interrupt", Caught)
        patch.setattr("trainer.passes.evaluate", evaluate)
        with pytest.raises(Preempted, match="is saved in"):
            cut.fit(*arrays, **options, callbacks=[stop()])
    assert cut.step == (7 if when == 1 else 5)
    assert cut.history.epoch == []
    again = make()
    again.fit(*arrays, **options, callbacks=[stop()])
    same(again, whole)


def test_remote_folders(arrays, crash, same, make):
    """Any path that `tf.io.gfile` knows: here TensorFlow's own file system in memory."""
    settings = Checkpoint("ram://session/run", when=EVERY_3)
    whole = make(None)
    whole.fit(*arrays, **OPTIONS)
    with pytest.raises(CallbackError):
        make(None, checkpoint=settings).fit(*arrays, **OPTIONS, callbacks=[crash(11)])
    again = make(None, checkpoint=settings)
    again.fit(*arrays, **OPTIONS)
    same(again, whole)


def test_an_endless_stream_goes_on_from_fit_to_fit(make, arrays, same):
    """Also where the first of two fits was done in an earlier process."""

    def data():
        return tf.data.Dataset.from_tensor_slices(arrays).repeat().batch(8)

    def fit(trainer, dataset, *goals):
        for goal in goals:
            trainer.fit(dataset, steps=goal, verbose=0)
        return trainer

    whole = fit(make(None), data(), 5, 12)
    fit(make(), data(), 5)
    same(fit(make(), data(), 5, 12), whole)


def test_random_layers_without_a_seed_that_can_be_saved_are_named(make, arrays, caplog):
    class Noise(layers.Layer):
        def call(self, inputs, training=False):
            return inputs + tf.random.normal(tf.shape(inputs))

    model = layers.Sequential([Noise(), layers.Dense(3)])
    with caplog.at_level(logging.WARNING):
        make(model=model).fit(*arrays, **OPTIONS)
    assert "a resumed run will not be exact" in caplog.text
    assert "RandomStandardNormal" in caplog.text


def test_data_that_cannot_be_promised_is_named(make, arrays, caplog):
    def batches():
        yield arrays

    with caplog.at_level(logging.WARNING):
        make().fit(batches, epochs=2, verbose=0)
    assert "a resumed run may get other batches: x is a function that makes a gen" in caplog.text


def test_a_failed_write_is_told_of_when_fit_ends_otherwise(
    make, arrays, crash, monkeypatch, caplog
):
    def commit(self, content):
        time.sleep(0.2)  # fit has failed before this does
        raise CheckpointWriteError("no space left")

    monkeypatch.setattr(Store, "commit", commit)
    with caplog.at_level(logging.WARNING), pytest.raises(CallbackError, match="crash"):
        make(Every(steps=3)).fit(*arrays, **OPTIONS, callbacks=[crash(4)])
    assert "a checkpoint could not be written: no space left" in caplog.text


def test_evaluation_reads_the_checkpoint_once(make, arrays, monkeypatch):
    make().fit(*arrays, **OPTIONS)
    other, loads = make(), []
    load = Store.load
    monkeypatch.setattr(Store, "load", lambda *a, **k: loads.append(1) or load(*a, **k))
    first = other.evaluate(*arrays, verbose=0)
    other.predict(arrays[0])
    assert other.evaluate(*arrays, verbose=0) == first
    assert loads == [1]


def test_workers_go_on_from_the_checkpoint_that_the_chief_finds(tmp_path):
    """All of them from the same, also when a newer one has come since; or none does."""
    shared, other = tmp_path / "shared", tmp_path / "other"

    def newest(folders):
        found = together(
            lambda desk: Session(Checkpoint(folders[desk.worker]), None, None, {}, desk)._newest()
        )
        return [f.name if hasattr(f, "name") else f for f in found]

    assert newest([shared, shared]) == [None, None]
    for folder in (shared, other):
        with Store(folder) as store:
            for step in (1, 2):
                value = tf.constant(step + (folder == other))
                store.commit(Content(step=step, values={"w": value}, weights=["w"]))
    assert newest([shared, shared]) == ["000002-step-2"] * 2
    for folder in (other, tmp_path / "nowhere"):  # not the same folder, or not shared at all
        errors = newest([shared, folder])
        assert all(isinstance(error, Disagreement) for error in errors)
        assert "000002-step-2" in str(errors[0])
