"""The profile plugin of a real TensorBoard server: what it makes of a trace."""

import json

import pytest

import layers
from benchmarks.screenshots import serving
from trainer import Trainer
from trainer.callbacks import Profiler

pytest.importorskip("xprof", reason="the profile plugin is not installed: pip install '.[profile]'")


def test_traces_open_in_the_profile_plugin(data, tmp_path, ask):
    for name, jit in {"graph": False, "loop": "loop"}.items():
        trainer = Trainer(layers.Dense(2), loss="mse", optimizer="sgd", jit=jit)
        callbacks = [Profiler(tmp_path / "logs" / name, 8, 4)]
        trainer.fit(*data, batch_size=8, epochs=2, verbose=0, callbacks=callbacks)
    with serving(tmp_path / "logs") as url:

        def get(path, **query):
            return json.loads(ask(url, f"plugin/profile/{path}", **query))

        def page(run, tool):
            (host,) = get("hosts", run=run, tag=tool)
            return get("data", run=run, tag=tool, host=host["hostname"])

        graph, loop = sorted(get("runs"))
        for run in (graph, loop):
            tools = {"overview_page", "trace_viewer@", "framework_op_stats"}
            assert tools <= set(get("run_tools", run=run))
            named = {event.get("name") for event in page(run, "trace_viewer@")["traceEvents"]}
            assert any(str(name).startswith("train") for name in named)
        # One compiled call made all four steps: the plugin's step has the number of the last.
        steps = page(loop, "overview_page")[1]["rows"]
        assert [row["c"][0]["v"] for row in steps] == ["train 11"]
        table = page(graph, "framework_op_stats")[0]
        names = [column["id"] for column in table["cols"]]
        rows = [dict(zip(names, (c["v"] for c in row["c"]), strict=True)) for row in table["rows"]]
        times = {row["type"]: row["occurrences"] for row in rows if "MatMul" in row["type"]}
        assert 4 in times.values(), times  # its name depends on what it was fused with
