"""Keras's `.weights.h5`: a twin of ours gives Keras's outputs, and nothing is matched by guess."""

import sys

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

import layers as L
from trainer import Trainer
from trainer.weights import DamagedFileError, MismatchError, load_weights
from trainer.weights.h5 import layout

K = keras.layers


class Attention(tf.Module):
    """A twin of a functional model: its layers in attributes, in the order of their use."""

    def __init__(self, kind=L):
        super().__init__()
        self.embedding, self.attention = kind.Embedding(9, 4), kind.MultiHeadAttention(2, 3)
        self.norm, self.drop = kind.LayerNormalization(), kind.Dropout(0.5)
        self.first, self.second = kind.Dense(4, "relu"), kind.Dense(4)
        self.rnn, self.head = kind.GRU(3), kind.Dense(2)

    def __call__(self, x, training=False):
        x = self.embedding(x)
        x = self.norm(self.attention(x, x) + x)
        x = self.second(self.drop(self.first(x), training=training)) + x
        return self.head(self.rnn(x))


def functional():
    x = K.Input([5], dtype="int32")
    return keras.Model(x, Attention(K)(x))


def stack(kind):
    """The same list of layers, of Keras or of ours."""
    return {
        "mlp": lambda: [kind.Dense(5, "relu"), kind.Dropout(0.5), kind.Dense(3), kind.Dense(2)],
        "cnn": lambda: [
            *(kind.Conv2D(4, 3), kind.BatchNormalization(), kind.ReLU(), kind.MaxPooling2D()),
            *(kind.DepthwiseConv2D(2), kind.PReLU(), kind.BatchNormalization(scale=False)),
            *(kind.Flatten(), kind.Dense(3)),
        ],
        "lstm": lambda: [
            *(kind.Embedding(9, 4), kind.LSTM(5, return_sequences=True), kind.LSTM(3)),
            kind.Dense(2),
        ],
    }


INPUTS = {
    "mlp": np.linspace(-1, 1, 12, dtype="float32").reshape(3, 4),
    "cnn": np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("float32"),
    "lstm": np.array([[1, 2, 3], [8, 0, 4]], "int32"),
    "attention": np.array([[1, 2, 3, 4, 5], [8, 0, 4, 4, 1]], "int32"),
}


def theirs(kind):
    """A Keras model with weights that no two layers share, statistics among them."""
    model = functional() if kind == "attention" else keras.Sequential(stack(K)[kind]())
    model(INPUTS[kind])
    rng = np.random.default_rng(1)
    model.set_weights([rng.uniform(0.1, 1, w.shape) for w in model.get_weights()])
    return model


def ours(kind):
    model = Attention() if kind == "attention" else L.Sequential(stack(L)[kind]())
    model(INPUTS[kind])
    return model


def values(model):
    return [v.numpy() for v in model.variables]


@pytest.mark.parametrize("kind", INPUTS)
def test_a_twin_gives_keras_s_outputs(kind, tmp_path):
    keras_model, model = theirs(kind), ours(kind)
    keras_model.save_weights(tmp_path / "k.weights.h5")
    loaded = load_weights(model, tmp_path / "k.weights.h5")
    assert len(loaded) == len(set(loaded)) == len(model.variables)
    got, want = model(INPUTS[kind], training=False), keras_model(INPUTS[kind], training=False)
    np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-6)


def test_a_trainer_loads_what_keras_trained(tmp_path):
    keras_model = theirs("mlp")
    keras_model.save_weights(tmp_path / "k.weights.h5")
    trainer = Trainer(L.Sequential(stack(L)["mlp"]()), loss="mse", optimizer="sgd")
    trainer.load_weights(tmp_path / "k.weights.h5")
    np.testing.assert_allclose(
        trainer.predict(INPUTS["mlp"]), keras_model(INPUTS["mlp"]), rtol=1e-6, atol=1e-6
    )


class Part(L.Layer):
    """Variables of its own, one of them not trained; a layer under two names."""

    def build(self, shape):
        self.kept = self.add_weight("kept", [4], "zeros", trainable=False)
        self.scale = self.add_weight("scale", [4], "zeros")
        self.b = L.Dense(4)
        self.a = self.b

    def call(self, x):
        return self.a(x) * self.scale + self.kept


class KerasPart(K.Layer):
    def build(self, shape):
        self.kept = self.add_weight(name="kept", shape=[4], trainable=False)
        self.scale = self.add_weight(name="scale", shape=[4])
        self.b = K.Dense(4)
        self.b.build(shape)
        self.a = self.b

    def call(self, x):
        return self.a(x) * self.scale + self.kept


KerasPart.__name__ = "Part"  # as paths name it


class Twin:
    """A model with parts in attributes before and after "layers", lists, dicts, and an alias."""

    def fill(self, kind, sequential, part):
        self.part = part
        self.zeroth = kind.Dense(4)
        self.blocks = [kind.Dense(4), [kind.Dense(4), kind.PReLU()]]
        self.table = {"z": kind.Dense(4), "a": kind.Dense(4)}
        self.again = self.zeroth
        self.tail = sequential([kind.Dense(4), kind.Dense(2)])

    def run(self, x):
        for layer in (self.zeroth, self.blocks[0], *self.blocks[1], *self.table.values()):
            x = layer(x)
        return self.tail(self.part(x))


