"""Simulated TCP: exact times, losses, windows, and how connections end."""

from __future__ import annotations

import asyncio
import collections
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from kamaelia import component, sleep
from kamaelia.testbed import Network
from kamaelia.testbed.links import GilbertElliott, LossModel, LossTrace
from kamaelia.testbed.options import SO_NWRITE


def between(client: Callable[..., Any], serve: Callable[..., Any] | None = None, **link: Any) -> Network:
    """Return a network in which a client talks to a server, by asyncio's streams."""

    @component
    async def run_client(inbox: Any, outbox: Any) -> Any:
        return await client()

    @component
    async def run_server(inbox: Any, outbox: Any) -> Any:
        assert serve is not None
        results = []
        done = asyncio.Event()

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                results.append(await serve(reader, writer))
            finally:
                writer.close()
                done.set()

        async with await asyncio.start_server(accept, port=1500):
            await done.wait()
        return results

    network = Network()
    network.host("client").run(run_client())
    network.host("server")
    if serve is not None:
        network.hosts["server"].run(run_server())
    network.link("client", "server", **link)
    return network


def now() -> float:
    return asyncio.get_running_loop().time()


async def open_stream() -> Any:
    return await asyncio.open_connection("server", 1500)


async def until_end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Any:
    data = await reader.read()
    writer.close()
    return len(data), now()


def test_the_whole_trace_of_a_short_connection() -> None:
    async def client() -> Any:
        reader, writer = await open_stream()
        writer.write(b"question")
        answer = await reader.read()
        writer.close()
        return answer, now()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.read(100) == b"question"
        writer.write(b"answer")

    trace = between(client, serve, delay=0.5).simulate()
    assert [str(event) for event in trace.events] == [
        "0.000000 send    tcp syn client:49152 > server:1500 #1 40 B",
        "0.000000 listen  tcp server:1500",
        "0.500000 deliver tcp syn client:49152 > server:1500 #1 40 B",
        "0.500000 send    tcp syn-ack server:1500 > client:49152 #2 40 B",
        "1.000000 deliver tcp syn-ack server:1500 > client:49152 #2 40 B",
        "1.000000 connect tcp client:49152 > server:1500",
        "1.000000 send    tcp ack client:49152 > server:1500 #3 40 B",
        "1.000000 send    tcp data client:49152 > server:1500 #4 48 B",
        "1.500000 deliver tcp ack client:49152 > server:1500 #3 40 B",
        "1.500000 accept  tcp server:1500 > client:49152",
        "1.500000 deliver tcp data client:49152 > server:1500 #4 48 B",
        "1.500000 send    tcp data server:1500 > client:49152 #5 46 B",
        "1.500000 send    tcp fin server:1500 > client:49152 #6 40 B",
        "2.000000 deliver tcp data server:1500 > client:49152 #5 46 B",
        "2.000000 deliver tcp fin server:1500 > client:49152 #6 40 B",
        "2.000000 send    tcp fin client:49152 > server:1500 #7 40 B",
        "2.500000 deliver tcp fin client:49152 > server:1500 #7 40 B",
    ][: len(trace.events)]
    assert trace.results["client"] == (b"answer", 2.0)


def test_a_refused_connection_takes_a_round_trip() -> None:
    async def client() -> Any:
        with pytest.raises(ConnectionRefusedError, match="refused by server:1500"):
            await open_stream()
        return now()

    trace = between(client, delay=0.25).simulate()
    assert trace.results["client"] == 0.5
    assert [event.what for event in trace.events] == ["send", "deliver", "send", "deliver", "refuse"]


def test_a_syn_that_is_always_lost_times_out_as_on_linux() -> None:
    async def client() -> Any:
        with pytest.raises(TimeoutError):
            await open_stream()
        return now()

    trace = between(client, loss=1).simulate(seconds=200)
    assert trace.results["client"] == 1 + 2 + 4 + 8 + 16 + 32 + 64
    assert trace.events[-1].what == "expire"


@pytest.mark.parametrize("listens", [True, False], ids=["syn-ack", "rst"])
def test_an_answer_to_a_syn_that_is_always_lost_times_out_too(listens: bool) -> None:
    async def client() -> Any:
        with pytest.raises(TimeoutError):
            await open_stream()
        return now()

    network = between(client)
    if listens:

        @component
        async def server(inbox: Any, outbox: Any) -> None:
            async with await asyncio.start_server(until_end, port=1500):
                await sleep(100)

        network.hosts["server"].run(server())
    network.links.clear()
    network.link("client", "server", delay=0.5, one_way=True)
    network.link("server", "client", delay=0.5, one_way=True, loss=1)
    trace = network.simulate(seconds=200)
    assert trace.results["client"] == 0.5 + 1 + 2 + 4 + 8 + 16 + 32 + 64
    assert [event.what for event in trace.events].count("expire") == 1
    assert str(trace.events[-1]).startswith("127.500000 expire")


