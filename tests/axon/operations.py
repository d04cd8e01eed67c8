"""Small systems that lead through every path of the core, each named after what it does.

`test_core_memory` runs them again and again and looks whether anything is left. As a program,
``python -m tests.axon.operations ROUNDS``, it does so for an interpreter that checks what it does: with
``-X dev`` its memory, and a debug build of it all references.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import itertools
import logging
import sys
from collections.abc import Callable
from typing import Any

from kamaelia import Component, Graphline, Inbox, Outbox, component, select, sleep
from kamaelia.axon import (
    BrokenLink,
    ComponentsFailed,
    Deadlock,
    EndOfMessages,
    GraceExceeded,
    Link,
    Seat,
    SourceFailed,
    WouldBlock,
    core,
    postman,
)
from kamaelia.axon.outlet import lead_outside

from .parts import Stop, collect, copy, fail_at, generator_copy, script_copy, source, take, virtually

OPERATIONS: dict[str, Callable[[Any], Any]] = {}
"""By name; each is called with the message that it is to send about."""


def operation(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    OPERATIONS[function.__name__] = function
    return function


def sized(size: int | str) -> type[Component]:
    """Return a component class whose inbox has this mark."""

    class Sized(Component):
        inbox = Inbox[Any]("messages", size=size)

        async def main(self) -> None:
            async for message in self.inbox:
                await self.outbox.send(message)

    return Sized


@operation
def pipeline(message: Any) -> None:
    assert virtually(source([message] * 300) | copy() | collect()) == [message] * 300


@operation
def lock_step(message: Any) -> None:
    assert len(virtually(source([message] * 50) | sized(1)() | sized(1)() | collect())) == 50


@operation
def generators(message: Any) -> None:
    assert len(virtually(source([message] * 300) | generator_copy() | generator_copy() | collect())) == 300


@operation
def scripts(message: Any) -> None:
    assert len(virtually(source([message] * 5) | script_copy() | collect())) == 5


@operation
def bytes_counted(message: Any) -> None:
    assert len(virtually(source([b"12345"] * 50) | sized("20 B")() | collect())) == 50


@operation
def one_to_many_and_back(message: Any) -> None:
    start, one, other, end = source([message] * 250), copy(), copy(), collect()
    virtually(
        Graphline(
            [start.outbox >> [one.inbox, other.inbox]], one.outbox >> end.inbox, other.outbox >> end.inbox
        )
    )


@operation
def lossy_links(message: Any) -> None:
    start, oldest, newest = source([message] * 250), collect(), collect()
    virtually(
        Graphline(
            Link(start.outbox, oldest.inbox, when_full="drop-oldest"),
            Link(start.outbox, newest.inbox, when_full="drop-newest"),
        )
    )


@operation
def tapped(message: Any) -> None:
    start = source([message] * 20)
    tap = postman.tap(start.outbox)
    virtually(start | collect())
    assert len(list(tap)) == 20


@operation
def failing(message: Any) -> None:
    with contextlib.suppress(ComponentsFailed):
        virtually(source([message] * 250) | sized(3)() | fail_at(message) | copy() | collect())


@operation
def failing_generator(message: Any) -> None:
    @component
    def fails(inbox: Any, outbox: Any) -> Any:
        yield inbox.receive()
        raise ValueError

    with contextlib.suppress(ComponentsFailed):
        virtually(source([message] * 250) | fails() | generator_copy() | collect())


@operation
def generator_that_catches(message: Any) -> None:
    @component
    def catches(inbox: Any, outbox: Any) -> Any:
        for awaitable in (inbox.receive(timeout=1), asyncio.sleep(0), None, 3, sleep(0)):
            try:
                yield awaitable
            except (TimeoutError, TypeError):
                yield

    virtually(sourceless() | catches())


class sourceless(Component):  # it stands among functions
    """Is there for two seconds, and says nothing."""

    async def main(self) -> None:
        await sleep(2)


@operation
def readers_leave(message: Any) -> None:
    virtually(source([message] * 500) | sized(2)() | take(3))


@operation
def senders_cancelled(message: Any) -> None:
    class Never(Component):
        inbox = Inbox[Any]("messages", size=1)

        async def main(self) -> None:
            await sleep(1e9)

    with contextlib.suppress(GraceExceeded):
        virtually(source([message] * 5) | Never(), Stop(1, grace=1))


@operation
def time_outs(message: Any) -> None:
    class Impatient(Component):
        async def main(self) -> None:
            for _ in range(5):
                with contextlib.suppress(TimeoutError):
                    await self.inbox.receive(timeout=0.1)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await self.inbox.receive()

    class Slow(Component):
        async def main(self) -> None:
            for _ in range(3):
                await sleep(0.25)
                await self.outbox.send(message)

    virtually(Slow() | Impatient())


@operation
def other_tasks(message: Any) -> None:
    class Asks(Component):
        async def main(self) -> None:
            await asyncio.gather(*[self.inbox.receive() for _ in range(5)])
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.inbox.receive(), 1)
            waiting = asyncio.create_task(self.receive())
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(*[self.outbox.send(message) for _ in range(150)])

        async def receive(self) -> None:
            await self.inbox.receive()

    class Says(Component):
        async def main(self) -> None:
            for _ in range(6):
                await self.outbox.send(message)
            await sleep(5)

    virtually(Says() | Asks() | collect())


@operation
def selecting(message: Any) -> None:
    class Chooses(Component):
        other = Inbox[Any]("others")

        async def main(self) -> None:
            async for _ in select(self.inbox, self.other):
                pass
            with contextlib.suppress(EndOfMessages):
                await select(self.inbox, self.other, timeout=1)

    one, two, chooses = source([message] * 5), source([message] * 150), Chooses()
    virtually(Graphline(one.outbox >> chooses.inbox, two.outbox >> chooses.other))


@operation
def driven_by_hand(message: Any) -> None:
    class Drives(Component):
        async def main(self) -> None:
            for _ in range(3):
                waiting = self.ask()
                waiting.send(None)
                waiting.close()
            await self.inbox.receive()
            iterator = self.inbox.__aiter__()
            iterator.__anext__()
            self.inbox.receive()  # which nobody awaits

        async def ask(self) -> None:
            await self.inbox.receive()

    class Late(Component):
        async def main(self) -> None:
            await sleep(1)
            await self.outbox.send(message)

    virtually(Late() | Drives())


@operation
def refused(message: Any) -> None:
    class Refused(Component):
        log = Outbox[Any]("nobody reads it")

        async def main(self) -> None:
            await self.log.send(message)
            for _ in range(150):
                with contextlib.suppress(WouldBlock):
                    self.outbox.send_nowait(message)
            with contextlib.suppress(WouldBlock):
                for _ in range(2000):
                    self.outbox.send(message)
            with contextlib.suppress(WouldBlock, EndOfMessages):
                self.inbox.receive_nowait()
            with contextlib.suppress(EndOfMessages):
                await self.inbox.receive()
            self.outbox.close()

    virtually(Refused() | collect())


@operation
def occupants(message: Any) -> None:
    @component
    async def one_only(inbox: Any, outbox: Any) -> None:
        await outbox.send(await inbox.receive())
        raise ValueError

    seat = Seat(one_only, on_vacant=lambda occupant, failure: seat.fill(one_only))
    assert virtually(source([message] * 5) | seat | collect()) == [message] * 5


@operation
def relinked(message: Any) -> None:
    class Changes(Component):
        inbox = None

        async def main(self) -> None:
            start = self.add(source([message] * 300))
            ends = [self.add(collect()) for _ in range(2)]
            wire = postman.link(start.outbox, ends[0].inbox)
            hold = ends[1].inbox.hold()
            await sleep(0)
            wire = postman.relink(wire, target=ends[1].inbox)
            hold.release()
            await sleep(0)
            postman.unlink(wire)

    virtually(Changes())


@operation
def checked(message: Any) -> None:
    virtually(source([[1], [2]]) | copy() | collect(), debug=True)


@operation
def deadlocked(message: Any) -> None:
    one, other = copy(), copy()
    with contextlib.suppress(Deadlock):
        virtually(Graphline(one.outbox >> other.inbox, other.outbox >> one.inbox))


@operation
def broken(message: Any) -> None:
    @component
    async def told(inbox: Any, outbox: Any) -> None:
        for _ in range(2):
            with contextlib.suppress(SourceFailed, BrokenLink):
                await inbox.receive()

    with contextlib.suppress(ComponentsFailed):
        virtually(source([message]) | fail_at(message) | told())


@operation
def never_run(message: Any) -> None:
    whole = source([message]) | copy() | collect()
    del whole


@operation
def through_transports(message: Any) -> None:
    """In by an inlet, out by an outlet, which is paused, goes on, and at last refuses the message itself."""
    told: list[Any] = []

    class Transport:
        def write(self, data: Any) -> None:
            told.append(data)
            if len(told) == 2:
                chassis.outlet.pause()
                asyncio.get_running_loop().call_later(1, chassis.outlet.resume)

        def is_closing(self) -> bool:
            return False

        def not_taken(self, data: Any) -> None: ...

        def sink_full(self) -> None: ...

        def outlet_ended(self, failure: BaseException | None) -> None:
            raise AssertionError("it has failed before")

        def outlet_failed(self, refused: Any, error: Exception) -> None:
            told.append(refused)
            chassis.outlet.close()

    class Chassis(Component):
        async def main(self) -> None:
            clock, transport, part = asyncio.get_running_loop().time, Transport(), copy()
            inlet = core.Inlet(transport, clock)
            inlet.box = part.inbox.hold(outside=True).outbox
            self.outlet = core.Outlet(lead_outside(part.outbox, 2, self.system), transport, transport, clock)
            self.add(part)
            for _ in range(4):
                inlet.data_received(b"bytes")
            inlet.box.send(message)
            await sleep(3)
            inlet.data_received(b"nobody reads this")

    chassis = Chassis()
    virtually(chassis)
    assert told == [b"bytes"] * 4 + [message]


@operation
def messages_that_refer_to_their_queue(message: Any) -> None:
    @component
    async def leaves(inbox: Any, outbox: Any) -> None:
        await sleep(0.1)

    end = leaves()
    virtually(source([end, end.inbox, end.inbox.queue]) | end)


def growth(measure: Callable[[], int], rounds: int, do: Callable[[], object]) -> int:
    """Return by how much a measure grows at least in so many rounds.

    Caches of the interpreter grow a little by chance; what leaks does so each time.
    """
    seen = []
    for _ in range(4):
        for _ in range(rounds):
            do()
        gc.collect()
        seen.append(measure())
    return min(later - earlier for earlier, later in itertools.pairwise(seen))


def main() -> None:
    logging.disable()
    rounds = int(sys.argv[1])
    count_references = getattr(sys, "gettotalrefcount", lambda: 0)  # other builds have no such thing
    for form in ("compiled", "plain"):
        core.use(form)
        for name, one in OPERATIONS.items():
            left = growth(count_references, rounds, functools.partial(one, object()))
            if left >= rounds:
                print(f"{name}, {form}: {left} references are left over of {rounds} rounds")
    print(len(OPERATIONS))


if __name__ == "__main__":
    main()
