"""What each optimizer buys: loss against steps and against seconds, on three small problems.

A chained Rosenbrock valley (16 numbers, as a matrix), a quadratic with a condition number of
10,000, and an MLP on handwritten digits. Every optimizer takes the best of a grid of learning
rates, so what is compared is the rule and not the guess. Writes convergence.json and .png.

    python -m benchmarks.convergence --optimizers=Adam,SOAP --out=results
"""

from __future__ import annotations

import pathlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from absl import flags, logging

from benchmarks import cli, machine, plot, quiet, results, tables
from benchmarks.data.digits import load_digits

RATES = tuple(float(10.0**-k) for k in np.arange(0.0, 4.01, 0.5))
CURVES = 6  # drawn in colour; the others in grey
POINTS = 200  # of a curve, in the file


class Problem(NamedTuple):
    """What is minimised.

    Attributes:
        weights: Initial values.
        loss: Called with the weights as tensors and the step; gives a scalar.
        whole: The loss that curves show, of the weights alone.
        steps: Updates.
    """

    weights: list[np.ndarray]
    loss: Callable[[Sequence[Any], Any], Any]
    whole: Callable[[Sequence[Any]], Any]
    steps: int


def define_flags() -> None:
    """This command's flags."""
    flags.DEFINE_list("optimizers", [], "Which; by default all, and some around others.")
    flags.DEFINE_list("problems", list(PROBLEMS), "Which: rosenbrock, quadratic, digits.")
    flags.DEFINE_integer("steps", None, "Updates; by default each problem's own.", lower_bound=10)
    flags.DEFINE_string("out", "results", "Folder for convergence.json and convergence.png.")
    flags.register_validator(
        "problems", lambda names: all(cli.check_one(name, PROBLEMS) for name in names)
    )


def main(argv: Sequence[str]) -> int:
    """Runs the command."""
    given = flags.FLAGS
    with quiet.quiet_import():
        known = contenders()
    for name in given.optimizers:
        cli.check_one(name, known)
    measured = measure(
        given.optimizers or list(known), given.problems, steps=given.steps, say=logging.info
    )
    out = tables.console()
    show(out, measured)
    tables.show_machine(out, measured)
    folder = pathlib.Path(given.out)
    folder.mkdir(parents=True, exist_ok=True)
    results.save(folder / "convergence.json", measured)
    draw(measured, folder / "convergence.png")
    return 0


def contenders() -> dict[str, Callable[[], Any]]:
    """Every optimizer by name, and some that go around another."""
    import optimizers as o

    found: dict[str, Callable[[], Any]] = {name: getattr(o, name) for name in o.names()}
    found["SGD"] = lambda: o.SGD(momentum=0.9, nesterov=True)
    # With the learning rate as the factor of an estimate that starts at 1e-3.
    found["Prodigy"] = lambda: o.Prodigy(initial_d=1e-3)
    found["Muon"] = lambda: o.Muon(weight_decay=None, adam_weight_decay=None)
    found["Adafactor"] = lambda: o.Adafactor(relative_step=False, paper=True)
    found["AdamW"] = lambda: o.AdamW(weight_decay=1e-4)
    found["Lookahead(Adam)"] = lambda: o.Lookahead(o.Adam())
    found["SAM(SGD)"] = lambda: o.SAM(o.SGD(momentum=0.9, nesterov=True))
    found["EMA(Adam)"] = lambda: o.EMA(o.Adam(), 0.95)
    return found


def measure(
    names: Sequence[str],
    problems: Sequence[str],
    *,
    steps: int | None = None,
    rates: Sequence[float] = RATES,
    say: Callable[..., None] = lambda *args: None,
) -> dict[str, Any]:
    """The best curve of every optimizer on every problem."""
    known = contenders()
    curves: dict[str, dict[str, Any]] = {}
    for problem in problems:
        made = PROBLEMS[problem]()
        made = made._replace(steps=steps or made.steps)
        curves[problem] = {}
        for name in names:
            best = best_curve(made, known[name], rates)
            curves[problem][name] = best
            say("%s %s: %.3g at a rate of %.3g", problem, name, best["loss"][-1], best["rate"])
    return {**machine.about(), "curves": curves}


