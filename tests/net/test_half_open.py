"""What has been opened is closed again when listening fails half-way, on every kind of loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from kamaelia import background, run
from kamaelia.axon import ComponentsFailed
from kamaelia.flow import Map, Source
from kamaelia.net import (
    MulticastReceiver,
    TCPServer,
    UDPPeer,
    UDPReceiver,
    UDPSender,
    UDPServer,
    UnixServer,
)

from .conftest import WAIT
from .parts import Echo

HERE = "127.0.0.1"


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
