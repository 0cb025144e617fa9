"""Certify: passes an exact job, and names the first difference of one that is not."""

import dataclasses
import pathlib
import textwrap

import pytest

from trainer.checkpoint import CheckpointError
from trainer.checkpoint.manifest import Manifest, Value
from trainer.checkpoint.proof import Certificate, certify, first_difference

JOB = """
    import numpy as np
    import layers, optimizers
    from trainer import Trainer

    def exact(checkpoint):
        x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
        trainer = Trainer(layers.Dense(4), loss="mse", optimizer=optimizers.Adam(0.1), jit=False,
                          checkpoint=checkpoint)
        trainer.fit(x, x, batch_size=8, epochs=4, verbose=0)
        return trainer

    def random(checkpoint):
        x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
        rate = np.random.default_rng().uniform(0.1, 0.2)  # another in each process
        trainer = Trainer(layers.Dense(4), loss="mse", optimizer=optimizers.Adam(rate), jit=False,
                          checkpoint=checkpoint)
        trainer.fit(x, x, batch_size=8, epochs=2, verbose=0)
        return trainer

    def nowhere(checkpoint):
        return exact(None)

    def broken(checkpoint):
        raise OSError("no data here")
    """


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    path = tmp_path_factory.mktemp("job") / "job.py"
    path.write_text(textwrap.dedent(JOB))
    return path


def test_an_exact_job_passes(job, tmp_path):
    said = []
    found = certify(f"{job}:exact", kills=2, folder=tmp_path, say=said.append)
    assert found.passed
    assert found.steps == 32
    assert len(found.kills) == 2
    assert "bit for bit" in str(found)
    assert said[0].startswith("uninterrupted: 32 steps")
    assert (pathlib.Path(tmp_path) / "killed").is_dir()


def test_a_job_that_is_not_deterministic_is_told_from_one_that_does_not_resume(job):
    found = certify(f"{job}:random", kills=1)
    assert not found.passed
    assert found.steady is False
    assert "model/kernel" in found.difference
    assert "Two uninterrupted runs differ too" in str(found)


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("nowhere", CheckpointError, "took no checkpoint"),
        ("broken", CheckpointError, "(?s)failed by itself.*no data here"),
    ],
)
def test_jobs_that_cannot_be_certified(job, name, error, words):
    with pytest.raises(error, match=words):
        certify(f"{job}:{name}", kills=1)
    with pytest.raises(ValueError, match=r"file\.py:function"):
        certify("job.py")


def test_first_difference():
    value = Value((2,), "float32", "0" * 64, True)
    manifest = Manifest(
        serial=1,
        step=3,
        time="",
        files={},
        values={"w": value, "b": value},
        weights_sha256="",
        header={},
        metrics={},
        plain={"run": {"window": [1.0, float("nan")]}, "calls": []},
    )

    def other(**changes):
        return first_difference(manifest, dataclasses.replace(manifest, **changes))

    assert other(serial=9, time="later", header={"a": 1}) is None
    assert other(step=4) == "the step: 3 and 4"
    assert other(values={"w": value}) == "b is in one of them only"
    changed = value._replace(sha256="1" * 64)
    assert other(values={"w": changed, "b": changed}) == "w, float32 [2]"
    plain = {"run": {"window": [1.0, 2.0]}, "calls": []}
    assert other(plain=plain) == "run/window/1: nan and 2.0"
    assert other(plain={"run": manifest.plain["run"]}) == "calls is in one of them only"


def test_a_certificate_says_what_differs():
    text = str(Certificate("job", 10, ("at its end",), "w, float32 [2]", steady=True))
    assert "ended otherwise. First: w, float32 [2]" in text
    assert "Two uninterrupted" not in text
