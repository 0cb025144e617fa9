"""What checkpoints cost: the contenders restore what they saved, and the sums are right."""

import io
import json

import numpy as np
import pytest

from benchmarks import (
    child,
    harness,
    machine,
    peers,
    plot,
    processes,
    results,
    saving,
    tables,
    workloads,
)
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
    peer, kind = saving.SAVERS[name]
    jit = {"jit": False} if peer == "saving_ours" else {}
    try:
        return peers.get(peer)(*tiny, {"kind": kind, **jit, "every": EVERY, **settings})
    except peers.Unavailable as reason:
        pytest.skip(str(reason))


@pytest.mark.parametrize("name", saving.SAVERS)
def test_a_saver_restores_what_it_saved(name, tiny):
    """In two rounds, a save first and a save last; the last is of what was trained by then."""
    peer = made(name, tiny)
    assert peer.train(batches=1) > 0
    for _ in range(2):
        peer.train()
        noted = peer.noted()
        assert len(noted["pauses"]) == 1 and noted["pauses"][0] > 0
        assert noted["seconds"] > 0 and noted["without"] > 0
        assert noted["bytes"] > 3 * sum(weight.nbytes for weight in tiny[2])
    again = made(name, tiny, folder=noted["folder"])
    again.restore()
    newest, initial = peer.weights(), tiny[2]
    for there, here, begun in zip(newest, again.weights(), initial, strict=True):
        # Adam moves a weight by the learning rate a step at most, about; some steps came after.
        assert np.abs(here - begun).max() > 4 * 1e-4
        np.testing.assert_allclose(there, here, atol=(EVERY + 4) * 2e-4)


def test_rhythm():
    class At:
        def __init__(self, step):
            self.step = step

    rhythm = Rhythm(10, start=3)
    assert [rhythm.next(At(step)) for step in (0, 2, 3, 12, 13)] == [3, 3, 13, 13, 23]
    assert [step for step in range(30) if rhythm.due(At(step))] == [3, 13, 23]


@pytest.fixture
def record():
    """Rounds of one save each; the machine is disturbed in the second, which pairs mend."""

    def noted(without, pause, extra):
        given = {"pauses": [pause], "extra_mb": extra, "bytes": 202e6, "folder": "f"}
        return {"without": without, **given}

    return saving.summarise(
        {
            "title": "an MLP",
            "batch_size": 8,
            "steps_per_round": 100,
            "contenders": {
                "ours_checkpoint": {
                    "rounds": [5.2, 10.4],
                    "noted": [noted(5.0, 0.003, 200), noted(10.0, 0.005, 200)],
                    "restore_seconds": 0.5,
                },
                "fit_model": {
                    "rounds": [12.0, 12.0],
                    "noted": [noted(10.0, 1.0, 100)] * 2,
                    "note": "it could not be restored: [why]\nTraceback",
                },
                "orbit_manager": {"skipped": "Orbit is not installed"},
            },
        }
    )


def test_each_is_held_against_its_own_loop(record):
    ours, fit = (record["contenders"][name] for name in ("ours_checkpoint", "fit_model"))
    assert ours["cost"]["low"] == ours["cost"]["high"] == pytest.approx(1.04)
    assert fit["cost"]["median"] == pytest.approx(1.2)
    assert ours["save_seconds"]["median"] == pytest.approx((0.2 + 0.4) / 2)
    assert fit["save_seconds"]["median"] == pytest.approx(2.0)
    assert ours["pause_ms"]["high"] == pytest.approx(5.0)
    assert (ours["extra_mb"], fit["extra_mb"]) == (200, 100)
    assert "cost" not in record["contenders"]["orbit_manager"]


def test_table_and_files(record, tmp_path):
    stream = io.StringIO()
    saving.show(tables.console(file=stream), record)
    lines = stream.getvalue().splitlines()
    (row,) = (line for line in lines if "ours: Checkpoint" in line)
    assert " ".join(row.split()[2:]) == "75.0 +4.0% +4.0% .. +4.0% 0.30 4 5 202 0.50 +200"
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
    """Answers as `processes.Process` does, in this process."""

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
    for module in (harness, processes):
        monkeypatch.setattr(module, "Process", Here)
    monkeypatch.setattr(harness, "PAUSE", 0.0)
    found = saving.measure(
        ["ours_checkpoint"],
        every=EVERY,
        rounds=1,
        jit=False,
        overrides={"units": 8, "hidden": 2, "batch_size": 8},
    )
    entry = found["contenders"]["ours_checkpoint"]
    assert entry["restore_seconds"] > 0 and entry["pause_ms"]["low"] > 0
    assert entry["cost"]["low"] > 0 and len(entry["noted"]) == 1
