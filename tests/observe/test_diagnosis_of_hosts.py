"""Diagnoses on all hosts of simulated networks, in virtual time: the same ones each time."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest

from kamaelia import Component, Graphline, Inbox, component, sleep
from kamaelia.chassis import Parallel
from kamaelia.flow import Interval, Map, Null, Source
from kamaelia.net import TCPClient, TCPServer
from kamaelia.observe.diagnosis import Diagnosis, find
from kamaelia.observe.watch import Watch
from kamaelia.protocol import Echo
from kamaelia.testbed import Network

PHONES = 3
LOOKS = 80  # on each host, one in 50 ms
FIRST = 40  # of them after which it is asked who holds the host up


class Look(Component):
    """Looks at the system of its host, and asks at each look who holds that up."""

    inbox = None
    outbox = None

    def __init__(self, host: str, found: dict[str, list[Diagnosis]]) -> None:
        self.host = host
        self.found = found

    async def main(self) -> None:
        watch, found = Watch(self.system), []
        for number in range(LOOKS):
            await sleep(0.0507)
            watch.look()
            if number >= FIRST:
                found.append(find(watch))
        watch.close()
        self.found[self.host] = found


class Sink(Component):
    """Takes bytes."""

    inbox = Inbox[bytes]("bytes")

    async def main(self) -> None:
        async for _ in self.inbox:
            pass


class Sleepy(Component):
    """Takes bytes, but sleeps after each."""

    inbox = Inbox[bytes]("bytes", size="32 KiB")

    async def main(self) -> None:
        async for _ in self.inbox:
            await sleep(2)  # here


def chunks() -> Source[bytes]:
    return Source(itertools.repeat(b"x" * 1000))


def ring() -> Component:
    """Two that both wait for the other's first message."""

    @component
    async def polite(inbox: Any, outbox: Any) -> None:
        while True:
            await outbox.send(await inbox.receive())  # here

    a, b = polite().named("a"), polite().named("b")
    return Graphline(a.outbox >> b.inbox, b.outbox >> a.inbox)


def client() -> TCPClient:
    return TCPClient("server", 1500)


def examine(server: Callable[[], Component], phone: Callable[[], Component]) -> dict[str, list[Diagnosis]]:
    """Simulate a server and some phones, each on a link of its own; return what is said on each host."""
    found: dict[str, list[Diagnosis]] = {}
    network = Network()
    network.host("server").run(Parallel(server(), Look("server", found)))
    for number in range(PHONES):
        name = f"phone-{number}"
        network.host(name).run(Parallel(phone(), Look(name, found)))
        network.link("server", name, rate="2 Mbit/s", delay="40 ms", loss="1 %")
    packets: list[int] = []
    network.at(5, lambda: packets.append(network.snapshot().packets))
    network.simulate(6, errors="collect")  # those who sleep do not end in time
    assert phone is ring or packets[0] > 200
    return found


HEALTHY: dict[str, tuple[Callable[[], Component], Callable[[], Component]]] = {
    "ticks": (
        lambda: TCPServer(Echo, port=1500),
        lambda: Interval(0.1) | Map(lambda _: b"tick") | client() | Null(),
    ),
    "more than the links carry": (lambda: TCPServer(Sink, port=1500), lambda: chunks() | client() | Null()),
    "there and back": (lambda: TCPServer(Echo, port=1500), lambda: chunks() | client() | Null()),
    "more than the links carry to the phones": (
        lambda: TCPServer(chunks, port=1500),
        lambda: client() | Sink(),
    ),
}


@pytest.mark.parametrize("name", HEALTHY)
def test_nobody_is_named_on_any_host_of_a_network_that_is_well(name: str) -> None:
    found = examine(*HEALTHY[name])
    assert found.keys() == {"server", "phone-0", "phone-1", "phone-2"}
    for host, said in found.items():
        assert [one.sentence for one in said if one.kind != "none"] == [], host


def last(found: dict[str, list[Diagnosis]], host: str) -> tuple[str, str | None]:
    """Return what is said in the end, and was said for the last ten times at least."""
    said = {(one.kind, one.culprit) for one in found[host][-10:]}
    assert len(said) == 1, said
    return said.pop()


def test_a_server_that_sleeps_is_named_there_and_on_phones_it_is_outside() -> None:
    found = examine(lambda: TCPServer(Sleepy, port=1500), lambda: chunks() | client() | Null())
    assert last(found, "server") == ("slow-consumer", "Parallel/TCPServer/client-1")
    one = found["server"][-1]
    assert one.where is not None and one.where.endswith("await sleep(2)  # here")
    assert "holds up what comes from outside: it sleeps" in one.sentence
    for number in range(PHONES):
        assert last(found, f"phone-{number}") == ("outside", "Parallel/Pipeline/TCPClient")
        assert found[f"phone-{number}"][-1].held == ("Parallel/Pipeline/Source",)


def test_a_phone_that_sleeps_is_named_there_and_at_the_server_it_is_outside() -> None:
    found = examine(lambda: TCPServer(chunks, port=1500), lambda: client() | Sleepy())
    assert last(found, "server") == ("outside", "Parallel/TCPServer/client-1")
    assert "waits for the other end of its connection, which takes nothing" in found["server"][-1].sentence
    for number in range(PHONES):
        assert last(found, f"phone-{number}") == ("slow-consumer", "Parallel/Pipeline/Sleepy")
        # It is the connection that waits: the client itself does not send.
        assert found[f"phone-{number}"][-1].held == ("Parallel/Pipeline/TCPClient",)


def test_a_group_that_waits_for_itself_is_named_on_its_host_only() -> None:
    found = examine(lambda: TCPServer(Echo, port=1500), ring)
    assert last(found, "server") == ("none", None)
    assert last(found, "phone-0") == ("stuck-group", "Parallel/Graphline/a")
    assert set(found["phone-0"][-1].group) == {"Parallel/Graphline/a", "Parallel/Graphline/b"}
