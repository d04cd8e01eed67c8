"""One protocol component and one test body in four worlds: the same messages pass every box.

In simulation and in namespaces links mean the same, so there also as many packets pass, the same ones are
lost, and messages pass at the same times. When they do not, both traces are shown side by side.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import pickle
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kamaelia import Component, Graphline, Inbox, Outbox, run, sleep
from kamaelia.axon import Tapped, postman
from kamaelia.net import UDPPeer, UDPServer
from kamaelia.testbed import Network, Trace
from kamaelia.testbed.links import GilbertElliott
from tests.worlds import InNamespaces, OnLoopback, Simulated

ATTEMPTS = 5

BOOKS = {b"poems": b"Roses are red, violets are blue", b"numbers": b"1234567890" * 5}
READ = [BOOKS[b"poems"], BOOKS[b"numbers"]]
PART = 8  # bytes


class Library(Component):
    """Lends books in parts: sends a part, waits until it is acknowledged, sends the next.

    Datagrams to it: ``GET name`` and ``ACK name number``; from it ``PART name number bytes``, and one
    without bytes at the end.
    """

    inbox = Inbox[bytes]("datagrams")
    outbox = Outbox[bytes]("datagrams")
    lent = Outbox[bytes]("names of the books that somebody has got whole", optional=True)
    refused = Outbox[bytes]("what was not understood", optional=True)

    async def main(self) -> None:
        async for datagram in self.inbox:
            verb, _, rest = datagram.partition(b" ")
            name, _, number = rest.partition(b" ")
            if name not in BOOKS or verb not in (b"GET", b"ACK"):
                await self.refused.send(datagram)
                await self.outbox.send(b"NO " + rest)
                continue
            part = int(number) + 1 if verb == b"ACK" else 0
            beginning = part * PART
            if verb == b"ACK" and beginning - PART >= len(BOOKS[name]):
                await self.lent.send(name)
                continue
            piece = BOOKS[name][beginning : beginning + PART]
            await self.outbox.send(b"PART %s %d %s" % (name, part, piece))


class Reader(Component):
    """Borrows one book after the other."""

    inbox = Inbox[bytes]("datagrams")
    outbox = Outbox[bytes]("datagrams")
    books = Outbox[bytes]("whole books", optional=True)

    async def main(self) -> list[bytes]:
        read = []
        for name in (b"poems", b"recipes", b"numbers"):
            await self.outbox.send(b"GET " + name)
            book = b""
            while True:
                verb, _, rest = (await self.inbox.receive()).partition(b" ")
                if verb == b"NO":
                    break
                _, number, piece = rest.split(b" ", 2)
                await self.outbox.send(b"ACK %s %s" % (name, number))
                book += piece
                if not piece:
                    await self.books.send(book)
                    read.append(book)
                    break
        await sleep(0.2)  # the last acknowledgement is under way
        return read


class Record:
    """What has passed the boxes of components, and when; also in other processes, which write it down."""

    def __init__(self, file: Path | None = None) -> None:
        self._seen: dict[str, list[tuple[float, bytes]]] = defaultdict(list)
        self._process = os.getpid()
        self._file = file

    def of(self, made: Component) -> Component:
        """Write down what passes each box of a component."""
        for box in made._axon.boxes.values():
            postman.tap(box, callback=self._note(f"{type(made).__name__}.{box.name}"))
        return made

    def _note(self, box: str) -> Callable[[Tapped], None]:
        def note(tapped: Tapped) -> None:
            if os.getpid() == self._process:
                self._seen[box].append((tapped.time, tapped.message))
            else:
                assert self._file is not None
                with self._file.open("ab") as file:
                    pickle.dump((box, tapped.time, tapped.message), file)

        return note

    def read(self) -> None:
        """Take what other processes have written down."""
        if self._file is None or not self._file.exists():
            return
        with self._file.open("rb") as file:
            while file.peek(1):  # type: ignore[attr-defined]
                box, time, message = pickle.load(file)
                self._seen[box].append((time, message))

    @property
    def passed(self) -> dict[str, list[bytes]]:
        """The messages of each box, in order."""
        return {box: [message for _, message in seen] for box, seen in self._seen.items()}

    def times(self) -> dict[str, list[float]]:
        """When they passed, since the first of all."""
        first = min(time for seen in self._seen.values() for time, _ in seen)
        return {box: [time - first for time, _ in seen] for box, seen in self._seen.items()}


def alone(record: Record) -> list[bytes]:
    """The two talk to each other directly."""
    library, reader = record.of(Library()), record.of(Reader())
    run(Graphline(reader.outbox >> library.inbox, library.outbox >> reader.inbox))
    return reader._axon.result  # type: ignore[no-any-return]


def over(world: Callable[[], Any]) -> Callable[[Record], list[bytes]]:
    """They talk over UDP."""

    def talk(record: Record) -> list[bytes]:
        arm = world()

        def client() -> Graphline:
            reader, peer = record.of(Reader()), UDPPeer("server", arm.port)
            return Graphline(reader.outbox >> peer.inbox, peer.outbox >> reader.inbox)

        network = Network()
        network.host("server").run(UDPServer(lambda: record.of(Library()), port=arm.port, quiet=True))
        network.host("client").run(client)
        network.link("server", "client", rate="2 Mbit/s", delay="80 ms", jitter="20 ms")
        arm.run(network, until="client")
        record.read()
        return record.passed["Reader.books"]

    return talk


def conversation() -> dict[str, list[bytes]]:
    """What has to pass the boxes."""
    asked: list[bytes] = []
    answered: list[bytes] = []
    for name in (b"poems", b"recipes", b"numbers"):
        asked.append(b"GET " + name)
        if name not in BOOKS:
            answered.append(b"NO " + name)
            continue
        for part in range(-(-len(BOOKS[name]) // PART) + 1):
            answered.append(b"PART %s %d %s" % (name, part, BOOKS[name][part * PART : (part + 1) * PART]))
            asked.append(b"ACK %s %d" % (name, part))
    return {
        "Library.inbox": asked,
        "Library.lent": [b"poems", b"numbers"],
        "Library.outbox": answered,
        "Library.refused": [b"GET recipes"],
        "Reader.books": READ,
        "Reader.inbox": answered,
        "Reader.outbox": asked,
    }


@pytest.mark.parametrize(
    "talk",
    [
        alone,
        over(Simulated),
        over(OnLoopback),
        pytest.param(over(InNamespaces), marks=pytest.mark.needs("right:emulation")),
    ],
    ids=["alone", "simulated", "on loopback", "in namespaces"],
)
def test_the_same_messages_pass_every_box(talk: Callable[[Record], list[bytes]], tmp_path: Path) -> None:
    record = Record(tmp_path / "passed")
    assert talk(record) == READ
    assert record.passed == conversation()


# -- where links mean the same: simulated, and in namespaces ----------------------------------------------


class Teller(Component):
    """Sends datagrams of several sizes, one every 5 ms."""

    inbox = Inbox[bytes]("datagrams")
    outbox = Outbox[bytes]("datagrams")

    async def main(self) -> None:
        loop = asyncio.get_running_loop()
        begin = loop.time() + 0.3
        for number in range(200):
            await sleep(max(0.0, begin + number * 0.005 - loop.time()))
            await self.outbox.send(b"%03d" % number + bytes(number * 37 % 900))
        await sleep(0.3)


class Hearer(Component):
    """Answers every tenth datagram that comes."""

    inbox = Inbox[bytes]("datagrams")
    outbox = Outbox[bytes]("datagrams")

    async def main(self) -> None:
        for number in itertools.count(1):
            datagram = await self.inbox.receive()
            if number % 10 == 0:
                await self.outbox.send(b"heard " + datagram[:3])


def tell(world: Any, record: Record, loss: Any) -> Trace:
    """Have one tell the other, over three links, of which one loses some."""

    def teller() -> Graphline:
        made, peer = record.of(Teller()), UDPPeer("hearer", world.port)
        return Graphline(made.outbox >> peer.inbox, peer.outbox >> made.inbox)

    network = Network()
    network.host("hearer").run(UDPServer(lambda: record.of(Hearer()), port=world.port, quiet=True))
    network.host("teller").run(teller)
    near, far = network.router("near"), network.router("far")
    network.link("teller", near, rate="10 Mbit/s", delay="1 ms")
    network.link(near, far, rate="3 Mbit/s", delay="30 ms", loss=loss)
    network.link(far, "hearer", rate="10 Mbit/s", delay="1 ms")
    trace = world.run(network, until="teller")
    record.read()
    return trace


def lost(record: Record) -> list[tuple[str, int]]:
    """Return which datagrams of each have not come, counted from 1 as they entered the link that loses."""
    passed = record.passed
    return [
        (sender, number)
        for sender, receiver in (("Teller", "Hearer"), ("Hearer", "Teller"))
        for number, datagram in enumerate(passed[f"{sender}.outbox"], 1)
        if datagram not in passed[f"{receiver}.inbox"]
    ]


def packets(trace: Trace) -> dict[str, tuple[int, int, int]]:
    """Return how many packets each link has carried, and lost."""
    return {name: (one.sent, one.delivered, one.lost) for name, one in trace.metrics.links.items()}


def side_by_side(records: list[Record]) -> str:
    """Return when what passed which box, in both worlds."""
    columns = []
    for record in records:
        rows = [
            (time, f"{time:9.4f} {box} {message[:12]!r}")
            for box, times in record.times().items()
            for time, message in zip(times, record.passed[box], strict=True)
        ]
        columns.append([text for _, text in sorted(rows)])
    return "\n".join(f"{one:60} {other}" for one, other in itertools.zip_longest(*columns, fillvalue=""))


def late(records: list[Record]) -> list[str]:
    """Return which messages have passed a box at times that differ by more than 2 ms and 5 %."""
    simulated, real = (record.times() for record in records)
    return [
        f"{box} {number}: {one:.4f} and {other:.4f}"
        for box, times in simulated.items()
        for number, (one, other) in enumerate(zip(times, real[box], strict=True))
        if abs(one - other) > max(0.002, 0.05 * one)
    ]


LOSSES = {"none": 0.0, "10 %": 0.1, "bursts": GilbertElliott.from_rate(0.1, burst=3)}


def compare(loss: str, file: Path) -> list[Record]:
    """Run it in both worlds, and see that the same messages pass, and the same packets."""
    records = [Record(), Record(file)]
    simulated, real = (
        tell(world, record, LOSSES[loss])
        for world, record in zip((Simulated(), InNamespaces()), records, strict=True)
    )
    both = side_by_side(records)
    assert records[0].passed == records[1].passed, both
    assert packets(simulated) == packets(real), both
    assert lost(records[0]) == lost(records[1]), both
    assert bool(lost(records[1])) == bool(LOSSES[loss])
    return records


@pytest.mark.needs("right:emulation")
@pytest.mark.parametrize("loss", LOSSES)
def test_the_same_packets_pass_and_are_lost_in_simulation_and_in_namespaces(
    loss: str, tmp_path: Path
) -> None:
    compare(loss, tmp_path / "passed")


@pytest.mark.soak  # it is about real times, and so for a machine that does nothing else
@pytest.mark.needs("right:emulation")
@pytest.mark.parametrize("loss", LOSSES)
def test_messages_pass_at_the_same_times_in_simulation_and_in_namespaces(loss: str, tmp_path: Path) -> None:
    records: list[Record] = []
    for attempt in range(ATTEMPTS):
        records = compare(loss, tmp_path / f"passed-{attempt}")
        if not late(records):
            return
    pytest.fail("\n".join([*late(records), side_by_side(records)]))
