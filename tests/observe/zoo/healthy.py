"""Systems that are busy, or idle, and well: nobody in them holds up anybody."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable
from typing import Any

from kamaelia import Component, Graphline, Inbox, component, sleep
from kamaelia.axon.link import Link
from kamaelia.chassis import (
    Ask,
    Backoff,
    Backplane,
    Calls,
    Carousel,
    Parallel,
    Pool,
    PublishTo,
    SubscribeTo,
    Supervisor,
)
from kamaelia.flow import (
    Batch,
    Encode,
    Filter,
    Interval,
    Lines,
    Map,
    Null,
    RateLimit,
    Source,
    Zip,
)
from kamaelia.net import MemoryClient, MemoryServer, TCPClient, TCPServer
from kamaelia.process import Command, Worker
from kamaelia.protocol import Echo
from kamaelia.protocol.http import HTTPServer, fetch

from .keeper import Animal, Cage
from .parts import double

HEALTHY: list[Animal] = []


def healthy(**how: Any) -> Callable[[Callable[[Cage], Any]], Callable[[Cage], Any]]:
    """Add a system to the list."""

    def add(build: Callable[[Cage], Any]) -> Callable[[Cage], Any]:
        HEALTHY.append(Animal(build.__name__, build, **how))
        return build

    return add


def endless() -> Source[int]:
    return Source(itertools.count())


def spin(seconds: float) -> None:
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


class Pass(Component):
    """A stage like all others."""

    async def main(self) -> None:
        async for message in self.inbox:
            await self.outbox.send(message)


@healthy()
def a_pipeline_at_full_speed(cage: Cage) -> Any:
    system = endless() | Pass()
    for _ in range(8):
        system = system | Pass()
    return system | Null()


@healthy()
def two_at_full_speed(cage: Cage) -> Any:
    return endless() | Null()


@healthy()
def a_pipeline_in_lock_step(cage: Cage) -> Any:
    class Step(Component):
        inbox = Inbox[int]("one at a time", size=1)

        async def main(self) -> None:
            async for message in self.inbox:
                await self.outbox.send(message)

    return endless() | Step() | Step() | Step() | Step() | Null()


@healthy()
def generators_at_full_speed(cage: Cage) -> Any:
    @component
    def stage(inbox: Any, outbox: Any) -> Any:
        while True:
            message = yield inbox.receive()
            yield outbox.send(message)

    return endless() | stage() | stage() | stage() | Null()


@healthy(alone=True)
def scripts_at_full_speed(cage: Cage) -> Any:
    @component
    def stage(inbox: Any, outbox: Any) -> None:
        for message in inbox:
            outbox.send(message)

    return endless() | stage() | Pass() | stage() | Null()


@healthy()
def one_to_many(cage: Cage) -> Any:
    source, readers = endless(), [Pass() for _ in range(10)]
    ends = [Null() for _ in readers]
    links = [source.outbox >> one.inbox for one in readers]
    return Graphline(*links, *(one.outbox >> end.inbox for one, end in zip(readers, ends, strict=True)))


@healthy()
def many_to_one(cage: Cage) -> Any:
    reader, null = Pass(), Null()
    links = [endless().outbox >> reader.inbox for _ in range(10)]
    return Graphline(*links, reader.outbox >> null.inbox)


@healthy()
def a_graph_with_two_ways(cage: Cage) -> Any:
    source, odd, even, end = endless(), Filter(lambda n: n % 2), Filter(lambda n: n % 2 == 0), Null()
    return Graphline(
        source.outbox >> odd.inbox,
        source.outbox >> even.inbox,
        odd.outbox >> end.inbox,
        even.outbox >> end.inbox,
    )


@healthy()
def heavy_work_evenly_shared(cage: Cage) -> Any:
    def work(number: int) -> int:
        spin(0.00005)
        return number

    class Step(Map):
        """Gives others a turn before long: a slice of steps may last as long as 200 of them."""

        inbox = Inbox[Any]("numbers", size=10)

    return endless() | Step(work) | Step(work) | Step(work) | Step(work) | Null()


@healthy()
def fifty_parts(cage: Cage) -> Any:
    system = endless() | Pass()
    for _ in range(47):
        system = system | Pass()
    return system | Null()


@healthy()
def timers(cage: Cage) -> Any:
    return Parallel(*(Interval(0.01 * n) | Pass() | Null() for n in range(1, 21)))


@healthy()
def a_timer_that_is_not_due_for_an_hour(cage: Cage) -> Any:
    return Interval(3600) | Pass() | Null()


@healthy()
def bursts(cage: Cage) -> Any:
    class Burst(Component):
        async def main(self) -> None:
            while True:
                for number in range(500):
                    await self.outbox.send(number)
                await sleep(0.1)

    return Burst() | Pass() | Pass() | Null()


@healthy()
def a_media_pipeline_at_its_own_pace(cage: Cage) -> Any:
    def encode(frame: Any) -> bytes:
        spin(0.002)
        return bytes(20000)

    @component
    async def packetise(inbox: Any, outbox: Any) -> None:
        async for frame in inbox:
            for start in range(0, len(frame), 1400):
                await outbox.send(frame[start : start + 1400])

    return Interval(0.02) | Map(encode) | packetise() | RateLimit(2e6, unit="bytes", burst=1e5) | Null()


@healthy()
def a_rate_limit_that_is_meant(cage: Cage) -> Any:
    return endless() | Pass() | RateLimit(30) | Pass() | Null()


@healthy()
def a_source_that_waits_for_a_clock(cage: Cage) -> Any:
    return Graphline(
        source=endless(),
        clock=Interval(0.03),
        both=Zip("number", "time"),
        end=Null(),
        linkages={
            ("source", "outbox"): ("both", "number"),
            ("clock", "outbox"): ("both", "time"),
            ("both", "outbox"): ("end", "inbox"),
        },
    )


@healthy()
def children_that_come_and_go(cage: Cage) -> Any:
    class Short(Component):
        async def main(self) -> None:
            await sleep(0.003)

    class Busy(Component):
        async def main(self) -> None:
            while True:
                for _ in range(10):
                    self.add(endless_take(50) | Pass() | Null())
                    self.add(Short())
                await sleep(0.01)

    def endless_take(count: int) -> Source[int]:
        return Source(range(count))

    return Busy()


@healthy()
def idle_rooms(cage: Cage) -> Any:
    return [*(SubscribeTo("quiet") | Pass() | Null() for _ in range(20)), Backplane("quiet")]


@healthy()
def a_busy_room(cage: Cage) -> Any:
    speakers = [endless() | PublishTo("talk") for _ in range(3)]
    return [*speakers, *(SubscribeTo("talk") | Null() for _ in range(10))]


@healthy()
def a_room_one_of_whose_listeners_misses_some(cage: Cage) -> Any:
    @component
    async def slow(inbox: Any, outbox: Any) -> None:
        async for _ in inbox:
            await sleep(0.05)

    # Who may miss messages is waited for by nobody but what is between.
    lossy = Graphline(
        Link((listen := SubscribeTo("talk")).outbox, slow().inbox, when_full="drop-oldest"),
        listen,
    )
    return [Interval(0.002) | PublishTo("talk"), SubscribeTo("talk") | Null(), lossy]


@healthy()
def a_pool_of_quick_copies(cage: Cage) -> Any:
    return endless() | Pool(Pass, 4) | Null()


@healthy()
def a_pool_that_keeps_the_order(cage: Cage) -> Any:
    return endless() | Pool(Pass, 3, ordered=True, results=1) | Null()


@healthy()
def a_part_that_is_started_again_now_and_then(cage: Cage) -> Any:
    @component
    async def frail(inbox: Any, outbox: Any) -> None:
        for _ in range(1000):
            await outbox.send(await inbox.receive())
            await sleep(0)
        raise ValueError("no")

    at_once = Backoff(first=0.001, factor=1)
    return endless() | Supervisor(frail, intensity=10**6, period=1, backoff=at_once) | Null()


@healthy()
def a_carousel_that_turns(cage: Cage) -> Any:
    @component
    async def ten(inbox: Any, outbox: Any) -> None:
        for _ in range(10):
            await outbox.send(await inbox.receive())

    source, turns, end = endless(), Interval(0.005), Null()
    place = Carousel(lambda _: ten(), like=ten())
    return Graphline(
        source.outbox >> place.inbox,
        turns.outbox >> place.next,
        place.outbox >> end.inbox,  # type: ignore[operator]
    )


@healthy()
def tasks_that_share_an_inbox(cage: Cage) -> Any:
    @component
    async def crowd(inbox: Any, outbox: Any) -> None:
        async def work() -> None:
            async for message in inbox:
                await outbox.send(message)

        async with asyncio.TaskGroup() as group:
            for _ in range(3):
                group.create_task(work())

    return endless() | crowd() | Null()


@healthy()
def functions_that_are_awaited_several_at_a_time(cage: Cage) -> Any:
    async def look_up(number: int) -> int:
        await asyncio.sleep(0)
        return number

    return endless() | Map(look_up, concurrency=8) | Null()


@healthy()
def a_loop_in_which_messages_go_round(cage: Cage) -> Any:
    class Round(Component):
        async def main(self) -> None:
            for number in range(10):
                await self.outbox.send(number)
            async for message in self.inbox:
                await self.outbox.send(message)

    a, b, c = Round(), Pass(), Pass()
    return Graphline(a.outbox >> b.inbox, b.outbox >> c.inbox, c.outbox >> a.inbox)


@healthy()
def a_service_that_is_asked_all_the_time(cage: Cage) -> Any:
    service = Calls("double", Map(lambda pair: (pair[0], 2 * pair[1])))
    return [service, *(endless() | Ask("double") | Null() for _ in range(3))]


@healthy()
def bytes_that_become_lines(cage: Cage) -> Any:
    source = Source(itertools.repeat(b"one\ntwo\nthree\n" * 20))
    return source | Lines() | Batch(10) | Map("".join) | Encode(end="\n") | Null()


@healthy()
def a_server_with_many_idle_connections(cage: Cage) -> Any:
    server = TCPServer(Echo, port=0, quiet=True)

    class Clients(Component):
        async def main(self) -> None:
            address = await self.inbox.receive()
            for n in range(30):
                source = Source(itertools.repeat(bytes(4096))) if n < 3 else Source([b"x"], then="stay")
                self.add(source | TCPClient(*address) | Null())

    clients = Clients()
    return Graphline(server.listening >> clients.inbox)


@healthy()
def a_server_that_waits_for_visitors(cage: Cage) -> Any:
    return TCPServer(Lines() | PublishTo("room") | SubscribeTo("room") | Encode(end="\n"), port=0, quiet=True)


@healthy()
def connections_within_a_system(cage: Cage) -> Any:
    source = Source(itertools.repeat(bytes(1000)))
    return [MemoryServer(Echo, "echo"), source | MemoryClient("echo") | Null()]


@healthy()
def a_web_server_that_is_asked_all_the_time(cage: Cage) -> Any:
    server = HTTPServer({"/": "hello"}, port=0, quiet=True)

    class Visitor(Component):
        async def main(self) -> None:
            host, port = await self.inbox.receive()
            while True:
                await fetch(f"http://{host}:{port}/")

    visitors = [Visitor() for _ in range(3)]
    return Graphline(*(server.listening >> one.inbox for one in visitors))


@healthy()
def a_program_that_passes_bytes_on(cage: Cage) -> Any:
    return Source(itertools.repeat(bytes(65536))) | Command("cat") | Null()


@healthy(begins=False)
def a_worker_that_works(cage: Cage) -> Any:
    @component
    async def sink(inbox: Any, outbox: Any) -> None:
        async for _ in inbox:
            cage.ready.set()  # its process has been started

    return endless() | Worker(double, patience=0.1) | sink()


@healthy()
def two_that_compute_in_turns(cage: Cage) -> Any:
    class Step(Map):
        inbox = Inbox[Any]("numbers", size=4)

    def work(number: int) -> int:
        spin(0.0005)
        return number

    return endless() | Step(work) | Step(work) | Null()
