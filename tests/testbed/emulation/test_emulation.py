"""Networks in namespaces: the same components, the same packets lost, the same names."""

import asyncio
import pickle
import socket

import pytest

from kamaelia import component
from kamaelia.axon.errors import ComponentsFailed, UsageError
from kamaelia.testbed import Network, Rule
from kamaelia.testbed.emulation import EmulationError, RemoteFailure
from kamaelia.testbed.links import GilbertElliott

pytestmark = [pytest.mark.needs("right:emulation")]
one_core = pytest.mark.one_core

DATAGRAMS = 300


class Receiver(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.received: list[tuple[int, int]] = []
        self.last = asyncio.Event()

    def datagram_received(self, data, address) -> None:
        number = int.from_bytes(data[:4], "big")
        self.received.append((number, len(data)))
        if number >= DATAGRAMS:
            self.last.set()


@component
async def receive(inbox, outbox):
    loop = asyncio.get_running_loop()
    transport, receiver = await loop.create_datagram_endpoint(Receiver, local_addr=("127.0.0.1", 5000))
    await receiver.last.wait()
    transport.close()
    return receiver.received


@component
async def send(inbox, outbox):
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        asyncio.DatagramProtocol, remote_addr=("receiver", 5000)
    )
    await asyncio.sleep(0.05)
    for number in range(DATAGRAMS):
        transport.sendto(number.to_bytes(4, "big") + bytes(100 + number % 900))
        if number % 10 == 9:
            await asyncio.sleep(0.005)
    for number in range(DATAGRAMS, DATAGRAMS + 20):  # some of them arrive
        transport.sendto(number.to_bytes(4, "big"))
        await asyncio.sleep(0.02)
    transport.close()


def lossy() -> Network:
    network = Network()
    receiver, sender = network.host("receiver").run(receive), network.host("sender").run(send)
    first, second = network.router("first"), network.router("second")
    network.link(sender, first, loss=GilbertElliott.from_rate("5 %", burst=4))
    network.link(first, second, rate="20 Mbit/s", delay="10 ms", jitter="1 ms", loss="5 %", duplicate="2 %")
    network.link(second, receiver, corrupt="5 %")
    return network


def of_the_stream(received: list[tuple[int, int]]) -> list[tuple[int, int]]:
    return [one for one in received if one[0] < DATAGRAMS]


def test_the_same_packets_are_lost_doubled_and_changed_as_in_a_simulation() -> None:
    simulated = lossy().simulate(10, seed=7, until="receiver")
    emulated = lossy().emulate(10, seed=7, until="receiver")
    received = of_the_stream(simulated.results["receiver"])
    assert of_the_stream(emulated.results["receiver"]) == received
    assert 200 < len(received) < DATAGRAMS  # it has lost some
    lost = [one.number for one in simulated.events if one.what == "lose"]
    assert [one.number for one in emulated.events if one.what == "lose"][: len(lost)] == lost


@one_core
def test_a_connection_over_real_sockets_gives_what_a_simulated_one_does() -> None:
    @component
    async def serve(inbox, outbox):
        async def answer(reader, writer):
            writer.write(b"hello " + await reader.readline())
            writer.close()
            asked.set()

        asked = asyncio.Event()
        server = await asyncio.start_server(answer, "127.0.0.1", 1500)
        await asked.wait()
        server.close()

    @component
    async def ask(inbox, outbox):
        reader, writer = await asyncio.open_connection("server", 1500)
        peer = writer.get_extra_info("peername")[0]
        writer.write(b"world\n")
        answer = await reader.read()
        writer.close()
        return peer, answer

    network = Network()
    server, phone = network.host("server").run(serve), network.host("phone").run(ask)
    network.link(server, phone, delay="30 ms")
    expected = ("10.0.0.1", b"hello world\n")
    assert network.simulate(5).results["phone"] == expected
    trace = network.emulate(5)
    assert trace.results["phone"] == expected
    assert trace.metrics.seconds > 0.12  # two round trips
    late = trace.emulation.lateness
    assert late.packets == sum(host.received for host in trace.metrics.hosts.values()) > 5
    assert 0 < late.p50 <= late.p99 <= late.max


@component
async def whoami(inbox, outbox):
    names = [socket.gethostname()]
    for name in ("one", "two"):
        found = await asyncio.get_running_loop().getaddrinfo(name, 80, type=socket.SOCK_STREAM)
        names.append([address[0] for *_, address in found])
    return names


@one_core
@pytest.mark.parametrize("ipv6", [False, True])
def test_hosts_know_each_other_by_name_and_nobody_else(ipv6) -> None:
    network = Network(ipv6=ipv6)
    one = network.host("one", address=["192.0.2.1", "2001:db8::1"]).run(whoami)
    network.link(one, network.host("two"))
    expected = [
        "one",
        ["192.0.2.1", "10.0.0.1", "2001:db8::1", *["fd00::1"] * ipv6],
        ["10.0.0.2", *["fd00::2"] * ipv6],
    ]
    found = network.emulate(5).results["one"]
    assert [found[0], sorted(found[1]), sorted(found[2])] == [
        expected[0],
        sorted(expected[1]),
        sorted(expected[2]),
    ]
    with network.emulation() as running:
        assert running.command("two", ["getent", "hosts", "example.org"], check=False).returncode == 2


