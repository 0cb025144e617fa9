"""A pre-norm GPT and a bidirectional LSTM with Keras's weights, trained in step with `fit`."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import layers as L
import losses
import optimizers
from trainer import Trainer

K = keras.layers
WORDS, LENGTH, WIDTH, ROWS, BATCH = 11, 6, 8, 80, 8
RNG = np.random.default_rng(0)
TOKENS = RNG.integers(0, WORDS, [ROWS, LENGTH + 1]).astype(np.int32)
KINDS = RNG.integers(0, 3, ROWS).astype(np.int32)


def keras_gpt():
    class Positions(K.Layer):
        def build(self, input_shape):
            self.table = self.add_weight(shape=[LENGTH, WIDTH], initializer="glorot_uniform")

        def call(self, x):
            return x + self.table

    tokens = keras.Input([LENGTH], dtype="int32")
    x = Positions()(K.Embedding(WORDS, WIDTH)(tokens))
    for _ in range(2):
        y = K.LayerNormalization()(x)
        x = x + K.MultiHeadAttention(2, WIDTH // 2)(y, y, use_causal_mask=True)
        y = K.Dense(16, "gelu")(K.LayerNormalization()(x))
        x = x + K.Dense(WIDTH)(y)
    return keras.Model(tokens, K.Dense(WORDS)(K.LayerNormalization()(x)))


def our_gpt():
    return L.CausalTransformer(
        WORDS,
        WIDTH,
        blocks=[L.TransformerBlock(2, 16, causal=True) for _ in range(2)],
        positions=L.PositionEmbedding(LENGTH),
    )


def lstm(lib):
    return [
        lib.Embedding(WORDS, WIDTH),
        lib.Bidirectional(lib.LSTM(5, return_sequences=True)),
        lib.Bidirectional(lib.LSTM(4)),
        lib.Dense(3),
    ]


MODELS = {
    "gpt": (keras_gpt, our_gpt, TOKENS[:, :-1], TOKENS[:, 1:]),
    "lstm": (
        lambda: keras.Sequential([keras.Input([LENGTH], dtype="int32"), *lstm(K)]),
        lambda: L.Sequential(lstm(L)),
        TOKENS[:, :-1],
        KINDS,
    ),
}


@pytest.mark.parametrize("jit", [False, "loop"])
@pytest.mark.parametrize("name", MODELS)
def test_forward_and_50_steps_are_keras(name, jit):
    """Seen: losses of every step 2e-7 relative, weights after 50 steps 3e-6 (gpt), 3e-7 (lstm)."""
    make_keras, make_ours, x, y = MODELS[name]
    theirs, ours = make_keras(), make_ours()
    ours(x[:1])
    ours.set_weights(theirs.get_weights())
    np.testing.assert_allclose(ours(x), theirs(x), rtol=1e-5, atol=1e-5)

    wanted = []
    record = keras.callbacks.LambdaCallback(
        on_train_batch_begin=lambda batch, logs: theirs.reset_metrics(),
        on_train_batch_end=lambda batch, logs: wanted.append(logs["loss"]),
    )
    theirs.compile(
        keras.optimizers.SGD(0.1, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    how = {"batch_size": BATCH, "epochs": 5, "shuffle": False, "verbose": 0}
    theirs.fit(x, y, callbacks=[record], **how)
    trainer = Trainer(
        ours,
        loss=losses.SparseCategoricalCrossentropy(from_logits=True),
        optimizer=optimizers.SGD(0.1, momentum=0.9),
        jit=jit,
    )
    history = trainer.fit(x, y, **how)
    got = history.steps["loss"]
    figures = np.max(np.abs(np.asarray(got) / wanted - 1.0))
    apart = max(
        np.abs(a - b).max() / max(0.1, np.abs(b).max())
        for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True)
    )
    print("PARITY", name, jit, f"losses {figures:.1e}, weights {apart:.1e}")
    assert len(got) == len(wanted) == 50
    np.testing.assert_allclose(got, wanted, rtol=2e-6)
    assert apart <= 3e-5
