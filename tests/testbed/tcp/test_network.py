"""TCP as packets in networks: sockets, links, routers, translation, crashes, addresses of both kinds."""

from __future__ import annotations

import asyncio
import errno
import socket
import struct
from collections import Counter
from typing import Any

import pytest

from kamaelia import component, sleep
from kamaelia.axon import UsageError
from kamaelia.flow import Collect, Map, Source
from kamaelia.net import TCPClient, TCPServer
from kamaelia.testbed import LinuxTCP, Network, Trace
from kamaelia.testbed.links import RED, CoDel

DATA = bytes(range(256)) * 1000


def network_of(
    *, ipv6: bool = False, tcp: LinuxTCP | None = None, data: bytes = DATA, **link: Any
) -> Network:
    """Return a server that answers in capitals, and a client that says much."""
    network = Network(tcp=tcp or LinuxTCP(), ipv6=ipv6)
    network.host("server").run(
        TCPServer(Map(bytes.swapcase), port=1500, quiet=True, host="::" if ipv6 else "0.0.0.0")
    )
    to = "fd00::1" if ipv6 else "server"
    network.host("client").run(Source([data]) | TCPClient(to, 1500) | Collect())
    network.link("server", "client", **{"rate": "10 Mbit/s", "delay": "10 ms", **link})
    return network


def check(trace: Trace, data: bytes = DATA) -> None:
    assert b"".join(trace.results["client"]) == data.swapcase()


@pytest.mark.parametrize("ipv6", [False, True])
def test_what_is_said_is_answered(ipv6: bool) -> None:
    trace = network_of(ipv6=ipv6).simulate(seconds=30, seed=1)
    check(trace)
    full = max(one.size for one in trace.events if one.protocol == "tcp data")
    assert full == 1500


@pytest.mark.parametrize(
    "link",
    [
        {"loss": 0.05},
        {"duplicate": 0.2},
        {"jitter": "5 ms"},
        {"corrupt": 0.05},
        {"loss": 0.03, "duplicate": 0.1, "jitter": "8 ms", "corrupt": 0.02},
        {"queue": "5 packets"},
        {"mtu": 576},
    ],
    ids=str,
)
def test_bad_links_lose_nothing(link: dict[str, Any]) -> None:
    check(network_of(**link).simulate(seconds=120, seed=3))


def test_what_was_spoiled_is_not_believed() -> None:
    trace = network_of(corrupt=0.1).simulate(seconds=120, seed=5)
    check(trace)
    count = Counter(one.what for one in trace.events)
    assert count["corrupt"] > 20 and count["resend"] > 10


async def talk(host: str, port: int, **options: Any) -> bytes:
    reader, writer = await asyncio.open_connection(host, port, **options)
    writer.write(b"hello")
    writer.write_eof()
    answer = await reader.read()
    writer.close()
    return answer


@component
async def asks(inbox: Any, outbox: Any, host: str = "server", port: int = 1500, wait: float = 0) -> Any:
    await sleep(wait)
    begun = asyncio.get_running_loop().time()
    try:
        return await talk(host, port)
    except OSError as error:
        return errno.errorcode[error.errno or 0], round(asyncio.get_running_loop().time() - begun, 3)


@component
async def says_hello(inbox: Any, outbox: Any, host: str = "0.0.0.0") -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        data = await reader.read()
        writer.write(data.upper())
        writer.close()

    server = await asyncio.start_server(serve, host, 1500)
    async with server:
        await server.serve_forever()


def test_a_host_talks_to_itself() -> None:
    network = Network(tcp=LinuxTCP())

    @component
    async def alone(inbox: Any, outbox: Any) -> Any:
        async def serve(reader: Any, writer: Any) -> None:
            writer.write((await reader.read()).upper())
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 1500)
        answer = await talk("127.0.0.1", 1500)
        server.close()
        return answer

    network.host("alone").run(alone())
    assert network.simulate(seconds=100).results["alone"] == b"HELLO"


