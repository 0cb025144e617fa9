"""Retrieval by two towers: which of a thousand items will a user take next?"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import tensorflow as tf

import layers
import losses
import optimizers
from benchmarks.data import Data
from benchmarks.workloads.base import Custom, keras_adam
from trainer import Task

USERS, ITEMS, TASTES = 2000, 1000, 6
TAKEN, HELD_OUT = 60, 10  # interactions of each user
RECALL_AT = 10


class TwoTower(Task):
    """A vector for each user, one for each item; a user takes what lies in his direction.

    The other items of the batch are the wrong answers. They come as often as they are popular, so
    the softmax over them is corrected by how often each was seen (Yi et al. 2019, whose estimate
    of the frequencies from the stream is here a plain count): without it, what is popular would be
    pushed away from everybody.
    """

    divisible = False

    def __init__(self, learning_rate: float) -> None:
        super().__init__()
        self.user_tower = layers.Sequential([layers.Embedding(USERS, 32), layers.Dense(32)])
        self.item_tower = layers.Sequential([layers.Embedding(ITEMS, 32), layers.Dense(32)])
        self.seen = tf.Variable(tf.ones([ITEMS]), trainable=False, name="seen")
        self.optimizer = optimizers.Adam(learning_rate)

    def step(self, batch, ctx):
        """Users [b], and the item that each took, [b]."""
        self.count(ctx.sum(occurrences(batch[1])))
        variables = [*self.user_tower.trainable_variables, *self.item_tower.trainable_variables]
        return {"loss": ctx.minimize(self.loss, batch, self.optimizer, variables)}

    def count(self, found):
        """Adds to how often each item was seen."""
        self.seen.assign_add(found)

    def loss(self, part):
        """Softmax over the items of the batch, corrected: [b]."""
        user, item = part
        scores = tf.matmul(self.user_tower(user), self.item_tower(item), transpose_b=True)  # [b, b]
        scores -= tf.math.log(tf.gather(self.seen, item) / tf.reduce_sum(self.seen))
        own = tf.range(tf.shape(item)[0])
        twice = (item[:, tf.newaxis] == item) & (own[:, tf.newaxis] != own)
        scores = tf.where(twice, -1e9, scores)  # the right answer once more is no wrong one
        return losses.sparse_categorical_crossentropy(own, scores, from_logits=True)

    def best(self, k: int) -> tf.Tensor:
        """The k items that each user is likeliest to take: [users, k]."""
        users, items = self.user_tower(tf.range(USERS)), self.item_tower(tf.range(ITEMS))
        return tf.math.top_k(tf.matmul(users, items, transpose_b=True), k).indices


def occurrences(items):
    """How often each item occurs: [b] -> [items]."""
    return tf.math.unsorted_segment_sum(tf.ones_like(items, tf.float32), items, ITEMS)


def probabilities() -> np.ndarray:
    """What each user takes, in truth: `[users, items]`, rows add up to 1.

    Users and items have six tastes in common; the popularity of items falls off as that of words
    does (Zipf).
    """
    rng = np.random.default_rng(0)
    users = rng.normal(size=[USERS, TASTES])
    items = rng.normal(size=[ITEMS, TASTES])
    popularity = -np.log(1.0 + rng.permutation(ITEMS))
    scores = users @ items.T + popularity
    weights = np.exp(scores - scores.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def recall(best: np.ndarray, users: np.ndarray, items: np.ndarray) -> float:
    """The share of interactions whose item is among its user's best, `[users, k]`."""
    return float(np.mean(np.any(best[users] == items[:, np.newaxis], axis=1)))


class Retrieval(Custom):
    """Quality is recall at 10, and its share of what one could reach who knew every taste."""

    name = "two_tower"
    title = "Two-tower retrieval of items for users"
    batch_size = 512
    epochs = 20
    learning_rate = 3e-3
    expected: ClassVar = {"recall_at_10": 0.58, "of_the_best": 0.93}
    round_steps = 200
    models = ("user_tower", "item_tower")

    def data(self, data_dir=None):
        """Users [b] and items [b] that they took, drawn by `probabilities`."""
        rng = np.random.default_rng(1)
        ends = np.cumsum(probabilities(), axis=1)
        draws = rng.random([USERS, TAKEN + HELD_OUT])
        items = np.stack([np.searchsorted(e, d) for e, d in zip(ends, draws, strict=True)])
        items = np.minimum(items, ITEMS - 1).astype(np.int32)
        users = np.broadcast_to(np.arange(USERS, dtype=np.int32)[:, np.newaxis], items.shape)
        order = rng.permutation(USERS * TAKEN)
        return Data(
            users[:, :TAKEN].ravel()[order],
            items[:, :TAKEN].ravel()[order],
            users[:, TAKEN:].ravel(),
            items[:, TAKEN:].ravel(),
        )

    def task(self):
        """Two towers, one optimizer."""
        return TwoTower(self.learning_rate)

    def validation(self, data):
        """None: recall is over all items, not over those of a batch."""
        return None

    def quality(self, trainer, data):
        """Recall over all items."""
        found = recall(trainer.task.best(RECALL_AT).numpy(), data.x_test, data.y_test)
        truth = np.argsort(-probabilities(), axis=1)[:, :RECALL_AT]
        return {
            "recall_at_10": found,
            "of_the_best": found / recall(truth, data.x_test, data.y_test),
        }

    def hand_step(self, task):
        """The same update with a tape."""
        optimizer = keras_adam(self.learning_rate)
        variables = [*task.user_tower.trainable_variables, *task.item_tower.trainable_variables]

        def step(batch, seeds):
            task.count(occurrences(batch[1]))
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(task.loss(batch))
            optimizer.apply(tape.gradient(loss, variables), variables)
            return {"loss": loss}

        return step
