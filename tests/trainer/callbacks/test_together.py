"""All callbacks at once: in every compile mode, with every kind of trigger, cut short and resumed.

What must hold is one identity: a run that crashed and was started again leaves what an
uninterrupted one leaves, in the files, in the callbacks and in the variables they set.
"""

import json

import keras
import numpy as np
import pytest

import layers
import optimizers
from trainer import Callback, Checkpoint, EarlyStopping, Every, TensorBoard, Trainer, inspect
from trainer import callbacks as catalogue
from trainer.callbacks import (
    At,
    CallbackError,
    CSVLogger,
    ExportBest,
    JSONLogger,
    KerasCallback,
    LambdaCallback,
    LearningRateMonitor,
    LearningRateScheduler,
    MemoryMonitor,
    ModelCheckpoint,
    NormMonitor,
    Predictions,
    Profiler,
    Progress,
    ReduceLROnPlateau,
    StepTimer,
    SwapEMAWeights,
    TerminateOnNaN,
    ThresholdStop,
    Timer,
)

TRIGGERS = {
    "steps": Every(steps=3),
    "epochs": Every(epochs=1),
    "seconds": Every(seconds=1e-9),  # at every boundary, and so after every step
}


class Crash(Callback):
    when = At(17)

    def __call__(self, report):
        raise MemoryError("as if killed")


def noted(file, text):
    with file.open("a") as out:
        out.write(f"{text}\n")


