"""Every optimizer that Keras has, with every argument it takes, 200 updates against Keras itself.

One list holds a matrix, a table whose gradient is rows (`tf.IndexedSlices`, some rows twice) and a
scalar. All cases of an optimizer run side by side in one compiled loop. What surrounds a rule is
tried in combinations, so that an order of its parts that is not Keras's shows; `--everything` tries
each alone too. (Vectors, with one axis, take the way of scalars everywhere.)
"""

from __future__ import annotations

import inspect
import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf

import optimizers
from optimizers import schedules

STEPS = 200
COSINE = "cosine"  # a schedule from the case's own rate down
AROUND = {
    "norm, average": {"clipnorm": 0.5, "use_ema": True, "ema_momentum": 0.9},
    "value, decay": {"clipvalue": 0.5, "weight_decay": 0.1},
    "schedule": {"learning_rate": COSINE, "weight_decay": 0.2, "excluded": ["table"]},
    "together": {
        "learning_rate": COSINE,
        "global_clipnorm": 1.0,
        "weight_decay": 0.1,
        "excluded": ["scale"],
        "use_ema": True,
        "ema_momentum": 0.8,
        "ema_overwrite_frequency": 7,
    },
    "accumulation": {
        "gradient_accumulation_steps": 3,
        "global_clipnorm": 0.8,
        "weight_decay": 0.1,
    },
}
ALONE = {
    **{name: {name: 0.5} for name in ("clipnorm", "clipvalue", "global_clipnorm", "weight_decay")},
    "average alone": {"use_ema": True},
    "overwriting": {"use_ema": True, "ema_overwrite_frequency": 7},
    "schedule alone": {"learning_rate": COSINE},
    "accumulation alone": {"gradient_accumulation_steps": 3},
}
BETAS = {"betas, epsilon": {"beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-2}}
ADAM = BETAS | {"amsgrad": {"amsgrad": True, "beta_2": 0.9}}
# The learning rate, and cases of the arguments that the optimizer alone has.
OWN: dict[str, tuple[float, dict]] = {
    "SGD": (0.1, {"momentum": {"momentum": 0.9}, "nesterov": {"momentum": 0.9, "nesterov": True}}),
    "RMSprop": (
        0.01,
        {
            "rho, epsilon": {"rho": 0.8, "epsilon": 1e-2},
            "momentum": {"momentum": 0.9},
            "centered": {"centered": True},
            "centered, momentum": {"centered": True, "momentum": 0.9},
        },
    ),
    "Adam": (0.01, ADAM),
    "AdamW": (0.01, ADAM),
    "Adamax": (0.01, BETAS),
    "Nadam": (0.01, BETAS),
    "Lamb": (0.01, BETAS),
    "Lion": (0.01, {"betas": {"beta_1": 0.8, "beta_2": 0.95}}),
    "Adagrad": (0.1, {"initial": {"initial_accumulator_value": 0.5, "epsilon": 1e-2}}),
    "Adadelta": (1.0, {"rho, epsilon": {"rho": 0.8, "epsilon": 1e-4}}),
    "Ftrl": (
        0.1,
        {
            "power, initial, l1": {
                "learning_rate_power": -0.4,
                "initial_accumulator_value": 0.5,
                "l1_regularization_strength": 0.3,
            },
            "l2, shrinkage, beta": {
                "l2_regularization_strength": 0.2,
                "l2_shrinkage_regularization_strength": 0.1,
                "beta": 0.5,
            },
        },
    ),
    "Adafactor": (
        0.1,
        {
            "beta_2_decay": {"beta_2_decay": -0.5},
            "epsilons": {"epsilon_1": 1e-2, "epsilon_2": 3.0, "clip_threshold": 0.5},
            "relative_step": {"learning_rate": 0.02, "relative_step": False},
        },
    ),
    "Muon": (
        0.01,
        {
            "adam": {
                "adam_beta_1": 0.8,
                "adam_beta_2": 0.95,
                "epsilon": 1e-2,
                "adam_lr_ratio": 0.5,
                "adam_weight_decay": 0.2,
                "exclude_layers": ["ta.le"],
            },
            "embeddings": {"exclude_embeddings": False, "momentum": 0.8, "nesterov": False},
            "newton": {"muon_a": 3.0, "muon_b": -3.2, "muon_c": 1.2, "ns_steps": 3},
            "rms_rate": {"rms_rate": None},
        },
    ),
    "ScheduleFreeAdamW": (0.01, BETAS | {"warmup": {"warmup_steps": 50}}),
}
# Where else what Keras has is compared.
ELSEWHERE = {
    "Optimizer": "tests/optimizers/test_base.py::test_slots_are_named_after_variables",
    "LossScaleOptimizer": "tests/parity/test_precision.py::"
    "test_scale_and_skips_are_keras_loss_scale_optimizers",
    "MultiOptimizer": "tests/optimizers/test_against_keras.py::test_groups",
    "OptimizerMap": "tests/optimizers/test_against_keras.py::test_groups",
}
# TensorFlow's kernel of Adadelta adds up in another order (1e-6 as written, below). Our
# Schedule-Free never forms the average x, which Keras divides out by beta_1 at every step.
BOUNDS = {"Adadelta": 2e-6, "ScheduleFreeAdamW": 3e-6}
# A scale belongs to the trainer's precision; names say nothing; keywords are older names.
NO_RULE = {"loss_scale_factor", "name", "kwargs"}


class ScheduleFree(keras.optimizers.ScheduleFreeAdamW):
    """Keras's without its fault, which has a test in test_schedule_free.py.

    It reads the average x with the z that has just moved, `(y - (1 - b1) z') / b1`; what is missing
    is added here: `b1 (1 - 1/t)` times the difference of the two x.
    """

    def update_step(self, gradient, variable, learning_rate):
        """Keras's step, and what its x lacks."""
        z = self._momentums[self._get_variable_index(variable)]
        old, share = tf.identity(z.value), 1.0 / keras.ops.cast(self.iterations + 1, "float32")
        super().update_step(gradient, variable, learning_rate)
        variable.assign_add((1.0 - share) * (1.0 - self.beta_1) * (z.value - old))


def cases(name, everything):
    """The arguments of every case, by its name."""
    rate, own = OWN[name]
    found = {"plain": {}} | AROUND | own | (ALONE if everything else {})
    return {case: {"learning_rate": rate} | chosen for case, chosen in found.items()}


def made(name, config, theirs=False):
    """The optimizer of one case: of Keras, or ours with what stands for Keras's arguments."""
    config = dict(config)
    excluded, parts = config.pop("excluded", None), config.get("gradient_accumulation_steps")
    if config["learning_rate"] == COSINE:
        cosine = (keras.optimizers.schedules if theirs else schedules).CosineDecay
        config["learning_rate"] = cosine(OWN[name][0], 150, 0.1)
    if theirs:
        kind = ScheduleFree if name == "ScheduleFreeAdamW" else getattr(keras.optimizers, name)
    else:
        kind = getattr(optimizers, name)
        config.pop("gradient_accumulation_steps", None)
    optimizer = kind(**config)
    if excluded:
        optimizer.exclude_from_weight_decay(var_names=excluded)
    return optimizers.Accumulate(optimizer, parts) if parts and not theirs else optimizer


@pytest.fixture(scope="module")
def walk():
    """walk({case: optimizer}, jit): weights of every case after 200 updates, by case and name."""
    rng = np.random.default_rng(3)
    weights = {"kernel": rng.normal(size=(7, 3)), "table": rng.normal(size=(6, 2)), "scale": 2.0}
    kernel, scale = rng.normal(size=(STEPS, 7, 3)), rng.normal(size=STEPS)
    # The first of three rows comes twice; the last of the six never has a gradient.
    rows = np.stack([rng.permutation(5)[:3] for _ in range(STEPS)])
    values = np.float32(rng.normal(size=(STEPS, 4, 2)))
    added = values[:, :3] + np.float32([1.0, 0.0, 0.0])[:, None] * values[:, 3:]
    drawn = [tf.constant(x, tf.float32) for x in (kernel, scale)]
    ours = tf.constant(rows[:, [0, 1, 2, 0]]), tf.constant(values)
    # Keras squares rows before it adds them (test_divergences.py), and cannot accumulate rows.
    theirs = tf.constant(rows), tf.constant(added)

    def run(chosen, jit=False):
        variables = {}
        for case, optimizer in chosen.items():
            new = keras.Variable if is_keras(optimizer) else tf.Variable
            variables[case] = [new(np.float32(w), name=n) for n, w in weights.items()]
            optimizer.build(variables[case])

        def body(i):
            kernel, scale = (tf.gather(x, i) for x in drawn)
            for case, optimizer in chosen.items():
                indices, values = (
                    tf.gather(x, i) for x in (theirs if is_keras(optimizer) else ours)
                )
                table = tf.IndexedSlices(values, indices, tf.constant([6, 2]))
                if getattr(optimizer, "gradient_accumulation_steps", None):
                    table = tf.convert_to_tensor(table)
                optimizer.apply([kernel, table, scale], variables[case])
            return (i + 1,)

        @tf.function(jit_compile=jit, autograph=False)
        def loop():
            tf.while_loop(lambda i: i < STEPS, body, (tf.constant(0),))

        loop()
        for case, optimizer in chosen.items():  # the averages, where there are any
            optimizer.finalize_variable_values(variables[case])
        return {
            case: dict(zip(weights, [w.numpy() for w in found], strict=True))
            for case, found in variables.items()
        }

    return run


def is_keras(optimizer):
    """Whether it is one of Keras's."""
    return isinstance(optimizer, keras.optimizers.Optimizer)


@pytest.mark.parametrize("name", OWN)
def test_every_argument(name, walk, close, request):
    """As written in the operations of Keras and their order; by TensorFlow's kernels; by XLA.

    Seen, of each variable's norm: 7e-7 as written (Adafactor's norms), 1.0e-6 by the kernel of
    Adadelta, 1.2e-6 under XLA, which contracts a * b + c; Schedule-Free 2.1e-6.
    """
    chosen = cases(name, request.config.getoption("--everything"))
    wanted = walk({case: made(name, config, theirs=True) for case, config in chosen.items()})
    for case, found in walk({case: made(name, config) for case, config in chosen.items()}).items():
        close(found, wanted[case], BOUNDS.get(name, 1e-6), case)
    compiled = {c: made(name, config) for c, config in chosen.items() if c not in (AROUND | ALONE)}
    compiled["together"] = made(name, chosen["together"])
    for case, found in walk(compiled, jit=True).items():
        close(found, wanted[case], max(2e-6, BOUNDS.get(name, 0.0)), f"{case}, compiled")
    if getattr(optimizers, name).kernel is optimizers.Optimizer.kernel:
        return
    written = {case: made(name, chosen[case]) for case in compiled}
    for optimizer in written.values():
        optimizer.fused = False
    for case, found in walk(written).items():
        close(found, wanted[case], 1e-6, f"{case}, as written")


@pytest.mark.parametrize("jit", [False, True])
def test_groups(jit, walk, close):
    """`Groups` is Keras's `MultiOptimizer`: each variable updated by the optimizer of its name."""
    theirs = keras.optimizers
    chosen = theirs.OptimizerMap(
        theirs.AdamW(0.01), {"kernel": theirs.Muon(0.02), "table": theirs.Adagrad(0.1)}
    )
    groups = {
        "kernel": optimizers.Muon(0.02),
        "table": optimizers.Adagrad(0.1),
        "...": optimizers.AdamW(0.01),
    }
    wanted = walk({"": theirs.MultiOptimizer(chosen)})[""]
    close(walk({"": optimizers.Groups(groups)}, jit)[""], wanted, 2e-6)


LONG = {  # means that forget slowly: what they take in, 1 - beta, is what rounding changes most
    "Adam": {"beta_2": 0.9999},
    "AdamW": {},
    "Adadelta": {"rho": 0.999},
    "Adagrad": {"initial_accumulator_value": 0.0},
    "Adamax": {"beta_1": 0.99},
    "Lamb": {"beta_2": 0.9999},
    "Nadam": {"beta_2": 0.9999},
    "RMSprop": {"rho": 0.999, "momentum": 0.9, "centered": True},
    "ScheduleFreeAdamW": {},
}


@pytest.mark.parametrize("name", LONG)
def test_how_far_weights_move(name, rng):
    """From 0 (but for Lamb's), so that no weight's rounding hides that of an update."""
    gradients = rng.normal(size=(20, 6, 4)).astype(np.float32)
    start = np.full((6, 4), 1e-3 if name == "Lamb" else 0.0, np.float32)

    def moved(optimizer, jit):
        kind = keras.Variable if is_keras(optimizer) else tf.Variable
        weight = kind(start)
        optimizer.build([weight])
        apply = tf.function(
            lambda gradient: optimizer.apply([gradient], [weight]), autograph=False, jit_compile=jit
        )
        after = []
        for gradient in gradients:
            apply(tf.constant(gradient))
            after.append(weight.numpy() - start)
        return after[0], after[-1]

    config = {"learning_rate": 0.01} | LONG[name]
    wanted = moved(made(name, config, theirs=True), False)
    for jit in (False, True):
        for got, want in zip(moved(made(name, config), jit), wanted, strict=True):
            assert np.linalg.norm(got - want) <= 1e-6 * np.linalg.norm(want)


def test_nothing_that_keras_has_is_left_out():
    """A new optimizer of Keras's, or a new argument, must find its place above."""
    kinds = {n: k for n, k in vars(keras.optimizers).items() if inspect.isclass(k)}
    assert set(kinds) == set(OWN) | set(ELSEWHERE)
    for name in OWN:
        accepted = inspect.signature(kinds[name]).parameters
        tried = {
            argument
            for config in cases(name, everything=False).values()
            for argument, value in config.items()
            if argument == "excluded" or value != accepted[argument].default
        }
        assert set(accepted) - tried == NO_RULE, name
    root = pathlib.Path(__file__).parents[2]
    for place in ELSEWHERE.values():
        path, test = place.split("::")
        assert f"def {test}(" in (root / path).read_text(encoding="utf-8"), place


def test_nothing_that_schedules_of_keras_have_is_left_out():
    """Their arguments and defaults too; tests/optimizers/schedules compares their numbers."""
    base = keras.optimizers.schedules.LearningRateSchedule
    kinds = {
        name: kind
        for name, kind in vars(keras.optimizers.schedules).items()
        if inspect.isclass(kind) and kind is not base
    }
    assert kinds
    for name, kind in kinds.items():
        theirs = inspect.signature(kind).parameters
        ours = inspect.signature(getattr(schedules, name)).parameters
        wanted = {n: p.default for n, p in theirs.items() if n != "name"}
        assert {n: p.default for n, p in ours.items()} == wanted, name
        source = " ".join(
            p.read_text() for p in pathlib.Path(__file__).parent.glob("schedules/*.py")
        )
        assert f'"{name}", ' in source, f"no test compares {name} with Keras's"
