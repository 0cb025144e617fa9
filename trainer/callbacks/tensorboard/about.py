"""What TensorBoard's text page says of a run: the model's variables, and how it is trained."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from trainer import state
from trainer.callbacks.base import Run


def model_table(root: Any) -> str:
    """A Markdown table of the variables below an object: path, shape, dtype, numbers.

    Args:
        root: a model or a task; variables of optimizers are left out.
    """
    trained = {id(state.as_tf(v)) for v in state.trainable_variables(root)}
    rows, total, trainable = [], 0, 0
    for path, variable in state.model_variables(root).items():
        size = int(variable.shape.num_elements() or 0)
        total += size
        trainable += size if id(variable) in trained else 0
        shape = " x ".join(map(str, variable.shape)) or "scalar"
        yes = "yes" if id(variable) in trained else ""
        rows.append([path, shape, variable.dtype.name, f"{size:,}", yes])
    head = f"**{type(root).__name__}**: {total:,} numbers, {trainable:,} of them trained\n\n"
    return head + markdown(["variable", "shape", "dtype", "numbers", "trained"], rows)


def run_table(run: Run) -> str:
    """A Markdown table of how a run is trained."""
    devices = [d.name.removeprefix("/device:") for d in tf.config.list_logical_devices()]
    facts = {
        "task": type(run.task).__name__,
        "optimizers": ", ".join(f"{k}: {type(o).__name__}" for k, o in run.optimizers.items()),
        "examples a step": run.rows,
        "steps an epoch": run.steps_per_epoch,
        "epochs": run.epochs,
        "trains to step": run.total_steps,
        "validates": "yes" if run.validates else "no",
        "reports": ", ".join(run.names),
        "floating-point operations a step": None if run.flops is None else f"{run.flops:,.0f}",
        "devices": ", ".join(devices),
        "TensorFlow": tf.__version__,
        "Python": platform.python_version(),
    }
    return markdown(["", ""], [[k, v] for k, v in facts.items() if v not in (None, "")])


def markdown(head: Sequence[Any], rows: Sequence[Sequence[Any]]) -> str:
    """A Markdown table; bars within cells are escaped."""
    lines = [list(head), ["---"] * len(head), *rows]
    texts = [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in texts)
