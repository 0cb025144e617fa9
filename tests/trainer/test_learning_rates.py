"""Learning rates by name."""

import optimizers
from trainer.learning_rates import is_rate, rated


def test_an_optimizer_is_one_and_groups_are_several():
    sgd, adam, lion = optimizers.SGD(0.1), optimizers.Adam(0.1), optimizers.Lion(0.1)
    assert list(rated("a", sgd)) == [("a", sgd)]
    groups = optimizers.Groups({"bias$": sgd, "^frozen/": None, "half/": 0.5, "...": adam})
    assert list(rated("", groups)) == [("bias$", sgd), ("...", adam)]
    within = optimizers.Groups({"kernel$": lion, "...": optimizers.EMA(groups)})
    assert list(rated("a", optimizers.Lookahead(within))) == [
        ("a/kernel$", lion),
        ("a/.../bias$", sgd),
        ("a/.../...", adam),
    ]


def test_anything_with_apply_is_an_optimizer():
    class Own:
        def apply(self, gradients, variables):
            """Nothing."""

    own = Own()
    assert list(rated("own", own)) == [("own", own)]


def test_names_of_rates():
    assert is_rate("learning_rate")
    assert is_rate("g_optimizer/kernel$/learning_rate")
    assert not is_rate("loss")
    assert not is_rate("my_learning_rate")
