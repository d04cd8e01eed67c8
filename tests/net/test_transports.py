"""One body for every transport of streams: what is true of TCP is true of all of them."""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import itertools
import random
from collections.abc import Callable
from typing import Any

import pytest

from kamaelia import Component, Graphline, Inbox, Outbox, component, run, sleep
from kamaelia.axon import ComponentsFailed, SourceFailed
from kamaelia.flow import Collect, Lines, Map, Source, Take
from kamaelia.net import (
    CannotConnect,
    ClientTLS,
    ConnectionLost,
    MemoryClient,
    MemoryServer,
    SendFile,
    TCPClient,
    TCPServer,
    UnixClient,
    UnixServer,
    peer,
)
from kamaelia.protocol import Echo
from kamaelia.testbed import Network

from .certificates import Certificates


class Transport:
    """How a server is made, and who can reach it."""

    def __init__(self, kind: str, certificates: Certificates, folder: Any) -> None:
        self.kind, self.certificates, self.folder = kind, certificates, folder
        self.names = itertools.count()

    def server(self, protocol: Any, **options: Any) -> Any:
        options = {"quiet": True, "linger": 0.05, **options}
        if self.kind.startswith("TLS"):
            options["tls"] = self.certificates.server
        if self.kind.endswith("Unix"):
            return UnixServer(protocol, str(self.folder / f"socket-{next(self.names)}"), **options)
        if self.kind.endswith("memory"):
            return MemoryServer(protocol, "service", **options)
        return TCPServer(protocol, port=0, **options)

    def client(self, address: Any, **options: Any) -> Any:
        if self.kind.startswith("TLS"):
            options["tls"] = self.certificates.client
            if not isinstance(address, tuple):
                options["tls"] = ClientTLS(authorities=self.certificates.authorities, server_name="localhost")
        if self.kind.endswith("Unix"):
            return UnixClient(address, **options)
        if self.kind.endswith("memory"):
            return MemoryClient(address, **options)
        return TCPClient(*address, **options)


KINDS = ["TCP", "TLS", "Unix", "TLS on Unix", "memory", "TLS in memory"]


@pytest.fixture(params=KINDS)
def transport(request: pytest.FixtureRequest, certificates: Certificates, tmp_path: Any) -> Transport:
    return Transport(request.param, certificates, tmp_path)


class Visit(Component):
    """Runs a client when the server is there, keeps what came of it, and stops the system."""

    def __init__(self, act: Callable[[Any], Any]) -> None:
        self.act = act
        self.result: Any = None

    async def main(self) -> None:
        address = await self.inbox.receive()
        self.result = await self.act(address)
        self.system.stop()


@pytest.fixture(
    params=["asyncio", pytest.param("uvloop", marks=pytest.mark.needs("module:uvloop")), "simulated"]
)
def new_loop(request: pytest.FixtureRequest) -> Any:
    """Make an event loop, of each kind there is; None for that of a simulated host."""
    if request.param == "uvloop":
        return importlib.import_module("uvloop").new_event_loop
    return None if request.param == "simulated" else asyncio.new_event_loop


def visit(new_loop: Any, server: Any, act: Callable[[Any], Any]) -> Any:
    """Return what a client gets of a server, both on one host, real or simulated."""
    visitor = Visit(act)
    if new_loop is None:
        network = Network()
        network.host("here").run(lambda: Graphline(server.listening >> visitor.inbox))  # these, and no copies
        try:
            network.simulate(seed=3)
        except ComponentsFailed as error:
            return error
        return visitor.result
    try:
        run(Graphline(server.listening >> visitor.inbox), loop_factory=new_loop)
    except ComponentsFailed as error:  # a client that fails is a child of the visitor
        return error
    return visitor.result


def test_an_echo_and_its_end(transport, new_loop):
    server = transport.server(Echo)

    async def act(address):
        return await (Source([b"one", b"two"]) | transport.client(address) | Collect()).run()

    assert b"".join(visit(new_loop, server, act)) == b"onetwo"
    done = server.statistics()
    assert (done.accepted, done.bytes_in, done.bytes_out, done.open) == (1, 6, 6, 0)
    assert (done.broken, done.failed, done.refused, done.rejected) == (0, 0, 0, 0)


def test_the_client_may_end_its_half_and_hear_the_answer(transport, new_loop):
    @component
    async def count(inbox: Any, outbox: Outbox[bytes]) -> None:
        total = 0
        async for data in inbox:
            total += len(data)
        for part in (b"you have sent ", str(total).encode(), b" bytes"):
            await outbox.send(part)

    async def act(address):
        return await (Source([b"x" * 1000] * 3) | transport.client(address) | Collect()).run()

    assert b"".join(visit(new_loop, transport.server(count), act)) == b"you have sent 3000 bytes"


def test_megabytes_both_ways_arrive_whole(transport, new_loop):
    chance = random.Random(11)
    data = [chance.randbytes(chance.choice([1, 1000, 70_000])) for _ in range(100)]

    async def act(address):
        return await (Source(data) | transport.client(address) | Collect()).run()

    got = visit(new_loop, transport.server(Echo), act)
    assert hashlib.sha1(b"".join(got)).digest() == hashlib.sha1(b"".join(data)).digest()


