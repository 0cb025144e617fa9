"""What a strategy does not say of how replicas train together."""

import pytest
import tensorflow as tf

from trainer.distribution.replicas import Replicas
from trainer.distribution.replication import Replication


def test_a_replication_is_its_strategy_and_more():
    strategy = tf.distribute.OneDeviceStrategy("CPU:0")
    replicas = Replicas(Replication(strategy, seeds="example"))
    assert replicas.strategy is strategy
    assert replicas.by_example and not Replicas(strategy).by_example


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"gradients": "float16"}, "it is 'float32' or 'bfloat16' .float16 would overflow"),
        ({"seeds": "row"}, "seeds='row'.: it is 'replica' or 'example'"),
        ({"slots": "all"}, "slots='all'.: it is 'replica' or 'sharded'"),
    ],
)
def test_other_values_are_refused_with_those_that_are_allowed(settings, words):
    with pytest.raises(ValueError, match=words):
        Replication(**settings)
