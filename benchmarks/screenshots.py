"""Pictures of TensorBoard's pages, for the documentation: trains on digits, serves, looks.

    python -m benchmarks.screenshots --out=docs/images

Needs Chromium, headless. Takes about a minute.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence

import numpy as np
from absl import flags, logging

from benchmarks import cli

SECONDS = 90.0  # the longest that a server or a page may take
PAGES = {
    "tensorboard_histograms": "histograms",
    "tensorboard_custom_scalars": "custom_scalars",
}


def chromium() -> str | None:
    """The browser's program, if there is one."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return next((found for name in names if (found := shutil.which(name))), None)


@contextlib.contextmanager
def serving(folder: pathlib.Path) -> Iterator[str]:
    """The address of a TensorBoard on loopback that reads a folder."""
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", folder.name]
    command += ["--host", "127.0.0.1", "--port", "0", "--reload_interval", "1"]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONUNBUFFERED": "1"}
    with tempfile.TemporaryDirectory() as place:
        log = pathlib.Path(place) / "log"
        with log.open("w") as out:
            process = subprocess.Popen(
                command, cwd=folder.parent, stdout=out, stderr=subprocess.STDOUT, env=environment
            )
        try:
            end = time.monotonic() + SECONDS
            while not (found := re.search(r"http://127\.0\.0\.1:\d+", log.read_text())):
                if process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError(f"TensorBoard does not start:\n{log.read_text()}")
                time.sleep(0.1)
            yield found[0]
        finally:
            process.terminate()
            process.wait(10)


def look(browser: str, address: str, *options: str) -> str:
    """What the browser prints of a page once its scripts have run for some seconds."""
    with tempfile.TemporaryDirectory() as profile:
        command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        command += [f"--user-data-dir={profile}", "--window-size=1280,860", *options]
        command += ["--virtual-time-budget=20000", address]
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True)
    return done.stdout


def train(folder: pathlib.Path) -> None:
    """A small net on real digits, with what the pages show."""
    import layers
    import losses
    import optimizers
    from benchmarks.data.digits import load_digits
    from trainer import Every, Trainer, metrics
    from trainer.callbacks import Predictions, TensorBoard, predictions

    data = load_digits()
    model = layers.Sequential(
        [
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(32, activation="relu"),
            layers.Dense(10),
        ]
    )
    names = [str(i) for i in range(10)]
    board = TensorBoard(
        folder, histogram_freq=Every(steps=20), hparams={"learning_rate": 2e-3, "units": 64}
    )
    x, y = (np.asarray(a)[:16] for a in (data.x_test, data.y_test))
    Trainer(
        model,
        loss=losses.SparseCategoricalCrossentropy(from_logits=True),
        optimizer=optimizers.Adam(2e-3),
        metrics=["accuracy", metrics.ConfusionMatrix(10)],
        gradient_norm=True,
    ).fit(
        data.x_train,
        data.y_train,
        batch_size=32,
        epochs=6,
        verbose=0,
        validation_data=(data.x_test, data.y_test),
        callbacks=[board, Predictions(folder, x, y, show=predictions.table(names))],
    )


def define_flags() -> None:
    """This command's flags."""
    flags.DEFINE_string("out", "docs/images", "Folder for the pictures.")


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    browser = chromium()
    if browser is None:
        logging.error("no Chromium is installed: apt-get install chromium")
        return 1
    out = pathlib.Path(flags.FLAGS.out)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place) / "digits"
        train(folder)
        with serving(folder) as address:
            time.sleep(4.0)  # the server reads the files
            for name, page in PAGES.items():
                path = out / f"{name}.png"
                look(browser, f"{address}/#{page}", f"--screenshot={path.resolve()}")
                logging.info("written: %s", path)
    return 0


if __name__ == "__main__":
    define_flags()
    cli.run(main)