def make_all(folder, when, x):
    """One of each, two averages and a rate that is set among them."""

    class ByEpochs(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            noted(folder / "keras.txt", epoch)

    return [
        SwapEMAWeights(),
        EarlyStopping("val_loss", patience=99, when=when),
        ReduceLROnPlateau("val_loss", 0.5, patience=1, min_delta=1e9, when=when),
        LearningRateScheduler(lambda epoch, rate: 0.9 * rate),
        LearningRateMonitor(when=when),
        CSVLogger(folder / "log.csv", when=when),
        JSONLogger(folder / "log.jsonl", steps=True, when=when),
        ModelCheckpoint(folder / "best-{step}.npz", "loss", 0, True, save_freq=when, keep=2),
        ExportBest(folder / "model", "val_loss", when=Every(epochs=2)),
        TerminateOnNaN(when=when),
        Timer(3600),
        ThresholdStop("val_loss", 0.0, when=when),
        StepTimer(1e12, when=when),
        MemoryMonitor(when=when),
        NormMonitor(Every(steps=5), when=when),
        TensorBoard(folder / "board", histogram_freq=Every(steps=5), hparams={"rate": 0.1}),
        Predictions(folder / "board", x[:2], when=when),
        Profiler(folder / "trace", first=4, steps=3),
        LambdaCallback(lambda report: noted(folder / "lambda.txt", report.step), when=when),
        KerasCallback(ByEpochs()),
        Progress(verbose=0),
        inspect.NaNPostMortem(folder / "post_mortem"),
        inspect.RewindOnSpike(every=4),
    ]


def test_none_is_forgotten(tmp_path, data):
    """Whoever adds a callback adds it here, or to the base and what `fit` makes of itself."""
    public = [getattr(home, name) for home in (catalogue, inspect) for name in home.__all__]
    wanted = {c for c in public if isinstance(c, type) and issubclass(c, Callback)} - {Callback}
    assert {type(c) for c in make_all(tmp_path, Every(epochs=1), data[0])} == wanted


def train(data, folder, jit, when, *more):
    folder.mkdir(exist_ok=True)
    trainer = Trainer(
        layers.Dense(2),
        loss="mse",
        optimizer=optimizers.EMA(optimizers.SGD(0.1), momentum=0.9),
        jit=jit,
        checkpoint=Checkpoint(folder / "run", when=Every(steps=4)),
    )
    callbacks = make_all(folder, when, data[0])
    options = {"batch_size": 8, "epochs": 4, "verbose": 0, "validation_data": data}
    history = trainer.fit(*data, callbacks=[*callbacks, *more], **options)
    return trainer, {type(c).__name__: c for c in callbacks}, history


def left(folder, trainer, callbacks, history):
    """What a run leaves that does not depend on the clock."""
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    for line in lines:
        line.pop("seconds", None)
    of_the_clock = ("StepTimer", "MemoryMonitor", "Timer")
    written = ("CSVLogger", "JSONLogger", "ModelCheckpoint", "TensorBoard", "Predictions")
    memories = {
        name: dict(callback.memory())
        for name, callback in callbacks.items()
        if name not in (*of_the_clock, *written)
    }
    return {
        "rate": float(trainer.task.optimizer.learning_rate),
        "weights": [w.tolist() for w in trainer.task.model.get_weights()],
        "history": (history.history, dict(history.steps)),
        "csv": (folder / "log.csv").read_text(),
        "json": lines,
        "files": sorted(p.name for p in folder.glob("*.npz")),
        "best": callbacks["ModelCheckpoint"].best,
        "timed": [entry["step"] for entry in callbacks["StepTimer"].history],
        "measured": [entry["step"] for entry in callbacks["MemoryMonitor"].history],
        "traces": len(list(folder.glob("trace/plugins/profile/*/*.xplane.pb"))),
        "noted": (folder / "lambda.txt").read_text(),
        "keras": (folder / "keras.txt").read_text(),
        "post_mortem": (folder / "post_mortem").exists(),
        **memories,
    }


# The kinds of trigger meet the modes once each: what a callback does knows nothing of modes.
@pytest.mark.parametrize(
    ("jit", "kind"), [(False, "steps"), ("step", "epochs"), ("loop", "steps"), (False, "seconds")]
)
def test_a_resumed_run_leaves_what_an_uninterrupted_one_leaves(data, tmp_path, drawn, jit, kind):
    when = TRIGGERS[kind]
    whole = left(tmp_path / "whole", *train(data, tmp_path / "whole", jit, when))
    cut = tmp_path / "cut"
    with pytest.raises(CallbackError, match="as if killed"):
        train(data, cut, jit, when, Crash())
    resumed = left(cut, *train(data, cut, jit, when))
    if kind == "seconds":  # after step 17, too, which the crash undid: a function of one's own
        assert resumed["noted"].count("17\n17\n") == 1
        resumed["noted"] = resumed["noted"].replace("17\n17\n", "17\n")
    for name, value in whole.items():
        np.testing.assert_equal(resumed[name], value, err_msg=name)
    board = drawn(tmp_path / "whole" / "board")
    assert drawn(cut / "board") == board
    assert whole["rate"] < 0.1 * 0.9**3  # both callbacks have set it
    assert len(whole["files"]) == 2 and whole["traces"] == 1 and not whole["post_mortem"]
    assert [step for step, _ in board["train", "loss"]] == list(range(1, 29))
    assert list(whole["NormMonitor"]["steps"]) == [5, 10, 15, 20, 25]
    assert len(whole["RewindOnSpike"]["losses"]) == 28


@pytest.mark.parametrize("jit", [False, "step", "loop"])
def test_what_early_stopping_restores_is_bit_for_bit_the_best(data, jit):
    kept = {}

    class Keep(Callback):
        when = Every(steps=2)

        def __call__(self, report):
            kept[report.step] = report.run.task.model.get_weights()

    stopping = EarlyStopping(
        "loss", mode="max", patience=4, restore_best_weights=True, when=Every(steps=2)
    )
    trainer = Trainer(layers.Dense(2), loss="mse", optimizer=optimizers.Adam(0.1), jit=jit)
    trainer.fit(*data, batch_size=8, epochs=9, verbose=0, callbacks=[stopping, Keep()])
    assert stopping.stopped_epoch
    assert stopping.best_step < max(kept)
    for have, want in zip(trainer.task.model.get_weights(), kept[stopping.best_step], strict=True):
        np.testing.assert_array_equal(have, want)


@pytest.mark.parametrize("jit", [False, "step", "loop"])
def test_setting_the_rate_neither_traces_nor_compiles_anew(data, jit):
    trainer = Trainer(layers.Dense(2), loss="mse", optimizer=optimizers.SGD(0.5), jit=jit)
    halve = LearningRateScheduler(lambda epoch, rate: 0.5 * rate if epoch else rate)
    options = {"batch_size": 8, "verbose": 0, "callbacks": [halve]}
    trainer.fit(*data, epochs=1, **options)
    traces = sum(loop.traces for loop in trainer.programs.loops)
    history = trainer.fit(*data, epochs=3, **options)
    assert sum(loop.traces for loop in trainer.programs.loops) == traces
    np.testing.assert_array_equal(history.steps["learning_rate"][[0, 7, 14]], [0.25, 0.125, 0.0625])


@pytest.mark.parametrize(
    "make",
    [
        lambda: EarlyStopping("val_los"),
        lambda: ReduceLROnPlateau("val_los"),
        lambda: ModelCheckpoint("w.npz", "val_los", save_best_only=True, mode="min"),
        lambda: ExportBest("m", "val_los", "min"),
        lambda: ThresholdStop("val_los", 1.0, "min"),
        lambda: TerminateOnNaN("val_los"),
    ],
)
def test_a_name_that_is_not_reported_is_refused_before_training(data, make):
    trainer = Trainer(layers.Dense(2), loss="mse", optimizer="sgd", jit=False)
    with pytest.raises(
        ValueError, match=r"monitors 'val_los', .*it reports loss, learning_rate, val_loss\. Did"
    ):
        trainer.fit(*data, verbose=0, validation_data=data, callbacks=[make()])
    assert trainer.step == 0


def test_the_profiler_traces_a_run_that_is_resumed_within_its_window(data, tmp_path):
    trainer = Trainer(layers.Dense(2), loss="mse", optimizer="sgd", jit=False)
    options = {"batch_size": 8, "verbose": 0}
    trainer.fit(*data, steps=5, **options)
    trainer.fit(*data, steps=9, callbacks=[profiler := Profiler(tmp_path, 4, 4)], **options)
    assert profiler.traced == (6, 7)