def test_nobody_listens() -> None:
    network = Network(tcp=LinuxTCP())
    network.host("server")
    network.host("client").run(asks())
    network.link("server", "client", delay="10 ms")
    assert network.simulate(seconds=10).results["client"] == ("ECONNREFUSED", 0.02)


def beyond_a_router(ipv6: bool = False) -> Network:
    """Return a network in which a client is told to go by a router that knows no way."""
    network = Network(tcp=LinuxTCP(), ipv6=ipv6)
    network.host("server")
    network.router("edge")
    network.host("other")
    address = "fd00::1" if ipv6 else "10.0.0.1"
    network.host("client").route(f"{address}/{128 if ipv6 else 32}", "edge").run(asks(address))
    network.link("client", "edge", delay="10 ms")
    network.link("server", "other")
    return network


@pytest.mark.parametrize("ipv6", [False, True])
def test_a_router_without_a_way_says_so(ipv6: bool) -> None:
    trace = beyond_a_router(ipv6).simulate(seconds=300)
    assert trace.results["client"] == ("ENETUNREACH", 0.02)
    assert [one.protocol for one in trace.events if one.what == "send"] == ["tcp syn", "icmp unreachable"]


def test_a_smaller_link_on_the_way_is_found_out() -> None:
    network = Network(tcp=LinuxTCP())
    network.host("server").run(TCPServer(Map(bytes.swapcase), port=1500, quiet=True, host="0.0.0.0"))
    network.host("client").run(Source([DATA]) | TCPClient("server", 1500) | Collect())
    for router in ("one", "two"):
        network.router(router)
    network.link("client", "one", delay="5 ms")
    network.link("one", "two", delay="5 ms", mtu=900)
    network.link("two", "server", delay="5 ms")
    trace = network.simulate(seconds=60, seed=1)
    check(trace)
    assert sum(one.protocol == "icmp too large" and one.what == "send" for one in trace.events) >= 1
    sizes = [one.size for one in trace.events if one.protocol == "tcp data" and one.what == "deliver"]
    assert max(sizes) == 900


def test_behind_translation() -> None:
    network = Network(tcp=LinuxTCP())
    network.host("server").run(says_hello())
    network.nat("home")
    network.link("home", "server", delay="5 ms")
    for name in ("a", "b"):
        network.host(name).run(asks("10.0.0.1"))
        network.link("home", name, delay="1 ms")
    trace = network.simulate(seconds=20)
    assert [trace.results[name] for name in "ab"] == [b"HELLO"] * 2


@component
async def keeps(inbox: Any, outbox: Any) -> Any:
    """Open a connection, say something when the other side has been restarted, and return what that does."""
    reader, writer = await asyncio.open_connection("server", 1500)
    await sleep(10)
    writer.write(b"are you there?")
    try:
        return await reader.read()
    except OSError as error:
        return errno.errorcode[error.errno or 0]


def test_a_host_that_was_restarted_resets_what_it_does_not_know() -> None:
    network = Network(tcp=LinuxTCP())
    network.host("server").run(says_hello())
    network.host("client").run(keeps())
    network.link("server", "client", delay="10 ms")
    network.at(3, network.hosts["server"].crash)
    network.at(5, network.hosts["server"].restart)
    assert network.simulate(seconds=60).results["client"] == "ECONNRESET"


def test_a_host_that_is_gone_is_given_up() -> None:
    network = Network(tcp=LinuxTCP(retries=5))
    network.host("server").run(says_hello())
    network.host("client").run(keeps())
    network.link("server", "client", delay="10 ms")
    network.at(3, network.hosts["server"].crash)
    trace = network.simulate(seconds=600)
    assert trace.results["client"] == "ETIMEDOUT"


