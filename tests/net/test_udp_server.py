"""`UDPServer` on real sockets of the loopback, on every kind of loop; time-outs on a simulated one."""

from __future__ import annotations

import contextlib
import gc
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kamaelia import Component, Inbox, Outbox, background, clock, component, run, sleep
from kamaelia.axon import ComponentsFailed, LinkError
from kamaelia.flow import Collect, Map, Source, Take
from kamaelia.net import CannotListen, UDPPeer, UDPServer, peer
from kamaelia.protocol import Echo
from kamaelia.testbed import Network

from .conftest import WAIT

HERE = "127.0.0.1"


@pytest.fixture
def serve(new_loop: Any) -> Callable[..., Any]:
    """Run a UDP server in the background: ``with serve(Echo) as server``; see ``server.address``."""

    @contextlib.contextmanager
    def serving(protocol: Any, **options: Any) -> Iterator[Any]:
        server = UDPServer(protocol, **{"port": 0, "quiet": True, **options})
        with background(server, loop_factory=new_loop) as handle:
            server.handle = handle
            handle.receive("listening", timeout=WAIT)
            yield server

    return serving


@pytest.fixture
def visitor() -> Iterator[Callable[..., socket.socket]]:
    """Make plain blocking sockets connected to a server; they are closed when the test is over."""
    with contextlib.ExitStack() as stack:

        def make(server: Any) -> socket.socket:
            sock = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            sock.connect(server.address)
            sock.settimeout(WAIT)
            return sock

        yield make


def counting(counted: list[Any], *args: Any, **options: Any) -> UDPServer:
    """Return a server on a simulated host, which puts its figures into a list when it ends."""

    class Counting(UDPServer):
        async def main(self):
            try:
                await super().main()
            finally:
                counted.append(self.statistics())

    return Counting(*args, port=1500, quiet=True, **options)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def ask(sock: socket.socket, data: bytes) -> bytes:
    sock.send(data)
    return sock.recv(70_000)


@component
async def number(inbox, outbox):
    """Answer with how many there have been from this address, and who and where that is."""
    count = 0
    async for data in inbox:
        count += 1
        await outbox.send(b"%d %s" % (count, data))


@component
async def whom(inbox, outbox):
    async for _ in inbox:
        await outbox.send(f"{peer()} at {peer().local[1]}".encode())


class Fails(Component):
    async def main(self):
        async for data in self.inbox:
            await self.outbox.send(data)
            if data == b"fail":
                raise RuntimeError("oh")


# --- one component for each address -----------------------------------------------------------------


def test_each_address_has_a_component_of_its_own(serve, visitor):
    with serve(number) as server:
        one, two = visitor(server), visitor(server)
        assert [ask(one, b"a"), ask(one, b"b"), ask(two, b"a"), ask(one, b"c")] == [
            b"1 a", b"2 b", b"1 a", b"3 c",
        ]  # fmt: skip
        done = server.statistics()
    assert (done.open, done.accepted, done.refused, done.failed, done.idle) == (2, 2, 0, 0, 0)
    assert (done.received, done.sent, done.bytes_in, done.bytes_out) == (4, 4, 4, 12)
    assert (done.dropped, done.unsent, done.errors, done.missed) == (0, 0, 0, 0)


@pytest.mark.parametrize(
    "pattern", [Echo, Echo(), Echo() | Echo(), lambda: Echo()], ids=["class", "part", "pipe", "function"]
)
def test_the_protocol_may_be_a_class_a_component_or_a_factory(serve, visitor, pattern):
    with serve(pattern) as server:
        for data in (b"one", b"two"):
            assert ask(visitor(server), data) == data


def test_one_message_is_one_datagram_also_an_empty_one_that_comes(serve, visitor):
    with serve(Map(lambda data: b"%d" % len(data))) as server:
        sock = visitor(server)
        assert [ask(sock, bytes(size)) for size in (0, 1, 1400, 65507)] == [b"0", b"1", b"1400", b"65507"]


def test_the_peer_is_known_in_every_part_of_a_protocol(serve, visitor):
    with serve(Echo() | whom()) as server:
        sock = visitor(server)
        assert ask(sock, b"?") == f"127.0.0.1:{sock.getsockname()[1]} at {server.address[1]}".encode()


