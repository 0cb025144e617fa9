"""Who the workers are: free loopback ports, and the TF_CONFIG that tells each worker of all."""

from __future__ import annotations

import contextlib
import json
import socket
from collections.abc import Sequence

HOST = "127.0.0.1"


def free_ports(count: int) -> list[int]:
    """Different ports that nobody listens on just now.

    Another process may take one before its worker does: that worker ends with an error then, and
    a restart chooses others.
    """
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in sockets]


def tf_config(ports: Sequence[int], index: int) -> str:
    """The TF_CONFIG of one worker; worker 0 is the chief.

    Example:
        >>> print(tf_config([4000, 4001], 1))
        {"cluster": {"worker": ["127.0.0.1:4000", "127.0.0.1:4001"]}, "task": {"type": "worker", \
"index": 1}}
    """
    workers = [f"{HOST}:{port}" for port in ports]
    return json.dumps({"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}})
