"""Links, ways and runs: whole traces with their exact times."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kamaelia import Cancelled, Component, clock, component, random, sleep
from kamaelia.axon import ComponentsFailed, GraceExceeded, UsageError, core
from kamaelia.axon.clock import EPOCH
from kamaelia.testbed import Network

ROOT = Path(__file__).resolve().parents[2]


class Receiver(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.heard: list[Any] = []

    def datagram_received(self, data: bytes, address: Any) -> None:
        self.heard.append((asyncio.get_running_loop().time(), data))


@component
async def listen(inbox: Any, outbox: Any, port: int = 5004, seconds: float = 9) -> Any:
    """Receive datagrams for some time."""
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.create_datagram_endpoint(Receiver, local_addr=("0.0.0.0", port))
    await sleep(seconds)
    transport.close()
    return protocol.heard


@component
async def send(inbox: Any, outbox: Any, *datagrams: bytes, to: str = "b", port: int = 5004) -> None:
    """Send datagrams at once."""
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        asyncio.DatagramProtocol, local_addr=("0.0.0.0", 0)
    )
    for data in datagrams:
        transport.sendto(data, (to, port))
    transport.close()


def two_hosts(*datagrams: bytes, **link: Any) -> Network:
    network = Network()
    network.host("a").run(send(*datagrams))
    network.host("b").run(listen())
    network.link("a", "b", **link)
    return network


def times(trace: Any) -> list[float]:
    return [event.time for event in trace.events if event.what == "deliver"]


# -- links ------------------------------------------------------------------------------------------


def test_a_datagram_takes_the_delay() -> None:
    trace = two_hosts(b"hello", delay="80 ms").simulate(seconds=10)
    assert trace.results == {"a": None, "b": [(0.08, b"hello")]}
    assert [str(event) for event in trace.events] == [
        "0.000000 send    udp a:49152 > b:5004 #1 33 B",
        "0.080000 deliver udp a:49152 > b:5004 #1 33 B",
    ]


def test_a_rate_sends_one_after_the_other() -> None:
    # 972 bytes and 28 of headers are 8000 bits: 8 ms each
    trace = two_hosts(bytes(972), bytes(972), bytes(472), rate="1 Mbit/s", delay=0.5).simulate()
    assert times(trace) == [0.508, 0.516, 0.52]


def test_a_full_queue_drops() -> None:
    # The first is being sent, two wait behind it.
    trace = two_hosts(*[bytes(972)] * 5, rate="1 Mbit/s", queue=2500).simulate()
    assert times(trace) == [0.008, 0.016, 0.024]
    assert [event.why for event in trace.events if event.what == "drop"] == ["queue full"] * 2
    assert trace.metrics.links["a > b"].dropped == 2


def test_loss_is_drawn_for_each_packet_from_the_seed() -> None:
    network = two_hosts(*[bytes([n]) for n in range(200)], loss="25 %")
    lost = [network.simulate(seed=seed).metrics.links["a > b"].lost for seed in range(40)]
    assert len(set(lost)) > 10
    assert 0.23 < sum(lost) / (40 * 200) < 0.27
    assert lost == [network.simulate(seed=seed).metrics.links["a > b"].lost for seed in range(40)]


def test_everything_can_be_lost() -> None:
    trace = two_hosts(b"x", loss=1).simulate()
    assert trace.results["b"] == []
    assert trace.metrics.links["a > b"].lost == 1


def test_jitter_stays_within_bounds_and_keeps_the_order() -> None:
    heard = two_hosts(*[bytes([n]) for n in range(100)], delay=1, jitter=0.25).simulate().results["b"]
    assert [data[0] for _, data in heard] == list(range(100))
    assert heard[0][0] >= 0.75
    assert heard[-1][0] <= 1.25


def test_another_link_does_not_change_what_is_lost_on_this_one() -> None:
    def losses(network: Network) -> list[Any]:
        return [event for event in network.simulate(seed=3).events if event.source.startswith("a:")]

    alone = two_hosts(*[b"x"] * 50, loss=0.3, delay="1 ms", jitter="1 ms")
    more = two_hosts(*[b"x"] * 50, loss=0.3, delay="1 ms", jitter="1 ms")
    more.host("c").run(listen(port=7))
    more.host("d").run(send(*[b"x"] * 50, to="c", port=7))
    more.link("c", "d", loss=0.5)
    more.link("d", "b", loss=0.5)
    assert [row[:2] + row[3:] for row in losses(alone)] == [row[:2] + row[3:] for row in losses(more)]


def test_directions_share_nothing() -> None:
    network = Network()
    for name, other in ("ab", "ba"):
        network.host(name).run(send(bytes(972), to=other)).run(listen())
    network.link("a", "b", rate="1 Mbit/s")
    trace = network.simulate()
    assert times(trace) == [0.008, 0.008]
    assert trace.results["a"] == [None, [(0.008, bytes(972))]]


# -- ways -------------------------------------------------------------------------------------------


def forwarded(network: Network) -> list[str]:
    events = network.simulate().events
    return [event.where for event in events if event.what == "forward"]


def test_packets_take_the_way_with_the_least_delay() -> None:
    network = Network()
    network.host("a").run(send(b"x"))
    network.host("b").run(listen())
    for name in ("near", "far", "nearer"):
        network.router(name)
    network.link("a", "b", delay=1)
    network.link("a", "far", delay=0.5)
    network.link("far", "b", delay=0.6)
    assert forwarded(network) == []
    network.link("a", "near", delay=0.25)
    network.link("near", "nearer", delay=0.25)
    network.link("nearer", "b", delay=0.25)
    assert forwarded(network) == ["near", "nearer"]
    assert times(network.simulate()) == [0.75]


def test_of_equal_ways_the_shorter_and_then_the_older_is_taken() -> None:
    network = Network()
    network.host("a").run(send(b"x"))
    network.host("b").run(listen())
    for name in "cdef":
        network.router(name)
    for a, b in ("ac", "cd", "db", "ae", "eb", "af", "fb"):
        network.link(a, b)
    assert forwarded(network) == ["e"]


def test_links_may_lead_one_way() -> None:
    network = Network()
    network.host("a").run(send(b"x"))
    network.host("b").run(listen()).run(send(b"y", to="a"))
    network.link("a", "b", one_way=True)
    trace = network.simulate()
    assert trace.results["b"][0] == [(0.0, b"x")]
    assert list(trace.metrics.links) == ["a > b"]


def test_a_host_reaches_itself_by_all_its_names() -> None:
    network = Network()
    host = network.host("alone").run(listen())
    for name in ("alone", "localhost", "127.0.0.1", "10.0.0.1", "0.0.0.0"):
        host.run(send(name.encode(), to=name))
    heard = network.simulate().results["alone"][0]
    assert sorted(data for _, data in heard) == [
        b"0.0.0.0",
        b"10.0.0.1",
        b"127.0.0.1",
        b"alone",
        b"localhost",
    ]
    assert {time for time, _ in heard} == {0.0}


@component
async def connect(inbox: Any, outbox: Any, host: str, port: int = 1500, **options: Any) -> Any:
    try:
        await asyncio.open_connection(host, port, **options)
    except OSError as error:
        return type(error), error.errno, str(error), clock()
    return clock()


def fails(network: Network, host: str) -> Any:
    network.host("client").run(connect(host))
    return network.simulate(seconds=1000).results["client"]


def test_a_name_that_is_not_there() -> None:
    network = Network()
    network.host("server")
    kind, number, text, _ = fails(network, "servr")
    assert (kind, number) == (socket.gaierror, socket.EAI_NONAME)
    assert "no host of this network is called 'servr'; did you mean 'server'?" in text


def test_a_host_to_which_no_link_leads() -> None:
    network = Network()
    network.host("server")
    assert fails(network, "server")[1:3] == (
        errno.EHOSTUNREACH,
        f"[Errno {errno.EHOSTUNREACH}] no route to host: no links lead from client to server",
    )


def test_an_address_that_nobody_has() -> None:
    assert fails(Network(), "192.168.1.1")[:2] == (OSError, errno.EHOSTUNREACH)


def test_an_address_of_ipv6_that_nobody_has() -> None:
    assert fails(Network(), "2001:db8::1")[:2] == (OSError, errno.EHOSTUNREACH)


# -- runs -------------------------------------------------------------------------------------------


def test_a_run_ends_when_all_components_have() -> None:
    assert two_hosts(b"x").simulate(seconds=1e9).metrics.seconds == 9.0


def test_a_run_can_end_when_one_host_is_done() -> None:
    network = Network()
    network.host("a").run(Stays)
    network.host("b").run(listen(seconds=3))
    trace = network.simulate(until="b")
    assert trace.results == {"a": "stopped at 5", "b": []}
    trace = network.simulate(seconds=1, until="b")
    assert trace.results == {"a": "stopped at 3", "b": None}


def test_what_happens_at_the_last_instant_happens() -> None:
    network = two_hosts()
    trace = network.simulate(seconds=9)
    assert trace.results["b"] == []


class Stays(Component):
    async def main(self) -> Any:
        try:
            await sleep(1e9)
        except Cancelled:
            await sleep(2)
            return f"stopped at {clock():g}"


def test_those_who_still_run_are_stopped_with_grace() -> None:
    network = Network()
    network.host("a").run(Stays)
    trace = network.simulate(seconds=60)
    assert trace.results == {"a": "stopped at 62"}
    assert trace.metrics.seconds == 62.0


@pytest.mark.parametrize("grace", [1, 1.5, "1 s", "1500 ms"])
def test_those_who_take_too_long_are_told(grace: Any) -> None:
    network = Network()
    network.host("a").run(Stays)
    with pytest.raises(ComponentsFailed) as caught:
        network.simulate(seconds=60, grace=grace)
    (error,) = caught.value.exceptions
    assert isinstance(error, GraceExceeded)
    assert "in a" in error.__notes__


def test_those_who_never_end_do_not_hold_up_the_simulation() -> None:
    @component
    async def stubborn(inbox: Any, outbox: Any) -> None:
        while True:
            try:
                await sleep(1)
            except Cancelled:
                pass

    network = Network()
    network.host("a").run(stubborn())
    trace = network.simulate(seconds=1, errors="collect")
    assert isinstance(trace.errors["a"], GraceExceeded)


class Fails(Component):
    async def main(self) -> None:
        await sleep(1)
        raise ZeroDivisionError("on purpose")


def test_failures_name_host_and_path_and_how_to_run_it_again() -> None:
    network = Network()
    network.host("good").run(listen(seconds=2))
    network.host("bad").run(Fails)
    with pytest.raises(ComponentsFailed) as caught:
        network.simulate(seconds=30, seed=4)
    assert "bad/Fails" in str(caught.value)
    assert "simulate(seconds=30, seed=4)" in str(caught.value)
    (error,) = caught.value.exceptions
    assert error.__notes__[-1] == "in bad/Fails"


def test_failures_can_be_collected() -> None:
    network = Network()
    network.host("good").run(listen(seconds=2))
    network.host("bad").run(Fails)
    trace = network.simulate(errors="collect")
    assert list(trace.errors) == ["bad"]
    assert trace.results == {"good": [], "bad": None}


def test_a_network_is_simulated_anew_each_time() -> None:
    network = two_hosts(b"x", delay=1, loss=0.5)
    traces = [network.simulate(seed=seed) for seed in (1, 2, 1, 1)]
    assert traces[0].fingerprint == traces[2].fingerprint == traces[3].fingerprint
    assert traces[0].events == traces[2].events


def test_components_draw_from_streams_of_their_own_on_each_host() -> None:
    @component
    async def draw(inbox: Any, outbox: Any) -> float:
        return random.random()

    def results(*names: str) -> Any:
        network = Network()
        for name in names:
            network.host(name).run(draw())
        return network.simulate(seed=5).results

    assert results("a", "b", "c") == {**results("c"), **results("b"), **results("a")}
    assert len(set(results("a", "b", "c").values())) == 3


def test_names_of_services_belong_to_one_host() -> None:
    class Offers(Component):
        async def main(self) -> Any:
            self.system.names.offer("room", self.path, self)
            return await self.system.names.ask("room")

    network = Network()
    network.host("a").run(Offers)
    network.host("b").run(Offers)
    assert network.simulate().results == {"a": "Offers", "b": "Offers"}


def test_a_script_lives_in_virtual_time_too() -> None:
    @component
    def script(inbox: Any, outbox: Any) -> float:
        sleep(3600)
        return clock()

    network = Network()
    network.host("a").run(script())
    network.host("b").run(script())
    assert network.simulate(seconds="2 h").results == {"a": 3600.0, "b": 3600.0}


def test_tasks_that_are_left_over_are_cancelled_in_order() -> None:
    ended = []

    async def background(name: str) -> None:
        try:
            await asyncio.sleep(1e9)
        finally:
            ended.append(name)

    @component
    async def careless(inbox: Any, outbox: Any) -> None:
        for name in ("one", "two", "three"):
            careless_tasks.append(asyncio.create_task(background(name)))
        await asyncio.sleep(1)

    careless_tasks: list[Any] = []
    network = Network()
    network.host("a").run(careless())
    assert network.simulate().metrics.seconds == 1.0
    assert ended == ["one", "two", "three"]


def test_when_python_collects_garbage_makes_no_difference() -> None:
    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        forgotten = [reader, writer]
        forgotten.append(forgotten)  # type: ignore[arg-type]

    @component
    async def forgetful(inbox: Any, outbox: Any) -> None:
        async with await asyncio.start_server(accept, port=1500):
            for _ in range(20):
                await asyncio.open_connection("alone", 1500)
                await sleep(1)

    network = Network()
    network.host("alone").run(forgetful())
    fingerprints, before = set(), gc.get_threshold()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "unclosed StreamWriter": that is what it is about
        for threshold in (1, 700, 1000000):
            gc.set_threshold(threshold)
            fingerprints.add(network.simulate().fingerprint)
        gc.set_threshold(*before)
        gc.collect()
    assert len(fingerprints) == 1


def test_asynchronous_generators_are_closed() -> None:
    closed = []

    async def numbers() -> Any:
        try:
            for number in range(10):
                yield number
        finally:
            await asyncio.sleep(1)
            closed.append(asyncio.get_running_loop().time())

    kept = []

    @component
    async def drops_one(inbox: Any, outbox: Any) -> None:
        async for number in numbers():
            if number == 3:
                break
        await sleep(5)
        kept.append(numbers())
        await anext(kept[0])

    network = Network()
    network.host("a").run(drops_one())
    network.simulate()
    assert closed == [1.0, 6.0]


def test_a_network_can_be_simulated_while_another_loop_runs() -> None:
    async def notebook() -> Any:
        trace = two_hosts(b"x", delay=1).simulate()
        await asyncio.sleep(0)
        return trace.results["b"]

    assert asyncio.run(notebook()) == [(1.0, b"x")]


def test_keyboard_interrupt_passes_bare() -> None:
    @component
    async def interrupt(inbox: Any, outbox: Any) -> None:
        raise KeyboardInterrupt

    network = Network()
    network.host("a").run(interrupt())
    network.host("b").run(Stays)
    with pytest.raises(KeyboardInterrupt):
        network.simulate()


def test_metrics_are_data_and_a_table() -> None:
    network = two_hosts(b"x", b"y" * 1000, delay=1)
    metrics = network.simulate().metrics
    assert metrics.links["a > b"].sent == 2
    assert metrics.links["a > b"].bytes == 29 + 1028
    assert metrics.hosts["b"].bytes_received == 29 + 1028
    assert str(metrics) == (
        "link   sent  delivered  lost  dropped  bytes\n"
        "a > b     2          2     0        0  1,057\n"
        "b > a     0          0     0        0      0\n"
        "\n"
        "host  sent  received  bytes sent  bytes received\n"
        "a        2         0       1,057               0\n"
        "b        0         2           0           1,057\n"
        "\n"
        "9 s of virtual time\n"
    )


# -- what is refused --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda n: n.host("a"), "has a host of this name already"),
        (lambda n: n.host("localhost"), "a host's name is made of"),
        (lambda n: n.host("10.0.0.7"), "a host's name is made of"),
        (lambda n: n.host("a b"), "a host's name is made of"),
        (lambda n: n.link("a", "bb"), "there is no host 'bb'; did you mean 'b'?"),
        (lambda n: n.link("a", "a"), "reaches itself without a link"),
        (lambda n: n.link("a", Network().host("b")), "belongs to another network"),
        (lambda n: n.link("a", "b", delay="80"), "write a number and one of ns, us"),
        (lambda n: n.link("a", "b", delay="80 Mbit/s"), "write a number and one of ns, us"),
        (lambda n: n.link("a", "b", delay=-1), "give a number from 0 on"),
        (lambda n: n.link("a", "b", delay=float("nan")), "give a number from 0 on"),
        (lambda n: n.link("a", "b", delay=None), "delay=None is no quantity: give a number from 0 on"),
        (lambda n: n.link("a", "b", delay=True), "delay=True is no quantity: give a number from 0 on"),
        (
            lambda n: n.link("a", "b", queue=[]),
            "queue=[]: write bytes, such as 150000 or '150 kB', or '64 packets'",
        ),
        (lambda n: n.simulate(grace=-1), "grace=-1 is no quantity: give a number from 0 on"),
        (lambda n: n.simulate(grace=None), "grace=None is no quantity: give a number from 0 on"),
        (lambda n: n.simulate(grace="1"), "grace='1': write a number and one of ns, us"),
        (lambda n: n.simulate(seconds=-1), "seconds=-1 is no quantity: give a number from 0 on"),
        (lambda n: n.loopback(grace=-1), "grace=-1 is no quantity: give a number from 0 on"),
        (lambda n: n.link("a", "b", loss=1.5), "more than all"),
        (lambda n: n.link("a", "b", loss="150 %"), "more than all"),
        (lambda n: n.link("a", "b", rate=0), "carries nothing"),
        (lambda n: n.link("a", "b", delay=1, jitter=2), "arrive too early"),
        (lambda n: n.hosts["a"].run(17), "a host runs components"),
        (lambda n: n.simulate(errors="ignore"), "there are 'raise' and 'collect'"),
    ],
)
def test_mistakes_are_explained(wrong: Any, says: str) -> None:
    network = Network()
    network.host("a")
    network.host("b")
    with pytest.raises(UsageError) as caught:
        wrong(network)
    assert says in str(caught.value)


def test_a_network_without_anything_is_over_at_once() -> None:
    trace = Network().simulate()
    assert (trace.events, trace.results, trace.metrics.seconds) == ([], {}, 0.0)


@component
async def hash_task(inbox: Any, outbox: Any) -> list[int]:
    async def nothing() -> None: ...

    loop = asyncio.get_running_loop()
    return [hash(loop.create_task(nothing())) for _ in range(3)]


def test_tasks_of_many_hosts_differ_in_their_hashes_as_asyncio_keeps_them_in_one_set() -> None:
    def hashes(*names: str) -> dict[str, list[int]]:
        network = Network()
        for name in names:
            network.host(name).run(hash_task)
        return network.simulate(1).results

    many = hashes(*(f"host-{number}" for number in range(50)))
    assert len({one for each in many.values() for one in each}) == 150
    # They are in the order of their making in small sets, and do not depend on other hosts.
    assert {tuple(one - each[0] for one in each) for each in many.values()} == {(0, 1, 2)}
    assert {each[0] % 4096 for each in many.values()} == {1}
    assert hashes("host-7")["host-7"] == many["host-7"]


# -- the same everywhere ----------------------------------------------------------------------------

SCENARIO = ROOT / "tests" / "testbed" / "scenario.py"


def interpreters() -> Iterator[tuple[str, str]]:
    """Yield the Pythons there are and a hash seed for each, several for our own."""
    for hash_seed in ("0", "1", "4711"):
        yield sys.executable, hash_seed
    for version in {"3.11", "3.12", "3.13"} - {f"{sys.version_info.major}.{sys.version_info.minor}"}:
        for folder in sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*")):
            yield str(folder / "bin" / "python"), "4712"


@pytest.mark.slow
@pytest.mark.once
def test_the_trace_is_the_same_on_every_interpreter_and_whatever_the_hash_seed() -> None:
    fingerprints = {}
    for python, hash_seed in interpreters():
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(
            [python, str(SCENARIO)], env=environment, capture_output=True, text=True, check=True
        )
        fingerprints[python, hash_seed] = done.stdout
    assert len(set(fingerprints.values())) == 1, fingerprints


@pytest.mark.one_core
def test_garbage_is_collected_at_the_same_virtual_times_in_both_forms() -> None:
    died: list[tuple[int, float, bytes]] = []

    class Cycle:
        def __init__(self, number: int) -> None:
            self.myself, self.number = self, number

        def __del__(self) -> None:
            died.append((self.number, time.time(), os.urandom(8)))

    @component
    async def litter(inbox: Any, outbox: Any) -> None:
        for number in range(4):
            Cycle(number)
            for _ in range(5000):
                await sleep(0.001)

    @component
    async def hurry(inbox: Any, outbox: Any) -> None:
        for _ in range(105_000):
            await asyncio.sleep(0.000_1)

    def deaths(form: str) -> list[tuple[int, float, bytes]]:
        core.use(form)
        died.clear()
        network = Network()
        network.host("phone").run(litter())
        network.host("server").run(hurry())
        network.simulate(seconds=60, seed=1)
        return died[:2]

    compiled, plain = deaths("compiled"), deaths("plain")
    assert compiled == plain
    assert [number for number, _, _ in compiled] == [0, 1]
    assert all(0 < when - EPOCH < 10 for _, when, _ in compiled)  # virtual, and long before the end
