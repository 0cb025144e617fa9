"""A run may go on with another number of replicas: the same batches, the same numbers."""

import numpy as np

from benchmarks.replicated.trainings import distance, train


def test_a_restart_with_another_number_of_replicas_goes_on_exactly(mirrored, tmp_path):
    _, whole, want = train("text", steps=30)
    for steps, replicas in ((7, 1), (13, 4), (21, 2), (30, 1)):  # amid epochs of 4 steps
        strategy = None if replicas == 1 else mirrored(replicas)
        trainer, history, got = train("text", strategy, steps, checkpoint=str(tmp_path))
        assert trainer.step == steps
    assert distance(got, want) < 1e-6
    np.testing.assert_allclose(history.steps["loss"], whole.steps["loss"], rtol=1e-6)


def test_the_same_number_of_replicas_goes_on_bit_for_bit(mirrored, tmp_path):
    _, whole, want = train("cnn", mirrored(2), steps=20)
    for steps in (9, 20):
        _, history, got = train("cnn", mirrored(2), steps, checkpoint=str(tmp_path))
    assert distance(got, want) == 0.0
    np.testing.assert_array_equal(history.steps["loss"], whole.steps["loss"])
