"""Embeddings for TensorBoard's projector: a table of vectors, and labels of its rows."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf
from tensorboard.plugins.projector import projector_config_pb2


def write(
    folder: str, tables: Mapping[str, np.ndarray], labels: Mapping[str, Sequence[str] | None]
) -> None:
    """Writes tables of vectors, and the configuration by which the projector finds them.

    Args:
        folder: of the run in whose name they appear.
        tables: name -> `[n, d]`.
        labels: name -> one label for each row, or None.

    Raises:
        ValueError: there are not as many labels as rows.
    """
    from google.protobuf import text_format

    tf.io.gfile.makedirs(folder)
    config = projector_config_pb2.ProjectorConfig()
    for name, table in tables.items():
        entry = config.embeddings.add()
        stem = "projector_" + re.sub(r"[^\w.-]", "_", name)
        entry.tensor_name, entry.tensor_path = name, f"{stem}.tsv"
        entry.tensor_shape.extend(table.shape)
        rows = ("\t".join(f"{x:.6g}" for x in row) for row in table)
        _write(folder, entry.tensor_path, rows)
        if (words := labels.get(name)) is not None:
            if len(words) != len(table):
                raise ValueError(
                    f"embeddings[{name!r}] has {len(words)} labels for {len(table)} rows."
                )
            entry.metadata_path = f"{stem}_labels.tsv"
            _write(folder, entry.metadata_path, (re.sub(r"\s", " ", str(word)) for word in words))
    _write(folder, "projector_config.pbtxt", [text_format.MessageToString(config)])


def _write(folder: str, name: str, lines) -> None:
    with tf.io.gfile.GFile(os.path.join(folder, name), "w") as file:
        file.write("\n".join(lines) + "\n")
