"""Faults: what each does to whom, at which times."""

from __future__ import annotations

import asyncio
import errno
import gc
import threading
import time as machine
from typing import Any

import pytest

from kamaelia import Component, clock, component, sleep
from kamaelia.axon import UsageError
from kamaelia.axon.here import calendar
from kamaelia.testbed import Network

EPOCH = 946_684_800


class Heard(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.at: list[tuple[float, bytes]] = []

    def datagram_received(self, data: bytes, address: Any) -> None:
        self.at.append((asyncio.get_running_loop().time(), data))


@component
async def hear(inbox: Any, outbox: Any, seconds: float = 9) -> Any:
    """Return what comes, and when."""
    loop = asyncio.get_running_loop()
    transport, heard = await loop.create_datagram_endpoint(Heard, local_addr=("0.0.0.0", 5004))
    await sleep(seconds)
    transport.close()
    return heard.at


@component
async def tick(inbox: Any, outbox: Any, to: str = "b", count: int = 8) -> None:
    """Send a datagram each second, from 0.5 s on."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("0.0.0.0", 0))
    await sleep(0.5)
    for number in range(count):
        transport.sendto(b"%d" % number, (to, 5004))
        await sleep(1)
    transport.close()


def two() -> Network:
    network = Network()
    network.host("a").run(tick())
    network.host("b").run(hear())
    network.link("a", "b", delay="100 ms")
    return network


def heard(network: Network, host: str = "b") -> list[tuple[float, int]]:
    return [(round(when, 6), int(data)) for when, data in network.simulate(seconds=60).results[host]]


# --- between hosts ----------------------------------------------------------------------------------


def test_a_partition_drops_and_a_repair_lets_pass() -> None:
    network = two()
    network.at("2 s", network.partition, "a", "b")
    network.at("4 s", network.repair, "a", "b")
    assert heard(network) == [(0.6, 0), (1.6, 1), (4.6, 4), (5.6, 5), (6.6, 6), (7.6, 7)]
    drops = [(one.time, one.why, one.where) for one in network.simulate().events if one.what == "drop"]
    assert drops == [(2.6, "partition", "b"), (3.6, "partition", "b")]


def test_a_partition_may_lead_one_way() -> None:
    network = two()
    network.hosts["b"].run(tick(to="a"))
    network.hosts["a"].run(hear())
    network.partition("a", "b", one_way=True)
    results = network.simulate(seconds=60).results
    assert results["b"][0] == [] and len(results["a"][1]) == 8
    network.partition(["b"], ["a"], one_way=True)
    results = network.simulate(seconds=60).results
    assert results["b"][0] == [] and results["a"][1] == []


def test_held_packets_come_later_in_order() -> None:
    network = two()
    network.at("1 s", network.hold, "a", "b")
    network.at("3.7 s", network.release, "a", "b")
    assert heard(network) == [(0.6, 0), (3.7, 1), (3.7, 2), (3.7, 3), (4.6, 4), (5.6, 5), (6.6, 6), (7.6, 7)]
    network = two()
    network.hold("a", "b")
    network.at("3 s", network.repair)
    assert heard(network)[:4] == [(3.0, 0), (3.0, 1), (3.0, 2), (3.6, 3)]


def test_a_link_that_is_cut_is_led_around() -> None:
    network = Network()
    network.host("a").run(tick())
    network.host("b").run(hear())
    network.router("near")
    network.router("far")
    for way, delay in (("near", 0.1), ("far", 0.3)):
        network.link("a", way, delay=delay)
        network.link(way, "b")
    link = network.links[1]
    network.at("2 s", link.cut)
    network.at("5 s", link.repair)
    assert heard(network)[1:6] == [(1.6, 1), (2.8, 2), (3.8, 3), (4.8, 4), (5.6, 5)]
    network.at("2 s", network.links[3].cut)
    assert heard(network)[1:4] == [(1.6, 1), (5.6, 5), (6.6, 6)]


# --- hosts ------------------------------------------------------------------------------------------


class Counts(Component):
    """Says what it does in a list that outlives it."""

    def __init__(self, log: list[Any]) -> None:
        self.log = log

    async def main(self) -> Any:
        self.log.append(("begin", clock()))
        try:
            for number in range(3):
                await sleep(1)
                self.log.append((number, clock()))
        finally:
            self.log.append(("finally", machine.monotonic() > 0))
        return "done"


def test_a_crashed_host_runs_nothing_any_more() -> None:
    log: list[Any] = []
    network = Network()
    server = network.host("server").run(Counts(log))
    network.host("other").run(hear(seconds=5))
    network.at("1.5 s", lambda: log.append("crash"))
    network.at("1.5 s", server.crash)
    network.at("4 s", lambda: log.append("later"))
    trace = network.simulate()
    # What stands in `finally` is run by Python at the very end.
    assert log == [("begin", 0.0), (0, 1.0), "crash", "later", ("finally", True)]
    assert trace.results["server"] is None and trace.errors == {}


def test_what_ends_at_last_is_that_hosts_code_still(caplog: pytest.LogCaptureFixture) -> None:
    """It waits where there is nothing to wait for, begins tasks and generators, and nobody complains."""
    log: list[Any] = []

    async def count() -> Any:
        try:
            for number in range(3):
                await asyncio.sleep(0)
                yield number
        finally:
            await asyncio.sleep(1)
            log.append("generator")

    async def end(name: str) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_future()
        finally:
            log.append((name, machine.monotonic()))
            try:
                await asyncio.sleep(1)
            finally:
                loop.create_task(end("begun too late"))  # noqa: RUF006
                async for _ in count():
                    pass
                log.append("never comes")

    @component
    async def serve(inbox: Any, outbox: Any) -> None:
        task = asyncio.create_task(end("task"))
        try:
            await end("body")
        finally:
            task.cancel()

    network = Network()
    server = network.host("server").run(serve())
    network.at("1.5 s", server.crash)
    network.at("4 s", lambda: log.append("later"))
    network.simulate()
    gc.collect()
    assert log == ["later", ("body", 4.0), ("task", 4.0)]
    assert caplog.messages == []


def test_a_script_on_a_crashed_host_ends_at_last() -> None:
    log: list[Any] = []

    @component
    def script(inbox: Any, outbox: Any) -> None:
        try:
            sleep(5)
        finally:
            log.append("finally")

    before = set(threading.enumerate())
    network = Network()
    server = network.host("server").run(script())
    network.at("1.5 s", server.crash)
    network.simulate()
    assert log == ["finally"]
    assert set(threading.enumerate()) <= before


def test_a_host_that_is_restarted_begins_anew() -> None:
    log: list[Any] = []
    network = Network()
    server = network.host("server").run(Counts(log))
    network.at("1.5 s", server.crash)
    network.at("3 s", server.restart)
    trace = network.simulate()
    assert log[:6] == [("begin", 0.0), (0, 1.0), ("begin", 3.0), (0, 4.0), (1, 5.0), (2, 6.0)]
    assert trace.results["server"] == "done"
    assert trace.metrics.seconds == 6


def test_who_talks_to_a_crashed_host_hears_nothing_and_then_a_reset() -> None:
    @component
    async def serve(inbox: Any, outbox: Any) -> None:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(100):
                writer.write(data)

        async with await asyncio.start_server(echo, port=1500) as server:
            await server.serve_forever()

    @component
    async def talk(inbox: Any, outbox: Any) -> Any:
        reader, writer = await asyncio.open_connection("server", 1500)
        said = []
        for number in range(10):
            writer.write(b"%d" % number)
            try:
                async with asyncio.timeout(0.5):
                    said.append((await reader.read(100), clock()))
            except TimeoutError:
                said.append(("nothing", clock()))
            except ConnectionResetError as error:
                said.append((error.errno, round(clock(), 3)))
                break
            await sleep(1)
        writer.close()
        return said

    network = Network()
    server = network.host("server").run(serve())
    network.host("phone").run(talk())
    network.link("server", "phone", delay="50 ms")
    network.at("1.5 s", server.crash)
    network.at("3.5 s", server.restart)
    said = network.simulate(seconds=30, until="phone").results["phone"]
    assert said[:2] == [(b"0", 0.2), (b"1", 1.3)]
    assert said[2:4] == [("nothing", 2.8), ("nothing", 4.3)] or said[3][0] == errno.ECONNRESET
    assert said[-1][0] == errno.ECONNRESET


def test_a_paused_host_catches_up() -> None:
    network = two()
    network.at("2 s", network.hosts["b"].pause, "2.5 s")
    assert heard(network) == [
        (0.6, 0), (1.6, 1), (4.5, 2), (4.5, 3), (4.6, 4), (5.6, 5), (6.6, 6), (7.6, 7),
    ]  # fmt: skip
    network = two()
    network.at("2 s", network.hosts["a"].pause, 2.5)
    # It slept until 2.5 s, and so each of its seconds begins later.
    assert heard(network) == [
        (0.6, 0), (1.6, 1), (4.6, 2), (5.6, 3), (6.6, 4), (7.6, 5), (8.6, 6),
    ]  # fmt: skip


@component
async def look(inbox: Any, outbox: Any, other: Any = None) -> list[Any]:
    """Sleep for ten seconds of the own clock in two ways, and see what it shows then."""
    began, shown = clock(), calendar() - EPOCH
    await sleep(10)
    slept = clock() - began
    await asyncio.sleep(10)
    return [round(shown, 6), round(slept, 6), round(clock() - began, 6)]


def test_clocks_that_are_wrong() -> None:
    network = Network()
    fast = network.host("fast").run(look())
    late = network.host("late").run(look())
    network.host("right").run(look())
    fast.set_clock(drift=0.25)
    late.set_clock(skew=-5)
    trace = network.simulate()
    assert trace.results == {
        "fast": [0.0, 10.0, 20.0],
        "late": [-5.0, 10.0, 20.0],
        "right": [0.0, 10.0, 20.0],
    }
    assert trace.metrics.seconds == 20  # of which the fast one took 16
    ends = {}
    for host in ("fast", "right"):
        ends[host] = network.simulate(until=host).metrics.seconds
    assert ends == {"fast": 16.0, "right": 20.0}


# --- scripts ----------------------------------------------------------------------------------------


def test_a_script_acts_while_a_simulation_runs() -> None:
    network = two()
    log = []

    async def trouble() -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(2)
        network.links[0].set(delay="500 ms")
        await asyncio.sleep(2)
        network.links[0].set(delay=0)
        log.append(loop.time())
        await asyncio.sleep(1000)

    network.script(trouble)
    assert heard(network) == [
        (0.6, 0), (1.6, 1), (3.0, 2), (4.0, 3), (4.5, 4), (5.5, 5), (6.5, 6), (7.5, 7),
    ]  # fmt: skip
    assert log == [4.0]
    assert heard(network)[2] == (3.0, 2)  # what was changed in one run is as before in the next


def test_what_a_script_raises_is_raised() -> None:
    network = two()

    async def trouble() -> None:
        await asyncio.sleep(2)
        raise ZeroDivisionError("on purpose")

    network.script(trouble)
    with pytest.raises(ZeroDivisionError, match="on purpose"):
        network.simulate()


def test_something_may_happen_as_soon_as_something_is_true() -> None:
    network = two()
    b = network.hosts["b"]
    seen = []

    def has_heard_three() -> bool:
        assert network.simulation is not None
        return network.simulation.stacks["b"].received >= 3

    network.when(has_heard_three, lambda: seen.append(network.simulation.time), every="10 ms")  # type: ignore[union-attr]
    network.when(has_heard_three, b.crash, every="1 s")
    trace = network.simulate()
    assert seen == [2.6]
    assert trace.results["b"] is None
    assert [one.time for one in trace.events if one.what == "deliver"] == [0.6, 1.6, 2.6]


def test_disturbances_are_drawn_from_the_seed() -> None:
    network = two()
    network.disturb(["partition", "hold", "pause", "crash", "cut"], every="1 s", lasting="500 ms")
    traces = [network.simulate(seed=seed, seconds=20) for seed in (1, 1, 2)]
    assert traces[0].fingerprint == traces[1].fingerprint != traces[2].fingerprint
    whys = {one.why for seed in range(20) for one in network.simulate(seed=seed, seconds=20).events}
    assert {"partition", "host down"} <= whys


def test_disturbances_of_clocks_and_disks() -> None:
    looks: list[tuple[float, bool, bool, int]] = []

    @component
    async def look(inbox: Any, outbox: Any) -> None:
        for second in range(60):
            settings = network.simulation.disks["a"].settings  # type: ignore[union-attr]
            skew = round(calendar() - EPOCH - second, 6)
            looks.append((skew, settings.full, settings.hang, settings.latency))
            await sleep(1)

    def seen(seed: int) -> list[tuple[float, bool, bool, int]]:
        looks.clear()
        network.simulate(seed=seed, seconds=100)
        return looks[:]

    network = Network()
    network.host("a").run(look).disk.set(latency="1 ms")
    network.host("b").run(hear)  # has no disk
    network.disturb(
        ["clock", "disk full", "disk hang", "disk slow"], every="2 s", lasting="2 s", until="40 s"
    )
    first = seen(1)
    assert first == seen(1) != seen(2)
    for place, usual in enumerate((0.0, False, False, 1_000_000)):
        values = [one[place] for one in first]
        assert {*values} > {usual}, place
        assert values[0] == values[-1] == usual, place


@pytest.mark.parametrize(
    "mistake, text",
    [
        (lambda n: n.partition("a", "z"), "there is no host 'z'"),
        (lambda n: n.repair("a"), "take the hosts of both sides, or none"),
        (
            lambda n: n.disturb(["flood"]),
            "there are crash, pause, partition, hold, cut, clock, disk full",
        ),
        (lambda n: n.disturb([]), "say which"),
        (lambda n: n.disturb(every=0), "give times longer than nothing"),
        (lambda n: n.when(bool, print, every=0), "no time would pass"),
        (lambda n: n.hosts["a"].set_clock(drift=2), "drift=2: give the share"),
        (lambda n: n.hosts["a"].pause("long"), "pause='long'"),
        (lambda n: n.links[0].set(lose=1), "a link has no 'lose'; did you mean 'loss'?"),
        (lambda n: n.links[0].set(direction="up", loss=1), "there are 'there', 'back' and 'both'"),
    ],
)
def test_mistakes_are_explained(mistake: Any, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        mistake(two())
    assert text in str(caught.value)
