"""What TensorFlow raises of a lost worker is one clear error, and nothing holds up the end."""

import os
import socket
import threading
import time

import pytest
import tensorflow as tf

from trainer.distribution import lost
from trainer.distribution.lost import LostPeer, among_peers, told
from trainer.distribution.replicas import Replicas
from trainer.exits import LOST_PEER
from trainer.launch.ports import free_ports

# As TensorFlow 2.21 words them: killed, the chief killed, frozen, the chief frozen, failed.
KILLED = (
    "Graph execution error:\nDetected at node while/CollectiveReduceV2\n"
    "Collective ops is aborted by: recvmsg:Connection reset by peer\nAdditional GRPC error "
    "information from remote target /job:worker/replica:0/task:2 while calling "
    "/tensorflow.WorkerService/RecvBuf:\nThe error could be from a previous operation."
)
CHIEF_KILLED = "Graph execution error:\nCollective ops is aborted by: Socket closed\n"
FROZEN = (
    "Collective ops is aborted by: Error reported from /job:worker/task:2: The following tasks are "
    "unhealthy (stopped sending heartbeats):\n/job:worker/replica:0/task:2\n"
)
CHIEF_FROZEN = (
    "Collective ops is aborted by: Deadline Exceeded\nRPC: "
    "/tensorflow.CoordinationService/Heartbeat\n"
)
ERRORS = tf.errors.UnavailableError, tf.errors.DeadlineExceededError, tf.errors.AbortedError


class Workers:
    """Stands for the `Replicas` of worker 1 of several."""

    worker, exchanged = 1, 0.0

    def __init__(self, ports):
        places = [f"127.0.0.1:{port}" for port in ports]
        self.workers = len(places)
        cluster = tf.train.ClusterSpec({"worker": places})
        self.strategy = self
        self.cluster_resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(cluster)


@pytest.fixture
def ends(monkeypatch):
    """Collects what would end the process."""
    found = []
    monkeypatch.setattr(os, "_exit", found.append)
    monkeypatch.setattr(lost, "_leave_within", lambda seconds: found.append(("within", seconds)))
    return found


@pytest.mark.parametrize(
    ("text", "who"),
    [
        (KILLED, "worker 2 ({}) is lost"),
        (FROZEN, "worker 2 ({}) is lost"),
        (CHIEF_FROZEN, "worker 0 ({}) is lost"),
    ],
)
@pytest.mark.parametrize("kind", ERRORS)
def test_the_lost_one_is_named(text, who, kind, ends, caplog):
    ports = free_ports(3)
    with pytest.raises(LostPeer) as raised, told(Workers(ports)):
        raise kind(None, None, text)
    number = int(who.split()[1])
    message = str(raised.value)
    assert who.format(f"127.0.0.1:{ports[number]}") in message
    assert "start all workers again" in message
    assert "aborted by" in message
    assert message in caplog.text
    assert raised.value.code == LOST_PEER == 75
    assert ends == [("within", lost.LEAVE_SECONDS)]


def test_where_tensorflow_names_nobody_a_closed_port_does(ends):
    """The chief's port is closed, worker 2's is not."""
    with socket.socket() as open_port:
        open_port.bind(("127.0.0.1", 0))
        open_port.listen()
        port, closed = open_port.getsockname()[1], free_ports(2)
        with pytest.raises(LostPeer) as raised, told(Workers([*closed, port])):
            raise tf.errors.UnavailableError(None, None, CHIEF_KILLED)
        assert f"worker 0 (127.0.0.1:{closed[0]}) is lost" in str(raised.value)
        with pytest.raises(LostPeer) as raised, told(Workers([port, port, port])):
            raise tf.errors.UnavailableError(None, None, CHIEF_KILLED)
        assert "one of worker 0" in str(raised.value)


def test_all_are_asked_at_once_whether_they_are_there(monkeypatch):
    """A process that ends in ten seconds cannot wait a second for each of many."""
    monkeypatch.setattr(lost, "PROBE_SECONDS", 0.5)
    monkeypatch.setattr(lost, "_listens", lambda place: time.sleep(60 if place == "c" else 0.2))
    begun = time.monotonic()
    assert lost._silent("abcdefgh", range(8)) == list(range(8))
    monkeypatch.setattr(lost, "_listens", lambda place: place != "b")
    assert lost._silent("abc", [0, 1]) == [1]
    assert time.monotonic() - begun < 5


