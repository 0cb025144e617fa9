"""The real TensorBoard server: what each plugin finds in the files of one run."""

import numpy as np

NAMES = ["layers/1/kernel", "layers/1/bias", "layers/2/kernel", "layers/2/bias"]


def test_scalars_of_every_step(server):
    found = server.tags("scalars")
    assert found.keys() == {"train", "validation"}
    wanted = {"loss", "binary_accuracy", "learning_rate", "gradient_norm", "epoch/loss"}
    assert wanted | {"speed/steps_per_second", "speed/input_share"} <= found["train"]
    assert {f"update_ratio/{name}" for name in NAMES} <= found["train"]
    assert found["validation"] == {
        "loss", "binary_accuracy", "epoch/loss", "epoch/binary_accuracy"
    }  # fmt: skip
    rows = np.array(server.get("plugin/scalars/scalars", run="train", tag="loss"))
    np.testing.assert_array_equal(rows[:, 1], np.arange(1, 25))
    np.testing.assert_allclose(rows[:, 2], server.history.steps["loss"], rtol=1e-6)


def test_histograms_and_distributions(server):
    tags = {f"{kind}/{name}" for kind in ("weights", "gradients", "updates") for name in NAMES}
    for plugin in ("histograms", "distributions"):
        assert set(server.tags(plugin)["train"]) == tags
    rows = server.get("plugin/histograms/histograms", run="train", tag="weights/layers/1/kernel")
    assert [step for _, step, _ in rows] == [4, 8, 12, 16, 20, 24]
    for _, _, buckets in rows:
        assert sum(count for *_, count in buckets) == 16 * 4
        assert len(buckets) == 30


def test_the_graph_is_the_training_step(server):
    assert server.get("plugin/graphs/info")["train"]["run_graph"]
    text = server.get("plugin/graphs/graph", run="train").decode()
    for operation in ("MatMul", "ResourceApplyAdam", "sigmoid"):
        assert operation.lower() in text.lower(), operation


def test_hyperparameters_and_their_metrics(server):
    experiment = server.post("plugin/hparams/experiment", {})
    kinds = {info["name"]: info["type"] for info in experiment["hparamInfos"]}
    assert kinds == {
        "learning_rate": "DATA_TYPE_FLOAT64",
        "units": "DATA_TYPE_FLOAT64",
        "activation": "DATA_TYPE_STRING",
        "ema": "DATA_TYPE_BOOL",
    }
    metrics = [info["name"] for info in experiment["metricInfos"]]
    assert metrics == [{"group": "", "tag": f"epoch/{x}"} for x in ("loss", "binary_accuracy")]
    request = {
        "allowedStatuses": ["STATUS_SUCCESS"],
        "colParams": [{"metric": metrics[0]}],
        "startIndex": 0,
        "sliceSize": 10,
    }
    (group,) = server.post("plugin/hparams/session_groups", request)["sessionGroups"]
    assert group["hparams"]["units"] == 4
    values = {v["name"]["tag"]: v["value"] for v in group["metricValues"]}
    last = server.history.history["val_loss"][-1]
    np.testing.assert_allclose(values["epoch/loss"], last, rtol=1e-6)


def test_texts(server):
    found = server.tags("text")
    assert found["train"] == {"about/model", "about/run"}
    assert found["predictions"] == {"table"}
    (model,) = server.get("plugin/text/text", run="train", tag="about/model")
    assert ">layers/1/kernel</td>" in model["text"]
    assert len(server.get("plugin/text/text", run="predictions", tag="table")) == 3


def test_pictures(server):
    found = server.tags("images")
    assert found["train"] == found["validation"] == {"confusion"}
    assert found["predictions"] == {"images"}
    rows = server.get("plugin/images/images", run="validation", tag="confusion")
    assert [row["step"] for row in rows] == [8, 16, 24]
    rows = server.get("plugin/images/images", run="predictions", tag="images")
    answer = server.get("plugin/images/individualImage?" + rows[0]["query"])
    assert answer.startswith(b"\x89PNG")


def test_precision_recall_curves(server):
    assert server.tags("pr_curves")["validation"] == {"pr_curve"}
    (curves,) = server.get("plugin/pr_curves/pr_curves", run="validation", tag="pr_curve").values()
    assert [curve["step"] for curve in curves] == [8, 16, 24]
    first = curves[0]
    assert first["true_positives"][0] + first["false_positives"][0] == 61
    assert first["recall"][0] == 1.0


def test_custom_scalars(server):
    layout = server.get("plugin/custom_scalars/layout")
    charts = {c["title"]: [x["title"] for x in c["chart"]] for c in layout["category"]}
    assert charts["Health"] == [
        "update / weight", "gradient norms", "weight norms", "loss scale", "steps a second",
        "where time went",
    ]  # fmt: skip
    found = server.get("plugin/custom_scalars/scalars", run="train", tag="loss_scale$")
    ((tag, events),) = found["tag_to_events"].items()
    assert tag == "loss_scale" and [event[1] for event in events] == list(range(1, 25))
    np.testing.assert_array_equal([e[2] for e in events], server.history.steps["loss_scale"])
    found = server.get("plugin/custom_scalars/scalars", run="train", tag="^update_ratio/")
    assert set(found["tag_to_events"]) == {f"update_ratio/{name}" for name in NAMES}


def test_embeddings(server):
    assert "train" in server.get("plugin/projector/runs")
    info = server.get("plugin/projector/info", run="train")
    (entry,) = info["embeddings"]
    assert (entry["tensorName"], entry["tensorShape"]) == ("layers/1/kernel", [16, 4])
    table = server.get("plugin/projector/tensor", run="train", name="layers/1/kernel")
    assert len(np.frombuffer(table, np.float32)) == 64
    labels = server.get("plugin/projector/metadata", run="train", name="layers/1/kernel")
    assert labels.decode().split("\n")[:2] == ["pixel 0", "pixel 1"]
