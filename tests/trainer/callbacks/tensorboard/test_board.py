"""TensorBoard: what its own reader finds in the files, and errors of the thread."""

import shutil
import threading
import time

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

import layers
import optimizers
from trainer import At, Callback, Checkpoint, Every, Trainer
from trainer.callbacks import CallbackError, LambdaCallback, Predictions, TensorBoard


def scalars(folder):
    """Tag -> (steps, values), as TensorBoard reads them."""
    reader = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    found = {tag: reader.Scalars(tag) for tag in reader.Tags()["scalars"]}
    return {tag: ([e.step for e in s], [e.value for e in s]) for tag, s in found.items()}


def validate(step):
    return {"val_loss": 2 / step, "val_accuracy": 0.25}


def test_every_step_every_epoch_and_every_validation(fit, make_run, tmp_path):
    history = fit([TensorBoard(tmp_path)], make_run(), validate)
    train, validation = scalars(tmp_path / "train"), scalars(tmp_path / "validation")
    assert train["loss"][0] == list(range(1, 31))
    np.testing.assert_array_equal(train["loss"][1], history.steps["loss"])
    assert train["epoch/loss"][0] == [10, 20, 30]
    np.testing.assert_allclose(train["epoch/loss"][1], history.history["loss"], rtol=1e-6)
    np.testing.assert_allclose(validation["loss"][1], history.history["val_loss"], rtol=1e-6)
    assert validation["loss"][0] == validation["epoch/loss"][0] == [10, 20, 30]
    assert train["speed/steps_per_second"][1][0] == 1.0
    shared = {"loss", "accuracy", "epoch/loss", "epoch/accuracy"}
    assert validation.keys() == shared  # each in one chart with train's
    assert train.keys() == shared | {"speed/steps_per_second"}


def test_is_readable_while_training(fit, make_run, tmp_path):
    seen = []

    def look(report):
        if report.step == 20:
            for _ in range(200):  # the thread may still be at work
                found = scalars(tmp_path / "train")
                if found and found["loss"][0][-1] == 20:
                    break
            seen.append(found["loss"][0])

    fit([TensorBoard(tmp_path), LambdaCallback(look)], make_run(), validate)
    assert seen == [list(range(1, 21))]


def test_a_second_fit_goes_on_and_a_resumed_one_replaces(fit, make_run, tmp_path):
    board = TensorBoard(tmp_path)
    fit([board], make_run(total_steps=20, epochs=2))
    fit([board], make_run(start_step=20, total_steps=30))
    assert scalars(tmp_path / "train")["loss"][0] == list(range(1, 31))
    fit([board], make_run(start_step=10, total_steps=25))
    assert scalars(tmp_path / "train")["loss"][0] == list(range(1, 26))


def test_the_graph_is_written_once_for_a_trainer_and_again_for_another(tmp_path):
    x = np.ones((8, 3), "float32")

    def graphs():
        files = sorted((tmp_path / "train").glob("events*"))
        events = [e for file in files for e in EventFileLoader(str(file)).Load()]
        return sum(bool(e.graph_def) for e in events)

    board = TensorBoard(tmp_path)
    for expected in (1, 2):
        made = Trainer(layers.Dense(1), loss="mse", optimizer=optimizers.SGD(), jit=False)
        for _ in range(3):
            made.fit(x, x[:, :1], verbose=0, callbacks=[board])
        assert graphs() == expected


@pytest.mark.parametrize(
    ("update_freq", "steps"), [("batch", range(1, 31)), (7, range(7, 30, 7)), ("epoch", None)]
)
def test_writes_as_often_as_asked(fit, make_run, tmp_path, update_freq, steps):
    fit([TensorBoard(tmp_path, update_freq=update_freq)], make_run(), validate)
    train = scalars(tmp_path / "train")
    assert train["epoch/loss"][0] == [10, 20, 30]
    assert ("loss" in train) == (steps is not None)
    if steps is not None:
        assert train["loss"][0] == list(steps)


