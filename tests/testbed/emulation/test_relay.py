"""Without rights: real programs talk through a simulated network, whose ports are this machine's."""

import contextlib
import gc
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from kamaelia import component
from kamaelia.axon.errors import ComponentsFailed, UsageError
from kamaelia.testbed import Network
from kamaelia.testbed.emulation import Door, EmulationError, Exit, Relay

pytestmark = [pytest.mark.one_core]


@pytest.fixture(autouse=True)
def nothing_pending(caplog) -> Iterator[None]:
    """Have Python find what was left to itself, such as tasks that nobody has ended; asyncio logs these."""
    yield
    gc.collect()
    assert [one.getMessage() for one in caplog.get_records("call") if one.name == "asyncio"] == []
    assert [one.getMessage() for one in caplog.records if one.name == "asyncio"] == []


@pytest.fixture
def sockets() -> Iterator[contextlib.ExitStack]:
    with contextlib.ExitStack() as opened:
        yield opened


def a_server(sockets: contextlib.ExitStack) -> tuple[socket.socket, str]:
    made = sockets.enter_context(socket.create_server(("127.0.0.1", 0)))
    made.settimeout(5)
    return made, f"127.0.0.1:{made.getsockname()[1]}"


def connected(sockets: contextlib.ExitStack, relay: Relay, door: Door) -> socket.socket:
    return sockets.enter_context(socket.create_connection(("127.0.0.1", relay.port(door)), 5))


def phone_and_server(**link) -> Network:
    network = Network()
    network.link(network.host("phone"), network.host("server"), **link)
    return network


DOOR = Door("phone", "server:80")


def test_bytes_go_both_ways_with_the_delay_of_the_link_and_ends_are_passed_on(sockets) -> None:
    real, address = a_server(sockets)
    with phone_and_server(delay="30 ms").relay([DOOR], [Exit("server:80", address)]) as relay:
        began = time.monotonic()
        client = connected(sockets, relay, DOOR)
        client.sendall(b"hello")
        client.shutdown(socket.SHUT_WR)
        there = sockets.enter_context(real.accept()[0])
        assert there.recv(100) == b"hello"
        assert there.recv(100) == b""
        there.sendall(b"bye")
        there.close()
        assert client.recv(100) == b"bye"
        assert client.recv(100) == b""
        assert 0.12 <= time.monotonic() - began < 5  # one round trip to connect, one for this
    assert relay.trace.metrics.links["phone > server"].sent >= 3


def test_who_sends_more_than_the_link_takes_is_held_back(sockets) -> None:
    real, address = a_server(sockets)
    got: list[int] = []

    def take() -> None:
        there, _ = real.accept()
        with there:
            while data := there.recv(65536):
                got.append(len(data))

    taking = threading.Thread(target=take)
    taking.start()
    with phone_and_server(rate="8 Mbit/s").relay([DOOR], [Exit("server:80", address)]) as relay:
        client = connected(sockets, relay, DOOR)
        began = time.monotonic()
        client.sendall(bytes(400_000))
        client.close()
        taking.join(5)
        took = time.monotonic() - began
    assert sum(got) == 400_000
    assert 0.4 < took < 5


def test_a_component_of_the_network_is_reached_without_an_exit(sockets) -> None:
    import asyncio

    @component
    async def greet(inbox, outbox):
        async def answer(reader, writer):
            writer.write(b"hello " + await reader.readline())
            writer.close()

        async with await asyncio.start_server(answer, "127.0.0.1", 80) as server:
            await server.serve_forever()

    network = phone_and_server()
    network.hosts["server"].run(greet)
    with network.relay([DOOR], grace=0.1, errors="collect") as relay:
        client = connected(sockets, relay, DOOR)
        client.sendall(b"world\n")
        assert client.recv(100) == b"hello world\n"
    assert relay.trace.results == {"server": None}


def test_datagrams_are_lost_as_in_any_simulation_with_this_seed(sockets) -> None:
    real = sockets.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    real.bind(("127.0.0.1", 0))
    real.settimeout(0.5)
    door = Door("phone", "server:53", protocol="udp")
    exit_ = Exit("server:53", f"127.0.0.1:{real.getsockname()[1]}", protocol="udp")
    lists = []
    for _ in range(2):
        with phone_and_server(loss="30 %").relay([door], [exit_], seed=5) as relay:
            client = sockets.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            client.settimeout(5)
            client.connect(("127.0.0.1", relay.port(door)))
            for number in range(20):
                client.send(bytes([number]))
            received = []
            with contextlib.suppress(TimeoutError):
                while len(received) < 20:
                    data = real.recv(100)
                    received.append(data[0])
            lists.append(received)
    assert lists[0] == lists[1]
    assert 8 < len(lists[0]) < 20


