"""The two ends of a connection in memory: they end as the ends of a TCP connection do."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from kamaelia import Component, Inbox, component, sleep
from kamaelia.axon import SourceFailed
from kamaelia.net import ConnectionLost, MemoryClient, MemoryServer
from kamaelia.net.kernel import not_arrived, reset_at_close
from kamaelia.net.memory import CAPACITY, Listener
from kamaelia.testbed import Network


class End(asyncio.Protocol):
    """Notes what happens to one end."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.told.append(data)

    def eof_received(self) -> bool:
        self.told.append("end")
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self.told.append(type(exc))

    def pause_writing(self) -> None:
        self.told.append("full")

    def resume_writing(self) -> None:
        self.told.append("room")


def joined(body: Callable[[End, End], Awaitable[None]]) -> None:
    """Run something with both ends of a connection."""

    async def main() -> None:
        far = End()
        near: Any = Listener(lambda: far).connect(End, "name")
        await body(near, far)

    asyncio.run(main())


async def a_moment() -> None:
    """Let the loop call everything that it is about to call."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_an_abort_is_an_end_behind_what_is_on_its_way():
    async def body(near: End, far: End) -> None:
        near.transport.write(b"last words")
        near.transport.abort()
        await a_moment()
        assert near.told == [type(None)]
        assert far.told == [b"last words", "end"]

    joined(body)


def test_a_reset_that_was_asked_for_comes_behind_what_is_on_its_way():
    async def body(near: End, far: End) -> None:
        far.transport.pause_reading()
        near.transport.write(b"last words")
        reset_at_close(near.transport)
        near.transport.abort()
        await a_moment()
        assert far.told == []
        far.transport.resume_reading()
        await a_moment()
        assert far.told == [b"last words", ConnectionResetError]

    joined(body)


def test_closing_with_something_unread_is_a_reset():
    async def body(near: End, far: End) -> None:
        near.transport.pause_reading()
        far.transport.write(b"nobody reads this")
        await a_moment()
        near.transport.close()
        await a_moment()
        assert far.told == [ConnectionResetError]

    joined(body)


def test_who_writes_to_one_that_has_gone_is_reset_after_what_came_before():
    async def body(near: End, far: End) -> None:
        far.transport.pause_reading()
        near.transport.write(b"bye")
        near.transport.close()
        far.transport.write(b"x" * CAPACITY)
        await a_moment()
        assert far.told == []
        far.transport.resume_reading()
        await a_moment()
        assert far.told == [b"bye", "end", ConnectionResetError]

    joined(body)


def test_who_goes_on_writing_to_one_that_has_gone_is_reset_at_once():
    async def body(near: End, far: End) -> None:
        far.transport.pause_reading()
        near.transport.close()
        far.transport.write(b"x")
        far.transport.write(b"x")
        await a_moment()
        assert far.told == [ConnectionResetError]

    joined(body)


def test_what_has_no_room_meets_the_end_of_the_other_side():
    async def body(near: End, far: End) -> None:
        near.transport.pause_reading()
        far.transport.set_write_buffer_limits(0)
        far.transport.write(b"x" * (CAPACITY + 5))
        assert far.told == ["full"]
        assert not_arrived(far.transport) == 5
        near.transport.abort()
        await a_moment()
        assert far.told == ["full", ConnectionResetError]

    joined(body)


def test_nothing_is_written_after_the_connection_is_over():
    async def body(near: End, far: End) -> None:
        reset_at_close(near.transport)
        near.transport.abort()
        near.transport.write(b"late")
        near.transport.write_eof()
        near.transport.close()
        await a_moment()
        assert far.told == [ConnectionResetError]

    joined(body)


def test_what_was_sent_before_a_failure_waits_for_a_slow_reader():
    told: list[Any] = []

    class Slow(Component):
        inbox = Inbox[bytes]("what comes", size="5 kB")

        async def main(self) -> None:
            await sleep(10)
            try:
                async for data in self.inbox:
                    told.append(len(data))
            except SourceFailed as error:
                told.append(type(error.__cause__))

    @component
    async def half(inbox: Any, outbox: Any) -> None:
        for _ in range(3):
            await outbox.send(b"x" * 10_000)
        raise ValueError("on purpose")

    network = Network()
    here = network.host("here").run(MemoryServer(half, "service", quiet=True))
    here.run(MemoryClient("service") | Slow())
    network.simulate(seconds=100, errors="collect")
    assert told == [10_000] * 3 + [ConnectionLost]
