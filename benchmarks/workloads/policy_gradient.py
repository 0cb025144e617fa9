"""An actor and a critic that learn to balance a pole: the data are made inside the step."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

import layers
import losses
import optimizers
from benchmarks.data import Data
from benchmarks.workloads.base import Custom
from trainer import Sums, Task

STARTS = 1600
DISCOUNT = 0.99
FARTHEST, STEEPEST = 2.4, np.pi / 15  # where an episode ends: meters, radians
GRAVITY, CART, POLE, HALF_LENGTH, FORCE, SECONDS = 9.8, 1.0, 0.1, 0.5, 10.0, 0.02


def cart_pole(state, push):
    """One step of the cart with a pole: states [b, 4] and pushes [b] (1 right, 0 left) -> [b, 4].

    Position, speed, angle and its speed; Barto, Sutton and Anderson 1983, with the constants and
    the explicit Euler steps of Gym's CartPole.
    """
    _, speed, angle, turning = tf.unstack(state, axis=-1)
    sin, cos = tf.sin(angle), tf.cos(angle)
    force = FORCE * (2.0 * push - 1.0)
    pulled = (force + POLE * HALF_LENGTH * turning**2 * sin) / (CART + POLE)
    inertia = HALF_LENGTH * (4.0 / 3.0 - POLE * cos**2 / (CART + POLE))
    turned = (GRAVITY * sin - cos * pulled) / inertia
    moved = pulled - POLE * HALF_LENGTH * turned * cos / (CART + POLE)
    rates = tf.stack([speed, moved, turning, turned], axis=-1)
    return state + SECONDS * rates


def upright(state):
    """Whether an episode goes on: [b, 4] -> [b]."""
    return (tf.abs(state[..., 0]) < FARTHEST) & (tf.abs(state[..., 2]) < STEEPEST)


class ActorCritic(Task):
    """REINFORCE with a learned baseline (Williams 1992; Sutton and Barto 2018, section 13.4).

    A batch is where episodes begin. All of them are played at once, in a loop inside the compiled
    step; then the actor learns from what it did, and the critic from what came of it.
    """

    def __init__(self, learning_rate: Any, most_steps: int) -> None:
        super().__init__()
        self.most_steps = most_steps
        self.actor = layers.Sequential([layers.Dense(64, activation="tanh"), layers.Dense(1)])
        self.critic = layers.Sequential([layers.Dense(64, activation="tanh"), layers.Dense(1)])
        self.actor_optimizer = optimizers.Adam(learning_rate)
        self.critic_optimizer = optimizers.Adam(learning_rate)

    def step(self, batch, ctx):
        """Starts of episodes, [b, 4]."""
        chances = tf.random.stateless_uniform([self.most_steps, tf.shape(batch)[0]], ctx.seed())
        played = self.play(batch, chances)
        played["advantage"] = played["gain"] - self.value(played)
        actor, critic = self.actor, self.critic
        return {
            "actor_loss": ctx.minimize(
                self.actor_loss, played, self.actor_optimizer, actor.trainable_variables
            ),
            "critic_loss": ctx.minimize(
                self.critic_loss, played, self.critic_optimizer, critic.trainable_variables
            ),
            "return": Sums.of(tf.reduce_sum(played["alive"], axis=1)),
        }

    def eval_step(self, batch, ctx):
        """How long the pole stays up if the likelier push is always taken."""
        always_half = tf.fill([self.most_steps, tf.shape(batch)[0]], 0.5)
        return {"return": Sums.of(tf.reduce_sum(self.play(batch, always_half)["alive"], axis=1))}

    def play(self, start, chances):
        """Episodes from starts [b, 4], at most t steps each.

        Pushes go to the right where the actor's probability of it is at least `chances`, [t, b].
        """

        def one(before, chance):
            state, alive, _ = before
            push = tf.cast(chance <= tf.sigmoid(self.actor(state)[:, 0]), tf.float32)
            after = cart_pole(state, push)
            return after, alive * tf.cast(upright(after), tf.float32), push

        first = (start, tf.ones_like(start[:, 0]), tf.zeros_like(start[:, 0]))
        states, alive, push = tf.scan(one, chances, first)  # [t, b, ...], after each step
        states = tf.concat([start[tf.newaxis], states[:-1]], axis=0)
        alive = tf.concat([first[1][tf.newaxis], alive[:-1]], axis=0)  # the step was still played
        state, alive, push = (by_episode(a) for a in (states, alive, push))
        return {"state": state, "alive": alive, "push": push, "gain": discounted(alive)}

    def value(self, played):
        """What the critic expects to come, [b, t], as a share of the most there can be."""
        return self.critic(played["state"])[..., 0]

    def actor_loss(self, part):
        """Surprise at what was done, times how much better than expected it went: [b]."""
        logits = self.actor(part["state"])  # [b, t, 1]
        surprise = losses.binary_crossentropy(part["push"][..., None], logits, from_logits=True)
        return self.over_time(part["advantage"] * surprise, part)

    def critic_loss(self, part):
        """The squared error of the expectation, [b]."""
        return self.over_time(tf.square(self.value(part) - part["gain"]), part)

    def over_time(self, values, part):
        """The sum over the steps that were played, per step that could have been: [b, t] -> [b]."""
        return tf.reduce_sum(part["alive"] * values, axis=1) / self.most_steps


def by_episode(array):
    """[t, b, ...] -> [b, t, ...]."""
    return tf.transpose(array, [1, 0, *range(2, array.shape.rank)])


def discounted(rewards):
    """The discounted sum of this and all later rewards, times 1 - DISCOUNT: [b, t] -> [b, t]."""
    t = rewards.shape[1]
    later = np.arange(t)[:, np.newaxis] - np.arange(t)  # [from, to]
    weights = np.where(later >= 0, DISCOUNT ** np.maximum(later, 0.0), 0.0)
    return (1.0 - DISCOUNT) * rewards @ tf.constant(weights, tf.float32)


class PolicyGradient(Custom):
    """64 episodes a step; quality is how many of 500 steps the pole stays up, at most 500."""

    name = "policy_gradient"
    title = "Actor and critic on CartPole"
    batch_size = 64
    epochs = 8
    learning_rate = 1e-2
    expected: ClassVar = {"return": 475.0}
    round_steps = 50
    models = ("actor", "critic")
    most_steps = 500

    def data(self, data_dir=None):
        """Where episodes begin, [b, 4], nearly at rest; `data_dir` is not needed."""
        rng = np.random.default_rng(0)
        train, test = (rng.uniform(-0.05, 0.05, [n, 4]).astype(np.float32) for n in (STARTS, 256))
        return Data(train, None, test, None)

    def task(self):
        """Two networks with an optimizer each, whose rates fall to 0."""
        schedules = optimizers.schedules
        falling = schedules.CosineDecay(self.learning_rate, self.epochs * STARTS // self.batch_size)
        return ActorCritic(falling, self.most_steps)

    def hand_step(self, task):
        """The same updates with tapes."""
        import keras

        def update(optimizer, loss_fn, played, variables):
            with tf.GradientTape() as tape:
                loss = tf.reduce_mean(loss_fn(played))
            optimizer.apply(tape.gradient(loss, variables), variables)
            return loss

        schedules = keras.optimizers.schedules
        falling = schedules.CosineDecay(self.learning_rate, self.epochs * STARTS // self.batch_size)
        actor_optimizer = keras.optimizers.Adam(falling)
        critic_optimizer = keras.optimizers.Adam(falling)
        actor, critic = task.actor.trainable_variables, task.critic.trainable_variables

        def step(starts, seeds):
            shape = [self.most_steps, tf.shape(starts)[0]]
            played = task.play(starts, tf.random.stateless_uniform(shape, seeds.next()))
            played["advantage"] = played["gain"] - task.value(played)
            return {
                "actor_loss": update(actor_optimizer, task.actor_loss, played, actor),
                "critic_loss": update(critic_optimizer, task.critic_loss, played, critic),
                "return": tf.reduce_mean(tf.reduce_sum(played["alive"], axis=1)),
            }

        return step

    def sample(self, trainer: Any, data: Data) -> str:
        """An episode, a picture every 50 steps: the cart on its track, and how the pole leans."""
        always_half = tf.fill([self.most_steps, 1], 0.5)
        states = trainer.task.play(data.x_test[:1], always_half)["state"][0].numpy()
        lines = []
        for number in range(0, self.most_steps, 50):
            x, _, angle, _ = states[number]
            pole = "\\" if angle < -0.02 else "/" if angle > 0.02 else "|"
            place = round(20 * (1 + min(max(x / FARTHEST, -1), 1)))
            lines.append(f"step {number:3}  {'_' * place}{pole}{'_' * (40 - place)}")
        return "\n".join(lines)