def test_answers_to_datagrams_come_back_to_whoever_has_asked(sockets) -> None:
    real = sockets.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    real.bind(("127.0.0.1", 0))
    real.settimeout(5)
    door = Door("phone", "server:53", protocol="udp")
    exit_ = Exit("server:53", f"127.0.0.1:{real.getsockname()[1]}", protocol="udp")
    with phone_and_server(delay="5 ms").relay([door], [exit_]) as relay:
        clients = [sockets.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in "ab"]
        for name, client in zip(b"ab", clients, strict=True):
            client.settimeout(5)
            client.sendto(bytes([name]), ("127.0.0.1", relay.port(door)))
        for _ in clients:
            data, address = real.recvfrom(100)
            real.sendto(data * 2, address)
        assert [client.recv(100) for client in clients] == [b"aa", b"bb"]


def test_a_server_that_is_not_there_resets_the_connection(sockets) -> None:
    real, address = a_server(sockets)
    real.close()
    with phone_and_server().relay([DOOR], [Exit("server:80", address)]) as relay:
        client = connected(sockets, relay, DOOR)
        try:
            assert client.recv(100) == b""
        except ConnectionError:
            pass


def test_faults_can_be_made_before_and_what_fails_is_raised(sockets) -> None:
    @component
    async def fail(inbox, outbox):
        raise ValueError("out of order")

    network = phone_and_server()
    network.at("0.05 s", network.links[0].cut)
    network.hosts["server"].run(fail)
    with pytest.raises(ComponentsFailed, match="server/fail"):
        with network.relay([DOOR]):
            time.sleep(0.1)


def test_links_change_while_it_lasts_whoever_says_so(sockets) -> None:
    real = sockets.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    real.bind(("127.0.0.1", 0))
    real.settimeout(0.2)
    network = phone_and_server()
    (link,) = network.links
    door = Door("phone", "server:53", protocol="udp")
    exit_ = Exit("server:53", f"127.0.0.1:{real.getsockname()[1]}", protocol="udp")
    with network.relay([door], [exit_]) as relay:
        client = sockets.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        client.connect(("127.0.0.1", relay.port(door)))

        def reaches() -> bool:
            client.send(b"x")
            try:
                return real.recv(100) == b"x"
            except TimeoutError:
                return False

        seen = [reaches()]
        link.cut()
        seen.append(reaches())
        link.repair()
        seen.append(reaches())
        network.partition("phone", "server")
        seen.append(reaches())
        network.repair("phone", "server")
        link.set(loss=1.0)
        seen.append(reaches())
        with pytest.raises(UsageError, match="loss='a lot'"):
            link.set(loss="a lot")
    assert seen == [True, False, True, False, False]


def test_nothing_is_left_of_a_relay() -> None:
    threads = threading.active_count()
    with phone_and_server().relay([DOOR]) as relay:
        port = relay.port(DOOR)
    assert threading.active_count() == threads
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    with pytest.raises(UsageError, match="used already"), relay:
        pass


@pytest.mark.parametrize(
    ("door", "message"),
    [
        (Door("phone", "server"), "write a host and its port"),
        (Door("phone", "server:0"), "write a host and its port"),
        (Door("phne", "server:80"), "did you mean 'phone'?"),
        (Door("phone", "elsewhere:80"), "there is no host 'elsewhere'"),
        (Door("phone", "server:80", protocol="sctp"), "there are 'tcp' and 'udp'"),
        ("8080", "is no Door"),
    ],
)
def test_doors_that_lead_nowhere_are_refused(door, message) -> None:
    with pytest.raises(UsageError) as caught:
        phone_and_server().relay([door])
    assert message in str(caught.value)


def test_a_port_that_is_taken_is_named(sockets) -> None:
    real, _ = a_server(sockets)
    door = Door("phone", "server:80", port=real.getsockname()[1])
    with pytest.raises(EmulationError, match="Address already in use"), phone_and_server().relay([door]):
        pass