def test_a_slow_reader_holds_up_the_sender_and_nothing_grows(transport, new_loop):
    """The server's component is behind by no more than what the boxes and the way may hold."""
    total, sent = 8_000_000, [0]

    class Flood(Component):
        async def main(self) -> None:
            while sent[0] < total:
                await self.outbox.send(b"x" * 10_000)
                sent[0] += 10_000

    class Slow(Component):
        inbox = Inbox[bytes]("what comes", size="64 KiB")
        lead = 0

        async def main(self) -> None:
            got = 0
            async for data in self.inbox:
                got += len(data)
                if got < 1_000_000:
                    await asyncio.sleep(0.002)
                    Slow.lead = max(Slow.lead, sent[0] - got)
            self.got = got

    async def act(address):
        slow = Slow()
        await (Source([]) | transport.client(address, buffers="64 KiB") | slow).run()
        return slow.got

    assert visit(new_loop, transport.server(Flood), act) == total
    assert Slow.lead < 2_000_000


def test_a_failing_protocol_breaks_the_connection_after_what_it_has_sent(transport, new_loop, caplog):
    @component
    async def fails(inbox: Any, outbox: Outbox[bytes]) -> None:
        await outbox.send(b"before ")
        await inbox.receive()
        raise ValueError("on purpose")

    got: list[bytes] = []

    class Keep(Component):
        async def main(self) -> None:
            async for data in self.inbox:
                got.append(data)

    async def act(address):
        client = transport.client(address, half_close=transport.kind != "Unix")
        await (Source([b"go"], then="stay") | client | Keep()).run()

    server = transport.server(fails)
    outcome = visit(new_loop, server, act)
    assert (got, server.statistics().failed) == ([b"before "], 1)
    if transport.kind == "Unix":  # whose sockets have no reset
        assert outcome is None
        return
    assert isinstance(outcome, ComponentsFailed)
    (error,) = outcome.exceptions
    assert isinstance(error, ConnectionLost)


def test_a_client_that_fails_is_a_failed_source_for_the_server(transport, new_loop):
    told: list[Any] = []

    class Note(Component):
        async def main(self) -> None:
            try:
                async for data in self.inbox:
                    told.append(data)
            except SourceFailed as error:
                told.append(error.__cause__)

    @component
    async def half(inbox: Any, outbox: Outbox[bytes]) -> None:
        await outbox.send(b"half of ")
        await asyncio.sleep(0.05)
        raise ValueError("on purpose")

    async def act(address):
        await (half() | transport.client(address)).run()

    server = transport.server(Note)
    assert isinstance(visit(new_loop, server, act), ComponentsFailed)
    assert told[0] == b"half of "
    if transport.kind != "Unix":  # whose sockets have no reset
        assert isinstance(told[1], Exception) and len(told) == 2


def test_peer_knows_the_other_end(transport, new_loop):
    @component
    async def who(inbox: Any, outbox: Outbox[bytes]) -> None:
        one = peer()
        text = (type(one.address).__name__, one.tls.version if one.tls else None, one.process is not None)
        await outbox.send(repr(text).encode())

    async def act(address):
        return await (Source([]) | transport.client(address) | Collect()).run()

    kind, version, process = eval(b"".join(visit(new_loop, transport.server(who), act)))
    assert kind == ("tuple" if transport.kind in ("TCP", "TLS") else "str")
    assert version == ("TLSv1.3" if transport.kind.startswith("TLS") else None)
    assert process is transport.kind.endswith("Unix")


@pytest.mark.parametrize("size", [10, 3_000_000])
def test_a_part_of_a_file_stands_in_its_place(transport, new_loop, tmp_path, size):
    content = random.Random(3).randbytes(size + 20)
    (tmp_path / "file").write_bytes(content)

    @component
    async def give(inbox: Any, outbox: Any) -> None:
        await outbox.send(b"<")
        await outbox.send(SendFile(open(tmp_path / "file", "rb"), 10, size))  # noqa: ASYNC230, SIM115
        await outbox.send(b">")
        await outbox.send(SendFile(open(tmp_path / "file", "rb"), 0, 5))  # noqa: ASYNC230, SIM115

    async def act(address):
        return await (Source([]) | transport.client(address) | Collect()).run()

    server = transport.server(give)
    assert b"".join(visit(new_loop, server, act)) == b"<" + content[10 : 10 + size] + b">" + content[:5]
    assert server.statistics().bytes_out == size + 7


