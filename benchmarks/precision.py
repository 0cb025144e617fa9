"""Measures what half precision brings: every way of compiling, against float32 and Keras `fit`.

The same batches and weights for all; rounds take turns and ratios are paired. Run it on a machine
with a GPU to see what its tensor cores bring (`--device=gpu` adds TF32 and float16):

    python -m benchmarks.precision --workloads=mnist,mnist_cnn,gpt --rounds=5
    python -m benchmarks.precision --device=gpu --out=precision

Each workload is put into precision.json beside those that the file has, so they can be measured
apart.
"""

from __future__ import annotations

import functools
import os
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from absl import flags, logging

from benchmarks import cli, harness, machine, plot, results, tables, workloads
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
WAYS = {"graph": "graph", "step": "XLA step", "loop": "XLA loop", "fit": "Keras `fit`"}


def define_flags() -> None:
    """This command's flags."""
    flags.DEFINE_list("workloads", WORKLOADS, "What to train.")
    flags.DEFINE_enum("device", "cpu", list(DEVICES), "What to train on.")
    flags.DEFINE_list("precisions", None, "What to compute in; those of the device if not given.")
    flags.DEFINE_list("jit", ["graph", "step", "loop"], "Ways of compiling ours.")
    flags.DEFINE_integer("rounds", 5, "Timed rounds of each.", lower_bound=1)
    flags.DEFINE_integer("steps", None, "Steps of a round, about.", lower_bound=1)
    flags.DEFINE_string("data_dir", None, cli.DATA_DIR)
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
    out = tables.console()
    left_out = 0
    for name in given.workloads:
        record = measure(
            name,
            ["float32", *(p for p in chosen if p != "float32")],
            given.jit,
            rounds=given.rounds,
            steps=given.steps,
            data_dir=given.data_dir,
        )
        record |= {"device": device_name(given.device), **machine.about()}
        show(out, name, record)
        left_out += "skipped" in record
        if given.out is not None:
            path = pathlib.Path(given.out) / "precision.json"
            measured = results.update(path, {name: record}, order=list(workloads.WORKLOADS))
            plot.draw(measured, path.with_suffix(".png"), COLUMNS)
            logging.info("written: %s", path)
    tables.show_machine(out, machine.about())
    return 1 if left_out else 0


def device_name(device: str) -> str:
    """What the contenders train on, as its maker calls it."""
    if device == "cpu":
        return machine.processor()
    import tensorflow as tf

    found = tf.config.list_physical_devices("GPU")
    details = [tf.config.experimental.get_device_details(one) for one in found]
    return ", ".join(
        f"{one.get('device_name', 'a GPU')} (compute capability "
        f"{'.'.join(map(str, one.get('compute_capability', ['unknown'])))})"
        for one in details
    )


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
        together="tf32" not in precisions,  # which is a switch of the whole process
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
        f"{workload}: {record['title']}, batch {record['batch_size']}, on {record['device']}",
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


def to_markdown(measured: Mapping[str, Any]) -> str:
    """The table of a page: each half precision in each way, on each workload."""
    parts = []
    for device in dict.fromkeys(r["device"] for r in measured["workloads"].values()):
        found = {n: r for n, r in measured["workloads"].items() if r["device"] == device}
        timed = {name.split()[1] for name in _timed(found)}
        dates = sorted({record["machine"]["date"][:10] for record in found.values()})
        for precision in (p for p in PRECISIONS if p in timed - {"float32"}):
            head = [
                f"{precision} on {device}, {' and '.join(dates)}",
                "steps/s",
                "x float32, compiled alike",
                "x Keras `fit` in the same precision",
            ]
            parts.append(tables.markdown(head, _rows(found, precision)))
    return "\n\n".join(parts)


def _timed(found: Mapping[str, Any]) -> Iterator[str]:
    """The contenders that were timed on any workload."""
    for record in found.values():
        entries = record.get("contenders", {})
        yield from (name for name, entry in entries.items() if entry.get("rounds"))


def _rows(found: Mapping[str, Any], precision: str) -> Iterator[list[str]]:
    for record in found.values():
        for way, told in WAYS.items():
            entry = record.get("contenders", {}).get(f"{way} {precision}", {})
            if not entry.get("rounds"):
                continue
            yield [
                f"{record['title']}, batch {record['batch_size']}: {told}",
                tables.speed(entry["steps_per_second"]["median"]),
                *(
                    "" if key not in entry else "{} ({})".format(*_ratio(entry[key]))
                    for key in ("gain", "fit")
                ),
            ]


def _ratio(found: Mapping[str, float] | None) -> tuple[str, str]:
    return (f"{found['median']:.2f}", tables.interval(found, ".2f")) if found else ("", "")


if __name__ == "__main__":
    define_flags()
    cli.run(main)
