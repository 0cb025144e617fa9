"""What a checkpoint cannot hold: found in the traced step, said before training relies on it."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import tensorflow as tf

from trainer.graphs import operations

# Kernels that draw from a state of their own, which nothing can read or write.
_DRAWS = {
    "RandomUniform",
    "RandomUniformInt",
    "RandomStandardNormal",
    "TruncatedNormal",
    "RandomShuffle",
    "RandomGamma",
    "RandomPoissonV2",
    "Multinomial",
}
_TABLES = ("LookupTableInsert", "LookupTableRemove")


def check_variables(graphs: Iterable[tf.Graph], known: Collection[int]) -> None:
    """Every variable that a step uses must be one that the walk over the task finds.

    Args:
        graphs: traced steps.
        known: `id` of the variables that a checkpoint holds.

    Raises:
        ValueError: a step uses others, which a checkpoint would silently leave out.
    """
    lost = {
        f"{v.name.removesuffix(':0')} {v.shape}"
        for graph in graphs
        for v in graph.variables
        if id(v) not in known
    }
    if lost:
        raise ValueError(
            f"the step uses variables that cannot be found from the task: {', '.join(sorted(lost))}"
            ". A checkpoint would leave them out. Keep them in an attribute of the task or of a "
            "tf.Module or Keras layer in it (lists and dicts will do)."
        )


def inexact(graphs: Iterable[tf.Graph]) -> list[str]:
    """Reasons why a resumed run would not draw or hold the same as an uninterrupted one."""
    reasons = set()
    for graph in graphs:
        for op in operations(graph):
            if op.type in _DRAWS:
                reasons.add(
                    f"the step draws from {op.type} ({op.name}), whose state cannot be saved; "
                    "use tf.random.stateless_* with ctx.seed(), or a tf.random.Generator"
                )
            elif op.type.startswith(_TABLES):
                reasons.add(f"the step writes to a lookup table ({op.name}), which is not saved")
    return sorted(reasons)