def test_a_burst_before_the_component_is_there_is_not_lost(serve, visitor):
    with serve(number) as server:
        sock = visitor(server)
        for n in range(60):
            sock.send(b"%d" % n)
        assert [sock.recv(100) for _ in range(60)] == [b"%d %d" % (n + 1, n) for n in range(60)]


def test_what_is_not_bytes_fails_the_component_alone(serve, visitor, caplog):
    with serve(Bad) as server:
        one, two = visitor(server), visitor(server)
        assert ask(one, b"x") == b"x"
        one.send(b"text")
        until(lambda: server.statistics().failed == 1)
        assert ask(two, b"y") == b"y"
    assert "UDPServer/client-1 failed and was isolated: TypeError: " in caplog.text


class Bad(Component):
    async def main(self):
        async for data in self.inbox:
            await self.outbox.send("text" if data == b"text" else data)


# --- ends -----------------------------------------------------------------------------------------


def test_after_a_component_has_ended_the_next_datagram_makes_a_new_one(serve, visitor):
    with serve(Take(1)) as server:
        sock = visitor(server)
        for n in range(3):
            assert ask(sock, b"%d" % n) == b"%d" % n
            until(lambda: server.statistics().open == 0)
        assert server.statistics().accepted == 3


def test_a_component_that_fails_concerns_no_other(serve, visitor, caplog):
    with serve(Fails) as server:
        one, two = visitor(server), visitor(server)
        assert ask(one, b"x") == ask(two, b"x") == b"x"
        assert ask(one, b"fail") == b"fail"
        until(lambda: server.statistics().open == 1)
        assert ask(two, b"y") == b"y"
        assert ask(one, b"again") == b"again"
        assert (server.statistics().failed, server.statistics().accepted) == (1, 3)
    assert "UDPServer/client-1 failed and was isolated: RuntimeError: oh" in caplog.text


def test_a_failure_may_stop_the_server(new_loop, visitor):
    server = UDPServer(Fails, port=0, quiet=True, on_failure="stop")
    with pytest.raises(ComponentsFailed) as caught, background(server, loop_factory=new_loop) as handle:
        handle.receive("listening", timeout=WAIT)
        visitor(server).send(b"fail")
        until(server.done)
    assert [str(error) for error in caught.value.exceptions] == ["oh"]


def test_a_factory_that_fails_costs_its_visitor_only(serve, visitor, caplog):
    made = []

    def make():
        made.append(1)
        if len(made) == 1:
            raise RuntimeError("no")
        return Echo()

    with serve(make) as server:
        sock = visitor(server)
        sock.send(b"first")
        until(lambda: server.statistics().failed == 1)
        assert ask(sock, b"second") == b"second"
    assert "UDPServer/client-1 could not be made: RuntimeError: no" in caplog.text


def test_a_stop_ends_the_inboxes_and_what_is_then_sent_goes_out(new_loop, visitor):
    @component
    async def last_words(inbox, outbox):
        async for data in inbox:
            await outbox.send(data)
        await outbox.send(b"bye")

    server = UDPServer(last_words, port=0, quiet=True)
    with background(server, loop_factory=new_loop) as handle:
        handle.receive("listening", timeout=WAIT)
        sock = visitor(server)
        assert ask(sock, b"x") == b"x"
    assert sock.recv(10) == b"bye"


def test_leaving_by_an_exception_leaves_nothing(new_loop, visitor):
    server = UDPServer(Echo, port=0, quiet=True)
    with pytest.raises(RuntimeError), background(server, loop_factory=new_loop) as handle:
        handle.receive("listening", timeout=WAIT)
        assert ask(visitor(server), b"x") == b"x"
        raise RuntimeError("leave")
    gc.collect()  # a forgotten socket would warn
    assert server.statistics().open == 0


def test_a_component_that_is_over_is_not_kept(serve, visitor):
    seen = weakref.WeakSet()

    def make():
        made = Take(1)
        seen.add(made)
        return made

    with serve(make) as server:
        sock = visitor(server)
        for _ in range(5):
            assert ask(sock, b"x") == b"x"
            until(lambda: server.statistics().open == 0)
        until(lambda: gc.collect() >= 0 and len(seen) == 0)


# --- bounds -----------------------------------------------------------------------------------------


