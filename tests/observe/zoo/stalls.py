"""Systems in which somebody holds up the others. The line at fault says so: ``# here``."""

from __future__ import annotations

import asyncio
import itertools
import socket
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from kamaelia import Component, Graphline, Inbox, Outbox, component, sleep
from kamaelia.axon import select
from kamaelia.chassis import (
    Backoff,
    Carousel,
    Parallel,
    Pool,
    PublishTo,
    SubscribeTo,
    Supervisor,
)
from kamaelia.flow import Interval, Map, Null, RateLimit, Source
from kamaelia.net import TCPClient, TCPServer
from kamaelia.process import Command, Worker

from .keeper import Animal, Cage
from .parts import hang

STALLS: list[Animal] = []


def stall(**expected: Any) -> Callable[[Callable[[Cage], Any]], Callable[[Cage], Any]]:
    """Add a system to the list, with what is to be found out about it."""

    def add(build: Callable[[Cage], Any]) -> Callable[[Cage], Any]:
        STALLS.append(Animal(build.__name__, build, **{"where": "# here", "seconds": 0.8, **expected}))
        return build

    return add


def endless() -> Source[int]:
    return Source(itertools.count())


def chunks(size: int = 1000) -> Source[bytes]:
    return Source(itertools.repeat(b"x" * size))


# -- those who are slow, or wait for something of their own -----------------------------------------


@stall(kind="slow-consumer", culprit="Pipeline/sleepy", says=("sleeps", "Pipeline/Source and Pipeline/Map"))
def a_consumer_that_sleeps(cage: Cage) -> Any:
    @component
    async def sleepy(inbox: Any, outbox: Any) -> None:
        async for _ in inbox:
            await sleep(0.05)  # here

    return endless() | Map(str) | sleepy()


@stall(kind="slow-consumer", culprit="Pipeline/lazy", says=("sleeps",))
def a_generator_that_sleeps(cage: Cage) -> Any:
    @component
    def lazy(inbox: Any, outbox: Any) -> Any:
        while True:
            message = yield inbox.receive()
            yield sleep(0.02)  # here
            yield outbox.send(message)

    return endless() | lazy() | Null()


@stall(kind="slow-consumer", culprit="Pipeline/dreamer", says=("asyncio.sleep(3600)",))
def one_that_sleeps_with_asyncio(cage: Cage) -> Any:
    @component
    async def dreamer(inbox: Any, outbox: Any) -> None:
        async for _ in inbox:
            await asyncio.sleep(3600)  # here

    return endless() | dreamer()


@stall(kind="outside", culprit="Pipeline/feed", says=("nothing moves", "a Future", "nobody has set"))
def a_source_that_awaits_a_future_which_nobody_sets(cage: Cage) -> Any:
    @component
    async def feed(inbox: Any, outbox: Any) -> None:
        await outbox.send(1)
        await outbox.send(await asyncio.get_running_loop().create_future())  # here

    return feed() | Map(str) | Map(int) | Null()


@stall(kind="slow-consumer", culprit="Pipeline/store", says=("asyncio's Lock.acquire()",))
def a_lock_that_nobody_releases(cage: Cage) -> Any:
    lock = asyncio.Lock()

    @component
    async def keep(inbox: Any, outbox: Any) -> None:
        async with lock:
            await asyncio.get_running_loop().create_future()

    @component
    async def store(inbox: Any, outbox: Any) -> None:
        async for _ in inbox:
            async with lock:  # here
                pass

    return [keep(), endless() | store()]


@stall(kind="slow-consumer", culprit="Pipeline/waiter", says=("asyncio's Event.wait()",), where="# here")
def an_event_that_is_never_set(cage: Cage) -> Any:
    @component
    async def waiter(inbox: Any, outbox: Any) -> None:
        event = asyncio.Event()
        async for message in inbox:
            await event.wait()  # here
            await outbox.send(message)

    return endless() | waiter() | Null()


