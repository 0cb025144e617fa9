"""All contenders train alike: the same losses and the same weights after the same batches."""

import dataclasses
import pathlib

import numpy as np
import pytest

from benchmarks import peers, workloads
from benchmarks.peers import keras_fit, orbit_loop

SETTINGS = {
    "fit_best": {"input": "tf.data", "steps_per_execution": 4, "jit_compile": False},
}


@pytest.fixture(scope="module")
def digits():
    """150 rows of digits (a partial last batch), and initial weights."""
    import keras

    workload = workloads.get("digits")
    data = workload.data()
    data = dataclasses.replace(data, x_train=data.x_train[:150], y_train=data.y_train[:150])
    keras.utils.set_random_seed(0)
    return workload, data, workload.keras_model().get_weights()


def trained(name, digits):
    peer = peers.get(name)(*digits, SETTINGS.get(name, {}))
    first = peer.train(batches=1)
    one = peer.weights()
    last = peer.train(epochs=2)
    return peer, first, one, last


@pytest.fixture(scope="module")
def reference(digits):
    return trained("fit", digits)


@pytest.mark.parametrize("name", [name for name in peers.PEERS if name != "fit"])
def test_trains_as_fit_does(name, digits, reference):
    try:
        peer, first, one, last = trained(name, digits)
    except peers.Unavailable as reason:
        pytest.skip(str(reason))
    fit, fit_first, fit_one, fit_last = reference
    assert first == pytest.approx(fit_first, rel=1e-5)
    assert last == pytest.approx(fit_last, rel=1e-4)
    for own, theirs in zip(one, fit_one, strict=True):
        np.testing.assert_allclose(own, theirs, rtol=1e-5, atol=1e-6)
    for own, theirs in zip(peer.weights(), fit.weights(), strict=True):
        np.testing.assert_allclose(own, theirs, rtol=1e-3, atol=1e-4)
    assert peer.evaluate()["accuracy"] == pytest.approx(fit.evaluate()["accuracy"], abs=0.01)
    assert peer.evaluate()["loss"] == pytest.approx(fit.evaluate()["loss"], rel=1e-3)
    assert isinstance(peer.describe(), dict)


def test_the_search_keeps_the_best(digits, monkeypatch):
    """On a clock of our own: tf.data with executions of 32 steps is the fastest."""
    peer = peers.get("fit")(*digits, {})

    def speed(setting, batches, epochs):
        if setting["jit_compile"]:
            return 10.0
        return (
            {"arrays": 1.0, "tf.data": 2.0}[setting["input"]] * setting["steps_per_execution"] % 97
        )

    monkeypatch.setattr(peer, "_try", speed)
    tries = peer.search(2, 1)
    assert len(tries) == 12
    assert peer.settings == {"input": "tf.data", "steps_per_execution": 32, "jit_compile": False}


def test_the_cost_of_a_call_is_not_taken_for_that_of_its_steps(digits, monkeypatch):
    """0.1 s a call and 0.1 ms a step: four steps alone would look like 40 steps a second."""
    peer = peers.get("fit")(*digits, {})
    now = 0.0

    def train(batches=None, epochs=1):
        nonlocal now
        now += 0.1 + 1e-4 * peer._steps(batches, epochs)

    monkeypatch.setattr(peer, "train", train)
    monkeypatch.setattr(peer, "compile", lambda: None)
    monkeypatch.setattr(keras_fit.time, "perf_counter", lambda: now)
    epoch = peer._steps(None)
    epochs = -(-256 // epoch)
    setting = {"input": "tf.data", "steps_per_execution": 1, "jit_compile": True}
    steps = epochs * epoch
    assert peer._try(setting, None, epochs) == pytest.approx(steps / (0.1 + 1e-4 * steps))


def test_no_more_steps_are_counted_than_the_data_has(digits):
    peer = peers.get("fit")(*digits, {})
    assert peer._steps(10**6) == peer._steps(None) and peer._steps(None, 3) == 3 * peer._steps(None)


def test_the_search_ends_in_time(digits, monkeypatch):
    peer = peers.get("fit")(*digits, {})
    monkeypatch.setattr(peer, "_try", lambda setting, batches, epochs: 1.0)
    monkeypatch.setattr(keras_fit, "SEARCH_SECONDS", -1.0)
    first, *others = peer.search(2, 1)
    assert first["steps_per_second"] == 1.0 and peer.settings["input"] == first["input"]
    assert len(others) == 11 and all("were over" in entry["skipped"] for entry in others)


def test_hopeless_settings_are_skipped_with_a_reason():
    setting = {"input": "arrays", "steps_per_execution": 1}
    tries = [
        {**setting, "jit_compile": False, "steps_per_second": 60.0},
        {**setting, "jit_compile": True, "steps_per_second": 10.0},
    ]
    later = {"input": "arrays", "steps_per_execution": 32, "jit_compile": True}
    assert "6.0 times slower" in keras_fit._hopeless(tries, later)
    assert keras_fit._hopeless(tries, {**later, "jit_compile": False}) is None
    assert "6.0 times slower" in keras_fit._hopeless(tries, {**later, "input": "tf.data"})
    tries[1]["steps_per_second"] = 40.0
    assert keras_fit._hopeless(tries, later) is None


def test_unknown_contender():
    with pytest.raises(ValueError, match="'fti' is not one of ours"):
        peers.get("fti")


def test_the_page_says_how_orbit_is_installed():
    page = pathlib.Path(orbit_loop.__file__).parents[2] / "docs" / "porting.md"
    assert f"`{orbit_loop.INSTALL}`" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("ours_bare", "dataset"),
        ("ours_bare", "generator"),
        ("fit", "dataset"),
        ("fit", "generator"),
        ("hand", "dataset"),
    ],
)
def test_a_stream_is_the_data_again_and_again(name, kind, digits):
    """Five batches of a stream are the two that there are, twice, and the first once more."""
    workload, data, weights = digits
    size = workload.batch_size
    data = dataclasses.replace(
        data, x_train=data.x_train[: 2 * size], y_train=data.y_train[: 2 * size]
    )
    settings = {"stream": kind, "rows": 5 * size} | ({"jit": False} if name == "ours_bare" else {})
    peer = peers.get(name)(workload, data, weights, settings)
    peer.train()
    again = np.concatenate([np.arange(2 * size), np.arange(2 * size), np.arange(size)])
    data = dataclasses.replace(data, x_train=data.x_train[again], y_train=data.y_train[again])
    arrays = peers.get("fit")(workload, data, weights, {})
    arrays.train()
    for streamed, held in zip(peer.weights(), arrays.weights(), strict=True):
        np.testing.assert_allclose(streamed, held, rtol=1e-4, atol=1e-5)
