"""Turns, failures and the processes of the harness, on contenders that train nothing."""

import types

import pytest

from benchmarks import child, harness, processes, results, workloads


class Fake:
    """Answers from a script and writes down who was told what."""

    def __init__(self, name, seconds, journal, fails_on=None):
        self.name, self.seconds, self.journal = name, list(seconds), journal
        self.fails_on = fails_on
        self.closed = False
        self.woken = []

    def send(self, do, **arguments):
        self.journal.append((self.name, do))
        self.command = do
        if do == "train":
            self.woken.append(arguments.get("wake", False))

    def receive(self):
        if self.command == self.fails_on:
            raise processes.Failed("it broke\nwith a long log")
        return {
            "load": {"versions": {}},
            "start": {"seconds": 2.0, "loss": 1.0, "settings": {"a": 1}},
            "train": {
                "seconds": self.seconds.pop(0) if self.command == "train" else 0,
                "loss": 0.5,
            },
            "plan": {"seconds": 3.0},
            "evaluate": {"loss": 0.4, "accuracy": 0.9},
            "finish": {"peak_mb": 100.0},
        }[self.command]

    def close(self):
        self.closed = True


def run(fakes, rounds=2):
    field = harness.Field(list(fakes))
    field.load()
    harness.start(field)
    harness.race(field, rounds=rounds, batches=None, epochs=1, steps=10)
    harness.finish(field)
    return field


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    """Other tests keep the machine busy: nobody waits until it rests."""
    monkeypatch.setattr(harness, "PAUSE", 0.0)


def test_rounds_take_turns():
    """And each begins with another contender."""
    journal = []
    field = run([Fake("a", [9, 1, 3], journal), Fake("b", [9, 2, 4], journal)])
    turns = [name for name, do in journal if do == "train"]
    assert turns == ["a", "b", "a", "b", "b", "a"]  # one to warm up, two timed
    assert field.records["a"]["rounds"] == [1, 3] and field.records["b"]["rounds"] == [2, 4]
    assert field.records["a"]["warm_up_seconds"] == 9
    assert field.records["b"]["first_step_seconds"] == 2.0
    assert field.records["b"]["test"]["accuracy"] == 0.9
    assert field.records["b"]["peak_mb"] == 100.0
    assert [do for name, do in journal if name == "b"][-2:] == ["finish", "evaluate"]


def test_a_timed_round_follows_an_epoch_that_is_not_timed(monkeypatch, tmp_path):
    fake = Fake("a", [9, 1, 3], [])
    run([fake])
    assert fake.woken == [False, True, True]

    class Peer:
        trained = []

        def train(self, batches, epochs):
            self.trained.append((batches, epochs))
            return 0.5

        def noted(self):
            return {"until": len(self.trained)}

    clock = types.SimpleNamespace(perf_counter=lambda: len(Peer.trained), process_time=lambda: 0)
    monkeypatch.setattr(child, "time", clock)
    server = child.Server({"folder": str(tmp_path)})
    server.peer = Peer()
    answer = server.train(batches=3, epochs=2, wake=True)
    assert Peer.trained == [(3, 1), (3, 2)]
    assert answer["seconds"] == 1 and answer["noted"] == {"until": 2}


def test_plans_are_told_apart():
    field = harness.Field([Fake("a", [], [])])
    field.load()
    harness.start(field)
    harness.plan(field, batches=3)
    assert field.records["a"]["plan_seconds"] == 3.0


def test_loading_is_side_by_side_and_all_else_is_not():
    journal = []
    run([Fake("a", [1] * 3, journal), Fake("b", [1] * 3, journal)])
    assert journal[:4] == [("a", "load"), ("b", "load"), ("a", "start"), ("b", "start")]