@pytest.mark.parametrize("visitor", ["stays", "ends his half"])
def test_a_file_is_sent_whole_although_who_sent_it_has_ended(transport, new_loop, tmp_path, visitor):
    content = random.Random(3).randbytes(8_000_000)
    (tmp_path / "file").write_bytes(content)
    given = asyncio.Event()

    @component
    async def give(inbox: Any, outbox: Any) -> None:
        await outbox.send(b"<")
        await outbox.send(SendFile(open(tmp_path / "file", "rb")))  # noqa: ASYNC230, SIM115
        await asyncio.sleep(0.01)  # so that it is being sent when we end, for nobody takes it all yet
        given.set()

    class Slow(Component):
        inbox = Inbox[bytes]("bytes", size="64 KiB")

        async def main(self) -> list[bytes]:
            pieces = [await self.inbox.receive()]
            await given.wait()
            pieces.extend([data async for data in self.inbox])
            return pieces

    async def act(address):
        source = Source([], then="stay" if visitor == "stays" else "end")
        return await (source | transport.client(address, half_close=visitor != "stays") | Slow()).run()

    server = transport.server(give)
    assert b"".join(visit(new_loop, server, act)) == b"<" + content
    assert (server.statistics().bytes_out, server.statistics().broken) == (len(content) + 1, 0)


def test_a_file_that_has_become_shorter_breaks_the_connection(transport, new_loop, tmp_path, caplog):
    path = tmp_path / "file"
    path.write_bytes(b"x" * 500_000)

    @component
    async def give(inbox: Any, outbox: Any) -> None:
        message = SendFile(open(path, "rb"))  # noqa: ASYNC230, SIM115
        path.write_bytes(b"x" * 1000)
        await outbox.send(message)
        await outbox.send(b"and this")

    async def act(address):
        return await (Source([]) | transport.client(address) | Collect()).run()

    server = transport.server(give)
    outcome = visit(new_loop, server, act)
    if transport.kind == "Unix":  # whose sockets have no reset
        assert b"".join(outcome) == b"x" * 1000
    else:
        assert isinstance(outcome, ComponentsFailed)
    assert "the file has become shorter: 499000 bytes are missing" in caplog.text
    assert server.statistics().failed == 1


def test_the_limit_holds_and_is_counted(transport, new_loop, caplog):
    server = transport.server(Echo, limit=1)

    async def act(address):
        first = Source([b"one"], then="stay") | transport.client(address) | Collect()
        refused = Source([b"two"]) | transport.client(address) | Collect()

        class Meanwhile(Component):
            async def main(self) -> Any:
                while server.statistics().bytes_in < 3:  # noqa: ASYNC110  # the first is served
                    await asyncio.sleep(0.001)
                try:
                    return await refused.run()
                finally:
                    self.system.stop()

        await asyncio.gather(Meanwhile().run(), first.run(), return_exceptions=True)

    outcome = visit(new_loop, server, act)
    while isinstance(outcome, ExceptionGroup):
        (outcome,) = outcome.exceptions
    # Of TCP it may look like an end, and whoever is refused may still be about to connect.
    assert outcome is None or isinstance(outcome, (ConnectionLost, CannotConnect)), outcome
    assert server.statistics().reasons == {"limit": 1}
    assert "refuses connections: it has 1 open, which is its limit=1" in caplog.text


def test_lines_and_a_pipeline_serve_every_transport(transport, new_loop):
    async def act(address):
        client = Source([b"a\nb", b"b\nc\n"]) | transport.client(address) | Lines() | Collect()
        return await client.run()

    server = transport.server(Lines() | Map(lambda line: f"{line.upper()}\n".encode()))
    assert visit(new_loop, server, act) == ["A", "BB", "C"]


class Keep(Component):
    """Says hello, and keeps what comes, and how that ends."""

    def __init__(self, told: list[Any], hello: bytes = b"hello", *, then: float = 0.0) -> None:
        self.told, self.hello, self.wait = told, hello, then

    async def main(self) -> None:
        await self.outbox.send(self.hello)
        await sleep(self.wait)
        try:
            async for data in self.inbox:
                self.told.append(data)
        except SourceFailed as error:
            self.told.append(type(error.__cause__))
        else:
            self.told.append("end")


def test_a_client_that_leaves_is_an_end_for_the_server_and_no_failure(transport, new_loop):
    told: list[Any] = []

    async def act(address):
        return await (Source([], then="stay") | transport.client(address) | Take(1) | Collect()).run()

    server = transport.server(Keep(told))
    assert visit(new_loop, server, act) == [b"hello"]
    if transport.kind.startswith("TLS"):  # where an end that was not said in the protected stream is a break
        assert told != ["end"]
    else:
        assert told == ["end"]
        assert (server.statistics().broken, server.statistics().failed) == (0, 0)


def test_who_writes_to_one_that_has_left_is_told_and_does_not_wait(transport, new_loop):
    @component
    async def flood(inbox: Any, outbox: Outbox[bytes]) -> None:
        while True:
            await outbox.send(b"x" * 10_000)

    async def act(address):
        return await (Source([], then="stay") | transport.client(address) | Take(1) | Collect()).run()

    server = transport.server(flood, stall_timeout=5)
    assert len(visit(new_loop, server, act)) == 1
    done = server.statistics()
    assert (done.broken, done.stalled, done.open) == (1, 0, 0)