def test_beyond_the_limit_nobody_new_is_served(serve, visitor, caplog):
    with serve(Echo, limit=2) as server:
        socks = [visitor(server) for _ in range(4)]
        assert [ask(sock, b"x") for sock in socks[:2]] == [b"x", b"x"]
        for sock in socks[2:]:
            sock.send(b"x")
        until(lambda: server.statistics().refused == 2)
        assert ask(socks[0], b"y") == b"y"
        assert server.statistics().reasons == {"limit": 2}
    lines = [one.getMessage() for one in caplog.records if "refuses" in one.getMessage()]
    assert lines == ["UDPServer refuses who is new: it has 2 components, which is its limit=2"]


def test_one_host_has_so_many_components_whatever_its_ports(serve, visitor, caplog):
    with serve(Take(2), limit_per_address=2) as server:
        socks = [visitor(server) for _ in range(4)]
        assert [ask(sock, b"x") for sock in socks[:2]] == [b"x", b"x"]
        for sock in socks[2:]:
            sock.send(b"x")
        until(lambda: server.statistics().refused == 2)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("127.0.0.2", 0))
            other.settimeout(WAIT)
            other.connect(server.address)
            assert ask(other, b"from elsewhere") == b"from elsewhere"
        assert ask(socks[0], b"y") == b"y"  # and with that it ends
        until(lambda: server.statistics().open == 2)
        assert ask(socks[3], b"now") == b"now"
        assert server.statistics().reasons == {"address": 2}
    lines = [one.getMessage() for one in caplog.records if "refuses" in one.getMessage()]
    assert lines == ["UDPServer refuses who is new: one host has 2, which is its limit_per_address"]


def test_a_factory_that_fails_does_not_use_up_the_places_of_its_visitors_host(serve, visitor):
    def make():
        raise RuntimeError("no")

    with serve(make, limit_per_address=1) as server:
        sock = visitor(server)
        for n in range(3):
            sock.send(b"x")
            until(lambda expected=n + 1: server.statistics().failed == expected)
        assert (server.statistics().dropped, server.statistics().refused) == (3, 0)


def test_what_has_come_too_late_before_a_stop_is_counted_in_full(new_loop):
    server = UDPServer(Echo, port=0, quiet=True)

    @component
    async def stop(inbox, outbox):
        while server.address is None:
            await sleep(0.001)
        for data in (b"one", b"two", b"three"):
            server._receive(data, ("192.0.2.1", 9))
        server._receive(b"one", ("192.0.2.2", 9))
        server.system.stop()
        server._receive(b"late", ("192.0.2.3", 9))

    run(server, stop(), loop_factory=new_loop)
    done = server.statistics()
    assert (done.received, done.accepted, done.refused, done.reasons) == (5, 0, 5, {"stop": 5})


# Of 1000 bytes, and 64 for each, 3 fit into 4 KiB; of one byte 63.
@pytest.mark.parametrize("size, fit", [(1000, 3), (1, 63)])
def test_what_a_slow_component_has_no_room_for_is_dropped(serve, visitor, caplog, size, fit):
    go = threading.Event()

    class Deaf(Component):
        inbox = Inbox[bytes]("data")

        async def main(self):
            await self.inbox.receive()
            await self.outbox.send(b"here")
            while not go.is_set():
                await sleep(0.001)

    with serve(Deaf, size="4 KiB") as server:
        sock = visitor(server)
        assert ask(sock, b"x") == b"here"
        for n in range(100):
            sock.send(bytes(size))
            until(lambda expected=n + 2: server.statistics().received == expected)
        assert server.statistics().dropped == 100 - fit
        go.set()
    lines = [one.getMessage() for one in caplog.records if "drops" in one.getMessage()]
    assert lines == ["UDPServer drops what comes for a component that is slow, or reads no more"]


# --- time: in a simulation, where it is exact -------------------------------------------------------


def simulate(server: Any, client: Any, seconds: float = 1000) -> Any:
    network = Network()
    network.host("server").run(server)
    network.host("phone").run(client)
    network.link("server", "phone", delay="10 ms")
    return network.simulate(seconds=seconds, seed=1)


@component
async def at_times(inbox, outbox, times=()):
    """Send b"x" at these times, and then stay."""
    now = 0.0
    for when in times:
        await sleep(when - now)
        now = when
        await outbox.send(b"%g" % when)
    await sleep(1000)