@pytest.mark.parametrize("command", ["load", "start", "train"])
def test_who_fails_leaves_and_the_others_go_on(command):
    journal, said = [], []
    bad = Fake("a", [1] * 3, journal, fails_on=command)
    field = harness.Field([bad, Fake("b", [1] * 3, journal)], say=said.append)
    field.load()
    harness.start(field)
    harness.race(field, rounds=2, batches=None, epochs=1, steps=10)
    assert field.records["a"] == {"skipped": "it broke\nwith a long log"} and bad.closed
    assert field.records["b"]["rounds"] == [1, 1]
    assert "a is left out: it broke" in said
    assert sum(name == "a" and do == command for name, do in journal) == 1


class Own(workloads.Custom):
    """A step that fit cannot say."""

    name, title, batch_size = "own", "a step of its own", 10


def test_what_fit_cannot_say_is_measured_without_it(tmp_path, monkeypatch):
    """It is told in one line, without a process; the hand-written loop is the base."""
    journal, said = [], []
    monkeypatch.setattr(harness, "Process", lambda name, *_: Fake(name, [9, 1, 2], journal))
    seen = []
    record = harness.compete(
        Own(),
        tmp_path,
        100,
        ["ours", "fit", "fit_best", "hand"],
        rounds=2,
        steps=10,
        between=lambda field: seen.extend(c.name for c in field.contenders),
        say=said.append,
    )
    assert {name for name, _ in journal} == {"ours", "hand"} and seen == ["ours", "hand"]
    assert list(record["contenders"]) == ["ours", "fit", "fit_best", "hand"]
    assert record["reference"] == "hand" and record["contenders"]["ours"]["ratio"]["median"] == 1.0
    (line,) = (line for line in said if "fit cannot say the step of own" in line)
    assert line.startswith("left out: fit, fit_best:")
    assert "fit cannot say" in record["contenders"]["fit_best"]["skipped"]


def test_a_search_that_fails_leaves_its_contender_out(tmp_path, monkeypatch):
    monkeypatch.setattr(
        harness, "Process", lambda name, *_: Fake(name, [9, 1], [], "start" * (name == "search"))
    )
    record = harness.compete(
        workloads.get("digits"), tmp_path, 320, ["fit", "fit_best"], rounds=1, steps=10, say=print
    )
    assert record["contenders"]["fit_best"] == {"skipped": "it broke\nwith a long log"}
    assert record["contenders"]["fit"]["rounds"] == [1]


def test_a_race_becomes_a_summary(tmp_path):
    field = run([Fake("fit", [9, 1, 3], []), Fake("ours", [9, 2, 4], [])])
    record = {"steps_per_round": 10, "contenders": field.records}
    results.save(tmp_path / "r.json", {"workloads": {"w": results.summarise(record)}})
    again = results.load(tmp_path / "r.json")["workloads"]["w"]["contenders"]
    assert again["ours"]["ratio"]["median"] == pytest.approx((1 / 2 + 3 / 4) / 2)
    assert again["fit"]["steps_per_second"]["median"] == pytest.approx((10 / 1 + 10 / 3) / 2)


@pytest.mark.parametrize(
    ("rows", "batch", "steps", "expected"),
    [
        (1437, 32, 90, (None, 2, 90)),
        (1437, 32, 100, (None, 2, 90)),
        (1437, 32, 45, (None, 1, 45)),
        (1437, 32, 7, (7, 1, 7)),
        (60000, 128, 150, (150, 1, 150)),
    ],
)
def test_round_size(rows, batch, steps, expected):
    assert harness.round_size(rows, batch, steps) == expected


def test_contenders_may_share_a_process(tmp_path):
    """Each keeps its own model and settings, and their answers come in order."""
    record = harness.measure(
        "digits",
        ["a", "b"],
        rounds=1,
        steps=3,
        specs={
            "a": {"peer": "ours", "settings": {"jit": False, "features": []}},
            "b": {"peer": "ours", "settings": {"jit": False, "features": ["metrics"]}},
        },
        reference="a",
        together=True,
    )
    a, b = record["contenders"]["a"], record["contenders"]["b"]
    assert a["settings"]["features"] == [] and b["settings"]["features"] == ["metrics"]
    assert a["losses"] == b["losses"] and a["peak_mb"] == pytest.approx(b["peak_mb"], rel=0.01)