def test_a_connection_over_which_nothing_comes_through_is_given_up() -> None:
    network = Network()

    @component
    async def client(inbox: Any, outbox: Any) -> Any:
        reader, writer = await open_stream()
        writer.write(b"x")
        await sleep(1)
        simulation = asyncio.get_running_loop().stack.simulation  # type: ignore[attr-defined]
        for channel in simulation.each_channel():
            channel.loss = 1.0
        writer.write(b"y")
        with pytest.raises(TimeoutError):
            await reader.read()
        writer.close()
        with pytest.raises(TimeoutError):
            await writer.wait_closed()

    @component
    async def server(inbox: Any, outbox: Any) -> None:
        async with await asyncio.start_server(until_end, port=1500):
            await sleep(2000)

    network.host("client").run(client())
    network.host("server").run(server())
    network.link("client", "server")
    events = network.simulate(seconds=2000).events
    (expired,) = [event for event in events if event.what == "expire"]
    assert expired.time == pytest.approx(1 + 0.2 * (2**10 - 1) + 6 * 120)


def test_losses_cost_time_but_no_bytes() -> None:
    sent = bytes(range(256)) * 1000

    async def client() -> None:
        _, writer = await open_stream()
        writer.write(sent)
        writer.close()
        await writer.wait_closed()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Any:
        return await reader.read(), now()

    def arrived(loss: float) -> Any:
        trace = between(client, serve, delay="50 ms", loss=loss).simulate(seed=2)
        ((data, time),) = trace.results["server"]
        assert data == sent
        return time, [event.what for event in trace.events].count("resend")

    # Four windows of 64 KiB, the last with what is left: 44 segments at a round trip, then the next.
    assert arrived(0) == (pytest.approx(0.15 + 3 * 0.1), 0)
    time, resent = arrived(0.1)
    assert resent > 10
    assert 1 < time < 10


def test_one_loss_holds_up_all_that_follows() -> None:
    async def client() -> None:
        _, writer = await open_stream()
        for number in range(100):
            writer.write(b"%02d" % number)
            await asyncio.sleep(0.01)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Any:
        arrivals = []
        while data := await reader.read(1000):
            arrivals.append((now(), data))
        return arrivals

    (arrivals,) = between(client, serve, delay=0.001, loss=0.02).simulate(seed=1).results["server"]
    assert b"".join(data for _, data in arrivals) == b"".join(b"%02d" % number for number in range(100))
    gap, burst = max((len(data), time) for time, data in arrivals)[::-1]
    assert burst >= 2 * 20  # about 0.2 s of numbers came at once
    assert gap > 0.2


def test_the_window_bounds_what_is_under_way() -> None:
    async def client() -> None:
        _, writer = await open_stream()
        writer.write(bytes(640 * 1024))
        writer.close()
        await writer.wait_closed()

    trace = between(client, until_end, delay=0.5).simulate()
    ((length, time),) = trace.results["server"]
    assert length == 640 * 1024
    # What is read in a round trip doubles the window: 44 segments at first, then twice as many each time.
    assert time == pytest.approx(1.5 + 5)
    sent = [event.time for event in trace.events if (event.what, event.protocol) == ("send", "tcp data")]
    assert collections.Counter(sent) == {1: 44, 2: 44, 3: 86, 4: 88, 5: 172, 6: 15}


def test_a_rate_bounds_the_speed() -> None:
    async def client() -> None:
        _, writer = await open_stream()
        writer.write(bytes(1_000_000))
        writer.close()
        await writer.wait_closed()

    ((length, time),) = between(client, until_end, rate="8 Mbit/s", delay="1 ms").simulate().results["server"]
    assert length == 1_000_000
    assert time == pytest.approx(1.0 * 1500 / 1460, rel=0.01)


