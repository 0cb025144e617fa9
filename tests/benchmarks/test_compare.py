"""What got slower beyond the noise, and only that."""

import copy

import pytest

from benchmarks import compare, results


def measured(ours=(0.50, 0.51, 0.49, 0.50, 0.50), fit=(1.0, 1.02, 0.98, 1.0, 1.0), cores=2):
    entry = {"first_loss": 1.0, "first_step_seconds": 2.0, "peak_mb": 500.0}
    record = {
        "title": "t",
        "batch_size": 1,
        "steps_per_round": 100,
        "contenders": {
            "fit": {**entry, "rounds": list(fit)},
            "ours": {**entry, "rounds": list(ours)},
        },
    }
    machine = {"processor": "p", "cores": cores, "python": "3.11"}
    return {
        "machine": machine,
        "versions": {"tensorflow": "2.21.0"},
        "workloads": {"w": results.summarise(record)},
    }


def verdicts(before, after):
    return {(c.contender, c.quantity): c.verdict for c in compare.compare(before, after)}


def test_the_same_is_the_same():
    found = verdicts(measured(), measured())
    assert len(found) == 6 and set(found.values()) == {"same"}


def test_a_slower_machine_is_not_a_slower_trainer():
    slow = measured(ours=[1.0, 1.02, 0.98, 1.0, 1.0], fit=[2.0, 2.04, 1.96, 2.0, 2.0])
    found = verdicts(measured(), slow)
    assert found["ours", "speed / fit"] == "same"
    assert found["fit", "steps/s"] == "worse"


@pytest.mark.parametrize(("factor", "verdict"), [(1.2, "worse"), (0.8, "better"), (1.01, "same")])
def test_a_change_of_ours(factor, verdict):
    after = measured(ours=[factor * s for s in (0.50, 0.51, 0.49, 0.50, 0.50)])
    found = verdicts(measured(), after)
    assert found["ours", "speed / fit"] == verdict and found["fit", "steps/s"] == "same"


def test_noise_hides_what_it_can_explain():
    noisy = [0.4, 0.9, 0.55, 0.7, 0.62]
    assert verdicts(measured(), measured(ours=noisy))["ours", "speed / fit"] == "same"


def test_memory_and_first_step():
    after = copy.deepcopy(measured())
    after["workloads"]["w"]["contenders"]["ours"] |= {"peak_mb": 900.0, "first_step_seconds": 1.0}
    found = verdicts(measured(), after)
    assert found["ours", "memory, MB"] == "worse" and found["ours", "first step, s"] == "better"


def test_the_command_fails_on_what_got_slower(tmp_path, capsys):
    paths = [str(tmp_path / name) for name in ("a.json", "b.json")]
    results.save(paths[0], measured())
    results.save(paths[1], measured(ours=[0.7, 0.71, 0.69, 0.7, 0.7], cores=4))
    assert compare.main(["compare", *paths]) == 1
    shown = capsys.readouterr().out
    assert "worse" in shown and "cores: 2 -> 4" in shown
    assert compare.main(["compare", paths[0], paths[0]]) == 0
    assert "Nothing of ours got worse" in capsys.readouterr().out
    assert compare.main(["compare", paths[0], str(tmp_path / "none.json")]) == 2


def test_two_rounds_do_not_tell_how_much_noise_there_is():
    two = {"ours": [0.5, 0.5], "fit": [1.0, 1.0]}
    assert (
        verdicts(measured(**two), measured(**{**two, "ours": [0.6, 0.6]}))["ours", "speed / fit"]
        == "same"
    )
    assert (
        verdicts(measured(**two), measured(**{**two, "ours": [0.8, 0.8]}))["ours", "speed / fit"]
        == "worse"
    )


def test_another_reference_leaves_steps_per_second():
    """As when a workload is first held against fit, and later against a hand-written loop."""
    after = measured()
    entries = after["workloads"]["w"]["contenders"]
    entries["hand"] = entries.pop("fit")
    results.summarise(after["workloads"]["w"], "hand")
    assert verdicts(measured(), after)["ours", "steps/s"] == "same"


def test_the_command_names_what_got_slower_in_a_custom_workload(tmp_path, capsys):
    """Planted: the step takes a fifth longer, the machine is twice as fast."""
    files = []
    for factor, machine in ((1.0, 1.0), (1.2, 0.5)):
        given = measured(
            ours=[factor * machine * s for s in (0.50, 0.51, 0.49, 0.50, 0.50)],
            fit=[machine * s for s in (1.0, 1.02, 0.98, 1.0, 1.0)],
        )
        entries = given["workloads"]["w"]["contenders"]
        entries["hand"] = entries.pop("fit")
        results.summarise(given["workloads"]["w"], "hand")
        files.append(str(tmp_path / f"{factor}.json"))
        results.save(files[-1], given)
    assert compare.main(["compare", *files]) == 1
    assert "w, ours, everything on: speed / hand -16.7%" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("names", "reference", "worse"),
    [
        (("auto", "graph", "step", "loop"), "auto", ("graph", "loop")),
        (("fit float32", "graph float32", "loop bfloat16"), "fit float32", ("loop bfloat16",)),
        (("bare", "metrics", "all"), "bare", ("bare", "metrics", "all")),
    ],
)
def test_contenders_of_ours_by_any_name(tmp_path, capsys, names, reference, worse):
    """As in modes.json, precision.json and overhead.json: a planted change of each is told."""
    files = []
    for slower in ((), worse):
        given = measured()
        record = given["workloads"]["w"]
        entry = record["contenders"]["fit"]
        record["contenders"] = {
            name: {**entry, "rounds": [s * (1.5 if name in slower else 1) for s in entry["rounds"]]}
            for name in names
        }
        results.summarise(record, reference)
        files.append(str(tmp_path / f"{len(files)}.json"))
        results.save(files[-1], given)
    assert compare.main(["compare", files[0], files[0]]) == 0
    capsys.readouterr()
    assert compare.main(["compare", *files]) == 1
    told = [line for line in capsys.readouterr().out.splitlines() if line.startswith("w, ")]
    assert [line.split(": ")[0] for line in told] == [f"w, {name}" for name in worse]


def test_what_got_slower_of_others_is_not_ours(tmp_path, capsys):
    before, after = measured(), measured(fit=[2.0, 2.04, 1.96, 2.0, 2.0], ours=[1.0] * 5)
    for name, given in (("a.json", before), ("b.json", after)):
        entries = given["workloads"]["w"]["contenders"]
        entries |= {"fit_32": entries["fit"], "orbit, one device": entries["fit"]}
        results.save(tmp_path / name, given)
    assert compare.main(["compare", str(tmp_path / "a.json"), str(tmp_path / "b.json")]) == 0
    assert "Nothing of ours got worse" in capsys.readouterr().out


def test_nothing_in_common(tmp_path, capsys):
    empty = {**measured(), "workloads": {"other": {"skipped": "no data"}}}
    for name, content in (("a.json", measured()), ("b.json", empty)):
        results.save(tmp_path / name, content)
    assert compare.main(["compare", str(tmp_path / "a.json"), str(tmp_path / "b.json")]) == 2
    assert "in common" in capsys.readouterr().out
