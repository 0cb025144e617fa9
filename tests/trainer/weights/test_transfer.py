"""Weights out and in: every bit comes back, all of them or none, and the Trainer waits for them."""

import numpy as np
import pytest
import tensorflow as tf

import layers as L
import optimizers
from trainer import Task, Trainer
from trainer.weights import MismatchError, load_weights, save_weights

ENDINGS = [".npz", ".safetensors"]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("kind", ["sequential", "Block", "Holder", "Oddities", "Rarities"])
def test_every_bit_comes_back(kind, ending, makers, bits, tmp_path):
    if kind == "Rarities" and ending == ".safetensors":
        with pytest.raises(ValueError, match=r"complex has dtype complex64.*save to \.npz"):
            save_weights(makers[kind](), tmp_path / "w.safetensors")
        return
    first, second = makers[kind](), makers[kind]()
    saved = bits(first)
    assert saved != bits(second)
    save_weights(first, tmp_path / f"w{ending}")
    assert load_weights(second, str(tmp_path / f"w{ending}")) == list(saved)
    assert bits(second) == saved
    assert list(tmp_path.iterdir()) == [tmp_path / f"w{ending}"]


def test_what_is_saved_and_what_is_not(makers, bits, tmp_path):
    """Seeds and statistics are, the optimizer's slots are not."""
    names = list(bits(makers["Holder"]()))
    assert names == [
        *(f"nets/net/{name}" for name in ("0_kernel", "1_bias", "2_seed_generator_state")),
        *(f"nets/net/{name}" for name in ("3_gamma", "4_beta", "5_moving_mean")),
        "nets/net/6_moving_variance",
        "nets/head/0_kernel",
        "nets/head/1_bias",
    ]


