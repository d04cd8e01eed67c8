"""One test body, four worlds: alone, in a simulated network, on real sockets of this machine, and on such in
namespaces.

A test of a protocol component takes a world and says what a peer says; what comes back is the same in each:

    @every_world
    def test_echo(world):
        assert world.converse(Echo, b"hello") == b"hello"

`Simulated`, `OnLoopback` and `InNamespaces` also run any network: ``world.run(network, until="client")``.
"""

from __future__ import annotations

import socket
from typing import Any

import pytest

from kamaelia import run
from kamaelia.axon import make
from kamaelia.flow import Collect, Source
from kamaelia.net import TCPClient, TCPServer
from kamaelia.testbed import Network, Trace


class Alone:
    """The protocol runs by itself: what the peer says goes straight into its inbox."""

    name = "alone"

    def converse(self, protocol: Any, *says: bytes) -> bytes:
        """Return what a protocol answers to a peer who says something and then ends."""
        return b"".join(run(Source(says) | make(protocol) | Collect()))


class _Networked:
    name = ""
    port = 1500

    def run(self, network: Network, **options: Any) -> Trace:
        raise NotImplementedError

    def converse(self, protocol: Any, *says: bytes) -> bytes:
        """Return what a protocol answers, over TCP, to a peer who says something and then ends."""
        network = Network()
        network.host("server").run(TCPServer(protocol, port=self.port))
        client = Source(says) | TCPClient("server", self.port) | Collect()
        network.host("client").run(client)
        network.link("server", "client", rate="2 Mbit/s", delay="80 ms", loss="5 %")
        return b"".join(self.run(network, until="client").results["client"])


class Simulated(_Networked):
    """A slow network that loses packets, in virtual time."""

    name = "simulated"

    def run(self, network: Network, **options: Any) -> Trace:
        """Run any network."""
        return network.simulate(seed=7, **options)


class OnLoopback(_Networked):
    """Real sockets, in real time."""

    name = "on loopback"

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]

    def run(self, network: Network, **options: Any) -> Trace:
        """Run any network."""
        return network.loopback(seed=7, **options)


class InNamespaces(_Networked):
    """Real sockets, each host in a network of its own, over the same links as simulated ones."""

    name = "in namespaces"

    def run(self, network: Network, **options: Any) -> Trace:
        """Run any network."""
        return network.emulate(seed=7, **options)


@pytest.fixture
def world(request: pytest.FixtureRequest) -> Any:
    """One of the worlds, for a test marked with `every_world`."""
    return request.param()


_IN_NAMESPACES = pytest.param(InNamespaces, marks=pytest.mark.needs("right:emulation"))
every_world = pytest.mark.parametrize(
    "world", [Alone, Simulated, OnLoopback, _IN_NAMESPACES], ids=lambda kind: kind.name, indirect=True
)
every_network = pytest.mark.parametrize(
    "world", [Simulated, OnLoopback, _IN_NAMESPACES], ids=lambda kind: kind.name, indirect=True
)
