"""What has been opened is closed again when listening fails half-way, on every kind of loop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from kamaelia import Component, Graphline, background, run
from kamaelia.axon import ComponentsFailed
from kamaelia.flow import Map, Source
from kamaelia.net import (
    MulticastReceiver,
    TCPClient,
    TCPServer,
    UDPPeer,
    UDPReceiver,
    UDPSender,
    UDPServer,
    UnixServer,
)

from .conftest import WAIT, ip
from .parts import Echo

HERE = "127.0.0.1"


def options_of(connection: Any) -> list[int]:
    """Return what the operating system does about silence: whether, after how long, how often."""
    sock = connection.transport.get_extra_info("socket")
    numbers = [socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT]
    on = sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    return [on, *(sock.getsockopt(socket.IPPROTO_TCP, number) for number in numbers)]


@pytest.mark.parametrize("after, options", [(20, [1, 20, 5, 4]), (1, [1, 1, 1, 4]), (None, [0, 7200, 75, 9])])
def test_the_operating_system_asks_both_sides_whether_they_are_alive(new_loop, after, options):
    told: list[Any] = []
    server = TCPServer(Echo, port=0, quiet=True, keepalive=8)

    class Visit(Component):
        async def main(self) -> None:
            client = TCPClient(*await self.inbox.receive(), keepalive=after)
            await (Source([b"x"], then="stay") | client | Look(client)).run()
            self.system.stop()

    class Look(Component):
        def __init__(self, client: Any) -> None:
            self.client = client

        async def main(self) -> None:
            await self.inbox.receive()
            told.extend(map(options_of, [self.client._stream, *server.connections.values()]))

    visit = Visit()
    run(Graphline(server.listening >> visit.inbox), loop_factory=new_loop)
    assert told == [options, [1, 8, 2, 4]]


LISTEN = """
from kamaelia import run
from kamaelia.net import TCPClient
from kamaelia.flow import Map, Source
client = TCPClient("10.99.0.1", 1500, keepalive=1)
run(Source([b"x"], then="stay") | client | Map(lambda _: print("connected", flush=True)))
"""

SERVE = """
from kamaelia import run
from kamaelia.net import TCPServer
from kamaelia.protocol import Echo
run(TCPServer(Echo, port=1500, host="10.99.0.1"))
"""


@pytest.mark.slow  # the operating system asks five times, each second
@pytest.mark.one_core
@pytest.mark.needs("program:ip", "right:namespaces")
def test_a_client_that_only_listens_notices_that_the_server_has_vanished(namespaces):
    left, right = namespaces
    with contextlib.ExitStack() as stack:

        def start(where: str, program: str) -> subprocess.Popen[str]:
            command = ["ip", "netns", "exec", where, sys.executable, "-c", program]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            stack.callback(process.communicate)
            stack.callback(process.kill)
            return process

        server = start(left, SERVE)
        assert server.stderr is not None and "listens on 10.99.0.1:1500" in server.stderr.readline()
        client = start(right, LISTEN)
        assert client.stdout is not None and client.stdout.readline() == "connected\n"
        ip("-n", left, "link", "set", "va", "down")
        _, errors = client.communicate(timeout=WAIT)
        assert "the connection to 10.99.0.1:1500 broke ([Errno 110] Connection timed out)" in errors


@pytest.fixture
def make(tmp_path: Any) -> dict[str, Callable[[], Any]]:
    """Make what listens, or at least opens a socket."""
    return {
        "TCP": lambda: TCPServer(Echo, port=0, quiet=True),
        "Unix": lambda: UnixServer(Echo, str(tmp_path / "socket"), quiet=True),
        "receiver": lambda: UDPReceiver(port=0, buffer="64 KiB", quiet=True),
        "sender": lambda: Source([b"x"]) | UDPSender(HERE, 9, buffer="64 KiB"),
        "peer": lambda: UDPPeer(HERE, 9, buffer="64 KiB"),
        "server": lambda: UDPServer(Map(bytes.upper), port=0, buffer="64 KiB", quiet=True),
        "group": lambda: MulticastReceiver("239.255.7.7", 50050, interface=HERE, buffer="64 KiB", quiet=True),
    }


@pytest.mark.parametrize("kind", ["TCP", "Unix"])
def test_a_server_whose_sockets_cannot_be_set_up_leaves_none(make, kind, new_loop, monkeypatch, tmp_path):
    def fail(*_: Any) -> None:
        raise RuntimeError("on purpose")

    monkeypatch.setattr("kamaelia.net.server.bound_buffers", fail)
    with pytest.raises(ComponentsFailed, match="1 component"):
        run(make[kind](), loop_factory=new_loop)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["TCP", "Unix"])
def test_a_server_that_is_cancelled_while_it_begins_to_listen_leaves_no_socket(
    make, kind, monkeypatch, tmp_path
):
    async def start_serving(server: Any) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr(asyncio.Server, "start_serving", start_serving)
    with pytest.raises(ComponentsFailed, match="1 component"):
        run(make[kind](), loop_factory=asyncio.new_event_loop)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["receiver", "sender", "peer", "server", "group"])
def test_a_datagram_socket_that_cannot_be_set_up_is_closed(make, kind, new_loop, monkeypatch):
    def fail(*_: Any) -> None:
        raise RuntimeError("on purpose")

    monkeypatch.setattr("kamaelia.net.datagram.Port.set", fail)
    with pytest.raises(ComponentsFailed, match="1 component"):
        run(make[kind](), loop_factory=new_loop)


@pytest.mark.parametrize("size", ["4 GiB", 1 << 70])
def test_buffers_may_be_said_to_be_larger_than_any_socket_has_them(new_loop, tmp_path, size):
    listening = [
        TCPServer(Echo, port=0, quiet=True, buffers=size),
        UnixServer(Echo, str(tmp_path / "socket"), quiet=True, buffers=size),
        UDPReceiver(port=0, quiet=True, buffer=size),
        UDPServer(Echo, port=0, quiet=True, buffer=size),
        MulticastReceiver("239.255.7.7", 50050, interface=HERE, quiet=True, buffer=size),
    ]
    for part in listening:
        with background(part, loop_factory=new_loop) as handle:
            handle.receive("listening", timeout=WAIT)
    for part in (UDPSender(HERE, 9, buffer=size), UDPPeer(HERE, 9, buffer=size, linger=0)):
        run(Source([b"x"]) | part, loop_factory=new_loop)