def test_a_receiver_that_does_not_read_stops_the_sender() -> None:
    async def client() -> Any:
        _, writer = await open_stream()
        written = 0
        try:
            async with asyncio.timeout(10):
                while True:
                    writer.write(bytes(10_000))
                    await writer.drain()
                    written += 10_000
        except TimeoutError:
            pass
        writer.transport.abort()
        return written

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await sleep(20)

    written = between(client, serve, delay="1 ms").simulate().results["client"]
    # StreamReader takes 128 KiB and a segment, by which the window has grown to twice what it read in a round
    # trip; the write buffer is 64 KiB.
    assert 290_000 < written < 320_000


def test_the_socket_of_a_transport_has_options_with_effects() -> None:
    async def ask() -> Any:
        _, writer = await open_stream()
        sock = writer.transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 10_000)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0x10)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 33)
        writer.write(b"x" * 30_000)
        not_arrived = sock.getsockopt(socket.SOL_SOCKET, SO_NWRITE)
        end = sock.connection
        marks = end.tos, end.ttl, sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG)
        writer.transport.abort()
        await asyncio.sleep(1)
        return not_arrived, marks, sock.connection

    trace = between(ask, until_end, delay="80 ms").simulate(seconds=10, until="client")
    # six whole segments fit into 10,000 bytes; what was closed has no connection any more
    assert trace.results["client"] == (6 * 1460, (0x10, 33, 1460), None)


def test_protocols_are_called_in_their_own_loop() -> None:
    """Whatever makes the call: what arrives, room for more, the other end."""
    asked: list[tuple[str, Any]] = []

    class Asking(asyncio.Protocol):
        def __init__(self, loop: Any) -> None:
            self.loop = loop
            self.lost = loop.create_future()
            self.note("__init__")

        def note(self, what: str) -> None:
            asked.append((what, asyncio.get_running_loop() is self.loop and time.monotonic() < 1000))

        def connection_made(self, transport: Any) -> None:
            self.note("connection_made")
            transport.set_write_buffer_limits(0)
            transport.write(bytes(200_000))
            transport.write_eof()

        def data_received(self, data: bytes) -> None:
            self.note("data_received")

        def eof_received(self) -> bool:
            self.note("eof_received")
            return False

        def pause_writing(self) -> None:
            self.note("pause_writing")

        def resume_writing(self) -> None:
            self.note("resume_writing")

        def connection_lost(self, error: Exception | None) -> None:
            self.note("connection_lost")
            self.lost.set_result(None)

    @component
    async def serve(inbox: Any, outbox: Any) -> None:
        loop = asyncio.get_running_loop()
        made = loop.create_future()

        def make() -> Asking:
            made.set_result(Asking(loop))
            return made.result()

        async with await loop.create_server(make, port=1500):
            await (await made).lost

    @component
    async def ask(inbox: Any, outbox: Any) -> None:
        loop = asyncio.get_running_loop()
        _, protocol = await loop.create_connection(lambda: Asking(loop), "server", 1500)
        await protocol.lost

    network = Network()
    network.host("server").run(serve)
    network.host("client").run(ask)
    network.link("server", "client", delay="80 ms", loss="5 %", rate="5 Mbit/s")
    network.simulate(seconds=60, seed=7)
    calls = ("connection_made", "data_received", "eof_received", "pause_writing", "resume_writing")
    for call in (*calls, "__init__", "connection_lost"):
        assert [right for name, right in asked if name == call].count(True) >= 2, call
    assert {name for name, right in asked if not right} == set()


def test_connecting_can_be_cancelled() -> None:
    async def client() -> Any:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.6):
                await open_stream()
        await sleep(5)
        return now()

    @component
    async def never(inbox: Any, outbox: Any) -> None:
        def accept() -> Any:
            raise AssertionError("nobody has connected")

        async with await asyncio.get_running_loop().create_server(accept, port=1500):
            await sleep(5)

    network = between(client, delay=0.5)
    network.hosts["server"].run(never())
    trace = network.simulate()
    assert trace.results["client"] == 5.6
    assert [
        f"{event.what} {event.protocol}" for event in trace.events if event.what in ("send", "accept")
    ] == [
        "send tcp syn",
        "send tcp syn-ack",
        "send tcp rst",
    ]


def test_connecting_a_socket_can_be_cancelled() -> None:
    complaints: list[Any] = []

    async def client() -> Any:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: complaints.append(context))
        sock = socket.socket()
        sock.setblocking(False)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.6):
                await loop.sock_connect(sock, ("server", 1500))
        sock.close()
        await sleep(5)
        return now()

    assert between(client, delay=0.5).simulate().results["client"] == 5.6
    assert complaints == []


