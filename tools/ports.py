"""Ports for programs that must be told one, and cannot be given port 0 and asked."""

from __future__ import annotations

import contextlib
import random
import socket

HOST = "127.0.0.1"
# Below those that the system gives to whoever asks for any, and to clients: so nobody gets one meanwhile.
FIRST, LAST = 20_000, 32_000


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """Return a port that nobody uses just now."""
    return free_ports(1, kind)[0]


def free_ports(count: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> list[int]:
    """Return different ports that nobody uses just now."""
    found: list[int] = []
    chance = random.SystemRandom()  # tests that run side by side have one seed, and want different ports
    with contextlib.ExitStack() as stack:
        while len(found) < count:
            port = chance.randrange(FIRST, LAST)
            probe = stack.enter_context(socket.socket(socket.AF_INET, kind))
            with contextlib.suppress(OSError):
                probe.bind((HOST, port))
                found.append(port)
    return found
