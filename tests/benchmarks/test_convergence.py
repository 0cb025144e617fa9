"""The benchmark of convergence, on few steps."""

import re

import numpy as np
import pytest
import tensorflow as tf

from benchmarks import convergence, report, results


@pytest.mark.parametrize("problem", list(convergence.PROBLEMS))
def test_losses_fall(problem, tmp_path):
    names = ["Adam", "SAM(SGD)"] if problem != "quadratic" else ["Sophia", "ScheduleFreeAdamW"]
    measured = convergence.measure(names, [problem], steps=60, rates=(1e-2, 1e-3, 1e30))
    for curve in measured["curves"][problem].values():
        assert curve["loss"][-1] < curve["loss"][0] and curve["rate"] < 1.0
        assert len(curve["steps"]) == 60 and curve["seconds"] > 0
    convergence.draw(measured, tmp_path / "drawn.png")
    assert (tmp_path / "drawn.png").stat().st_size > 1000


def test_the_valley_ends_at_one():
    made = convergence.rosenbrock()
    assert float(made.whole([np.ones((4, 4), np.float32)])) == 0.0
    assert float(made.whole(made.weights)) > 1000.0


def test_every_optimizer_takes_part():
    import optimizers

    assert set(optimizers.names()) < set(convergence.contenders())


KEPT = results.load(report.RESULTS / "convergence.json")
# Updates, and the loss that all of them reach with these: of 3,600, of 28 and of 2.7 at the start.
REACHED = {"rosenbrock": (2000, 30.0), "quadratic": (300, 4.0), "digits": (150, 0.4)}


def test_kept_curves_are_of_all_and_go_down():
    for problem, curves in KEPT["curves"].items():
        assert set(curves) == set(convergence.contenders())
        for name, curve in curves.items():
            assert curve["end"] < REACHED[problem][1], (problem, name)
    page = convergence.to_markdown(KEPT)
    assert set(re.findall(r"^\| ([A-Z][\w()]+) ", page, re.M)) == set(convergence.contenders())


@pytest.mark.filterwarnings("ignore:Sophia updates without")
@pytest.mark.parametrize("problem", list(convergence.PROBLEMS))
def test_all_converge(problem):
    """At the rates that are kept; all in one compiled loop, for compiling takes the time."""
    steps, reached = REACHED[problem]
    posed = convergence.PROBLEMS[problem]()
    made = []
    for name, make in convergence.contenders().items():
        optimizer = make()
        optimizer.fused = False  # nothing to compile
        weights = [tf.Variable(w, name=f"layer_{i}") for i, w in enumerate(posed.weights)]
        optimizer.build(weights)
        optimizer.learning_rate = KEPT["curves"][problem][name]["rate"]
        made.append((name, optimizer, convergence.updates(posed, optimizer, weights)))

    @tf.function(autograph=False)
    def run():
        def body(i):
            for *_, update in made:
                update(i)
            return (i + 1,)

        tf.while_loop(lambda i: i < steps, body, (tf.constant(0),), parallel_iterations=1)

    run()
    for name, optimizer, _ in made:
        values = [tf.convert_to_tensor(v) for v in optimizer.evaluation_values()]
        assert float(posed.whole(values)) < reached, name