@pytest.mark.parametrize(
    "queue",
    [CoDel(ecn=True), RED(ecn=True, minimum=5, maximum=15, limit=1000, weight=0.02)],
    ids=["codel", "red"],
)
def test_queues_mark_instead_of_dropping(queue: Any) -> None:
    marks = LinuxTCP(ecn=True, congestion="reno")
    network = network_of(tcp=marks, queue=queue, data=DATA * 8, rate="8 Mbit/s", delay="30 ms")
    trace = network.simulate(seconds=60, seed=2)
    check(trace, DATA * 8)
    links = trace.metrics.links.values()
    assert sum(link.marked for link in links) > 0 == sum(link.dropped for link in links)
    assert not any(one.what == "resend" for one in trace.events)


# -- sockets ------------------------------------------------------------------------------------------------


def on_a_pair(client: Any, server: Any, **settings: Any) -> Trace:
    """Run two programs that have a link between them."""
    network = Network(tcp=LinuxTCP(**settings))
    network.host("server").run(component(server)())
    network.host("client").run(component(client)())
    network.link("server", "client", rate="10 Mbit/s", delay="10 ms")
    return network.simulate(seconds=200)


async def connected() -> socket.socket:
    sock = socket.socket()
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("10.0.0.1", 1500))
    return sock


async def listens(backlog: int = 5) -> socket.socket:
    sock = socket.socket()
    sock.setblocking(False)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("0.0.0.0", 1500))
    sock.listen(backlog)
    return sock


async def sink(inbox: Any, outbox: Any) -> int:
    loop = asyncio.get_running_loop()
    listener = await listens()
    sock, _ = await loop.sock_accept(listener)
    size = 0
    while data := await loop.sock_recv(sock, 2**16):
        size += len(data)
    return size


def test_a_socket_tells_of_its_connection() -> None:
    async def client(inbox: Any, outbox: Any) -> Any:
        loop = asyncio.get_running_loop()
        sock = await connected()
        await loop.sock_sendall(sock, DATA)
        await sleep(1)
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
        sock.close()
        return info

    trace = on_a_pair(client, sink)
    info = struct.unpack("8B24I", trace.results["client"])
    state, options, scale = info[0], info[5], info[6]
    assert (state, options, scale) == (1, 7, 7 << 4 | 7)
    timeout, mss = info[8], info[10]
    threshold, window, trip, resent = info[25], info[26], info[23], info[31]
    assert mss == 1448 and 220_000 < timeout < 400_000 and 20_000 < trip < 200_000
    assert (window, threshold) == (37, 30)  # as Linux 6.18 says in an emulation of this network
    assert resent == 0 and trace.results["server"] == len(DATA)


def test_a_socket_chooses_its_congestion_control() -> None:
    option = socket.TCP_CONGESTION

    async def client(inbox: Any, outbox: Any) -> Any:
        sock = await connected()
        before = sock.getsockopt(socket.IPPROTO_TCP, option, 16)
        sock.setsockopt(socket.IPPROTO_TCP, option, b"reno")
        after = sock.getsockopt(socket.IPPROTO_TCP, option, 16)
        with pytest.raises(FileNotFoundError):
            sock.setsockopt(socket.IPPROTO_TCP, option, b"vegas")
        sock.close()
        return before.rstrip(b"\0"), after.rstrip(b"\0")

    assert on_a_pair(client, sink).results["client"] == (b"cubic", b"reno")


