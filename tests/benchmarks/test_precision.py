"""The benchmark of precisions: who competes, what the ratios are of, what is shown."""

import io
import types

import pytest

from benchmarks import harness, machine, precision, results, tables


def test_every_way_in_every_precision_and_fit():
    found = precision.contenders(["float32", "bfloat16"], ["graph", "loop"])
    assert list(found) == [
        f"{way} {dtype}" for dtype in ("float32", "bfloat16") for way in ("fit", "graph", "loop")
    ]
    assert found["fit bfloat16"]["settings"]["precision"] == "mixed_bfloat16"
    assert found["graph float32"]["settings"]["jit"] is False
    assert found["graph float32"]["settings"]["tf32"] is False


def test_ratios_are_paired_with_what_is_compiled_alike(monkeypatch):
    """Round by round: half the seconds in every round is a gain of 2, whatever the rounds do."""
    seconds = {
        "fit float32": [4.0, 8.0],
        "loop float32": [2.0, 4.0],
        "fit bfloat16": [3.0, 6.0],
        "loop bfloat16": [1.0, 2.0],
    }

    def measured(name, contenders, **how):
        entries = {
            n: {"rounds": r, "steps_per_second": {"median": 1.0}} for n, r in seconds.items()
        }
        return {"title": "a model", "batch_size": 8, "contenders": entries}

    monkeypatch.setattr(harness, "measure", measured)
    record = precision.measure(
        "digits", ["float32", "bfloat16"], ["loop"], rounds=2, steps=None, data_dir=None
    )
    entry = record["contenders"]["loop bfloat16"]
    assert entry["gain"]["median"] == 2.0
    assert entry["fit"]["median"] == 3.0
    assert "gain" not in record["contenders"]["loop float32"]
    record["device"] = "a processor"
    out = io.StringIO()
    precision.show(tables.console(file=out), "digits", record)
    (line,) = (row for row in out.getvalue().splitlines() if "loop bfloat16" in row)
    assert "2.00" in line
    assert "3.00" in line
    record["machine"] = {"date": "2026-01-02T03:04:05"}
    page = precision.to_markdown({"workloads": {"digits": record}}).splitlines()
    assert len(page) == 4  # nothing was measured in float16
    assert page[0].startswith("| bfloat16 on a processor, 2026-01-02 | steps/s |")
    assert page[2] == (
        "| a model, batch 8: XLA loop | 1 | 2.00 (2.00 .. 2.00) | 3.00 (3.00 .. 3.00) |"
    )


def test_the_command_puts_a_workload_beside_others(monkeypatch, tmp_path, capsys):
    """On this CPU, which is called by its name; what could not be measured is an exit code of 1."""
    entry = {"rounds": [1.0], "steps_per_second": {"median": 3.0}, "ratio": {"median": 1.0}}
    record = {"title": "t", "batch_size": 8, "contenders": {"graph float32": entry}}
    monkeypatch.setattr(harness, "measure", lambda name, *args, **how: {**record, "title": name})
    monkeypatch.setattr("benchmarks.plot.draw", lambda *args: None)
    results.save(tmp_path / "precision.json", {"workloads": {"gpt": {"skipped": "earlier"}}})
    given = types.SimpleNamespace(
        workloads=["digits"],
        device="cpu",
        precisions=["bfloat16"],
        jit=["graph"],
        rounds=1,
        steps=3,
        data_dir=None,
        out=str(tmp_path),
    )
    monkeypatch.setattr(precision.flags, "FLAGS", given)
    assert precision.main([]) == 0
    found = results.load(tmp_path / "precision.json")["workloads"]
    assert list(found) == ["digits", "gpt"]
    assert found["digits"]["device"] == machine.processor()
    assert f"on {machine.processor()}" in " ".join(capsys.readouterr().out.split())
    monkeypatch.setattr(harness, "measure", lambda *a, **how: {"title": "t", "skipped": "no data"})
    assert precision.main([]) == 1


def test_a_device_that_is_not_there_is_told(monkeypatch):
    monkeypatch.setattr("tensorflow.config.list_physical_devices", lambda kind: [])
    with pytest.raises(ValueError, match="sees no GPU"):
        precision.use("gpu")


def test_gpus_are_called_by_their_names(monkeypatch):
    details = {"device_name": "NVIDIA A100", "compute_capability": (8, 0)}
    monkeypatch.setattr("tensorflow.config.list_physical_devices", lambda kind: ["GPU:0"])
    monkeypatch.setattr("tensorflow.config.experimental.get_device_details", lambda d: details)
    assert precision.device_name("gpu") == "NVIDIA A100 (compute capability 8.0)"
