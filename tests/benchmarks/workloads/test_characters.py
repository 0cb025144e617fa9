"""Bits per character, and texts that go on."""

import math

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import workloads
from benchmarks.data import Data, encode
from benchmarks.workloads.characters import PROMPT

TEXT = encode("to be, or not to be, that is the question: " * 40)


@pytest.fixture(params=["lstm", "gpt"])
def job(request, monkeypatch):
    """A workload, a little data, a Trainer that has seen it once."""
    monkeypatch.setattr("benchmarks.workloads.gpt.BLOCKS", 1)
    workload = workloads.get(request.param)
    rows = TEXT[: 65 * 26].reshape(26, 65)
    data = Data(rows[:, :-1], rows[:, 1:], rows[:8, :-1], rows[:8, 1:])
    trainer = workload.trainer(data, seed=1, jit=False)
    trainer.fit(data.x_train, data.y_train, batch_size=13, verbose=0)
    return workload, data, trainer


def test_bits_and_samples(job):
    workload, data, trainer = job
    found = workload.quality(trainer, data)
    assert found["bits_per_character"] == pytest.approx(found["loss"] / math.log(2))
    sample = workload.sample(trainer, data)
    assert sample.startswith("[to be, or not to] ")
    generator = workload.generator(trainer.task.model)
    generator.temperature = 0.0  # the likeliest, one after the other, is what the model itself says
    tokens = generator(data.x_test[:1, :PROMPT], 3).numpy()[0]
    for end in range(PROMPT, PROMPT + 3):
        padded = np.pad(tokens[:end], [0, 64 - end])  # what comes later is not seen
        logits = trainer.task.model(tf.constant(padded[np.newaxis]))[0, end - 1].numpy()
        assert logits[tokens[end]] == pytest.approx(logits.max(), abs=1e-5)