def test_a_socket_asks_in_its_own_time_whether_the_other_side_is_there() -> None:
    network = Network(tcp=LinuxTCP())
    link = network.link(network.host("server"), network.host("client"), delay="10 ms")

    async def client(inbox: Any, outbox: Any) -> Any:
        loop = asyncio.get_running_loop()
        sock = await connected()
        for option, value in (("TCP_KEEPIDLE", 3), ("TCP_KEEPINTVL", 2), ("TCP_KEEPCNT", 4)):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        link.cut()
        begun = loop.time()
        with pytest.raises(TimeoutError):
            await loop.sock_recv(sock, 10)
        sock.close()
        return loop.time() - begun

    network.hosts["server"].run(component(sink)())
    network.hosts["client"].run(component(client)())
    taken = network.simulate(seconds=60, seed=1, until="client").results["client"]
    assert 3 + 4 * 2 <= taken < 3 + 4 * 2 + 1.5  # the kernel's wheel is coarse


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("TCP_KEEPIDLE", 0), ("TCP_KEEPINTVL", 32768), ("TCP_KEEPCNT", 128)),
        *(("TCP_SYNCNT", 0), ("TCP_USER_TIMEOUT", -1)),
    ],
)
def test_what_linux_refuses_is_refused(option: str, value: int) -> None:
    async def client(inbox: Any, outbox: Any) -> None:
        sock = await connected()
        with pytest.raises(OSError, match=f"Invalid argument: {option} is from .* and not {value}"):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
        sock.close()

    on_a_pair(client, sink)
    with socket.socket() as real, pytest.raises(OSError, match="Invalid argument"):
        real.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def test_closing_with_linger_at_zero_resets() -> None:
    async def client(inbox: Any, outbox: Any) -> None:
        sock = await connected()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()

    async def server(inbox: Any, outbox: Any) -> Any:
        loop = asyncio.get_running_loop()
        sock, _ = await loop.sock_accept(await listens())
        try:
            return await loop.sock_recv(sock, 10)
        except OSError as error:
            return errno.errorcode[error.errno or 0]

    assert on_a_pair(client, server).results["server"] == "ECONNRESET"


def test_a_full_backlog_keeps_people_waiting() -> None:
    async def client(inbox: Any, outbox: Any) -> Any:
        loop = asyncio.get_running_loop()
        times = []
        socks = []
        for _ in range(3):
            begun = loop.time()
            sock = await connected()
            await loop.sock_sendall(sock, b"x")
            socks.append(sock)
            times.append(round(loop.time() - begun, 2))
        await sleep(10)
        for sock in socks:
            sock.close()
        return times

    async def server(inbox: Any, outbox: Any) -> Any:
        loop = asyncio.get_running_loop()
        listener = await listens(backlog=1)
        await sleep(2.5)
        got = []
        for _ in range(3):
            sock, _ = await loop.sock_accept(listener)
            got.append(await loop.sock_recv(sock, 10))
        return got

    trace = on_a_pair(client, server, hz=0)
    # one more than the backlog may wait; the third is asked for again each second
    assert trace.results["client"] == [0.02, 0.02, 3.02]
    assert trace.results["server"] == [b"x"] * 3


def test_a_port_is_used_again_by_a_newer_syn_while_the_old_one_waits() -> None:
    async def client(inbox: Any, outbox: Any) -> Any:
        loop = asyncio.get_running_loop()
        answers = []
        for _ in range(2):
            sock = socket.socket()
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("0.0.0.0", 4000))
            await loop.sock_connect(sock, ("10.0.0.1", 1500))
            answers.append(await loop.sock_recv(sock, 10))
            assert await loop.sock_recv(sock, 10) == b""  # the server closes first, and so it waits
            sock.close()
            await sleep(1)
        return answers

    async def server(inbox: Any, outbox: Any) -> None:
        loop = asyncio.get_running_loop()
        listener = await listens()
        for _ in range(2):
            sock, _ = await loop.sock_accept(listener)
            await loop.sock_sendall(sock, b"hi")
            sock.close()
        await sleep(100)

    assert on_a_pair(client, server).results["client"] == [b"hi", b"hi"]


def test_settings_that_mean_nothing_are_refused() -> None:
    for wrong in (
        {"congestion": "vegas"},
        {"initial_window": 0},
        {"hz": -1},
        {"rmem": (1, 2)},
        {"wmem": (5, 4, 3)},
    ):
        with pytest.raises(UsageError, match=next(iter(wrong))):
            LinuxTCP(**wrong)
