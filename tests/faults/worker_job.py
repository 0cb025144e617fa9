"""A job for two workers that are killed, frozen and stopped: run by the launcher.

    worker_job.py FOLDER EVERY

It leaves word of itself in FOLDER: who runs (`pid-0`), and that training has begun (`begun-0`).
"""

import json
import os
import pathlib
import sys

PLACE = pathlib.Path(sys.argv[1])
TASK = json.loads(os.environ["TF_CONFIG"])["task"]["index"]


def leave(name):
    """Writes this process's number to a file, at once and whole."""
    (PLACE / f".{name}-{TASK}").write_text(str(os.getpid()))
    (PLACE / f".{name}-{TASK}").rename(PLACE / f"{name}-{TASK}")


def main():
    """Trains by epochs and on to a step; a marker is left when training begins."""
    leave("pid")
    import numpy as np
    import tensorflow as tf

    import layers
    import losses
    import optimizers
    from trainer import Callback, Checkpoint, EarlyStopping, Every, TensorBoard, Trainer

    class Begun(Callback):
        when = Every(steps=1_000_000)

        def on_train_begin(self, run):
            leave("begun")

    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 12)).astype("float32")
    y = (x[:, :4] @ rng.normal(size=(4, 3))).argmax(-1)
    model = layers.Sequential(
        [
            layers.Dense(16),
            layers.BatchNormalization(synchronized=True),
            layers.Activation("relu"),
            layers.Dropout(0.2),
            layers.Dense(3),
        ]
    )
    trainer = Trainer(
        model,
        loss=losses.SparseCategoricalCrossentropy(from_logits=True),
        optimizer=optimizers.Adam(1e-3, use_ema=True),
        metrics=["accuracy"],
        strategy=strategy,
        checkpoint=Checkpoint(PLACE / "checkpoints", when=Every(steps=int(sys.argv[2]))),
    )
    settings = {
        "batch_size": 16,  # 6 steps an epoch, the last of 10 rows
        "verbose": 0,
        "validation_data": (x[:41], y[:41]),
        "validation_freq": Every(steps=250),
    }

    def callbacks():
        stop = EarlyStopping("val_loss", patience=500, restore_best_weights=True)
        return [Begun(), TensorBoard(PLACE / "logs"), stop]

    trainer.fit(x, y, epochs=100, callbacks=callbacks(), **settings)
    trainer.fit(x, y, steps=1500, callbacks=callbacks(), **settings)


main()
