"""What an instrument sees of an update: what the optimizer was given, and what it did."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

import optimizers
from trainer import Every, Task, Trainer
from trainer.instruments import Instrument


@dataclasses.dataclass(frozen=True)
class Everything(Instrument):
    """All that is seen."""

    def __call__(self, seen):
        found = {}
        for name, *values in zip(*seen, strict=True):
            for kind, value in zip(("gradient", "before", "after"), values, strict=True):
                found[f"{kind}/{name}"] = value
        return found


@pytest.mark.parametrize("jit", [False, "step", "loop"])
def test_sees_the_update_as_it_is(run, read, jit):
    """SGD: after = before - rate * gradient; and what is after one step is before the next."""
    look = read(Everything(Every(steps=1)))
    trainer, _ = run([look], jit, optimizers.SGD(0.5))
    (found,) = look.read.values()
    assert list(found) == list(range(1, 22))
    names = ["layers/0/kernel", "layers/0/bias", "layers/1/kernel", "layers/1/bias"]
    for step, seen in found.items():
        for name in names:
            want = seen[f"before/{name}"] - np.float32(0.5) * seen[f"gradient/{name}"]
            np.testing.assert_allclose(seen[f"after/{name}"], want, rtol=2e-6, atol=1e-7)
            if step > 1:
                before = found[step - 1][f"after/{name}"]
                np.testing.assert_array_equal(seen[f"before/{name}"], before)
    for name, weight in zip(names, trainer.task.model.get_weights(), strict=True):
        np.testing.assert_array_equal(found[21][f"after/{name}"], weight)


def test_sees_what_perturbing_optimizers_move_from(run, read):
    """SAM moves the variables before it takes its gradient: before is before that."""
    look = read(Everything(Every(steps=1)))
    _trainer, _ = run([look], optimizer=optimizers.SAM(optimizers.SGD(0.5), 0.1))
    (found,) = look.read.values()
    for step in range(2, 22):
        for name in ("layers/0/kernel", "layers/1/bias"):
            before = found[step - 1][f"after/{name}"]
            np.testing.assert_allclose(found[step][f"before/{name}"], before, atol=1e-7)


def test_replicas_are_read_as_one_device_is(run, read):
    devices = ["/cpu:0", "/cpu:1"]
    strategy = tf.distribute.MirroredStrategy(devices, tf.distribute.ReductionToOneDevice("/cpu:0"))
    one, two = read(Everything(Every(steps=5))), read(Everything(Every(steps=5)))
    run([one], optimizer=optimizers.SGD(0.5))
    run([two], optimizer=optimizers.SGD(0.5), strategy=strategy)
    (want,), (found,) = one.read.values(), two.read.values()
    assert found.keys() == want.keys() == {5, 10, 15, 20}
    for step, values in want.items():
        for name, value in values.items():
            np.testing.assert_allclose(found[step][name], value, rtol=1e-4, atol=1e-6)


class Two(Task):
    """Two optimizers, one of which moves the other's variable too."""

    def __init__(self):
        super().__init__()
        self.a, self.b = tf.Variable(1.0), tf.Variable(2.0)
        self.first, self.second = optimizers.SGD(0.1), optimizers.SGD(0.2)

    def step(self, batch, ctx):
        def loss(part):
            return self.a * self.b * part

        one = ctx.minimize(loss, batch, self.first, [self.a])
        ctx.minimize(loss, batch, self.second, [self.a, self.b])
        return {"loss": one}


def test_each_optimizer_is_seen(read):
    look = read(Everything(Every(steps=1)))
    Trainer(Two(), jit=False).fit(np.ones(4, "float32"), batch_size=4, verbose=0, callbacks=[look])
    ((_, found),) = next(iter(look.read.values())).items()
    assert found["before/a"] == 1.0
    assert found["second/before/a"] == found["after/a"] == np.float32(1.0 - 0.1 * 2.0)
    assert found["before/b"] == 2.0


def test_must_say_what_it_reads(run, read):
    with pytest.raises(NotImplementedError, match=r"Instrument must define __call__\(seen\)"):
        run([read(Instrument(Every(steps=1)))])
