"""ResNet-20 as the paper counts it."""

import numpy as np
import tensorflow as tf

from benchmarks import workloads
from benchmarks.workloads import resnet


def test_it_has_the_paper_s_weights():
    """He et al. 2015, table 6: 0.27 million for 20 layers, which are those with weights."""
    model = workloads.get("resnet").model()
    assert model(np.zeros([1, 32, 32, 3], np.float32)).shape == [1, 10]
    trained = model.trainable_variables
    assert round(sum(int(np.prod(v.shape)) for v in trained) / 1e6, 2) == 0.27
    assert sum(v.shape.rank > 1 for v in trained) == 20


def test_a_folder_of_other_data_changes_nothing(tmp_path):
    """As where one folder is given for all workloads, and the machine has no network."""
    workload = workloads.get("resnet", {"rows": 8})
    np.testing.assert_array_equal(workload.data(tmp_path).x_train, workload.data().x_train)


def test_a_shortcut_halves_sides_and_doubles_channels():
    x = np.random.default_rng(0).random([2, 4, 6, 4], np.float32)
    found = resnet.halved(x).numpy()
    np.testing.assert_array_equal(found[..., 2:-2], x[:, ::2, ::2])
    assert found.shape == (2, 2, 3, 8) and not found[..., :2].any() and not found[..., -2:].any()


def test_the_rate_falls_after_half_and_three_quarters_of_the_steps():
    workload = workloads.get("resnet", {"rows": 130, "batch_size": 64, "epochs": 4})  # 12 steps
    for optimizer in (workload.optimizer(), workload.keras_optimizer()):
        optimizer.build([tf.Variable(1.0)])
        rates = []
        for step in (0, 6, 7, 9, 10):
            optimizer.iterations.assign(step)
            rates.append(float(optimizer.learning_rate))
        np.testing.assert_allclose(rates, [0.1, 0.1, 0.01, 0.01, 0.001], rtol=1e-6)
