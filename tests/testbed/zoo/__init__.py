"""The zoo: twenty small protocols, each with a switch that plants one classic fault.

Each module is one protocol, written as ordinary components, with one function ``protocol`` that is a test
over seeds: it describes the network, has it simulated, and says what has to be true in the end. With
``faulty=True`` the protocol has the fault that its first line names; the fault is found by trying seeds, and
nothing in the network is made for finding it. Without it the same test holds with every seed.

``python -m tests.testbed.zoo`` hunts them all and prints a table, which stands in
docs/how-to/simulate.md; `FIRST` is written down from there, too.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Any

from kamaelia import Component, Graphline
from kamaelia.axon import Link
from kamaelia.net import Datagram, UDPSocket

PORT = 5004
FIRST = {
    "ack_before_write": 18,
    "backoff": 25,
    "clock_skew": 116,
    "duplicates": 12,
    "gossip": 99,
    "half_open": 30,
    "heartbeat": 0,
    "late_join": 100,
    "lost_wakeup": 0,
    "missing_retransmit": 122,
    "one_read": 56,
    "reordering": 8,
    "restarted_counter": 18,
    "retry": 16,
    "split_brain": 26,
    "stale_lease": 8,
    "two_phase_commit": 94,
    "window": 219,
    "wraparound": 24,
    "wrong_timeout": 11,
}
"""With which seed each fault is found first, for tests that have no time to look for it."""


def names() -> list[str]:
    """Return the names of all protocols."""
    return sorted(found.name for found in pkgutil.iter_modules(__path__) if found.name != "__main__")


def protocol(name: str) -> Any:
    """Return a protocol, to be called with ``faulty=``."""
    return importlib.import_module(f"{__name__}.{name}").protocol


def on_udp(node: Component, port: int = PORT) -> Graphline:
    """Put a component on a socket: it gets datagrams with the address of the sender, and sends such."""
    socket = UDPSocket(local=("0.0.0.0", port), quiet=True)
    return Graphline(node.outbox >> socket.datagrams, Link(socket.outbox, node.inbox, feedback=True))


def to(host: str, *words: object) -> Datagram:
    """Return a datagram for a host, made of words.

    >>> to("phone", "ack", 7)
    Datagram(data=b'ack 7', address=('phone', 5004))
    """
    return Datagram(" ".join(map(str, words)).encode(), (host, PORT))


def answer(message: Datagram, *words: object) -> Datagram:
    """Return a datagram for the sender of another."""
    return Datagram(" ".join(map(str, words)).encode(), message.address)