@stall(
    kind="slow-consumer",
    culprit="Pipeline/crowd",
    says=("the tasks of its TaskGroup: 'worker-0'", "await never.wait()"),
)
def tasks_of_a_group_that_wait_for_ever(cage: Cage) -> Any:
    @component
    async def crowd(inbox: Any, outbox: Any) -> None:
        never = asyncio.Event()

        async def work() -> None:
            async for _ in inbox:
                await never.wait()

        async with asyncio.TaskGroup() as group:  # here
            for n in range(3):
                group.create_task(work(), name=f"worker-{n}")

    return endless() | crowd()


@stall(
    kind="slow-consumer",
    culprit="Pipeline/asker",
    says=("the task 'question' (ask at ", "await asyncio.sleep(3600)"),
)
def a_task_that_takes_for_ever(cage: Cage) -> Any:
    async def ask() -> None:
        await asyncio.sleep(3600)

    @component
    async def asker(inbox: Any, outbox: Any) -> None:
        async for _ in inbox:
            await asyncio.create_task(ask(), name="question")  # here

    return endless() | asker()


@stall(kind="slow-consumer", culprit="Pipeline/Map", says=("gather(): 'one' (slow at",))
def gathered_tasks(cage: Cage) -> Any:
    async def slow() -> None:
        await asyncio.sleep(3600)

    async def both(message: int) -> list[None]:
        tasks = [asyncio.create_task(slow(), name="one"), asyncio.create_task(slow(), name="other")]
        await asyncio.gather(*tasks)  # here
        return []

    return endless() | Map(both) | Null()


@stall(kind="slow-consumer", culprit="Pipeline/hash", says=("asyncio.to_thread of compute, which is at",))
def a_thread_that_takes_long(cage: Cage) -> Any:
    def compute() -> None:
        cage.freed.wait()

    @component
    async def hash(inbox: Any, outbox: Any) -> None:
        async for _ in inbox:
            await asyncio.to_thread(compute)  # here

    return endless() | hash()


@stall(kind="slow-consumer", culprit="Pipeline/pooled", says=("a thread or process",))
def a_thread_pool_that_is_exhausted(cage: Cage) -> Any:
    pool = ThreadPoolExecutor(1)
    pool.submit(cage.freed.wait)
    cage.stack.callback(pool.shutdown)

    @component
    async def pooled(inbox: Any, outbox: Any) -> None:
        async for message in inbox:
            await asyncio.get_running_loop().run_in_executor(pool, abs, message)  # here

    return endless() | pooled()


@stall(kind="slow-consumer", culprit="Pipeline/plain", says=("in a thread of its own",))
def a_script_stuck_in_foreign_code(cage: Cage) -> Any:
    @component
    def plain(inbox: Any, outbox: Any) -> None:
        for _ in inbox:
            cage.freed.wait()  # here

    return endless() | Map(str) | plain()


@stall(kind="slow-consumer", culprit="Pipeline/reader", says=("in a thread of its own", "messages a second"))
def a_script_that_is_slow(cage: Cage) -> Any:
    @component
    def reader(inbox: Any, outbox: Any) -> None:
        for message in inbox:
            time.sleep(0.02)  # here
            outbox.send(message)

    return endless() | reader() | Null()


@stall(kind="slow-consumer", culprit="Pipeline/Fetching/Fetch", says=("Event.wait()",))
def a_child_whose_end_is_awaited(cage: Cage) -> Any:
    class Fetch(Component):
        async def main(self) -> None:
            await asyncio.Event().wait()  # here

    class Fetching(Component):
        async def main(self) -> None:
            async for _ in self.inbox:
                await Fetch().run()

    return endless() | Fetching()


@stall(
    kind="slow-consumer",
    culprit="Pipeline/RateLimit",
    where="ratelimit.py",
    says=("holds back on purpose, and lets nothing pass", "is that rate what was meant?"),
    seconds=1.2,
)
def a_rate_limit_that_is_far_too_small(cage: Cage) -> Any:
    return endless() | RateLimit(1, per=3600) | Null()