def test_an_idle_component_is_ended_and_the_next_datagram_makes_a_new_one():
    seen = []

    @component
    async def note(inbox, outbox):
        seen.append("begin")
        async for data in inbox:
            seen.append(data)
            await outbox.send(data)
        seen.append("end")

    server = UDPServer(note, port=1500, quiet=True, idle_timeout=10)
    simulate(server, at_times([0, 9, 18, 30]) | UDPPeer("server", 1500) | Collect(), 50)
    assert seen == ["begin", b"0", b"9", b"18", "end", "begin", b"30", "end"]


@pytest.mark.parametrize("idle_timeout", [None, 10])
def test_a_component_has_so_much_time_in_all(idle_timeout):
    seen = []

    @component
    async def note(inbox, outbox):
        seen.append("begin")
        async for data in inbox:
            seen.append(data)
        seen.append(("end", round(clock(), 6)))

    counted = []
    server = counting(counted, note, idle_timeout=idle_timeout, total_timeout=12)
    simulate(server, at_times([0, 8, 13]) | UDPPeer("server", 1500) | Collect(), 40)
    after = 23.01 if idle_timeout else 25.01
    assert seen == ["begin", b"0", b"8", ("end", 12.01), "begin", b"13", ("end", after)]
    (done,) = counted
    assert (done.expired, done.idle) == ((1, 1) if idle_timeout else (2, 0))


def test_a_component_that_ignores_its_end_loses_its_listener_a_second_later():
    seen = []

    class Stays(Component):
        others = Inbox[bytes]("from nobody", held=True)

        async def main(self):
            try:
                await self.others.receive()
            finally:
                seen.append(self.get_loop().time())

    server = UDPServer(Stays, port=1500, quiet=True, idle_timeout=10)
    simulate(server, Source([b"x"]) | UDPPeer("server", 1500), 50)
    assert [round(when, 6) for when in seen] == [11.01]


def test_new_components_may_be_so_many_a_second():
    @component
    async def many(inbox, outbox):
        await sleep(1)
        for _ in range(10):
            await run_a_sender()

    async def run_a_sender():
        import asyncio

        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, remote_addr=("server", 1500)
        )
        transport.sendto(b"x")
        await sleep(0.1)
        transport.close()

    counted = []
    simulate(counting(counted, Echo, new_per_second=3), many(), 10)
    (done,) = counted
    # Three at once, and in the 0.9 s after that one each third of a second.
    assert (done.accepted, done.refused, done.reasons) == (5, 5, {"rate": 5})


# --- what is refused --------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:unclosed resource <UDPTransport")  # uvloop forgets what it could not bind
def test_a_port_that_is_taken_is_an_error_that_says_so(new_loop):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HERE, 0))
        with pytest.raises(ComponentsFailed) as caught:
            run(UDPServer(Echo, port=sock.getsockname()[1]), loop_factory=new_loop)
    (error,) = caught.value.exceptions
    assert isinstance(error, CannotListen)
    assert str(error).startswith("UDPServer: another program listens on 127.0.0.1:")


@pytest.mark.one_core()
def test_a_protocol_that_does_not_speak_bytes_is_refused_at_once():
    class Speaks(Component):
        inbox = Inbox[str]("text")
        outbox = Outbox[bytes]("bytes")

        async def main(self):
            pass

    with pytest.raises(LinkError, match="a peer's bytes do not fit into"):
        UDPServer(Speaks, port=1)


@pytest.mark.one_core()
@pytest.mark.parametrize(
    "options, text",
    [
        ({"port": 70000}, "UDPServer(port=70000): give a port from 0 (any that is free) to 65535"),
        ({"host": []}, "UDPServer(host=[]): give one name or address, or None for all of IPv4"),
        ({"limit": 0}, "UDPServer(limit=0): give how many components there may be, 1 or more"),
        (
            {"limit_per_address": 0},
            "UDPServer(limit_per_address=0): give how many components there may be for",
        ),
        ({"total_timeout": 0}, "UDPServer(total_timeout=0): give seconds, more than 0, or None for never"),
        ({"new_per_second": 0}, "UDPServer(new_per_second=0): give how many, more than 0"),
        ({"idle_timeout": 0}, "UDPServer(idle_timeout=0): give seconds, more than 0, or None for never"),
        ({"size": "x"}, "UDPServer(size='x'): give bytes"),
        ({"on_failure": "x"}, "UDPServer(on_failure='x'): it is 'isolate' or 'stop'"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_once(options, text):
    with pytest.raises((TypeError, ValueError)) as caught:
        UDPServer(Echo, **{"port": 1, **options})
    assert text in str(caught.value)
