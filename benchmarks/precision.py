"""Measures what half precision brings: every way of compiling, against float32 and Keras `fit`.

The same batches and weights for all; rounds take turns and ratios are paired. Run it on a machine
with a GPU to see what its tensor cores bring (`--device=gpu` adds TF32 and float16):

    python -m benchmarks.precision --workloads=mnist,mnist_cnn,gpt --rounds=5
    python -m benchmarks.precision --device=gpu --out=precision
"""

from __future__ import annotations

import functools
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags, logging

from benchmarks import cli, harness, machine, plot, results, tables
from benchmarks.overhead import JIT
from benchmarks.quiet import quiet_import

# name -> settings of a contender. TF32 is float32 with products of 10 bits, on GPUs that have it.
PRECISIONS: dict[str, dict[str, Any]] = {
    "float32": {"precision": "float32", "tf32": False},
    "tf32": {"precision": "float32", "tf32": True},
    "bfloat16": {"precision": "mixed_bfloat16"},
    "float16": {"precision": "mixed_float16"},
}
DEVICES = {"cpu": ["float32", "bfloat16"], "gpu": list(PRECISIONS)}
WORKLOADS = ["mnist", "mnist_cnn", "gpt"]
COLUMNS = (("speed against Keras fit in float32", "ratio", "{:.2f}x"),)


def define_flags() -> None:
    """This command's flags."""
    flags.DEFINE_list("workloads", WORKLOADS, "What to train.")
    flags.DEFINE_enum("device", "cpu", list(DEVICES), "What to train on.")
    flags.DEFINE_list("precisions", None, "What to compute in; those of the device if not given.")
    flags.DEFINE_list("jit", ["graph", "step", "loop"], "Ways of compiling ours.")
    flags.DEFINE_integer("rounds", 5, "Timed rounds of each.", lower_bound=1)
    flags.DEFINE_integer("steps", None, "Steps of a round, about.", lower_bound=1)
    flags.DEFINE_string("data_dir", None, "Folder with mnist.npz and a *.txt file.")
    flags.DEFINE_string("out", None, "Folder for precision.json and precision.png.")
    flags.register_validator("workloads", cli.check_workloads)
    flags.register_validator("precisions", check_precisions)
    flags.register_validator("jit", lambda names: all(cli.check_one(n, JIT) for n in names))


def check_precisions(names: Sequence[str] | None) -> bool:
    """A flag validator: all are precisions."""
    return all(cli.check_one(name, PRECISIONS) for name in names or ())


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    given = flags.FLAGS
    use(given.device)
    chosen = given.precisions or DEVICES[given.device]
    measured: dict[str, Any] = {
        "machine": machine.facts(),
        "versions": machine.versions(),
        "device": given.device,
        "workloads": {},
    }
    out = tables.console()
    for name in given.workloads:
        record = measure(
            name,
            ["float32", *(p for p in chosen if p != "float32")],
            given.jit,
            rounds=given.rounds,
            steps=given.steps,
            data_dir=given.data_dir,
        )
        measured["workloads"][name] = record
        show(out, name, record)
    tables.show_machine(out, measured)
    if given.out is not None:
        folder = pathlib.Path(given.out)
        folder.mkdir(parents=True, exist_ok=True)
        results.save(folder / "precision.json", measured)
        plot.draw(measured, folder / "precision.png", COLUMNS)
        logging.info("written: %s", folder)
    return 1 if any("skipped" in r for r in measured["workloads"].values()) else 0


def use(device: str) -> None:
    """Makes all contenders train on a kind of device.

    Raises:
        ValueError: TensorFlow sees none.
    """
    if device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
        return
    with quiet_import():
        import tensorflow as tf
    if not tf.config.list_physical_devices("GPU"):
        raise ValueError(
            "device='gpu', but TensorFlow sees no GPU; install tensorflow[and-cuda] and check "
            "tf.config.list_physical_devices('GPU'), or measure --device=cpu."
        )


def contenders(precisions: Sequence[str], jit: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Name -> peer and settings: Keras `fit` in each precision, and ours in each way too."""
    found: dict[str, dict[str, Any]] = {}
    for precision in precisions:
        how = PRECISIONS[precision]
        found[f"fit {precision}"] = {"peer": "fit", "settings": how}
        for way in jit:
            settings = {**how, "jit": JIT[way], "features": ["metrics"]}
            found[f"{way} {precision}"] = {"peer": "ours", "settings": settings}
    return found


def measure(
    workload: str,
    precisions: Sequence[str],
    jit: Sequence[str],
    *,
    rounds: int,
    steps: int | None,
    data_dir: str | None,
) -> dict[str, Any]:
    """The record of a workload, with `gain`, the ratio to float32 compiled alike, for each."""
    specs = contenders(precisions, jit)
    record = harness.measure(
        workload,
        list(specs),
        rounds=rounds,
        steps=steps,
        data_dir=data_dir,
        specs=specs,
        reference="fit float32",
        say=functools.partial(logging.info, "%s: %s", workload),
    )
    for name, entry in record.get("contenders", {}).items():
        way, precision = name.split()
        for key, other in (("gain", f"{way} float32"), ("fit", f"fit {precision}")):
            base = record["contenders"].get(other, {}).get("rounds")
            if entry.get("rounds") and base and other != name:
                pairs = zip(base, entry["rounds"], strict=True)
                entry[key] = results.spread([theirs / own for theirs, own in pairs])
    return record


def show(out: Any, workload: str, record: Mapping[str, Any]) -> None:
    """The table of a workload."""
    if "skipped" in record:
        out.print(f"{workload}: {record['skipped']}")
        return
    made = tables.table(
        f"{workload}: {record['title']}, batch {record['batch_size']}",
        "",
        "steps/s",
        "x float32, compiled alike",
        "low .. high",
        "x Keras fit, alike",
        "low .. high",
        "test loss",
    )
    for name, entry in record["contenders"].items():
        if not entry.get("rounds"):
            out.print(f"{name}: {entry.get('skipped', 'not measured')}")
            continue
        loss = entry.get("test", {}).get("loss")
        made.add_row(
            name,
            f"{entry['steps_per_second']['median']:,.0f}",
            *_ratio(entry.get("gain")),
            *_ratio(entry.get("fit")),
            "" if loss is None else f"{loss:.4f}",
        )
    out.print(made)


def _ratio(found: Mapping[str, float] | None) -> tuple[str, str]:
    return (f"{found['median']:.2f}", tables.interval(found, ".2f")) if found else ("", "")


if __name__ == "__main__":
    define_flags()
    cli.run(main)