def test_an_unfinished_epoch_is_written_too(fit, make_run, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fit([TensorBoard(tmp_path)], make_run(), validate, fail_at=27)
    train = scalars(tmp_path / "train")
    last = train["loss"][0][-1]
    assert train["loss"][0] == list(range(1, last + 1))
    assert last > 20
    assert train["epoch/loss"][0] == [10, 20]


def test_blocks_do_not_show(fit, make_run, tmp_path, monkeypatch):
    monkeypatch.setattr("trainer.callbacks.tensorboard.writer.BLOCK", 3)
    fit([TensorBoard(tmp_path)], make_run())
    assert scalars(tmp_path / "train")["loss"][0] == list(range(1, 31))


def test_an_error_of_the_thread_is_raised_in_fit(fit, make_run, tmp_path):
    def delete(report):
        shutil.rmtree(tmp_path / "train", ignore_errors=True)

    run = make_run(epochs=500, total_steps=5000)
    with pytest.raises(CallbackError, match=r"TensorBoard failed at step .*NotFoundError"):
        fit([TensorBoard(tmp_path), LambdaCallback(delete)], run)
    assert not any(t.name == "tensorboard" for t in threading.enumerate())


def test_a_folder_that_cannot_be_made_is_an_error(fit, make_run, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(CallbackError, match="callback TensorBoard failed"):
        fit([TensorBoard(tmp_path / "file")], make_run())


def test_closing_joins_the_thread(fit, make_run, tmp_path):
    fit([TensorBoard(tmp_path)], make_run())
    assert not any(t.name == "tensorboard" for t in threading.enumerate())


@pytest.mark.parametrize("update_freq", [0, 1.5, True, "step", None])
def test_refuses(update_freq):
    with pytest.raises(ValueError, match="update_freq="):
        TensorBoard(update_freq=update_freq)


def test_what_was_not_written_when_a_run_was_killed_is_written_first(fit, make_run, tmp_path):
    """Checkpointed at step 20 with steps 11 to 20 handed over but not in the files."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    fit([TensorBoard(whole)], make_run(), validate)
    kept = {}

    class Slow(TensorBoard):
        """Writes nothing more once step 20 was handed over, as if the disk had stalled."""

        def __call__(self, report):
            if report.step == 20:
                while self._writer.unwritten():
                    time.sleep(0.001)
                self._writer._queue.put = lambda jobs, timeout=None: None
            super().__call__(report)
            if report.step == 20:
                kept.update(self.memory())
                raise KeyboardInterrupt

        def on_train_end(self, report):
            """As if killed."""

    with pytest.raises(KeyboardInterrupt):
        fit([Slow(cut)], make_run(), validate)
    assert kept["seen"] == 20
    assert kept["unwritten"]
    again = TensorBoard(cut)
    run = make_run(start_step=0, step=20)
    again.on_train_begin(run)
    again.load_memory(kept)
    again.on_train_begin = lambda run: None  # the same writer goes on
    fit([again], make_run(start_step=20, total_steps=30), validate)
    for name in ("train", "validation"):
        found, expected = scalars(cut / name), scalars(whole / name)
        for tag in expected.keys() - {"speed/steps_per_second"}:
            assert found[tag] == expected[tag], (name, tag)


class Crash(Callback):
    when = At(17)

    def __call__(self, report):
        raise MemoryError("as if killed")


def logbook(data, folder, *more):
    """Three epochs of 7 steps, read every third step, kept every fourth."""
    trainer = Trainer(
        layers.Dense(2),
        loss="mse",
        optimizer=optimizers.SGD(0.1),
        jit=False,
        checkpoint=Checkpoint(folder / "run", when=Every(steps=4)),
    )
    board = TensorBoard(folder / "board", histogram_freq=Every(steps=3), hparams={"rate": 0.1})
    look = Predictions(folder / "board", data[0][:2], when=Every(steps=5))
    options = {"batch_size": 8, "epochs": 3, "verbose": 0, "validation_data": data}
    trainer.fit(*data, callbacks=[board, look, *more], **options)


def test_a_resumed_run_leaves_the_same_files_for_every_plugin(data, tmp_path, drawn):
    logbook(data, tmp_path / "whole")
    with pytest.raises(CallbackError, match="as if killed"):
        logbook(data, tmp_path / "cut", Crash())
    logbook(data, tmp_path / "cut")
    whole, resumed = drawn(tmp_path / "whole" / "board"), drawn(tmp_path / "cut" / "board")
    assert resumed.keys() == whole.keys()
    for key, events in whole.items():
        assert resumed[key] == events, key
    assert [step for step, _ in whole["train", "weights/kernel"]] == [3, 6, 9, 12, 15, 18, 21]
    assert [step for step, _ in whole["train", "loss"]] == list(range(1, 22))
    assert [step for step, _ in whole["predictions", "table"]] == [5, 10, 15, 20]


def test_refuses_what_it_cannot_draw(data, tmp_path):
    with pytest.raises(ValueError, match=r"hparams=.*'x': \[1\]"):
        TensorBoard(hparams={"x": [1]})
    for freq in (-1, 1.5, True):
        with pytest.raises(ValueError, match="histogram_freq="):
            TensorBoard(histogram_freq=freq)
    trainer = Trainer(layers.Dense(2), loss="mse", optimizer="sgd", jit=False)
    for embeddings, words in (
        ({"weights": None}, "'weights' is no table .*; tables are kernel"),
        ({"kernel": ["a"]}, "1 labels for the 3 rows of 'kernel'"),
    ):
        board = TensorBoard(tmp_path, embeddings=embeddings)
        with pytest.raises(ValueError, match=words):
            trainer.fit(*data, verbose=0, callbacks=[board])
    with pytest.raises(TypeError, match=r"embeddings=\['a'\]\): it is a dict"):
        TensorBoard(tmp_path, embeddings=["a"])
