"""What a server lets nobody do: too many, too fast, for too long."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from kamaelia import Component, Inbox, run
from kamaelia.flow import Collect, Source
from kamaelia.net import ConnectionLost, TCPClient, TCPServer
from kamaelia.net.kernel import bound_buffers
from kamaelia.protocol import Echo
from kamaelia.testbed import Network

from .conftest import WAIT, read_all
from .test_wire import over, stop_at
from .wire import Wire


def answered(sock: socket.socket) -> bool:
    """Whether somebody echoes at the other end."""
    try:
        sock.sendall(b"x")
        return sock.recv(1) == b"x"
    except ConnectionError:
        return False


def test_a_limit_for_each_address(serve, caplog):
    with serve(Echo, host="127.0.0.1", limit_per_address=2) as server:

        def connect(source: str) -> socket.socket:
            return socket.create_connection(server.address, timeout=WAIT, source_address=(source, 0))

        socks = [connect(source) for source in ("127.0.0.1", "127.0.0.1", "127.0.0.2", "127.0.0.1")]
        assert [answered(sock) for sock in socks] == [True, True, True, False]
        socks[0].close()
        while server.statistics().open != 2:  # until the server has seen that
            pass
        socks.append(connect("127.0.0.1"))
        assert answered(socks[-1])
        for sock in socks:
            sock.close()
    assert server.statistics().reasons == {"address": 1}
    assert "one address has 2, which is its limit_per_address" in caplog.text


def test_a_limit_for_each_second(caplog):
    """Five at once where two a second may come: two are served, and after a second another two."""
    network = Network()
    server = TCPServer(Echo, port=1500, accept_rate=2)
    network.host("server").run(server)
    outcomes: dict[str, Any] = {}

    class Try(Component):
        def __init__(self, name: str, after: float) -> None:
            self.name_, self.after = name, after

        async def main(self) -> None:
            import asyncio

            await asyncio.sleep(self.after)
            _, writer = reader_and_writer = await asyncio.open_connection("server", 1500)
            try:
                writer.write(b"x")
                outcomes[self.name_] = await reader_and_writer[0].read(1)
                writer.close()
                await writer.wait_closed()
            except ConnectionError:
                outcomes[self.name_] = b""

    for number, after in enumerate([1, 1, 1, 1, 1, 2, 2, 2]):
        host = network.host(f"client-{number}")
        network.link("server", host, delay="1 ms")
        host.run(Try(f"client-{number}", after + number * 0.0001))
    network.simulate(seconds=5, seed=1)
    served = [outcomes[f"client-{number}"] == b"x" for number in range(8)]
    assert served == [True, True, False, False, False, True, True, False]
    assert "more than accept_rate=2 came within a second" in caplog.text


@pytest.mark.parametrize("side", ["server", "client"])
def test_a_connection_may_not_last_longer_than_it_may(side):
    options = {"total_timeout": 5}
    network = Network()
    network.host("server").run(
        TCPServer(Echo, port=1500, idle_timeout=None, **(options if side == "server" else {}))
    )
    client = TCPClient("server", 1500, **(options if side == "client" else {}))
    network.host("client").run(Source([b"x"], then="stay") | client | Collect())
    network.link("server", "client", delay="1 ms")
    with pytest.raises(ExceptionGroup) as caught:
        network.simulate(seconds=20, seed=1)
    (error,) = caught.value.exceptions
    assert isinstance(error, ConnectionLost)
    if side == "client":
        assert "has lasted 5 s, and may not longer" in str(error)


def test_a_rate_is_kept_also_by_who_takes_little_at_a_time():
    """Its inbox is full with every chunk: so there is room before it is time to read on."""
    arrived: list[float] = []

    class Sips(Component):
        inbox = Inbox[bytes]("bytes", size=1)

        async def main(self) -> None:
            async for data in self.inbox:
                assert len(data) == 1000
                arrived.append(self.system.loop.time())

    server = TCPServer(Sips, port=1500, quiet=True, receive_rate="1 kB/s")
    over(Wire(1000), server, Source([b"x" * 1000] * 10) | TCPClient("127.0.0.1", 1500), stop_at(20))
    assert [round(at) for at in arrived] == list(range(10))


@pytest.mark.parametrize("side", ["server", "client"])
def test_no_more_is_read_than_the_rate_allows(side):
    """100 kB at 10 kB/s take some 10 s, whoever it is that reads no faster."""
    rate = {"receive_rate": "10 kB/s"}
    arrived: list[tuple[float, int]] = []

    class Note(Component):
        async def main(self) -> None:
            async for data in self.inbox:
                arrived.append((self.system.loop.time(), len(data)))

    chunks = [b"x" * 1000] * 100
    wire = Wire(10_000)
    if side == "server":
        server = TCPServer(Note, port=1500, quiet=True, **rate)
        over(wire, server, Source(chunks) | TCPClient("127.0.0.1", 1500), stop_at(20))
    else:
        server = TCPServer(Source(chunks), port=1500, quiet=True)
        over(wire, server, Source([]) | TCPClient("127.0.0.1", 1500, **rate) | Note(), stop_at(20))
    assert sum(size for _, size in arrived) == 100_000
    for seconds in range(1, 9):
        by_then = sum(size for when, size in arrived if when <= seconds)
        assert 10_000 * seconds - 12_000 <= by_then <= 10_000 * seconds + 12_000


def test_the_operating_system_keeps_what_was_said(serve):
    with (
        serve(Echo, buffers="32 KiB") as server,
        socket.create_connection(server.address, timeout=WAIT) as sock,
    ):
        assert answered(sock)
        (connection,) = server.connections.values()
        kernels = connection.transport.get_extra_info("socket")
        assert kernels.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) == 2 * 32 * 1024  # Linux doubles it
        assert kernels.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == 2 * 32 * 1024
    with serve(Echo, buffers=None) as server, socket.create_connection(server.address, timeout=WAIT) as sock:
        assert answered(sock)
        (connection,) = server.connections.values()
        kernels = connection.transport.get_extra_info("socket")
        assert kernels.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) != 2 * 64 * 1024


def test_a_client_may_bound_them_too(new_loop):
    assert bound_buffers(None, 1) is None
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = TCPClient(*listener.getsockname(), buffers="16 KiB", linger=0.01)
        import threading

        def answer() -> None:
            sock, _ = listener.accept()
            with sock:
                sock.sendall(read_all(sock))

        thread = threading.Thread(target=answer)
        thread.start()
        data = b"x" * 100_000
        assert b"".join(run(Source([data]) | client | Collect(), loop_factory=new_loop)) == data
        thread.join()


@pytest.mark.one_core
@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"limit_per_address": 0}, "how many may be connected from one address"),
        ({"accept_rate": 0}, "connections a second"),
        ({"total_timeout": 0}, "seconds, more than 0, or None for ever"),
        ({"handshake_timeout": -1}, "seconds, more than 0"),
        ({"receive_rate": 0}, "give more than 0"),
        ({"buffers": "much"}, "bytes"),
    ],
    ids=repr,
)
def test_what_cannot_be_meant_is_refused(options, text):
    with pytest.raises(ValueError, match=text):
        TCPServer(Echo, port=0, **options)