@stall(kind="slow-consumer", culprit="Pipeline/Slow", held=None)
def one_slow_part_of_fifty(cage: Cage) -> Any:
    class Slow(Component):
        async def main(self) -> None:
            async for message in self.inbox:
                await asyncio.to_thread(time.sleep, 0.005)  # here
                await self.outbox.send(message)

    quick = [Map(int) for _ in range(48)]
    middle = quick[23] | Slow() | quick[24]
    system = endless()
    for one in [*quick[:23], middle, *quick[25:]]:
        system = system | one
    return system | Null()


@stall(
    kind="slow-consumer",
    culprit="Pipeline/heavy",
    where="in heavy",
    alone=True,
    says=("is busy: its code takes",),
)
def one_that_computes_among_fifty(cage: Cage) -> Any:
    @component
    async def heavy(inbox: Inbox[int], outbox: Any) -> None:
        async for message in inbox:
            end = time.perf_counter() + 0.002
            while time.perf_counter() < end:
                pass
            await outbox.send(message)
            await sleep(0)

    system = endless()
    for n in range(50):
        system = system | (heavy() if n == 25 else Map(int))
    return system | Null()


@stall(kind="slow-consumer", culprit="Pipeline-3/slow", says=("Backplane talk",))
def a_slow_listener_of_a_room(cage: Cage) -> Any:
    @component
    async def slow(inbox: Any, outbox: Any) -> None:
        async for _ in inbox:
            await sleep(0.05)  # here

    return [
        endless() | PublishTo("talk"),
        SubscribeTo("talk") | Null(),
        SubscribeTo("talk") | slow(),
        SubscribeTo("talk") | Null(),
    ]


@stall(kind="slow-consumer", culprit="Pipeline/writer", says=("of 65536 bytes",))
def an_inbox_that_counts_bytes(cage: Cage) -> Any:
    class writer(Component):
        inbox = Inbox[bytes]("data", size="64 KiB")

        async def main(self) -> None:
            async for _ in self.inbox:
                await asyncio.sleep(0.05)  # here

    return chunks() | writer()


@stall(kind="slow-consumer", culprit="Parallel/Pipeline/Graphline/inner/deep")
def one_who_is_four_deep(cage: Cage) -> Any:
    @component
    async def deep(inbox: Any, outbox: Any) -> None:
        async for message in inbox:
            await sleep(0.03)  # here
            await outbox.send(message)

    inner = Map(str) | deep() | Map(int)
    around = _around(inner)
    return Parallel(endless() | around | Null(), Interval(0.01) | Null())


def _around(inner: Any) -> Any:
    return Graphline(
        inner=inner, linkages={("self", "inbox"): ("inner", "inbox"), ("inner", "outbox"): ("self", "outbox")}
    )


@stall(
    kind="slow-consumer", culprit="Pipeline/Pool/copy-1/part-1", where="# here", says=("3 like it", "Pool")
)
def a_pool_all_of_whose_copies_hang(cage: Cage) -> Any:
    @component
    async def work(inbox: Any, outbox: Any) -> None:
        async for _ in inbox:
            await asyncio.sleep(3600)  # here

    return endless() | Pool(work, 4) | Null()


# -- full boxes -------------------------------------------------------------------------------------


@stall(
    kind="full-box",
    culprit="Graphline/Picky",
    says=("waits for a message in Graphline/Picky.control", "select("),
)
def a_reader_that_waits_for_another_box(cage: Cage) -> Any:
    class Picky(Component):
        control = Inbox[str]("what to do")

        async def main(self) -> None:
            async for _ in self.inbox:
                await self.control.receive()  # here

    source, timer, picky = endless(), Interval(3600), Picky()
    return Graphline(source.outbox >> picky.inbox, timer.outbox >> picky.control)


@stall(kind="full-box", culprit="Graphline/Radio", where="", says=("nothing linked to inbox inside of it",))
def a_boundary_behind_which_nothing_is_wired(cage: Cage) -> Any:
    class Radio(Component):
        def __init__(self) -> None:
            self.add(Interval(0.05) | Null())

    source, radio = endless(), Radio()
    return Graphline(source.outbox >> radio.inbox)


