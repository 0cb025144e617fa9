"""Predictions: what is shown is what the model says now, with every step in its place."""

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from trainer.callbacks import Predictions, predictions


def read(folder):
    return EventAccumulator(str(folder / "predictions"), size_guidance={"tensors": 0}).Reload()


def test_texts_are_written_at_each_call(fit, make_run, tmp_path):
    x = np.array([[1.0, 2.0], [3.0, 0.5]])
    callback = Predictions(tmp_path, x, np.array([[1.0], [0.0]]))
    fit([callback], make_run())  # the model multiplies by the step
    found = read(tmp_path).Tensors("table")
    assert [event.step for event in found] == [10, 20, 30]
    lines = found[1].tensor_proto.string_val[0].decode().splitlines()
    assert lines[0] == "| # | true 0 | output 0 | output 1 |"
    assert lines[2:] == ["| 0 | 1 | 20 | 40 |", "| 1 | 0 | 60 | 10 |"]
    assert callback.memory() == {"unwritten": []}


def test_of_several_workers_all_predict_and_the_chief_writes(fit, make_run, tmp_path):
    run, predicted = make_run(chief=False), []
    run.predict = lambda x: predicted.append(x) or x
    callback = Predictions(tmp_path, np.zeros([2, 2]))
    fit([callback], run)
    assert len(predicted) == 3
    assert list(tmp_path.iterdir()) == []
    callback.load_memory({"unwritten": [[]]})  # the chief's


def test_images_are_framed_by_right_and_wrong(fit, make_run, tmp_path):
    x = np.zeros([2, 4, 4, 1])
    show = predictions.images()
    right, wrong = show(x, np.array([0, 0]), np.array([[1.0, 0.0], [0.0, 1.0]]))["images"]
    assert right[0, 0, 1] > right[0, 0, 0]
    assert wrong[0, 0, 0] > wrong[0, 0, 1]
    fit(
        [Predictions(tmp_path, x, np.array([0, 0]), show=lambda x, t, p: show(x, t, p[:, 0, 0]))],
        make_run(),
    )
    width, height, *pictures = read(tmp_path).Tensors("images")[0].tensor_proto.string_val
    assert (width, height, len(pictures)) == (b"104", b"104", 2)
    assert tf.io.decode_png(pictures[0]).shape == (104, 104, 3)


def test_images_of_outputs_stand_beside_inputs():
    x = np.zeros([1, 8, 8, 1])
    (row,) = predictions.images()(x, None, x)["images"]
    assert row.shape == (96, 96 + 4 + 96, 1)
    assert predictions.images()(x, None, np.zeros([1, 3]))["images"][0].shape == (96, 96, 1)


def test_texts_are_decoded():
    shown = predictions.text(lambda ids: "".join(map(chr, ids)))([[97]], [[98]], [[99]])
    assert shown["text"].splitlines()[-1] == "| a | b | c |"


@pytest.mark.parametrize("truth", [np.array([1, 0]), np.eye(2)[::-1]])
def test_classes_are_named_and_mistakes_are_bold(truth):
    shown = predictions.table(["cat", "dog"])(None, truth, np.array([[0.1, 0.9], [0.2, 0.8]]))
    assert shown["table"].splitlines()[2:] == [
        "| 0 | dog | dog | 0.1 | 0.9 |",
        "| 1 | cat | **dog** | 0.2 | 0.8 |",
    ]
