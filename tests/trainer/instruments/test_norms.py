"""Norms against NumPy in float64."""

import numpy as np
import tensorflow as tf

from trainer.instruments import Norms, Seen


def test_are_numpys(run):
    rng = np.random.default_rng(0)
    before, gradient = rng.normal(size=(2, 30, 7)).astype("float32")
    after = before - np.float32(0.01) * gradient
    zeros = np.zeros([3], "float32")
    seen = Seen(["w", "b"], [gradient, None], [before, zeros], [after, zeros])
    seen = tf.nest.map_structure(
        lambda x: x if x is None or isinstance(x, str) else tf.constant(x), seen
    )
    found = {name: float(value) for name, value in tf.function(Norms())(seen).items()}
    wide = [x.astype(float) for x in (gradient, before, after)]
    update = np.linalg.norm(wide[2] - wide[1])
    want = {
        "gradient_norm/w": np.linalg.norm(wide[0]),
        "weight_norm/w": np.linalg.norm(wide[1]),
        "update_norm/w": update,
        "update_ratio/w": update / np.linalg.norm(wide[1]),
        "weight_norm/b": 0.0,
        "update_norm/b": 0.0,
        "update_ratio/b": 0.0,
    }
    assert found.keys() == want.keys()
    np.testing.assert_allclose(list(found.values()), [want[n] for n in found], rtol=1e-5)
