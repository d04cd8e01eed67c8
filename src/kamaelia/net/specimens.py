"""Specimens of the parts of this room, see `kamaelia.axon.specimen`."""

from __future__ import annotations

from kamaelia.axon.specimen import Specimen
from kamaelia.flow import Map

from . import (
    MemoryClient,
    MemoryServer,
    MulticastReceiver,
    MulticastSender,
    MulticastTransceiver,
    TCPClient,
    TCPServer,
    UDPPeer,
    UDPReceiver,
    UDPSender,
    UDPServer,
    UDPSocket,
    UnixClient,
    UnixServer,
)

GROUP = ("239.255.7.7", 50047)

SPECIMENS = {
    "MemoryClient": (
        Specimen(
            lambda: MemoryClient("service"),
            {"inbox": (b"one", b"two")},
            gives=None,
            outside="it connects to a server",
        ),
    ),
    "MemoryServer": (
        Specimen(
            lambda: MemoryServer(Map(bytes.upper), "service", quiet=True),
            gives=None,
            endless=True,
            outside="it waits for clients",
        ),
    ),
    "MulticastReceiver": (
        Specimen(
            lambda: MulticastReceiver(*GROUP, interface="127.0.0.1", quiet=True),
            gives=None,
            endless=True,
            outside="it listens on the network",
        ),
    ),
    "MulticastSender": (
        Specimen(
            lambda: MulticastSender(*GROUP, interface="127.0.0.1"),
            {"inbox": (b"one", b"two")},
            gives=None,
            outside="it sends to the network",
        ),
    ),
    "MulticastTransceiver": (
        Specimen(
            lambda: MulticastTransceiver(*GROUP, interface="127.0.0.1", quiet=True),
            {"inbox": (b"one", b"two")},
            gives=None,
            endless=True,
            outside="it listens on the network",
        ),
    ),
    "TCPClient": (
        Specimen(
            lambda: TCPClient("127.0.0.1", 1500),
            {"inbox": (b"one", b"two")},
            gives=None,
            outside="it connects to a server",
        ),
    ),
    "TCPServer": (
        Specimen(
            lambda: TCPServer(Map(bytes.upper), port=0, quiet=True),
            gives=None,
            endless=True,
            outside="it listens on the network",
        ),
    ),
    "UDPPeer": (
        Specimen(
            lambda: UDPPeer("127.0.0.1", 1500, linger=0.01),
            {"inbox": (b"one", b"two")},
            gives=None,
            outside="it sends to the network",
        ),
    ),
    "UDPReceiver": (
        Specimen(
            lambda: UDPReceiver(port=0, quiet=True),
            gives=None,
            endless=True,
            outside="it listens on the network",
        ),
    ),
    "UDPSender": (
        Specimen(
            lambda: UDPSender("127.0.0.1", 1500),
            {"inbox": (b"one", b"two")},
            gives=None,
            outside="it sends to the network",
        ),
    ),
    "UDPServer": (
        Specimen(
            lambda: UDPServer(Map(bytes.upper), port=0, quiet=True),
            gives=None,
            endless=True,
            outside="it listens on the network",
        ),
    ),
    "UDPSocket": (
        Specimen(
            lambda: UDPSocket("127.0.0.1", 1500, quiet=True),
            {"inbox": (b"one", b"two")},
            gives=None,
            endless=True,
            outside="it listens on the network",
        ),
    ),
    "UnixClient": (
        Specimen(
            lambda: UnixClient("nobody-listens"),
            {"inbox": (b"one", b"two")},
            gives=None,
            outside="it connects to a server",
        ),
    ),
    "UnixServer": (
        Specimen(
            lambda: UnixServer(Map(bytes.upper), "\0kamaelia-specimen", quiet=True),
            gives=None,
            endless=True,
            outside="it listens for programs of this machine",
        ),
    ),
}