# As TensorFlow 2.21 words them: this worker's name stands in them, and nobody is lost.
OWN = [
    tf.errors.ResourceExhaustedError(
        None,
        None,
        "OOM when allocating tensor with shape[1] on /job:worker/replica:0/task:1/device:GPU:0 by "
        "allocator gpu_async_0 [[{{node while/CollectiveReduceV2}}]]",
    ),
    tf.errors.InvalidArgumentError(
        None,
        None,
        "{{function_node __wrapped__MatMul_device_/job:worker/replica:0/task:1/device:CPU:0}} "
        "Matrix size-incompatible: In[0]: [2,3], In[1]: [2,3]",
    ),
    tf.errors.InternalError(None, None, "/job:worker/replica:0/task:1/device:GPU:0: no kernel"),
]


@pytest.mark.parametrize("error", OWN, ids=lambda error: type(error).__name__)
def test_an_error_of_ones_own_is_not_a_lost_worker(error, ends, monkeypatch):
    heard = []
    monkeypatch.setattr(lost, "_tell_others", lambda replicas, error: heard.append(error))
    with pytest.raises(type(error)) as raised, told(Workers([1, 2, 3])):
        raise error
    assert raised.value is error and heard == [error]
    assert ends == []


def test_other_errors_stay_and_the_others_hear_of_them(ends, monkeypatch):
    heard = []
    monkeypatch.setattr(lost, "_tell_others", lambda replicas, error: heard.append(error))
    errors = [ValueError("mine"), tf.errors.InvalidArgumentError(None, None, "shapes")]
    for error in errors:
        with pytest.raises(type(error)) as raised, told(Workers([1, 2])):
            raise error
        assert raised.value is error
    assert heard == errors
    assert ends == []
    with pytest.raises(SystemExit), told(Workers([1, 2])):
        raise SystemExit(143)  # all of them end so
    assert heard == errors


def test_alone_nothing_changes(ends):
    before = threading.active_count()
    with pytest.raises(tf.errors.UnavailableError), told(Replicas()):
        assert threading.active_count() == before
        raise tf.errors.UnavailableError(None, None, KILLED)
    assert ends == []


def test_a_stall_ends_the_process_and_says_where_it_stands(ends, monkeypatch, capfd):
    monkeypatch.setenv(lost.STALL_VARIABLE, "0.2")

    def stands_here():
        time.sleep(1.0)

    with told(Workers([1, 2])):
        stands_here()
    said = capfd.readouterr().err
    assert LOST_PEER in ends
    assert "in stands_here" in said
    assert "for 0.2 s" in said
    assert lost.STALL_VARIABLE in said


def test_exchanges_keep_it_going(ends, monkeypatch):
    monkeypatch.setenv(lost.STALL_VARIABLE, "1.0")
    workers = Workers([1, 2])
    with told(workers):
        for _ in range(15):
            time.sleep(0.1)
            workers.exchanged = time.monotonic()
    assert ends == []


def test_the_end_comes_whatever_goes_on(monkeypatch):
    found = threading.Event()
    monkeypatch.setattr(os, "_exit", lambda code: code == LOST_PEER and found.set())
    lost._leave_within(0.05)
    assert found.wait(5)


def test_methods_are_among_peers(ends):
    @among_peers("fit")
    class Thing:
        def __init__(self):
            self._replicas = Workers([1, 2])

        def fit(self, x):
            """Doc."""
            raise tf.errors.UnavailableError(None, None, FROZEN) if x else KeyError(x)

        def other(self):
            raise tf.errors.UnavailableError(None, None, FROZEN)

    with pytest.raises(LostPeer):
        Thing().fit(1)
    with pytest.raises(tf.errors.UnavailableError):
        Thing().other()
    assert Thing.fit.__doc__ == "Doc."
