"""Slots that replicas share out: who owns what, and what is refused."""

import pytest
import tensorflow as tf

import optimizers
from optimizers.shards import Shards


@pytest.fixture(scope="module")
def strategy():
    names = [d.name for d in tf.config.list_logical_devices("CPU")[:2]]
    return tf.distribute.MirroredStrategy(names, tf.distribute.ReductionToOneDevice())


def test_the_largest_go_first_to_whoever_holds_least(strategy):
    shards = Shards(strategy)
    shards.take([tf.Variable(tf.zeros(n)) for n in (1, 8, 3, 4, 2)])
    assert shards.owners == [0, 0, 1, 1, 1]  # 8 + 1 numbers on the first, 4 + 3 + 2 on the second
    shards.take([tf.Variable(tf.zeros(5)), tf.Variable(0.0)])  # what was decided stays
    assert shards.owners == [0, 0, 1, 1, 1, 0, 1]


def test_slots_live_once_and_variables_are_alike_after_a_spread(strategy):
    with strategy.scope():
        weights = [tf.Variable([1.0, 2.0]), tf.Variable([[3.0]])]
        optimizer = optimizers.SGD(0.5, momentum=0.9, global_clipnorm=1.0, use_ema=True)
        optimizer.shard(strategy)
        optimizer.build(weights)
    gradients = [tf.constant([3.0, 0.0]), tf.constant([[4.0]])]

    @tf.function
    def run():
        def one():
            optimizer.apply(gradients, weights)
            optimizer.spread(weights)

        strategy.run(one)

    run()
    alone = optimizers.SGD(0.5, momentum=0.9, global_clipnorm=1.0, use_ema=True)
    single = [tf.Variable([1.0, 2.0]), tf.Variable([[3.0]])]
    alone.apply(gradients, single)
    places = set()
    for name, slots in optimizer.slots.items():
        for i, (got, want) in enumerate(zip(slots, alone.slots[name], strict=True)):
            assert not hasattr(got, "values")  # no copies
            places.add((i, got.device))
            tf.debugging.assert_equal(got, want)
    assert len(places) == 2  # each variable's slots in one place, of its own
    for got, want in zip(weights, single, strict=True):
        for copy in strategy.experimental_local_results(got):
            tf.debugging.assert_equal(copy, want)


def test_what_cannot_be_shared_out_is_refused(strategy):
    with pytest.raises(ValueError, match=r"Prodigy looks at all variables at once \(it overrides"):
        optimizers.Prodigy().shard(strategy)
    with pytest.raises(ValueError, match=r"is a OneDeviceStrategy: slots are shared out only over"):
        optimizers.Adam().shard(tf.distribute.OneDeviceStrategy("CPU:0"))
    built = optimizers.Adam()
    built.build([tf.Variable([1.0])])
    with pytest.raises(ValueError, match="has its slots already; shard it before it is built"):
        built.shard(strategy)