@one_core
def test_several_components_of_a_host_give_a_list_and_measures_come_back() -> None:
    from kamaelia.observe import count

    @component
    async def talk(inbox, outbox, words):
        for _ in range(words):
            count("words")
        return words

    network = Network()
    network.host("anna").run(talk(3)).run(talk(4))
    trace = network.emulate(5)
    assert trace.results == {"anna": [3, 4]}
    assert trace.metrics.total("words").total == 7


class Odd(Exception):
    def __init__(self, one, two) -> None:
        super().__init__("odd")


@component
async def fail(inbox, outbox, error):
    raise error


@one_core
def test_what_fails_on_a_host_is_raised_with_the_host_and_the_path() -> None:
    network = Network()
    network.host("anna").run(fail(ValueError("no good")))
    with pytest.raises(ComponentsFailed, match=r"1 component\(s\) failed: anna/fail") as caught:
        network.emulate(5)
    assert [str(one) for one in caught.value.exceptions] == ["no good"]


@one_core
def test_an_error_that_cannot_be_pickled_comes_back_as_text() -> None:
    with pytest.raises(TypeError):
        pickle.loads(pickle.dumps(Odd(1, 2)))
    network = Network()
    network.host("anna").run(fail(Odd(1, 2)))
    error = network.emulate(5, errors="collect").errors["anna"].exceptions[0]
    assert type(error) is RemoteFailure
    assert str(error) == "Odd: odd"


@one_core
def test_a_result_that_cannot_be_pickled_is_an_error_of_its_host() -> None:
    @component
    async def give(inbox, outbox):
        return lambda: None

    network = Network()
    network.host("anna").run(give)
    trace = network.emulate(5, errors="collect")
    assert "return plain values" in str(trace.errors["anna"])
    assert trace.results == {"anna": None}


@one_core
def test_what_still_runs_when_time_is_over_is_stopped_and_finishes_within_its_grace() -> None:
    @component
    async def wait(inbox, outbox):
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.05)
        return "unreachable"

    @component
    async def drain(inbox, outbox):
        return [one async for one in inbox]

    network = Network()
    network.host("anna").run(wait)
    network.host("bert").run(drain)
    trace = network.emulate(0.2, errors="collect")
    assert trace.errors == {}
    assert trace.results["anna"] is None
    assert 0.2 < trace.metrics.seconds < 3


@one_core
def test_a_host_that_dies_by_itself_is_reported() -> None:
    import os

    @component
    async def leave(inbox, outbox):
        os._exit(3)

    network = Network()
    network.host("anna").run(leave)
    error = network.emulate(5, errors="collect").errors["anna"]
    assert str(error) == "the process of host anna has ended by itself, with status 3"


@one_core
def test_an_emulation_is_begun_once_and_in_no_running_loop() -> None:
    network = Network()
    network.host("anna")
    running = network.emulation()
    with running:
        with pytest.raises(UsageError, match="runs already"), network.emulation():
            pass
    with pytest.raises(UsageError, match="used already"), running:
        pass
    with pytest.raises(UsageError, match="use it in its with block"):
        running.command("anna", ["true"])

    async def main() -> None:
        with network.emulation():
            pass

    with pytest.raises(UsageError, match="running event loop"):
        asyncio.run(main())


@one_core
def test_what_cannot_be_emulated_is_refused_before_it_begins() -> None:
    network = Network()
    network.host("anna").disk.set(full=True)
    with pytest.raises(UsageError, match="simulate it instead"):
        network.emulate(1)
    network = Network()
    network.host("anna")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        network.emulate(1, capture={"anna": "/nowhere/anna.pcapng"})
    with pytest.raises(UsageError, match="there is no host and no link 'bert'"):
        network.emulate(1, capture=["bert"])
    network = Network()
    network.switch("hub").run(whoami)
    with pytest.raises(UsageError, match="runs nothing"):
        network.emulate(1)


@one_core
@pytest.mark.needs("program:ping")
def test_rules_of_hosts_and_routers_hold_for_real_packets() -> None:
    network = Network()
    wall = network.router("wall", rules=[Rule("deny", protocol="icmp", target="10.0.0.3")])
    inside, outside = network.host("inside"), network.host("outside")
    network.link(inside, wall)
    network.link(wall, outside)
    with network.emulation() as running:
        to = {"inside": "outside", "outside": "inside"}
        lost = {
            one: running.command(one, ["ping", "-c1", "-W0.2", other], check=False).returncode
            for one, other in to.items()
        }
    assert lost == {"inside": 1, "outside": 1}  # the request, and the answer
    assert [one.why for one in running.trace.events if one.what == "drop"] == ["rule", "rule"]


@one_core
def test_errors_of_the_emulation_are_ones_of_kamaelia() -> None:
    assert issubclass(EmulationError, RuntimeError)
