"""Exports give the same bits in a fresh process in which nothing of ours, nor Keras, can be had."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import layers as L
import optimizers
from trainer import Task, Trainer, state
from trainer.weights import export

K = keras.layers
FLOATS = tf.TensorSpec([None, 4])
RNG = np.random.default_rng(0)
ROWS = RNG.normal(size=(5, 4)).astype("float32")
IMAGES = RNG.normal(size=(3, 8, 8, 3)).astype("float32")
WORDS = RNG.integers(0, 20, (3, 6)).astype("int32")


def text():
    """Of ours: everything that behaves otherwise in training."""
    embedding = L.Embedding(20, 4)
    body = [L.LSTM(5, return_sequences=True, dropout=0.2), L.BatchNormalization(), L.Dropout(0.5)]
    model = L.Sequential([embedding, *body, L.Residual(L.MultiHeadAttention(1, 5)), L.GRU(3)])
    return model, tf.TensorSpec([None, None], tf.int32), WORDS, {"embed": embedding}


def image():
    body = [L.Conv2D(4, 3, kernel_regularizer="l2"), L.GroupNormalization(2), L.MaxPooling2D()]
    model = L.Sequential([*body, L.Flatten(), L.Dense(3, "softmax")])
    return model, IMAGES, IMAGES, {}  # an example in place of a spec


class Table(tf.Module):
    """Nested inputs and outputs, a table, a dict with keys that are no strings, an optimizer."""

    def __init__(self):
        super().__init__()
        keys = tf.lookup.KeyValueTensorInitializer(["a", "b"], [1, 2])
        self.held = [{"table": tf.lookup.StaticHashTable(keys, 0)}]
        self.by = {3: tf.Variable(2.0)}
        self.unused = tf.Variable(tf.zeros([1000]))
        self.optimizer = optimizers.Adam()
        self.optimizer.build([self.by[3]])

    def __call__(self, x, training=True):
        index = tf.cast(self.held[0]["table"].lookup(x["words"]), tf.float32)
        scaled = self.by[3] * x["pair"][0] + x["pair"][1]
        return {"index": index, "more": (scaled, tf.constant(training))}

    @tf.function(input_signature=[tf.TensorSpec([None])])
    def half(self, x):
        return x / self.by[3]


def table():
    model = Table()
    pair = (np.float32([1, 2, 3]), np.float32([3, 4, 5]))
    spec = {"words": tf.TensorSpec([None], tf.string), "pair": (tf.TensorSpec([None]),) * 2}
    return model, spec, {"words": np.array(["b", "a", "c"]), "pair": pair}, {"half": model.half}


def functional():
    x = K.Input([4])
    y = K.BatchNormalization()(K.Dropout(0.5)(K.Dense(3, "gelu")(x)))
    model = keras.Model(x, {"left": K.Dense(2)(y), "right": y})
    return model, FLOATS, ROWS, {}


class Mixed(tf.Module):
    """Keras in a module of ours, in sixteen bits."""

    def __init__(self):
        super().__init__()
        self.nets = {"a": keras.Sequential([K.Dense(3, "relu"), K.Dropout(0.9)]), "b": L.Dense(2)}
        self.nets["b"].compute_dtype = "bfloat16"

    def __call__(self, x, training=False):
        return self.nets["b"](self.nets["a"](x, training=training))


def mixed():
    return Mixed(), FLOATS, ROWS, {}


def vocabulary():
    x = K.Input([1], dtype="string")
    y = K.Embedding(4, 2)(K.StringLookup(vocabulary=["a", "b"])(x))
    spec = tf.TensorSpec([None, 1], tf.string)
    return keras.Model(x, y), spec, np.array([["a"], ["?"]]), {}


MAKERS = {f.__name__: f for f in (text, image, table, functional, mixed, vocabulary)}

# Reads `job.json`: name -> (folder, inputs by name); writes every output of every signature, of the
# whole batch and of its first row.
SERVE = """
import json, sys
for name in ("trainer", "layers", "losses", "optimizers", "keras", "tf_keras"):
    sys.modules[name] = None  # importing it is an error
