"""What checkpoints cost: the contenders restore what they saved, and the sums are right."""

import io
import json

import numpy as np
import pytest

from benchmarks import child, harness, machine, peers, plot, results, saving, tables, workloads
from benchmarks.peers.saving import Rhythm

EVERY = 4


@pytest.fixture(scope="module")
def tiny():
    """Two layers of 8 units, four batches, and initial weights."""
    import keras

    sizes = {"units": 8, "hidden": 2, "batch_size": 8, "rows": EVERY * 8}
    workload = workloads.get("wide", sizes)
    keras.utils.set_random_seed(0)
    return workload, workload.data(), workload.keras_model().get_weights()


def made(name, tiny, **settings):
    _, peer, own = saving.CONTENDERS[name]
    jit = {"jit": False} if peer == "saving_ours" else {}
    try:
        return peers.get(peer)(*tiny, {**own, **jit, "every": EVERY, **settings})
    except peers.Unavailable as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("name", saving.SAVERS)
def test_a_saver_restores_what_it_saved(name, tiny):
    """Two cycles, a save in each; the last save is of the weights as they are in the end."""
    peer = made(name, tiny)
    assert peer.train(batches=1) > 0
    for _ in range(2):  # rounds
        peer.train(epochs=2)
        noted = peer.noted()
        assert len(noted["pauses"]) == 2 and sum(noted["pauses"]) > 0
        assert noted["seconds"] > 0 and noted["round_peak_mb"] > 10
        weights = sum(weight.nbytes for weight in tiny[2])
        assert noted["bytes"] > weights * 3
    again = made(name, tiny, folder=noted["folder"])
    again.restore()
    for there, here in zip(peer.weights(), again.weights(), strict=True):
        np.testing.assert_array_equal(there, here)
    assert not np.array_equal(again.weights()[0], tiny[2][0])


@pytest.mark.parametrize("name", sorted({base for base, *_ in saving.CONTENDERS.values()}))
def test_the_loop_without_saves_nothing(name, tiny):
    peer = made(name, tiny)
    assert peer.train(batches=1) > peer.train(epochs=2) > 0
    noted = peer.noted()
    assert (noted["pauses"], noted["bytes"]) == ([], 0)
    assert noted["seconds"] > 0


def test_rhythm():
    class At:
        def __init__(self, step):
            self.step = step

    rhythm = Rhythm(10, start=3)
    assert [rhythm.next(At(step)) for step in (0, 2, 3, 12, 13)] == [3, 3, 13, 13, 23]
    assert [step for step in range(30) if rhythm.due(At(step))] == [3, 13, 23]


@pytest.fixture
def record():
    """Rounds of two saves each; the loops of ours disturbed in the second, which pairs mend."""

    def noted(pause, peak):
        return {"pauses": [pause, pause], "round_peak_mb": peak, "bytes": 202e6, "folder": "f"}

    entry = {"first_loss": 1.0, "losses": [1.0]}
    return saving.summarise(
        {
            "title": "an MLP",
            "batch_size": 8,
            "every": 100,
            "steps_per_round": 200,
            "contenders": {
                "ours_loop": {**entry, "rounds": [10.0, 20.0], "noted": [noted(0, 500)] * 2},
                "ours_checkpoint": {
                    **entry,
                    "rounds": [10.4, 20.8],
                    "noted": [noted(0.003, 700), noted(0.005, 700)],
                    "restore_seconds": 0.5,
                },
                "fit_loop": {**entry, "rounds": [10.0, 10.0], "noted": [noted(0, 500)] * 2},
                "fit_model": {
                    **entry,
                    "rounds": [12.0, 12.0],
                    "noted": [noted(1.0, 600)] * 2,
                    "note": "it could not be restored: [why]\nTraceback",
                },
                "orbit_loop": {"skipped": "Orbit is not installed"},
            },
        }
    )


def test_each_is_held_against_its_own_loop(record):
    ours, fit = (record["contenders"][name] for name in ("ours_checkpoint", "fit_model"))
    assert ours["cost"]["low"] == ours["cost"]["high"] == pytest.approx(1.04)
    assert fit["cost"]["median"] == pytest.approx(1.2)
    assert ours["save_seconds"]["median"] == pytest.approx((0.2 + 0.4) / 2)
    assert fit["save_seconds"]["median"] == pytest.approx(1.0)
    assert ours["pause_ms"]["high"] == pytest.approx(5.0)
    assert (ours["extra_mb"], fit["extra_mb"]) == (200, 100)
    assert "cost" not in record["contenders"]["ours_loop"]


def test_table_and_files(record, tmp_path):
    stream = io.StringIO()
    saving.show(tables.console(file=stream), record)
    lines = stream.getvalue().splitlines()
    (row,) = (line for line in lines if "ours, Checkpoint" in line)
    assert " ".join(row.split()[2:]) == "78.0 +4.0% +4.0% .. +4.0% 0.30 4 5 202 0.50 +200"
    assert max(map(len, lines)) <= tables.PIPE_WIDTH and "…" not in stream.getvalue()
    assert any("it could not be restored: [why]" in line for line in lines)
    assert any("Orbit is not installed" in line for line in lines)
    measured = {"machine": machine.facts(), "versions": {}, "workloads": {"wide": record}}
    saving.write(measured, tmp_path / "new")
    assert results.load(tmp_path / "new" / "saving.json")["workloads"] == {"wide": record}
    assert (tmp_path / "new" / "saving.png").stat().st_size > 1000
    with pytest.raises(ValueError, match="nothing to draw"):
        plot.draw({**measured, "workloads": {}}, tmp_path / "no.png", saving.COLUMNS)


class Here:
    """Answers as `harness.Process` does, in this process."""

    def __init__(self, name, spec, log):
        self.name, self.server = name, child.Server(json.loads(json.dumps(spec)))

    def send(self, do, **arguments):
        self.answer = getattr(self.server, do)(**arguments)

    def receive(self):
        return json.loads(json.dumps(self.answer))

    def close(self):
        self.server = None


def test_the_whole_measurement(monkeypatch):
    """Ours alone: the loop, the saver and the restore."""
    monkeypatch.setattr(harness, "Process", Here)
    monkeypatch.setattr(harness, "PAUSE", 0.0)
    found = saving.measure(
        ["ours_checkpoint"],
        every=EVERY,
        saves=2,
        rounds=1,
        jit=False,
        overrides={"units": 8, "hidden": 2, "batch_size": 8},
    )
    entry = found["contenders"]["ours_checkpoint"]
    assert list(found["contenders"]) == ["ours_loop", "ours_checkpoint"]
    assert entry["restore_seconds"] > 0 and entry["pause_ms"]["low"] > 0
    assert entry["first_loss"] == found["contenders"]["ours_loop"]["first_loss"]