class KerasTwin(keras.Model, Twin):
    def __init__(self):
        super().__init__()
        self.fill(K, keras.Sequential, KerasPart())

    def call(self, x):
        return self.run(x)


class OurTwin(tf.Module, Twin):
    def __init__(self):
        super().__init__()
        self.fill(L, L.Sequential, Part())

    def __call__(self, x):
        return self.run(x)


def test_models_made_of_attributes(tmp_path):
    """Every kernel is 4 by 4: only names and the order of parts can tell them apart."""
    first, second = KerasTwin(), OurTwin()
    for model in (first, second):
        model(INPUTS["mlp"])
    rng = np.random.default_rng(2)
    first.set_weights([rng.normal(size=w.shape) for w in first.get_weights()])
    first.save_weights(tmp_path / "k.weights.h5")
    names = load_weights(second, tmp_path / "k.weights.h5")
    assert "again/vars/0" in names and "blocks/container/p_re_lu/vars/0" in names
    assert {"layers/part/vars/1", "layers/part/a/vars/0"} <= set(names)
    assert "layers/dense_4/vars/0" in names and "layers/sequential/layers/dense_1/vars/1" in names
    np.testing.assert_allclose(second(INPUTS["mlp"]), first(INPUTS["mlp"]), rtol=1e-5, atol=1e-5)


def test_a_dict_says_where_parts_are_that_stand_elsewhere(tmp_path):
    keras_model = theirs("mlp")
    keras_model.save_weights(tmp_path / "k.weights.h5")
    parts = {name: L.Dense(n) for name, n in (("c", 2), ("b", 3), ("a", 5))}
    hidden = parts["a"](INPUTS["mlp"])
    parts["c"](parts["b"](hidden))
    with pytest.raises(MismatchError, match='"layers/dense/" renamed to "a/"'):
        load_weights(parts, tmp_path / "k.weights.h5")
    load_weights({"layers": [parts["a"], parts["b"], parts["c"]]}, tmp_path / "k.weights.h5")
    for part, layer in zip("abc", (0, 2, 3), strict=True):
        np.testing.assert_array_equal(parts[part].kernel, keras_model.layers[layer].kernel.value)
    two = {"layers/dense": parts["c"], "layers/dense_2/vars/1": parts["a"].bias}
    with pytest.raises(MismatchError):  # of other shapes
        load_weights(two, tmp_path / "k.weights.h5", partial="vars")
    bias = tf.Variable(tf.zeros([2]))
    load_weights({"layers/dense_2/vars/1": bias}, tmp_path / "k.weights.h5", partial="dense_2")
    np.testing.assert_array_equal(bias, keras_model.layers[3].bias.value)


def test_what_does_not_fit_is_told_by_keras_s_names(tmp_path):
    theirs("mlp").save_weights(tmp_path / "k.weights.h5")
    model = L.Sequential([L.Dense(5), L.BatchNormalization(), L.Dense(4), L.Dense(2)])
    model(INPUTS["mlp"])
    before = values(model)
    with pytest.raises(MismatchError) as caught:
        load_weights(model, tmp_path / "k.weights.h5")
    text = str(caught.value)
    assert "it has 3 of the program's 10 variables" in text
    assert "layers/dense_1/vars/0  [5, 3] float32 in k.weights.h5, [5, 4] float32 in the" in text
    assert "4 missing from k.weights.h5" in text and "layers/batch_normalization/vars/0" in text
    np.testing.assert_equal(values(model), before)
    assert load_weights(model, tmp_path / "k.weights.h5", partial="layers/dense/") == [
        "layers/dense/vars/0",
        "layers/dense/vars/1",
    ]
    assert not np.array_equal(model[0].kernel, before[0])


def test_variables_without_a_place_are_missing_and_optimizers_need_none(tmp_path):
    theirs("mlp").save_weights(tmp_path / "k.weights.h5")
    model = ours("mlp")
    model.optimizer = keras.optimizers.Adam()
    model.optimizer.build(model.trainable_variables)
    load_weights(model, tmp_path / "k.weights.h5")
    held = {"layers": model.layers, "others": [tf.Variable(1.0)]}
    assert set(layout(held, ["layers/dense/vars/0"])) >= {"layers/dense_2/vars/1", "others/0"}
    with pytest.raises(MismatchError, match=r"others/0  \[\] float32"):
        load_weights(held, tmp_path / "k.weights.h5")


# Into Keras models.


