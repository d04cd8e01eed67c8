"""How type checkers see Kamaelia: this file is checked, never run.

Each ``assert_type`` is what a user relies on; a wrong use that must be noticed carries a ``type: ignore``
with the error's code, and mypy complains when there is nothing to ignore.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, assert_type

from kamaelia import (
    Component,
    Graphline,
    Inbox,
    Outbox,
    Pipeline,
    ScriptInbox,
    ScriptOutbox,
    background,
    clock,
    component,
    random,
    run,
    select,
    sleep,
)
from kamaelia.axon import Failure, Link, VirtualLoop, postman


class Parse(Component):
    """Boxes are declared with the type of their messages."""

    inbox = Inbox[bytes]("numbers as text", size="64 KiB")
    outbox = Outbox[int]("numbers")
    control = Inbox[str]("commands", held=True)
    failures = Outbox[Failure]("what failed", optional=True)

    async def main(self) -> int:
        assert_type(await self.inbox.receive(), bytes)
        assert_type(await self.inbox.receive(timeout=1.5), bytes)
        assert_type(self.inbox.receive_nowait(), bytes)
        total = 0
        async for data in self.inbox:
            assert_type(data, bytes)
            await self.outbox.send(int(data))
            await self.outbox.send(data)  # type: ignore[arg-type]
            self.outbox.send_nowait(1)
        async for box, message in select(self.inbox, self.control, until=self.control):
            assert_type(box, Inbox[Any])
            print(box.name, message)
        await sleep(0.1)
        assert_type(clock(), float)
        assert_type(random.random(), float)
        assert_type(self.inbox.statistics().waiting, int)
        with self.inbox.hold(outside=True) as hold:
            await hold.send(b"1")
            await hold.send("1")  # type: ignore[arg-type]
        return total


class Twice(Component):
    """A generator."""

    inbox = Inbox[int]("numbers")
    outbox = Outbox[int]("twice the numbers")

    def main(self) -> Generator[Any, Any, None]:
        while True:
            number = yield self.inbox.receive()
            yield self.outbox.send(2 * number)


@component
def shout(inbox: ScriptInbox[str], outbox: ScriptOutbox[str], end: str = "!") -> None:
    for line in inbox:
        assert_type(line, str)
        outbox.send(line.upper() + end)
        outbox.send(5)  # type: ignore[arg-type]
    assert_type(inbox.receive(), str)


@component
async def times(inbox: Inbox[int], outbox: Outbox[int], factor: int) -> None:
    async for number in inbox:
        await outbox.send(factor * number)


def systems() -> None:
    assert_type(times(3), Component)
    times("3")  # type: ignore[arg-type]
    times()  # type: ignore[call-arg]
    assert_type(shout(end="?"), Component)
    pipeline = Pipeline(Parse(), Twice, times(3))
    graph = Graphline(Parse().outbox >> Twice().inbox, Link(Twice().outbox, Parse().control))
    run(pipeline, graph, seed=7, grace=1.0, loop_factory=VirtualLoop)
    with background(Parse() | Twice()) as handle:
        handle.send(b"1")
        handle.receive(timeout=1)
    wire = postman.link(Parse().outbox, Twice().inbox, when_full="drop-oldest")
    assert_type(wire, Link)
    postman.link(Parse().outbox, Twice().inbox, when_full="dorp")  # type: ignore[arg-type]


async def on_a_running_loop() -> None:
    await (Parse() | Twice()).run()
