"""The rules against optax, 30 updates from the same weights on the same gradients.

Optax needs JAX and is no dependency: `pip install "gradloop[peers]"` to run these. It has neither
Shampoo nor SOAP: those are written out in NumPy, in tests of their own.
"""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import optimizers

optax = pytest.importorskip("optax", reason="optax is not installed: an optional peer")
jax = pytest.importorskip("jax")
contrib = pytest.importorskip("optax.contrib")
STEPS = 30
EPS = 1e-7


def by_shape(update):
    """Times the scale of Liu et al. 2025."""
    return 0.2 * max(update.shape) ** 0.5 * update


class Measured(optimizers.Sophia):
    """Sophia with the squared gradient for the Hessian, taken after each update as in Optax."""

    def build(self, variables):
        """Begins with an estimate of zero, as Optax does."""
        super().build(variables)
        self.update_hessian([tf.zeros_like(v) for v in variables], variables)

    def apply(self, grads, variables):
        """The update, then the estimate."""
        super().apply(grads, variables)
        self.update_hessian([tf.square(g) for g in grads], variables)


CASES = {
    "adam": (lambda: optimizers.Adam(0.01, paper=True), lambda: optax.adam(0.01, eps=EPS)),
    "momentum": (lambda: optimizers.SGD(0.1, 0.9), lambda: optax.sgd(0.1, 0.9)),
    "adabelief": (
        lambda: optimizers.AdaBelief(0.01, epsilon=1e-8),
        lambda: optax.adabelief(0.01, eps=1e-8, eps_root=1e-8),
    ),
    "adadelta": (
        lambda: optimizers.Adadelta(1.0, 0.9, 1e-6),
        lambda: optax.adadelta(1.0, 0.9, 1e-6),
    ),
    "adafactor": (
        lambda: optimizers.Adafactor(0.1, relative_step=False, paper=True),
        lambda: optax.adafactor(0.1, min_dim_size_to_factor=1),
    ),
    "ademamix": (
        lambda: optimizers.AdEMAMix(0.01, beta_3=0.999),
        lambda: contrib.ademamix(0.01, b3=0.999, eps=EPS),
    ),
    "adopt": (lambda: optimizers.ADOPT(0.01), lambda: contrib.adopt(0.01)),
    "lamb": (
        lambda: optimizers.Lamb(0.01, epsilon=1e-6, weight_decay=0.1, paper=True),
        lambda: optax.lamb(0.01, weight_decay=0.1),
    ),
    "lars": (lambda: optimizers.LARS(0.5), lambda: optax.lars(0.5)),
    "lion": (lambda: optimizers.Lion(0.01), lambda: optax.lion(0.01, weight_decay=0.0)),
    "muon": (
        lambda: optimizers.Muon(
            0.01, nesterov=False, weight_decay=None, adam_weight_decay=None, paper=True
        ),
        lambda: contrib.muon(0.01, nesterov=False, adam_weight_decay=0.0),
    ),
    # Optax corrects m and g for the start before it looks ahead; Jordan et al. 2024 do not. So the
    # momentum is that of `optax.trace`, and what is made of it that of Muon.
    "muon-nesterov": (
        lambda: optimizers.Muon(0.01, weight_decay=0.1),
        lambda: optax.partition(
            {
                "matrix": optax.chain(
                    optax.trace(0.95, nesterov=True),
                    contrib.scale_by_muon(
                        beta=0.0,
                        nesterov=False,
                        weight_dimension_numbers=lambda u: jax.tree.map(
                            lambda _: contrib.MuonDimensionNumbers(), u
                        ),
                    ),
                    optax.stateless(lambda u, _: jax.tree.map(by_shape, u)),
                    optax.add_decayed_weights(0.1),
                    optax.scale(-0.01),
                ),
                "rest": optax.chain(
                    optax.scale_by_adam(eps=0.0, eps_root=0.0),
                    optax.add_decayed_weights(0.004),
                    optax.scale(-0.01),
                ),
            },
            lambda params: {n: "matrix" if p.ndim == 2 else "rest" for n, p in params.items()},
        ),
    ),
    "prodigy": (
        lambda: optimizers.Prodigy(bias_correction=True, initial_d=1e-3, weight_decay=0.1),
        lambda: contrib.prodigy(estim_lr0=1e-3, weight_decay=0.1),
    ),
    "radam": (
        lambda: optimizers.RAdam(0.01, beta_2=0.95),
        lambda: optax.radam(0.01, b2=0.95, eps=EPS),
    ),
    "schedule-free": (
        lambda: optimizers.ScheduleFreeAdamW(0.01, weight_decay=0.1, paper=True),
        lambda: contrib.schedule_free_adamw(0.01, weight_decay=0.1),
    ),
    # Optax corrects m for the start, which the paper does not: without a memory they are one.
    "sophia": (
        lambda: Measured(0.01, beta_1=0.0, gamma=0.5, weight_decay=0.1),
        lambda: contrib.sophia(
            0.01,
            b1=0.0,
            eps=1e-12,
            gamma=0.5,
            weight_decay=0.1,
            update_interval=1,
            hessian_diagonal_fn=optax.stateless(lambda g, _: {n: x**2 for n, x in g.items()}),
        ),
    ),
    "yogi": (
        lambda: optimizers.Yogi(0.01, initial_accumulator_value=0.0),
        lambda: optax.chain(optax.scale_by_yogi(initial_accumulator_value=0.0), optax.scale(-0.01)),
    ),
}


@pytest.fixture(scope="module")
def walk():
    """Initial weights and the gradients of every step: noise around a direction."""
    rng = np.random.default_rng(5)
    shapes = {"kernel": (6, 4), "wide": (3, 5), "bias": (4,)}
    weights = {n: np.float32(rng.normal(size=s)) for n, s in shapes.items()}
    draw = lambda: {n: np.float32(rng.normal(size=s) + 0.3) for n, s in shapes.items()}  # noqa: E731
    return weights, [draw() for _ in range(STEPS)]


def theirs(transform, weights, grads):
    params = {n: jax.numpy.array(w) for n, w in weights.items()}
    state = transform.init(params)

    @jax.jit
    def step(g, params, state):
        updates, state = transform.update(g, state, params)
        return optax.apply_updates(params, updates), state

    for g in grads:
        params, state = step(g, params, state)
    return {n: np.asarray(p) for n, p in params.items()}


@pytest.mark.parametrize("name", CASES)
def test_the_same_walk(name, walk):
    ours, peer = CASES[name]
    weights, grads = walk
    variables = {n: tf.Variable(w) for n, w in weights.items()}
    optimizer = ours()
    optimizer.build(variables.values())
    step = tf.function(lambda g: optimizer.apply(g, list(variables.values())))
    for g in grads:
        step([tf.constant(g[n]) for n in variables])
    wanted = theirs(peer(), weights, grads)
    for n, variable in variables.items():
        moved = np.linalg.norm(wanted[n] - weights[n])
        error = np.linalg.norm(variable.numpy() - wanted[n]) / moved
        assert error < 2e-5, f"{n}: {error:.1e} of the way that it moved ({moved:.1e})"