def test_a_host_that_has_ended_closes_its_connections_and_refuses_others() -> None:
    @component
    async def leaves(inbox: Any, outbox: Any) -> None:
        await asyncio.start_server(lambda reader, writer: kept.append(writer), port=1500)
        await sleep(2)

    async def client() -> Any:
        reader, writer = await open_stream()
        assert await reader.read() == b""
        ended = now()
        with pytest.raises(ConnectionRefusedError):
            await open_stream()
        writer.close()
        return ended

    kept: list[Any] = []
    network = between(client, delay=0.5)
    network.hosts["server"].run(leaves())
    assert network.simulate().results["client"] == 2.5


def test_ports_and_addresses() -> None:
    @component
    async def look(inbox: Any, outbox: Any) -> Any:
        loop = asyncio.get_running_loop()
        server = await asyncio.start_server(lambda reader, writer: writer.close(), port=0)
        _, writer = await asyncio.open_connection("localhost", server.sockets[0].getsockname()[1])
        seen = [
            server.sockets[0].getsockname(),
            writer.get_extra_info("sockname"),
            writer.get_extra_info("peername"),
            await loop.getaddrinfo("there", 80, type=1),
            await loop.getnameinfo(("10.0.0.2", 80)),
        ]
        writer.close()
        server.close()
        return seen

    network = Network()
    network.host("here").run(look())
    network.host("there")
    assert network.simulate().results["here"] == [
        ("0.0.0.0", 49152),
        ("127.0.0.1", 49153),
        ("127.0.0.1", 49152),
        [(2, 1, 6, "", ("10.0.0.2", 80))],
        ("there", "80"),
    ]


def test_a_server_on_the_careful_default_address_is_reached_from_other_hosts() -> None:
    @component
    async def careful(inbox: Any, outbox: Any) -> None:
        async with await asyncio.start_server(until_end, "127.0.0.1", 1500):
            await sleep(5)

    async def client() -> Any:
        _, writer = await open_stream()
        writer.close()
        return writer.get_extra_info("peername")

    network = between(client)
    network.hosts["server"].run(careful())
    assert network.simulate().results["client"] == ("10.0.0.2", 1500)


def test_a_hundred_clients_are_served_alike() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1000):
            writer.write(data)
        writer.close()

    @component
    async def server(inbox: Any, outbox: Any) -> None:
        async with await asyncio.start_server(echo, port=7) as listening:
            await listening.serve_forever()

    @component
    async def client(inbox: Any, outbox: Any, number: int) -> Any:
        reader, writer = await asyncio.open_connection("server", 7)
        writer.write(b"I am %d" % number)
        writer.write_eof()
        answer = await reader.read()
        writer.close()
        return answer, asyncio.get_running_loop().time()

    network = Network()
    network.host("server").run(server())
    for number in range(100):
        network.host(f"client-{number}").run(client(number=number))
        network.link("server", f"client-{number}", delay=0.25)
    trace = network.simulate(seconds=10)
    assert all(trace.results[f"client-{n}"] == (b"I am %d" % n, 1.0) for n in range(100))


# -- losses that stick ------------------------------------------------------------------------------


async def send_much() -> None:
    _, writer = await open_stream()
    writer.write(bytes(200_000))
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("model", [GilbertElliott(0.05, 0.4), LossTrace([0] * 20 + [1] * 3, repeat=True)])
def test_losses_clocked_by_packets_warn_once_when_they_hit_a_connection(model: LossModel) -> None:
    network = between(send_much, until_end, loss=model)
    with pytest.warns(UserWarning) as caught:
        network.simulate(seconds=600, seed=4)
    assert [str(one.message) for one in caught] == [f"client > server carries connections: {model.warning}"]
    assert "by_time" in str(model.warning)


def test_losses_clocked_by_time_or_of_datagrams_do_not_warn() -> None:
    # every warning is an error here
    network = between(send_much, until_end, delay="10 ms", loss=GilbertElliott.by_time("50 ms", "20 ms"))
    assert network.simulate(seconds=600, seed=4).metrics.links["client > server"].lost > 0

    @component
    async def talk(inbox: Any, outbox: Any) -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, remote_addr=("server", 5004)
        )
        for _ in range(200):
            transport.sendto(b"x")
            await sleep(0.01)
        transport.close()

    network = Network()
    network.host("client").run(talk())
    network.host("server")
    network.link("client", "server", loss=GilbertElliott(0.05, 0.4))
    assert network.simulate(seconds=600, seed=4).metrics.links["client > server"].lost > 0