@stall(kind="full-box", culprit="Pipeline/Supervisor/flaky", where="", says=("has failed", "ValueError: no"))
def a_part_that_fails_again_and_again(cage: Cage) -> Any:
    @component
    async def flaky(inbox: Any, outbox: Any) -> None:
        await inbox.receive()
        raise ValueError("no")

    restarts = Supervisor(flaky, intensity=1000, period=1, backoff=Backoff(first=0.1, factor=1, jitter=0))
    return endless() | restarts | Null()


@stall(
    kind="full-box", culprit="Graphline/Carousel/place", where="", says=("nobody sits there",), seconds=1.2
)
def a_carousel_that_nobody_turns(cage: Cage) -> Any:
    source, timer, place = endless(), Interval(3600), Carousel(like=Map(str))
    return Graphline(source.outbox >> place.inbox, timer.outbox >> place.next)


# -- groups that wait for themselves ------------------------------------------------------------------


class Passing(Component):
    """Sends three for each that it receives."""

    async def main(self) -> None:
        async for message in self.inbox:
            for _ in range(3):
                await self.outbox.send(message)  # here


@stall(
    kind="stuck-group",
    culprit="Graphline/Passing",
    group=("Graphline/Passing", "Graphline/Passing-2", "Graphline/Passing-3"),
    held=("Graphline/Source",),
    says=("wait for each other", "waits for room in Graphline/Passing-2.inbox"),
)
def a_ring_blocked_on_sends(cage: Cage) -> Any:
    source, a, b, c = Source(itertools.count()), Passing(), Passing(), Passing()
    ring = [a.outbox >> b.inbox, b.outbox >> c.inbox, c.outbox >> a.inbox]
    return [Graphline(source.outbox >> a.inbox, *ring), Interval(0.01) | Null()]


@stall(
    kind="stuck-group",
    culprit="Graphline/Passing",
    group=("Graphline/Passing", "Graphline/Passing-2"),
    held=("Graphline/Source",),
)
def a_feedback_loop_in_which_it_gets_more_and_more(cage: Cage) -> Any:
    from kamaelia.axon.link import Link

    source, a, b = endless(), Passing(), Passing()
    back = Link(b.outbox, a.inbox, feedback=True)
    return Graphline(source.outbox >> a.inbox, a.outbox >> b.inbox, back)


@stall(
    kind="stuck-group",
    culprit="Graphline/Polite",
    group=("Graphline/Polite", "Graphline/Polite-2"),
    says=("Graphline/Polite waits for a message in Graphline/Polite.inbox from Graphline/Polite-2",),
)
def two_that_wait_for_each_other_beside_live_parts(cage: Cage) -> Any:
    class Polite(Component):
        async def main(self) -> None:
            message = await self.inbox.receive()  # here
            await self.outbox.send(message)

    a, b = Polite(), Polite()
    return [
        Graphline(a.outbox >> b.inbox, b.outbox >> a.inbox),
        endless() | Map(str) | Null(),
        Interval(0.02) | Null(),
    ]


@stall(
    kind="stuck-group",
    culprit="Graphline/Chooser",
    group=("Graphline/Chooser", "Graphline/Server"),
    says=("Graphline/Chooser.inbox and Graphline/Chooser.other",),
)
def a_select_on_two_boxes_that_stay_empty(cage: Cage) -> Any:
    class Chooser(Component):
        other = Inbox[int]("more of them")

        async def main(self) -> None:
            async for _, message in select(self.inbox, self.other):  # here
                await self.outbox.send(message)

    class Server(Component):
        other = Outbox[int]("some of them")

        async def main(self) -> None:
            await self.other.send(await self.inbox.receive())

    chooser, server = Chooser(), Server()
    ring = [chooser.outbox >> server.inbox, server.outbox >> chooser.inbox, server.other >> chooser.other]
    return [Graphline(*ring), Interval(0.02) | Null()]


# -- steps that last ----------------------------------------------------------------------------------


@stall(kind="busy-step", culprit="Pipeline/blocking", inside=False, says=("holds up everybody", "to_thread"))
def one_that_blocks_in_a_coroutine(cage: Cage) -> Any:
    @component
    async def blocking(inbox: Any, outbox: Any) -> None:
        async for _ in inbox:
            cage.freed.wait()  # here

    return endless() | blocking()


