"""Events of TensorBoard's plugins, as bytes: histograms, texts, images, curves, graphs, hparams."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
from tensorboard.plugins.custom_scalar import layout_pb2
from tensorboard.plugins.custom_scalar import summary as custom_scalar
from tensorboard.plugins.histogram import metadata as histogram
from tensorboard.plugins.hparams import api_pb2
from tensorboard.plugins.hparams import summary as sessions
from tensorboard.plugins.hparams import summary_v2 as hparams
from tensorboard.plugins.image import metadata as images
from tensorboard.plugins.pr_curve import metadata as curves
from tensorboard.plugins.text import metadata as texts
from tensorboard.util.tensor_util import make_tensor_proto

_LARGEST_CONSTANT = 1024  # bytes that a graph keeps of a constant: it is there to be looked at


def histograms(step: int, found: Sequence[tuple[str, np.ndarray, np.ndarray]]) -> bytes:
    """Histograms (tag, edges `[k + 1]`, counts `[k]`) of one step, in one event."""
    values = []
    for tag, edges, counts in found:
        buckets = np.stack([edges[:-1], edges[1:], counts], 1)
        values.append(_value(tag, buckets, histogram.create_summary_metadata(tag, "")))
    return _of_summary(step, Summary(value=values))


def text(tag: str, step: int, markdown: str) -> bytes:
    """A text in Markdown."""
    return _event(step, tag, np.array(markdown.encode()), texts.create_summary_metadata(tag, ""))


def image(tag: str, step: int, pictures: Sequence[np.ndarray]) -> bytes:
    """Pictures uint8 `[h, w, c]`, 1 to 4 channels, one below the other."""
    height, width = (str(size).encode() for size in pictures[0].shape[:2])
    encoded = [tf.io.encode_png(picture).numpy() for picture in pictures]
    values = np.array([width, height, *encoded], dtype=object)
    return _event(step, tag, values, images.create_summary_metadata(tag, ""))


def pr_curve(tag: str, step: int, rows: np.ndarray) -> bytes:
    """A precision-recall curve: true and false positives, true and false negatives, precision and
    recall at thresholds that are evenly spaced from 0 to 1, `[6, t]`.
    """  # noqa: D205
    metadata = curves.create_summary_metadata(tag, "", num_thresholds=rows.shape[1])
    return _event(step, tag, np.asarray(rows, np.float32), metadata)


def graph(step: int, traced: tf.Graph) -> bytes:
    """A traced graph, without the numbers of its large constants."""
    definition = traced.as_graph_def(add_shapes=True)
    nodes = [*definition.node]
    for function in definition.library.function:
        nodes += function.node_def
    for node in nodes:
        value = node.attr["value"].tensor if "value" in node.attr else None
        if value is not None and len(value.tensor_content) > _LARGEST_CONSTANT:
            value.tensor_content = b""
    event = Event(wall_time=time.time(), step=step, graph_def=definition.SerializeToString())
    return event.SerializeToString()


def session_start(step: int, values: Mapping[str, Any], tags: Sequence[str]) -> list[bytes]:
    """The hyperparameters of a run, and which scalars the plugin shows beside them.

    Args:
        step: of the events.
        values: name -> bool, number or string.
        tags: of scalars in the same folder.
    """
    infos = []
    for name, value in values.items():
        kind = "BOOL" if isinstance(value, bool) else "STRING"
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            kind = "FLOAT64"
        info = api_pb2.HParamInfo(name=name, type=api_pb2.DataType.Value(f"DATA_TYPE_{kind}"))
        infos.append(info)
    shown = [
        api_pb2.MetricInfo(
            name=api_pb2.MetricName(tag=tag), display_name=tag.removeprefix("epoch/")
        )
        for tag in tags
    ]
    return [
        _of_summary(step, sessions.experiment_pb(infos, shown)),
        _of_summary(step, hparams.hparams_pb(dict(values))),
    ]


def session_end(step: int, ended_well: bool) -> bytes:
    """The end of a run for the hparams plugin."""
    status = api_pb2.Status.Value("STATUS_SUCCESS" if ended_well else "STATUS_FAILURE")
    return _of_summary(step, sessions.session_end_pb(status))


def layout(step: int, charts: Mapping[str, Mapping[str, Sequence[str]]]) -> bytes:
    """Category -> chart -> regular expressions of the tags that it draws together."""
    proto = layout_pb2.Layout(
        category=[
            layout_pb2.Category(
                title=title,
                chart=[
                    layout_pb2.Chart(
                        title=name, multiline=layout_pb2.MultilineChartContent(tag=list(tags))
                    )
                    for name, tags in members.items()
                ],
            )
            for title, members in charts.items()
        ]
    )
    return _of_summary(step, custom_scalar.pb(proto))


def _event(step: int, tag: str, value: np.ndarray, metadata: SummaryMetadata) -> bytes:
    return _of_summary(step, Summary(value=[_value(tag, value, metadata)]))


def _value(tag: str, value: np.ndarray, metadata: SummaryMetadata) -> Summary.Value:
    return Summary.Value(tag=tag, tensor=make_tensor_proto(value), metadata=metadata)


def _of_summary(step: int, summary: Any) -> bytes:
    event = Event(wall_time=time.time(), step=step)
    event.summary.ParseFromString(summary.SerializeToString())
    return event.SerializeToString()
