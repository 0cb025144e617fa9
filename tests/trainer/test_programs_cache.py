"""TensorFlow's own cache of XLA programs on disk, as docs/compiling.md switches it on."""

import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = """
import json
import numpy as np
import layers
from trainer import Trainer

x = np.linspace(-1, 1, 96, dtype="float32").reshape(32, 3)
model = layers.Dense(2, kernel_initializer="ones")
trainer = Trainer(model, loss="mse", optimizer="adam", jit="loop")
trainer.fit(x, x[:, :2], batch_size=8, verbose=0)
print(json.dumps([w.tolist() for w in model.get_weights()]))
"""


def test_a_second_start_reads_what_the_first_compiled(tmp_path):
    """Else it would compile, and write each program anew. Weights agree to the bit."""
    flags = f"--tf_xla_persistent_cache_directory={tmp_path}"
    flags += " --tf_xla_persistent_cache_device_types=CPU"
    environment = {**os.environ, "TF_XLA_FLAGS": flags, "CUDA_VISIBLE_DEVICES": "-1"}

    def start():
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stderr[-2000:]
        written = {f.name: f.stat().st_mtime_ns for f in tmp_path.rglob("*") if f.is_file()}
        return json.loads(done.stdout.splitlines()[-1]), written

    first, written = start()
    assert written
    assert start() == (first, written)