def test_the_same_weights_are_the_same_file(makers, tmp_path):
    model = makers["Oddities"]()
    for name in ("a.npz", "b.npz"):
        save_weights(model, tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize("ending", ENDINGS)
def test_nothing_is_assigned_unless_everything_fits(ending, pair, tmp_path):
    module, _ = pair
    other = tf.Module()
    other.w, other.b = tf.Variable(tf.ones([3, 4])), tf.Variable(tf.ones([5]))
    save_weights(other, tmp_path / f"w{ending}")
    with pytest.raises(MismatchError, match=r"b  \[5\] float32 in w.*, \[4\] float32 in the prog"):
        load_weights(module, tmp_path / f"w{ending}")
    assert not module.w.numpy().any()
    assert load_weights(module, tmp_path / f"w{ending}", partial="^w$") == ["w"]
    assert module.w.numpy().all() and not module.b.numpy().any()
    with pytest.raises(MismatchError, match="0 of the program's 1 variables that match 'b'"):
        load_weights(module, tmp_path / f"w{ending}", partial="b")


def test_a_dict_puts_a_prefix_before_the_names(pair, tmp_path):
    module, _ = pair
    save_weights({"model": module}, tmp_path / "w.npz")
    with pytest.raises(MismatchError, match=r'"model/" dropped.*makes 2 more fit') as caught:
        load_weights(module, tmp_path / "w.npz")
    assert "{'model': model}" in str(caught.value)
    assert load_weights({"model": module}, tmp_path / "w.npz") == ["model/w", "model/b"]


def test_arguments_that_cannot_be(pair, tmp_path):
    module, _ = pair
    with pytest.raises(ValueError, match=r"ends in '.ckpt'; .*\.npz, \.safetensors or"):
        save_weights(module, tmp_path / "w.ckpt")
    with pytest.raises(ValueError, match="only read"):
        save_weights(module, tmp_path / "w.weights.h5")
    with pytest.raises(FileNotFoundError, match="no folder"):
        save_weights(module, tmp_path / "absent" / "w.npz")
    with pytest.raises(FileNotFoundError, match="no file of weights"):
        load_weights(module, tmp_path / "absent" / "w.npz")
    with pytest.raises(ValueError, match=r"Dense has no variables.*is it built"):
        save_weights(L.Dense(3), tmp_path / "w.npz")
    module.text = tf.Variable(["words"])
    with pytest.raises(ValueError, match="text has dtype string"):
        save_weights(module, tmp_path / "w.npz")
    assert not list(tmp_path.iterdir())


# The Trainer.


def data():
    x = np.random.default_rng(0).normal(size=(20, 4)).astype("float32")
    return x, x[:, :2]


def trainer(seed=0, optimizer="sgd"):
    model = L.Sequential([L.Dense(3, "tanh"), L.BatchNormalization(), L.Dense(2)])
    return Trainer(model, loss="mse", optimizer=optimizer, jit=False, seed=seed)


@pytest.fixture
def trained(tmp_path):
    """A trainer that has trained, and its file."""
    found = trainer()
    found.fit(*data(), verbose=0)
    found.save_weights(tmp_path / "w.npz")
    return found, tmp_path / "w.npz"


def test_a_trainer_s_file_is_its_model_s(trained):
    before, path = trained
    model = L.Sequential([L.Dense(3, "tanh"), L.BatchNormalization(), L.Dense(2)])
    model(tf.zeros([1, 4]))
    load_weights(model, path)
    np.testing.assert_allclose(model(data()[0]), before.predict(data()[0]), atol=1e-6)


def test_weights_wait_for_the_model(trained, bits):
    """And are there before the first step: one step from them, not from the seed's weights."""
    before, path = trained
    later = trainer(seed=1)
    later.load_weights(path)
    np.testing.assert_array_equal(later.predict(data()[0]), before.predict(data()[0]))
    again = trainer(seed=2)
    again.load_weights(path)
    for one in (before, again):
        one.fit(*data(), batch_size=20, steps=one.step + 1, shuffle=False, verbose=0)
    assert bits(again.task.model) == bits(before.task.model)
    again.load_weights(path)  # it is built: at once
    np.testing.assert_array_equal(again.predict(data()[0]), later.predict(data()[0]))


def test_weights_that_wait_come_before_slots_that_copy_them(trained):
    """An optimizer that keeps a slow copy of the weights must not start from others."""

    class Slow(optimizers.SGD):
        def build(self, variables):
            self.copies = [tf.identity(v) for v in variables]
            super().build(variables)

    later = trainer(seed=1, optimizer=Slow(0.0))
    later.load_weights(trained[1])
    later.fit(*data(), steps=1, verbose=0)
    for copy, variable in zip(
        later.task.optimizer.copies, later.task.model.trainable_variables, strict=True
    ):
        np.testing.assert_array_equal(copy, variable)


def test_a_model_that_is_there_is_loaded_at_once(trained):
    before, path = trained
    later = trainer(seed=1)
    later.task.model(data()[0])
    later.load_weights(path)
    np.testing.assert_allclose(later.task.model(data()[0]), before.predict(data()[0]), atol=1e-6)


def test_parts_of_several_files(trained, tmp_path):
    before, path = trained
    before.fit(*data(), verbose=0)
    before.save_weights(tmp_path / "more.safetensors")
    later = trainer(seed=1)
    later.load_weights(path, partial="^layers/0/")
    later.load_weights(tmp_path / "more.safetensors", "^layers/2/")
    with pytest.raises(
        ValueError, match="'^encoder/' is found in no name in w.npz".replace("^", r"\^")
    ):
        later.load_weights(path, "^encoder/")
    later.predict(data()[0])
    found = later.task.model
    first, last = np.load(path), before.task.model
    np.testing.assert_array_equal(found[0].kernel, first["layers/0/kernel"])
    np.testing.assert_array_equal(found[2].kernel, last[2].kernel)
    assert not np.array_equal(found[0].kernel, last[0].kernel)


def test_what_does_not_fit_is_said_when_it_shows(trained, tmp_path, bits):
    before, path = trained
    other = Trainer(L.Sequential([L.Dense(3)]), loss="mse", optimizer="sgd", jit=False)
    other.load_weights(path)
    x, _ = data()
    for _ in range(2):  # it is not forgotten
        with pytest.raises(MismatchError, match=r"only in w\.npz"):
            other.fit(x, x[:, :3], verbose=0)
    assert other.step == 0
    with pytest.raises(FileNotFoundError):
        trainer().load_weights(tmp_path / "absent.npz")
    kept = bits(before.task.model)
    save_weights(L.Sequential([other.task.model[0]]), tmp_path / "other.npz")
    with pytest.raises(MismatchError):  # built: now
        before.load_weights(tmp_path / "other.npz")
    assert bits(before.task.model) == kept
    mine = trainer()
    mine.task.model(x)
    with pytest.raises(MismatchError):  # the trainer did not build it, but it is
        mine.load_weights(tmp_path / "other.npz")
    right = trainer(seed=3)
    save_weights({"layers/2/kernel": tf.Variable(tf.zeros([9]))}, tmp_path / "odd.npz")
    right.load_weights(tmp_path / "odd.npz", "^layers/2/kernel")
    right.load_weights(tmp_path / "other.npz")
    right.load_weights(path)  # takes the place of both
    np.testing.assert_array_equal(right.predict(x), before.predict(x))


class Autoencoder(Task):
    """A task of one's own with two models."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = L.Dense(2), L.Dense(4)
        self.optimizer = optimizers.Adam(0.01)

    def step(self, batch, ctx):
        def loss_fn(part):
            return tf.reduce_mean(tf.square(self.decoder(self.encoder(part)) - part), -1)

        variables = [*self.encoder.trainable_variables, *self.decoder.trainable_variables]
        return {"loss": ctx.minimize(loss_fn, batch, self.optimizer, variables)}


def test_a_task_s_weights_are_those_of_all_its_models(tmp_path, bits):
    x, _ = data()
    first, second = (Trainer(Autoencoder(), jit=False, seed=seed) for seed in (0, 1))
    first.fit(x, verbose=0)
    first.save_weights(tmp_path / "w.npz")
    saved = bits(first.task)
    assert list(saved) == ["encoder/kernel", "encoder/bias", "decoder/kernel", "decoder/bias"]
    second.load_weights(tmp_path / "w.npz")
    second.task.optimizer.learning_rate = 0.0
    second.fit(x, steps=1, verbose=0)
    assert bits(second.task) == saved
    load_weights(second.task, tmp_path / "w.npz", partial="^encoder/")