def best_curve(problem: Problem, make: Callable[[], Any], rates: Sequence[float]) -> dict[str, Any]:
    """The curve with the lowest end over the rates; seconds are of a run that was compiled."""
    import tensorflow as tf

    optimizer = make()
    weights = [tf.Variable(w, name=f"layer_{i}") for i, w in enumerate(problem.weights)]
    optimizer.build(weights)
    run = compiled(problem, optimizer, weights)
    every = [*weights, *optimizer.variables]
    before = [v.read_value() for v in every]
    best: dict[str, Any] = {}
    for rate in (rates[0], *rates):  # the first run compiles
        for variable, value in zip(every, before, strict=True):
            variable.assign(value)
        optimizer.learning_rate = rate
        started = time.perf_counter()
        losses = run().numpy()
        seconds = time.perf_counter() - started
        end = float(np.mean(losses[-max(1, len(losses) // 20) :]))
        end = end if np.isfinite(losses).all() else float("inf")
        if not best or end <= best["end"]:
            best = {"end": end, "rate": rate, "seconds": seconds, "losses": losses}
    losses = best.pop("losses")
    chosen = np.unique(np.linspace(0, len(losses) - 1, POINTS).astype(int))
    return best | {"steps": chosen.tolist(), "loss": [float(losses[i]) for i in chosen]}


def compiled(problem: Problem, optimizer: Any, weights: Sequence[Any]) -> Callable[[], Any]:
    """All updates in one call, which gives the loss after each."""
    import tensorflow as tf

    update = updates(problem, optimizer, weights)

    @tf.function
    def run() -> Any:
        def body(i: Any, losses: Any) -> tuple[Any, Any]:
            update(i)
            value = problem.whole([tf.convert_to_tensor(v) for v in optimizer.evaluation_values()])
            return i + 1, losses.write(i, value)

        losses = tf.TensorArray(tf.float32, problem.steps)
        _, losses = tf.while_loop(
            lambda i, _: i < problem.steps, body, (tf.constant(0), losses), parallel_iterations=1
        )
        return losses.stack()

    return run


def updates(problem: Problem, optimizer: Any, weights: Sequence[Any]) -> Callable[[Any], None]:
    """One update, with all gradients that the optimizer wants, as a function of the step."""
    import tensorflow as tf

    import optimizers as o

    def gradient(step: Any) -> list[Any]:
        with tf.GradientTape() as tape:
            loss = problem.loss([tf.convert_to_tensor(w) for w in weights], step)
        return tape.gradient(loss, weights)

    def update(step: Any) -> None:
        if isinstance(optimizer, o.Sophia):
            tf.cond(tf.equal(step % 10, 0), lambda: curvature(step), lambda: 0)
        if hasattr(optimizer, "perturb"):
            optimizer.perturb(gradient(step), weights)
        optimizer.apply(gradient(step), weights)

    def curvature(step: Any) -> int:
        def loss() -> Any:
            return problem.loss([tf.convert_to_tensor(w) for w in weights], step)

        estimates = o.hutchinson(loss, weights, tf.stack([step, 0]))
        optimizer.update_hessian(estimates, weights)
        return 0

    return update


def rosenbrock() -> Problem:
    """`sum 100 (x_{i+1} - x_i^2)^2 + (1 - x_i)^2` over 16 numbers: a curved, flat valley."""
    import tensorflow as tf

    start = np.tile([-1.2, 1.0], 8).reshape(4, 4).astype(np.float32)

    def whole(weights: Sequence[Any]) -> Any:
        x = tf.reshape(weights[0], [-1])
        return tf.reduce_sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)

    return Problem([start], lambda weights, step: whole(weights), whole, 2000)


def quadratic() -> Problem:
    """`tr(W^T A W) / 2` for W `[20, 10]`; eigenvalues of A from 1 to 1e-4, turned at random."""
    import tensorflow as tf

    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.normal(size=(20, 20)))[0]
    a = tf.constant(turn * np.logspace(0, -4, 20) @ turn.T, tf.float32)
    start = rng.normal(size=(20, 10)).astype(np.float32)

    def whole(weights: Sequence[Any]) -> Any:
        return 0.5 * tf.reduce_sum(weights[0] * tf.matmul(a, weights[0]))

    return Problem([start], lambda weights, step: whole(weights), whole, 1000)


def digits() -> Problem:
    """An MLP 64-64-10 on batches of 64; the curve is the loss on all training data."""
    import tensorflow as tf

    data = load_digits()
    x = tf.constant(data.x_train.reshape(len(data.x_train), -1))
    y = tf.constant(data.y_train)
    rng = np.random.default_rng(0)
    shapes = ((64, 64), (64,), (64, 10), (10,))
    start = [
        np.float32(rng.normal(size=s) * (2.0 / s[0]) ** 0.5 if len(s) > 1 else np.zeros(s))
        for s in shapes
    ]

    def loss(weights: Sequence[Any], x: Any, y: Any) -> Any:
        hidden = tf.nn.relu(x @ weights[0] + weights[1])
        logits = hidden @ weights[2] + weights[3]
        values = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits)
        return tf.reduce_mean(values)

    order = tf.constant(np.stack([rng.permutation(len(data.x_train))[:64] for _ in range(300)]))

    def batch(weights: Sequence[Any], step: Any) -> Any:
        rows = tf.gather(order, step % 300)
        return loss(weights, tf.gather(x, rows), tf.gather(y, rows))

    return Problem(start, batch, lambda weights: loss(weights, x, y), 300)


PROBLEMS: dict[str, Callable[[], Problem]] = {
    "rosenbrock": rosenbrock,
    "quadratic": quadratic,
    "digits": digits,
}


def show(out: Any, measured: dict[str, Any]) -> None:
    """The losses at the end, and the rates they took."""
    for problem, curves in measured["curves"].items():
        made = tables.table(problem, "optimizer", "loss at the end", "learning rate", "seconds")
        for name, curve in sorted(curves.items(), key=lambda item: item[1]["end"]):
            made.add_row(
                name, f"{curve['end']:.3g}", f"{curve['rate']:.2g}", f"{curve['seconds']:.2f}"
            )
        out.print(made)


def draw(measured: dict[str, Any], path: pathlib.Path) -> None:
    """Loss against steps (above) and seconds (below), the best few in colour, each in its own."""
    pyplot = plot.load_pyplot()
    curves = measured["curves"]
    best = {p: sorted(found, key=lambda n: found[n]["end"])[:CURVES] for p, found in curves.items()}
    shown = sorted({name for names in best.values() for name in names})
    strong = [pyplot.get_cmap("tab10")(i) for i in range(10) if i != 7]  # grey is for the others
    colors = dict(zip(shown, ["black", *strong, *pyplot.get_cmap("Set2").colors], strict=False))
    figure, axes = pyplot.subplots(
        2, len(curves), figsize=(5 * len(curves), 7), squeeze=False, layout="constrained"
    )
    for column, (problem, found) in enumerate(curves.items()):
        order = sorted(found, key=lambda name: -found[name]["end"])
        for row, axis in enumerate(axes[:, column]):
            for name in order:
                curve = found[name]
                steps = np.asarray(curve["steps"]) + 1.0
                x = steps * curve["seconds"] / steps[-1] if row else steps
                named = name in best[problem]
                axis.plot(
                    x,
                    curve["loss"],
                    color=colors[name] if named else plot.OTHERS,
                    label=name if named else None,
                    linewidth=1.6 if named else 0.8,
                )
            axis.set_yscale("log")
            axis.set_xlabel("seconds" if row else "updates", fontsize=9)
            axis.spines[["top", "right"]].set_visible(False)
        axes[0][column].set_title(problem, loc="left", fontsize=11)
        axes[0][column].legend(fontsize=8, frameon=False)
    axes[0][0].set_ylabel("loss")
    figure.savefig(path, dpi=150)
    pyplot.close(figure)


def to_markdown(measured: Mapping[str, Any]) -> str:
    """A line for each optimizer, for a page: those with the lowest losses first."""
    curves = measured["curves"]
    places: dict[str, list[int]] = {}
    for found in curves.values():
        for place, name in enumerate(sorted(found, key=lambda name: found[name]["end"])):
            places.setdefault(name, []).append(place)
    order = sorted(places, key=lambda name: sum(places[name]) / len(places[name]))
    head = ["", *(f"{p}, {curves[p][order[0]]['steps'][-1] + 1:,} updates" for p in curves)]
    rows = [
        [
            name,
            *(
                f"{c['end']:.2g} / {c['rate']:.1g} / {c['seconds']:.2f}"
                if (c := found.get(name))
                else "-"
                for found in curves.values()
            ),
        ]
        for name in order
    ]
    return "\n\n".join(
        [
            "The mean loss of the last twentieth of the updates / the learning rate that gave it, "
            "the best of a grid / seconds of all updates in one compiled call; first those that "
            "stand highest over the problems.",
            tables.markdown(head, rows),
            tables.machine_line(measured),
        ]
    )


if __name__ == "__main__":
    define_flags()
    cli.run(main)
