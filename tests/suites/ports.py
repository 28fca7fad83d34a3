"""Ports for tests to listen on."""

import random
import socket


def free_port(kind=socket.SOCK_STREAM):
    """A port of the loopback that the kernel gives to nobody by itself: it stays free until the test takes it."""
    for port in random.sample(range(20000, 21000), 1000):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no free port")
