"""What the student is shown, and what it is not."""

import numpy as np

from benchmarks.workloads import distillation


def test_the_missing_digit_is_in_the_test_split_alone():
    data = distillation.Distillation().data()
    assert distillation.MISSING not in data.y_train
    assert set(data.y_test) == set(range(10))


def test_the_teacher_stays_as_it_is():
    workload = distillation.Distillation()
    workload.teacher_epochs = 1
    data = workload.data()
    trainer = workload.trainer(data)
    before = [w.copy() for w in trainer.task.teacher.get_weights()]
    trainer.fit(data.x_train[:64], data.y_train[:64], batch_size=32, verbose=0)
    for a, b in zip(before, trainer.task.teacher.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