@stall(kind="busy-step", culprit="Pipeline/naps", inside=False, says=("of the time", "at a step"))
def one_that_blocks_for_a_moment_at_each_message(cage: Cage) -> Any:
    class naps(Component):
        inbox = Inbox[int]("numbers", size=2)

        async def main(self) -> None:
            async for _ in self.inbox:
                time.sleep(0.04)  # noqa: ASYNC251  # here
                await sleep(0)
                if cage.freed.is_set():
                    return

    return [endless() | naps(), Interval(0.01) | Null()]


@stall(kind="busy-step", culprit="Graphline/compute", inside=False, where="in main")
def one_that_computes_for_ever(cage: Cage) -> Any:
    class compute(Component):
        async def main(self) -> None:
            number = await self.inbox.receive()
            while not cage.freed.is_set():
                number += 1

    source, busy = endless(), compute()
    return Graphline(source.outbox >> busy.inbox)


@stall(kind="busy-step", culprit="Pipeline/tasked", inside=False)
def a_task_that_blocks_the_loop(cage: Cage) -> Any:
    @component
    async def tasked(inbox: Any, outbox: Any) -> None:
        async def work() -> None:
            await inbox.receive()
            cage.freed.wait()  # here

        async with asyncio.TaskGroup() as group:
            group.create_task(work())

    return endless() | tasked()


# -- outside ------------------------------------------------------------------------------------------


@stall(
    kind="outside",
    culprit="Graphline/TCPServer/client-1",
    seconds=1.2,
    says=("other end of its connection, which takes nothing",),
)
def a_client_that_does_not_read(cage: Cage) -> Any:
    class Flood(Component):
        async def main(self) -> None:
            while True:
                await self.outbox.send(bytes(65536))  # here

    server = TCPServer(Flood, port=0, quiet=True)
    return _with_client(cage, server)


def _with_client(cage: Cage, server: Any, data: bytes = b"") -> Any:
    """A server, and a client that connects, sends something, and does not read."""

    class Client(Component):
        async def main(self) -> None:
            address = await self.inbox.receive()
            client = socket.create_connection(address)
            cage.stack.callback(client.close)
            client.setblocking(False)
            while data:
                try:
                    client.send(data)
                except BlockingIOError:
                    await asyncio.sleep(0.01)

    client = Client()
    return Graphline(server.listening >> client.inbox)


@stall(
    kind="slow-consumer",
    culprit="Graphline/TCPServer/client-1",
    says=("holds up what comes from outside", "sleeps"),
    seconds=1.2,
)
def a_server_that_is_slower_than_its_client(cage: Cage) -> Any:
    class Slow(Component):
        async def main(self) -> None:
            async for _ in self.inbox:
                await sleep(0.05)  # here

    return _with_client(cage, TCPServer(Slow, port=0, quiet=True), bytes(65536))


@stall(
    kind="outside",
    culprit="Pipeline/TCPClient",
    where="stream.py",
    seconds=1.2,
    says=("waits to hear from its connection",),
)
def a_server_that_does_not_read(cage: Cage) -> Any:
    listener = socket.create_server(("127.0.0.1", 0))
    cage.stack.callback(listener.close)
    return chunks(65536) | TCPClient(*listener.getsockname()) | Null()


@stall(
    kind="outside",
    culprit="Pipeline/Worker",
    where="worker.py",
    says=("waits to see its process end",),
    seconds=1.6,
)
def a_worker_that_hangs(cage: Cage) -> Any:
    return endless() | Worker(hang, patience=0.1) | Null()


@stall(
    kind="outside",
    culprit="Pipeline/Command",
    where="command.py",
    seconds=1.2,
    says=("waits to hear from its program",),
)
def a_program_that_does_not_read(cage: Cage) -> Any:
    program = Command(sys.executable, "-S", "-c", "import time; time.sleep(3600)")
    return chunks(65536) | program | Null()