def test_into_a_keras_model(tmp_path):
    """Sixteen bits, statistics, by Keras's own layout; seeds stay; all or nothing."""

    def make():
        x = K.Input([4])
        y = K.Dropout(0.5)(K.Dense(3, dtype="bfloat16")(x))
        return keras.Model(x, K.BatchNormalization()(K.Dense(2, dtype="mixed_bfloat16")(y)))

    first, second = make(), make()
    first.set_weights([np.full(w.shape, i + 1.5) for i, w in enumerate(first.get_weights())])
    first.save_weights(tmp_path / "k.weights.h5")
    before = [v.numpy() for v in second.weights]
    assert load_weights(second, tmp_path / "k.weights.h5", partial="batch_normal") == [
        f"layers/batch_normalization/vars/{i}" for i in range(4)
    ]
    assert np.array_equal(second.weights[0].value, before[0])
    load_weights(second, tmp_path / "k.weights.h5")
    for a, b in zip(first.weights, second.weights, strict=True):
        if "seed" not in a.path:
            np.testing.assert_array_equal(a.value, b.value)
    other = keras.Sequential([K.Dense(3), K.Dense(5)])
    other.build([None, 4])
    before = [v.numpy() for v in other.weights]
    with pytest.raises(MismatchError, match="layers/dense_1/vars/0"):
        load_weights(other, tmp_path / "k.weights.h5")
    np.testing.assert_equal([v.numpy() for v in other.weights], before)
    trainer = Trainer(
        keras.Sequential([K.Dense(5, "relu"), K.Dropout(0.1), K.Dense(3), K.Dense(2)])
    )
    theirs("mlp").save_weights(tmp_path / "m.weights.h5")
    trainer.load_weights(tmp_path / "m.weights.h5")  # not built yet
    np.testing.assert_allclose(
        trainer.predict(INPUTS["mlp"]), theirs("mlp")(INPUTS["mlp"]), rtol=1e-6
    )


def test_keras_parts_have_no_place_in_a_module_of_ours(tmp_path):
    theirs("mlp").save_weights(tmp_path / "k.weights.h5")
    with pytest.raises(TypeError, match=r"part is Keras's Sequential.*into that model itself"):
        load_weights({"part": theirs("mlp")}, tmp_path / "k.weights.h5")
    layer = K.Dense(2)
    layer.build([None, 3])
    with pytest.raises(TypeError, match="only Keras models can"):
        load_weights(layer, tmp_path / "k.weights.h5")


# Files that lie.


def test_files_that_are_no_such_files(tmp_path):
    model = ours("mlp")
    path = tmp_path / "k.weights.h5"
    theirs("mlp").save_weights(path)
    whole = path.read_bytes()
    for content in (b"", b"PK\x03\x04" * 30, *(whole[:n] for n in range(8, len(whole), 4001))):
        path.write_bytes(content)
        with pytest.raises(DamagedFileError, match=f"It has {len(content)} bytes"):
            load_weights(model, path)
    with h5py.File(path, "w") as file:
        file.attrs["layer_names"] = ["dense"]
    with pytest.raises(DamagedFileError, match="layout of Keras 2"):
        load_weights(model, path)


def test_nothing_is_read_from_other_files_nor_made_larger_than_wanted(tmp_path, peak):
    dense = L.Dense(5)
    dense(INPUTS["mlp"])
    path, other = tmp_path / "k.weights.h5", tmp_path / "other.h5"
    with h5py.File(other, "w") as file:
        file["kernel"] = np.ones([4, 5], "float32")

    def attempt(make, error, said):
        with h5py.File(path, "w") as file:
            file["vars/1"] = np.ones([5], "float32")
            make(file)
        with peak() as used:
            with pytest.raises(error, match=said):
                load_weights(dense, path)
            assert used() < 4e6

    def linked(file):
        file["vars/0"] = h5py.ExternalLink(str(other), "kernel")

    def external(file):
        file.create_dataset("vars/0", (4, 5), "f4", external=[(str(other), 0, 80)])

    def virtual(file):
        source = h5py.VirtualLayout((4, 5), "f4")
        source[:] = h5py.VirtualSource(str(other), "kernel", (4, 5))
        file.create_virtual_dataset("vars/0", source)

    def huge(file):
        file.create_dataset("vars/0", (10**6, 10**5), "f4", chunks=(100, 100))

    def objects(file):
        file.create_dataset("vars/0", (4, 5), h5py.string_dtype())

    def empty(file):
        file["vars/0"] = h5py.Empty("f4")

    def misnamed(file):
        file.create_dataset("vars/0", (4, 5), "V8").attrs["dtype"] = "string"

    attempt(linked, MismatchError, "1 missing")
    attempt(external, DamagedFileError, "vars/0 are not in it")
    attempt(virtual, DamagedFileError, "vars/0 are not in it")
    attempt(huge, MismatchError, r"\[1000000, 100000\]")
    attempt(objects, MismatchError, "object")
    attempt(empty, DamagedFileError, "are not in it")
    attempt(misnamed, MismatchError, "void64")


def test_without_h5py_the_error_says_so(tmp_path, monkeypatch):
    (tmp_path / "k.weights.h5").touch()
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match="pip install h5py"):
        load_weights(ours("mlp"), tmp_path / "k.weights.h5")
