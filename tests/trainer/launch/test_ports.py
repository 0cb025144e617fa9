"""Ports are different and free; TF_CONFIG is what TensorFlow reads."""

import json
import socket

import tensorflow as tf

from trainer.launch.ports import HOST, free_ports, tf_config


def test_ports_are_different_and_free():
    ports = free_ports(20)
    assert len(set(ports)) == 20
    for port in ports:
        with socket.socket() as own:
            own.bind((HOST, port))


def test_tensorflow_reads_the_config(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", tf_config([4000, 4001], 1))
    resolver = tf.distribute.cluster_resolver.TFConfigClusterResolver()
    assert resolver.cluster_spec().as_dict() == {"worker": ["127.0.0.1:4000", "127.0.0.1:4001"]}
    assert (resolver.task_type, resolver.task_id) == ("worker", 1)
    assert json.loads(tf_config([1], 0))["task"] == {"type": "worker", "index": 0}
