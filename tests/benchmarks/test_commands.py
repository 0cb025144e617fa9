"""The commands as a person runs them."""

import re

import pytest

from benchmarks import harness, results, speed


@pytest.mark.parametrize(
    ("module", "flag"),
    [
        ("benchmarks", "--workload"),
        ("benchmarks.speed", "--rounds"),
        ("benchmarks.overhead", "--features"),
        ("benchmarks.modes", "--modes"),
        ("benchmarks.feeding", "--seconds"),
        ("benchmarks.losses", "--vocabulary"),
        ("benchmarks.saving", "--every"),
        ("benchmarks.precision", "--device"),
        ("benchmarks.replicas", "--replicas"),
        ("benchmarks.exactness", "--missing"),
        ("benchmarks.scaling", "--series"),
        ("benchmarks.report", "--pages"),
        ("benchmarks.quality", "--seeds"),
        ("benchmarks.parity", "--steps"),
    ],
)
def test_help(run_module, module, flag):
    done = run_module(module, "--help")
    assert flag in done.stdout and f"python -m {module}" in done.stdout
    assert "tensorflow" not in done.stderr.lower()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["benchmarks", "--workload=mnits"], "Did you mean 'mnist'?"),
        (["benchmarks", "--epohcs=3"], "Did you mean: epochs"),
        (["benchmarks", "--epochs=0"], "whole number above 0"),
        (["benchmarks", "--peers=fti"], "'fti' is not one of fit, fit_best"),
        (["benchmarks", "digits"], "'digits' is not a flag"),
        (["benchmarks.speed", "--workloads=digits,gtp"], "Did you mean 'gpt'?"),
        (["benchmarks.speed", "--contenders=keras"], "'keras' is not one of ours"),
        (["benchmarks.overhead", "--features=tensorbord"], "Did you mean 'tensorboard'?"),
        (["benchmarks.modes", "--modes=lop"], "Did you mean 'loop'?"),
        (["benchmarks.losses", "--losses=hubre"], "Did you mean 'huber'?"),
        (["benchmarks.precision", "--precisions=bflaot16"], "Did you mean 'bfloat16'?"),
        (["benchmarks.saving", "--savers=orbit"], "'orbit' is not one of ours_checkpoint"),
        (["benchmarks.exactness", "--workloads=cmn"], "Did you mean 'cnn'?"),
        (["benchmarks.scaling", "--series=batches"], "Did you mean 'batch'?"),
        (["benchmarks.compare", "one.json"], "give two results files"),
    ],
)
def test_mistakes_are_told_before_anything_starts(run_module, arguments, said):
    done = run_module(*arguments, seconds=30)
    assert done.returncode != 0 and said in done.stderr
    assert "Traceback" not in done.stderr


def test_the_main_job(run_module, tmp_path):
    done = run_module(
        "benchmarks", "--epochs=1", "--peers=fit", "--rounds=1", f"--log_dir={tmp_path}"
    )
    assert done.returncode == 0, done.stderr
    assert "MLP on 8x8 handwritten digits: 1,437 examples" in done.stdout
    for row in ("steps per second", "test accuracy", "weights differ from Keras fit, 1 step"):
        assert row in done.stdout
    (differing,) = (line for line in done.stdout.splitlines() if "weights differ" in line)
    assert float(differing.split()[-1]) < 1e-6
    (logs,) = tmp_path.iterdir()
    assert any("tfevents" in path.name for path in logs.rglob("*"))
    assert f"tensorboard --logdir {logs}" in done.stdout.replace("\n", " ").replace("  ", " ")
    assert "Speeds are of one round" in done.stdout
    assert re.search(r"(?m)^\d\d:\d\d:\d\d  ours: first step after", done.stderr)
    assert "\x1b" not in done.stdout and "cuda" not in done.stderr.lower()


def test_speed_is_measured_in_pieces(tmp_path, monkeypatch):
    """Each workload's record comes with its circumstances, and joins those of the file."""

    def measured(name, contenders, **arguments):
        arguments["say"]("warm")
        entry = {"rounds": [1.0, 2.0], "first_loss": 1.0, "first_step_seconds": 1.0}
        known = {"threads": {"intra_op": 0}, "versions": {}}
        record = {"title": name, "batch_size": 1, "steps_per_round": arguments["steps"]}
        return results.summarise({**record, "contenders": {c: entry | known for c in contenders}})

    monkeypatch.setattr(harness, "measure", measured)
    path = tmp_path / "new" / "speed.json"
    for name in ("gpt", "digits", "gpt"):
        assert speed.age(path, name) == float("inf") or name == "gpt"
        record = speed.measure(name, ["ours"], rounds=2, steps=3)
        assert record["threads"] == {"intra_op": 0} and record["versions"]["tensorflow"]
        assert record["machine"]["cores"] and record["seconds"] >= 0
        kept = results.update(path, {name: record}, order=["digits", "gpt"])
        assert kept["workloads"][name] == record
    assert list(kept["workloads"]) == ["digits", "gpt"]
    assert 0 <= speed.age(path, "gpt") < 0.01
    shared = speed.measure("gpt", ["ours"], rounds=2, steps=3, together=True)
    both = speed.beside(path, "gpt", shared)
    assert both.pop("together")["contenders"] == shared["contenders"]
    assert both == kept["workloads"]["gpt"]
    with pytest.raises(ValueError, match="no record of mnist yet"):
        speed.beside(path, "mnist", shared)
    speed.draw(path)
    assert path.with_suffix(".png").stat().st_size > 1000


@pytest.mark.parametrize(
    "failed", [{"skipped": "no data"}, {"contenders": {"ours": {"skipped": "it broke"}}}]
)
def test_what_could_not_be_measured_is_not_kept(tmp_path, failed):
    results.update(tmp_path / "speed.json", {"mnist": failed})
    assert speed.age(tmp_path / "speed.json", "mnist") == float("inf")
