"""One protocol component and one test body in three worlds: the same messages pass every box."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest

from kamaelia import Component, Graphline, Inbox, Outbox, run, sleep
from kamaelia.axon import Tapped, postman
from kamaelia.net import UDPPeer, UDPServer
from kamaelia.testbed import Network
from tests.worlds import OnLoopback, Simulated

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
    """What has passed the boxes of components."""

    def __init__(self) -> None:
        self.passed: dict[str, list[bytes]] = defaultdict(list)

    def of(self, made: Component) -> Component:
        """Write down what passes each box of a component."""
        for box in made._axon.boxes.values():
            postman.tap(box, callback=self._note(self.passed[f"{type(made).__name__}.{box.name}"]))
        return made

    def _note(self, seen: list[bytes]) -> Callable[[Tapped], None]:
        return lambda tapped: seen.append(tapped.message)


def alone(record: Record) -> list[bytes]:
    """The two talk to each other directly."""
    library, reader = record.of(Library()), record.of(Reader())
    run(Graphline(reader.outbox >> library.inbox, library.outbox >> reader.inbox))
    return reader._axon.result  # type: ignore[no-any-return]


def over(world: Callable[[], Any]) -> Callable[[Record], list[bytes]]:
    """They talk over UDP."""

    def talk(record: Record) -> list[bytes]:
        arm = world()
        readers = []

        def client() -> Graphline:
            reader, peer = record.of(Reader()), UDPPeer("server", arm.port)
            readers.append(reader)
            return Graphline(reader.outbox >> peer.inbox, peer.outbox >> reader.inbox)

        network = Network()
        network.host("server").run(UDPServer(lambda: record.of(Library()), port=arm.port, quiet=True))
        network.host("client").run(client)
        network.link("server", "client", rate="2 Mbit/s", delay="80 ms", jitter="20 ms")
        arm.run(network, until="client")
        (reader,) = readers
        return reader._axon.result  # type: ignore[no-any-return]

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
    [alone, over(Simulated), over(OnLoopback)],
    ids=["alone", "simulated", "on loopback"],
)
def test_the_same_messages_pass_every_box(talk: Callable[[Record], list[bytes]]) -> None:
    record = Record()
    assert talk(record) == READ
    assert dict(record.passed) == conversation()
