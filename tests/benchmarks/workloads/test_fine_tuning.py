"""Each layer has the learning rate of its group."""

import numpy as np

from benchmarks.workloads import fine_tuning


def test_layers_move_as_their_groups_say():
    """Adam's first step is the learning rate, wherever the gradient is not next to nothing."""
    workload = fine_tuning.FineTuning()
    workload.pretraining_epochs = 1
    data = workload.data()
    before = workload.initial_weights(data, seed=0)
    trainer = workload.trainer(data, before)
    trainer.fit(data.x_train, data.y_train, batch_size=40, verbose=0)
    after = workload.get_weights(trainer)
    moved = [np.max(np.abs(a - b)) for a, b in zip(after, before, strict=True)]
    np.testing.assert_array_equal(moved[:2], [0, 0])  # the frozen edges
    np.testing.assert_allclose(moved[2:6], 0.3e-3, rtol=0.02)
    np.testing.assert_allclose(moved[6:], 1e-2, rtol=0.02)


def test_few_images_of_each_digit_are_labeled():
    data = fine_tuning.FineTuning().data()
    assert len(data.x_train) == 10 * fine_tuning.SHOTS
    assert np.mean(data.y_train) == 0.5 and set(data.y_test) == {0, 1}
