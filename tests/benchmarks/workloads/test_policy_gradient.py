"""The cart and its pole, and what the actor and the critic are told of an episode."""

import numpy as np
import tensorflow as tf

from benchmarks.workloads import policy_gradient as pg

RNG = np.random.default_rng(0)


def test_the_cart_obeys_the_equations_of_motion():
    """Lagrange's two equations of a cart with a pole, solved in float64 by linear algebra."""
    states = RNG.normal(0, 0.2, [5, 4])
    pushes = np.array([0.0, 1.0, 1.0, 0.0, 1.0])
    found = pg.cart_pole(tf.constant(states, tf.float32), tf.constant(pushes, tf.float32))
    for state, push, after in zip(states, pushes, found.numpy(), strict=True):
        _, speed, angle, turning = state
        arm = pg.POLE * pg.HALF_LENGTH
        masses = [
            [pg.CART + pg.POLE, arm * np.cos(angle)],
            [arm * np.cos(angle), 4 / 3 * arm * pg.HALF_LENGTH],
        ]
        force = pg.FORCE * (2 * push - 1)
        forces = [force + arm * np.sin(angle) * turning**2, arm * pg.GRAVITY * np.sin(angle)]
        moved, turned = np.linalg.solve(masses, forces)
        expected = state + 0.02 * np.array([speed, moved, turning, turned])
        np.testing.assert_allclose(after, expected, rtol=1e-5, atol=1e-6)


def test_a_step_is_played_until_the_pole_has_fallen():
    task = pg.ActorCritic(1e-3, 30)
    starts = RNG.uniform(-0.05, 0.05, [3, 4]).astype(np.float32)
    played = task.play(tf.constant(starts), tf.zeros([30, 3]))  # always to the right
    for number, start in enumerate(starts):
        state, steps = tf.constant(start[np.newaxis]), 0
        while bool(pg.upright(state)[0]):
            np.testing.assert_allclose(
                played["state"][number, steps], state[0], rtol=1e-5, atol=1e-6
            )
            state, steps = pg.cart_pole(state, tf.ones([1])), steps + 1
        assert 5 < steps < 15  # as a falling pole does
        alive = played["alive"][number].numpy()
        np.testing.assert_array_equal(alive, np.arange(30) < steps)
        np.testing.assert_array_equal(played["push"][number], np.ones(30))


def test_gains_are_the_discounted_sums_of_what_follows():
    rewards = RNG.random([2, 7]).astype(np.float32)
    expected, later = np.zeros([2, 7]), np.zeros(2)
    for t in reversed(range(7)):
        later = rewards[:, t] + pg.DISCOUNT * later
        expected[:, t] = (1 - pg.DISCOUNT) * later
    np.testing.assert_allclose(pg.discounted(tf.constant(rewards)), expected, rtol=1e-5)
