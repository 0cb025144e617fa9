"""Every Python block of the README runs as it stands, in order, in one namespace."""

import pathlib
import re

import numpy as np
import pytest

README = pathlib.Path(__file__).parents[2] / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def namespace(tmp_path_factory):
    """What the blocks have defined, after all of them have run in order."""
    found = {"folder": tmp_path_factory.mktemp("readme")}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(found["folder"])  # what the blocks write is written there
        for number, block in enumerate(BLOCKS, 1):
            exec(compile(block, f"README.md block {number}", "exec"), found)
    return found


def test_there_are_blocks():
    assert len(BLOCKS) == 4


def test_the_ported_script_learns_and_says_what_the_text_says(namespace):
    history = namespace["trainer"].history
    assert history.steps["loss"].shape == (125,)
    assert namespace["trainer"].predict(namespace["x"][:5]).shape == (5, 3)
    values = namespace["trainer"].evaluate(namespace["x"], namespace["y"], verbose=0)
    assert set(values) == {"loss", "accuracy"}


def test_the_custom_step_learns(namespace):
    losses = namespace["history"].steps["loss"]
    assert losses[-10:].mean() < 0.9 * losses[:10].mean()
    np.testing.assert_allclose(
        namespace["history"].history["noise"], 0.3 * np.sqrt(2 / np.pi), rtol=0.05
    )


def test_the_callback_stops(namespace):
    trainer, data = namespace["Trainer"](namespace["Denoise"]()), namespace["data"]
    stop = namespace["StopAt"](1e9)
    history = trainer.fit(data, batch_size=8, epochs=3, callbacks=[stop], verbose=0)
    assert trainer.step == 200
    assert history.stopped.startswith("mean loss of 200 steps")


def test_the_run_that_is_kept_goes_on(namespace):
    x, overnight = namespace["x"], namespace["overnight"]
    overnight.fit(x, x[:, :3], steps=overnight.step + 5, verbose=0)
    assert [path.name for path in (namespace["folder"] / "runs" / "a").glob("0*")] == [
        "000001-step-5"
    ]
