"""Replicas that are traced as one program, as those of a TPU: their numbers are tensors.

No TPU is at hand. What their steps compute is tried over logical CPUs, whose replicas are made to
take their number as a tensor; that TensorFlow takes all of it for a TPU is tried by tracing it for
one that does not exist, up to where it would run.
"""

import collections

import numpy as np
import pytest
import tensorflow as tf

import layers
import losses
import optimizers
from benchmarks.replicated import matrix
from benchmarks.replicated.trainings import distance
from trainer import Replication, Task, Trainer
from trainer.distribution.replica import Split
from trainer.distribution.replicas import Replicas

CASES = [
    matrix.Case("cnn", "4", "graph", 1, None, "float32"),
    matrix.Case("text", "2", "graph", 2, 0.05, "scaled"),
    matrix.Case("gan", "2", "graph", 1, None, "float16"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_they_train_as_one_device_does(case, mirrored, as_one):
    strategy = mirrored(matrix.REPLICAS[case.where])
    assert Replicas(strategy).as_one
    found, steps = matrix.train(case, strategy)
    want, wanted = matrix.alone(case)
    assert distance(found, want) <= case.close
    assert steps.keys() == wanted.keys()


def test_only_what_they_share_evenly_is_shared():
    def split(rows, parts=1, full=16):
        return Split.of_rows(rows, 4, parts, full, even=True).parts

    assert split(16) == ((4, 4, 4, 4),)
    assert split(16, parts=2) == ((2, 2, 2, 2), (2, 2, 2, 2))
    assert split(8) == ((2, 2, 2, 2),)
    assert split(10) == ()  # the end of an epoch: each computes all of it
    assert split(8, parts=4) == ()
    with pytest.raises(
        ValueError, match=r"a batch of 18 rows cannot be shared .* whose rows 4 divides"
    ):
        split(18)
    with pytest.raises(ValueError, match=r"18 rows in 3 parts .* whose rows 12 divides"):
        split(18, parts=3)


Device = collections.namedtuple("Device", "name device_type")


class NoTPU(tf.distribute.cluster_resolver.SimpleClusterResolver):
    """Tells of two cores that are not there."""

    def __init__(self):
        super().__init__(tf.train.ClusterSpec({}))

    def get_tpu_system_metadata(self):
        place = "/job:localhost/replica:0/task:0/device:TPU:{}"
        cores = [Device(place.format(i), "TPU") for i in range(2)]
        return tf.tpu.experimental.TPUSystemMetadata(
            num_cores=2, num_hosts=1, num_of_cores_per_host=2, topology=None, devices=cores
        )


@pytest.fixture(scope="module")
def tpu():
    """A strategy over it; its variables are made on the host."""
    return tf.distribute.TPUStrategy(NoTPU())


def program(trainer, call):
    """Operations of what was traced before it failed to run: {within replicas: {type: number}}."""
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"No OpKernel .* 'TPUReplicate"):
        call()
    found = {True: collections.Counter(), False: collections.Counter()}
    for loop in trainer.programs.loops:
        for graph in loop.graphs:
            traced = graph.as_graph_def()
            for node in traced.node:
                found["_tpu_replicate" in node.attr][node.op] += 1
            for function in traced.library.function:  # branches and loops within a step
                found[True].update(node.op for node in function.node_def)
    return found


X = np.random.default_rng(0).normal(size=(40, 6)).astype("float32")
Y = np.arange(40) % 3


@pytest.mark.parametrize("precision", [None, "mixed_float16"])
def test_a_model_is_traced_up_to_the_device(precision, tpu):
    """All updates are within the replicas, which exchange gradients and sums, packed."""
    model = layers.Sequential(
        [layers.Dense(8), layers.BatchNormalization(), layers.Dropout(0.5), layers.Dense(3)]
    )
    trainer = Trainer(
        model,
        loss=losses.SparseCategoricalCrossentropy(from_logits=True),
        optimizer=optimizers.AdamW(1e-3, global_clipnorm=1.0, use_ema=True),
        metrics=["accuracy"],
        strategy=tpu,
        accumulate=2,
        gradient_norm=True,
        precision=precision,
    )
    found = program(trainer, lambda: trainer.fit(X, Y, batch_size=16, verbose=0))
    assert trainer.programs.choices["train"].mode == "graph"
    assert found[True]["CrossReplicaSum"] == (3 if precision else 2)  # float16 by itself
    assert found[True]["AssignVariableOp"] > len(model.trainable_variables)
    assert not any("Assign" in op for op in found[False])


class Contrast(Task):
    """Every row is compared with those of all replicas."""

    def __init__(self):
        super().__init__()
        self.dense, self.optimizer = layers.Dense(4), optimizers.Muon(1e-2)

    def step(self, batch, ctx):
        def loss_fn(part):
            one = self.dense(part)
            other = one + 0.1 * tf.random.stateless_normal(one.shape, ctx.seed())
            keys = ctx.gather(other)
            return losses.matching.info_nce(other, one, keys=keys, offset=ctx.first_row)

        return {
            "loss": ctx.minimize(loss_fn, batch, self.optimizer, self.dense.trainable_variables)
        }


def test_a_step_of_ones_own_is_traced_up_to_the_device(tpu):
    task = Contrast()
    trainer = Trainer(task, strategy=tpu)
    found = program(trainer, lambda: trainer.fit(X, batch_size=16, verbose=0))
    assert found[True]["CrossReplicaSum"] == 4  # and the candidates, on the way there and back


def test_evaluate_and_predict_are_traced_up_to_the_device(tpu):
    trainer = Trainer(layers.Dense(3), loss="mse", optimizer="sgd", strategy=tpu)
    targets = np.zeros([40, 3], np.float32)
    found = program(trainer, lambda: trainer.evaluate(X, targets, batch_size=9, verbose=0))
    assert found[True]["MatMul"] == 1
    program(trainer, lambda: trainer.predict(X, batch_size=16))


def test_what_they_cannot_do_is_refused(tpu):
    given = {"loss": "mse", "optimizer": "sgd"}
    for jit in ("loop", "step"):
        with pytest.raises(ValueError, match=f"jit='{jit}' with a TPUStrategy"):
            Trainer(layers.Dense(3), **given, strategy=tpu, jit=jit)
    with pytest.raises(ValueError, match=r"slots='sharded'.* with a TPUStrategy"):
        Trainer(layers.Dense(3), **given, strategy=Replication(tpu, slots="sharded"))
    trainer = Trainer(layers.Dense(3), **given, strategy=tpu)
    with pytest.raises(ValueError, match="a batch of 15 rows cannot be shared evenly by 2"):
        trainer.fit(X, np.zeros([40, 3], np.float32), batch_size=15, verbose=0)