import numpy as np, tensorflow as tf
job, found = json.load(open("job.json")), {}
for name, (folder, spec) in job.items():
    loaded = tf.saved_model.load(folder)
    given = np.load(f"{name}.npz")
    for key, signature in loaded.signatures.items():
        names = list(signature.structured_input_signature[1])
        for rows in (None, 1):
            inputs = {n: tf.constant(given[f"{key}/{n}"][:rows]) for n in names}
            for out, value in signature(**inputs).items():
                found[f"{name}/{key}/{rows}/{out}"] = value.numpy()
    found[f"{name}/weights"] = np.array(sorted(loaded.weights))
np.savez("found.npz", **found)
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """(what the exporting process computes, what a fresh process computes from the folders)."""
    folder = tmp_path_factory.mktemp("served")
    want, job = {}, {}
    for name, make in MAKERS.items():
        model, spec, x, functions = make()
        trained_a_little(model, x)
        export(model, folder / name, spec, functions=functions)
        inputs = {f"serving_default/{n}": a for n, a in flat(x, "x").items()}
        halves = np.float32([4, 5, 6])
        inputs |= {f"{key}/x": halves if key == "half" else x for key in functions}
        np.savez(folder / f"{name}.npz", **inputs)
        job[name] = (str(folder / name), None)
        calls = {"serving_default": (lambda x, m=model: m(x, training=False), x)}
        calls |= {key: (f, halves if key == "half" else x) for key, f in functions.items()}
        for key, (function, given) in calls.items():
            run = tf.function(function, autograph=False)
            for rows in (None, 1):
                part = tf.nest.map_structure(lambda a, rows=rows: tf.constant(a[:rows]), given)
                for out, value in flat(run(part), "output").items():
                    want[f"{name}/{key}/{rows}/{out}"] = value.numpy()
    (folder / "job.json").write_text(json.dumps(job))
    done = subprocess.run(
        [sys.executable, "-I", "-c", SERVE], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    with np.load(folder / "found.npz") as found:
        return want, dict(found)


def trained_a_little(model, x):
    """Builds a model, and gives every float another value, statistics among them."""
    model(tf.nest.map_structure(tf.constant, x))
    for name, variable in state.model_variables(model).items():
        if variable.dtype.is_floating:
            low = 0.5 if "variance" in name else -0.5
            variable.assign(tf.random.uniform(variable.shape, low, 0.9, variable.dtype))


def flat(tree, single):
    """Name -> leaf, by the names that exports give."""
    if isinstance(tree, dict):
        return {n: leaf for key, value in tree.items() for n, leaf in flat(value, key).items()}
    if isinstance(tree, tuple):
        return {f"{single}_{i}": leaf for i, leaf in enumerate(tree)}
    return {single: tree}


@pytest.mark.parametrize("name", MAKERS)
def test_a_fresh_process_gives_the_same_bits(name, served):
    want, found = served
    keys = [key for key in want if key.startswith(f"{name}/")]
    assert {*keys, f"{name}/weights"} == {key for key in found if key.startswith(f"{name}/")}
    for key in keys:  # `.npz` has bfloat16 as raw bytes
        np.testing.assert_array_equal(found[key].view(want[key].dtype), want[key], key)
    assert all(len(np.unique(want[key])) > 1 for key in keys if want[key].size > 1)


def test_only_the_variables_that_are_read_are_there(served):
    """None of an optimizer, and none that inference does not need; under their own names."""
    _, found = served
    assert list(found["table/weights"]) == ["by/3"]
    names = list(found["functional/weights"])
    assert [n.split("_", 1)[1] for n in names if "seed" not in n][:2] == ["kernel", "bias"]
    assert not any("seed" in n for n in names)
    assert "layers/1/recurrent_kernel" in found["text/weights"]
    assert list(found["mixed/weights"])[:2] == ["nets/a/0_kernel", "nets/a/1_bias"]


def test_names_of_inputs_and_outputs(served):
    want, _ = served
    names = {key.split("/")[-1] for key in want if key.startswith("table/serving_default")}
    assert names == {"index", "more_0", "more_1"}
    assert not want["table/serving_default/None/more_1"]  # training=False


def test_it_is_called_as_the_model_was(tmp_path):
    model, spec, x, _ = table()
    export(model, tmp_path / "m", spec)
    loaded = tf.saved_model.load(str(tmp_path / "m"))
    x = tf.nest.map_structure(tf.constant, x)
    found, want = loaded(x), model(x, training=False)
    np.testing.assert_array_equal(found["more"][0], want["more"][0])


def test_a_folder_appears_whole_and_takes_the_place_of_an_earlier(tmp_path, monkeypatch):
    double = tf.Module()
    double.by = tf.Variable(2.0)
    path = tmp_path / "m"

    def value():
        return float(tf.saved_model.load(str(path))(tf.ones([1]))[0])

    export(lambda x: double.by * x, path, tf.TensorSpec([None]))
    double.by.assign(3.0)
    with monkeypatch.context() as broken:
        broken.setattr("os.fsync", lambda fd: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            export(lambda x: double.by * x, path, tf.TensorSpec([None]))
    assert value() == 2
    export(lambda x: double.by * x, path, tf.TensorSpec([None]))
    assert value() == 3
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_exported(tmp_path):
    dense = L.Dense(2)
    for unbuilt in (dense, keras.Sequential([K.Dense(2)]), L.Sequential([dense])):
        with pytest.raises(ValueError, match=r"[Bb]uil[dt]"):
            export(unbuilt, tmp_path / "m", FLOATS)
    dense(ROWS)
    with pytest.raises(FileNotFoundError, match="no folder"):
        export(dense, tmp_path / "absent" / "m", FLOATS)
    (tmp_path / "mine").mkdir()
    with pytest.raises(ValueError, match="is no SavedModel: it is left alone"):
        export(dense, tmp_path / "mine", FLOATS)
    for name in ("serving_default", "weights", "variables", "a-b", "_x"):
        with pytest.raises(ValueError, match="Python name of its own"):
            export(dense, tmp_path / "m", FLOATS, functions={name: dense})
    with pytest.raises(TypeError, match="input_spec holds a int"):
        export(dense, tmp_path / "m", [3, 4])
    with pytest.raises(TypeError, match="output holds a RaggedTensor"):
        export(tf.RaggedTensor.from_tensor, tmp_path / "m", FLOATS)
    two = tf.function(lambda x, y: x, input_signature=[FLOATS, FLOATS])
    with pytest.raises(ValueError, match=r"'two'.* of 2 arguments"):
        export(dense, tmp_path / "m", FLOATS, functions={"two": two})
    same = {"a": {"b": FLOATS}, "a_b": FLOATS}
    with pytest.raises(ValueError, match="inputs of the same name"):
        export(lambda x: x["a_b"], tmp_path / "m", same)
    assert [p.name for p in tmp_path.iterdir()] == ["mine"]


# The Trainer.


def test_a_trainer_exports_for_the_data_it_was_built_with(tmp_path):
    trainer = Trainer(
        L.Sequential([L.Dense(3), L.BatchNormalization()]), loss="mse", optimizer="adam", jit=False
    )
    with pytest.raises(
        ValueError, match=r"call fit, evaluate or predict first, or trainer\.weights"
    ):
        trainer.export(tmp_path / "m")
    trainer.fit(ROWS, ROWS[:, :3], verbose=0)
    trainer.export(tmp_path / "m")
    loaded = tf.saved_model.load(str(tmp_path / "m"))
    np.testing.assert_allclose(loaded(ROWS), trainer.predict(ROWS), rtol=1e-6, atol=1e-7)
    assert loaded(ROWS[:2]).shape == (2, 3)
    assert sorted(loaded.weights) == sorted(state.model_variables(trainer.task.model))


class Noisy(Task):
    """A task of one's own, which draws a seed where it predicts."""

    def __init__(self):
        super().__init__()
        self.model, self.optimizer = L.Dense(2), optimizers.Adam()

    def predict_step(self, batch, ctx):
        return self.model(batch["x"]) + tf.random.stateless_uniform([2], ctx.seed())


def test_a_task_exports_what_it_predicts(tmp_path):
    trainer = Trainer(Noisy(), jit=False)
    with pytest.raises(ValueError, match="call predict first"):
        trainer.export(tmp_path / "m")
    want = trainer.predict({"x": ROWS})
    trainer.export(tmp_path / "m")
    loaded = tf.saved_model.load(str(tmp_path / "m"))
    first, second = (loaded.signatures["serving_default"](x=tf.constant(ROWS)) for _ in range(2))
    np.testing.assert_array_equal(first["output"], second["output"])
    noise = first["output"] - trainer.task.model(ROWS)
    np.testing.assert_allclose(noise, np.broadcast_to(noise[:1], (5, 2)), atol=1e-6)
    assert want.shape == (5, 2)
