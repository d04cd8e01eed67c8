"""Parts for worker processes: what another process is to find has to be in a module."""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import random as ambient
import sys
import threading
import time
import warnings
from dataclasses import dataclass
from typing import Any

from kamaelia import Component, Graphline, Inbox, Outbox, Pipeline, component, random
from kamaelia.axon import Cancelled, SourceFailed, select
from kamaelia.chassis import Backplane, PublishTo, SubscribeTo
from kamaelia.flow import Collect, Interval, Map, Source
from kamaelia.process import Worker


def double(number: int) -> int:
    return 2 * number


def fail_at_three(number: int) -> int:
    if number == 3:
        raise ValueError("three is too much")
    return number


def make_doubler() -> Component:
    return Map(lambda number: 2 * number)


def pid_and(message: Any) -> tuple[int, Any]:
    return os.getpid(), message


@component
async def copy(inbox: Inbox[Any], outbox: Outbox[Any]) -> None:
    async for message in inbox:
        await outbox.send(message)


@component
def script(inbox: Any, outbox: Any, times: int = 2) -> None:
    for message in inbox:
        outbox.send(times * message)


class Two(Component):
    """Two boxes each way."""

    inbox = Inbox[int]("numbers", size=7)
    other = Inbox[bytes]("chunks", size="64 KiB")
    outbox = Outbox[int]("numbers")
    notes = Outbox[str]("notes", optional=True)

    async def main(self) -> str:
        async for number in self.inbox:
            await self.outbox.send(number)
        async for chunk in self.other:
            await self.notes.send(f"{len(chunk)} bytes")
        return "done"


class Die(Component):
    """Passes messages on, and dies of one in its own way."""

    def __init__(self, how: str, at: Any = None) -> None:
        self.how = how
        self.at = at

    async def main(self) -> None:
        if self.at is None:
            self.die()
        async for message in self.inbox:
            if message == self.at:
                await asyncio.sleep(0.05)
                self.die()
            await self.outbox.send(message)

    def die(self) -> None:
        if self.how == "kill":
            os.kill(os.getpid(), 9)
        elif self.how == "segv":
            import faulthandler

            faulthandler._sigsegv()  # type: ignore[attr-defined]
        elif self.how == "exit":
            os._exit(3)
        elif self.how == "system exit":
            raise SystemExit(4)


class Sleepy(Component):
    """Takes a message now and then, slowly."""

    inbox = Inbox[Any]("anything", size=5)

    async def main(self) -> None:
        async for message in self.inbox:
            await asyncio.sleep(0.02)
            await self.outbox.send(message)


class Slow(Component):
    """Takes a millisecond for each message."""

    outbox = None

    async def main(self) -> None:
        async for _ in self.inbox:
            await asyncio.sleep(0.001)


class Never(Component):
    """Reads nothing, for ever."""

    inbox = Inbox[Any]("anything", size=5)

    async def main(self) -> None:
        await asyncio.Event().wait()


class Stuck(Component):
    """Blocks its loop, and lets nothing through."""

    async def main(self) -> None:
        await self.outbox.send("stuck")
        while True:
            time.sleep(0.01)  # noqa: ASYNC251  # it is what is wrong with it


class Stubborn(Component):
    """Does not end when it is cancelled."""

    async def main(self) -> None:
        await self.outbox.send("here")
        while True:
            try:
                await asyncio.sleep(100)
            except Cancelled:
                pass


class Careful(Component):
    """Says good bye when it is cancelled."""

    outbox = Outbox[str]("what it has to say")

    async def main(self) -> None:
        await self.outbox.send("hello")
        try:
            await asyncio.sleep(100)
        finally:
            await asyncio.sleep(0.02)
            await self.outbox.send("good bye")


class Chatty(Component):
    """Logs, warns, prints and announces."""

    async def main(self) -> None:
        logging.getLogger("kamaelia").info("an %s", "info")
        logging.getLogger("some.module").warning("a warning of %d", 1)
        logging.getLogger("some.module").debug("not wanted")
        warnings.warn("be careful", DeprecationWarning, stacklevel=1)
        self.system.announce("here I am")
        print("printed")
        try:
            raise ValueError("logged")
        except ValueError:
            logging.getLogger("kamaelia").exception("it %s", "failed")


class Draw(Component):
    async def main(self) -> None:
        await self.outbox.send([random.random() for _ in range(3)])


class Where(Component):
    async def main(self) -> None:
        await self.outbox.send((self.path, self.system.seed, sys.argv, os.getcwd()))


class Odd(Exception):
    """Cannot be made again of its arguments."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


class RaiseOdd(Component):
    async def main(self) -> None:
        raise Odd(1, 2) from KeyError("the cause")


class Unloadable:
    """Can be pickled, but not unpickled."""

    def __reduce__(self) -> Any:
        return ambient.Random, ("x", "y", "z")


class SendThis(Component):
    """Sends some things, which are made where it runs."""

    inbox = None

    def __init__(self, *names: str) -> None:
        self.names = names

    async def main(self) -> Any:
        for name in self.names:
            await self.outbox.send({"lambda": lambda: None, "unloadable": Unloadable(), "one": 1}[name])
        return None


class Returns(Component):
    def __init__(self, what: str) -> None:
        self.what = what

    async def main(self) -> Any:
        return (lambda: None) if self.what == "lambda" else self.what


@dataclass
class Frame:
    """A media frame, say."""

    number: int
    data: Any


def describe(message: Any) -> Any:
    """Say what has come, and change it if that may be done."""
    data = message.data if isinstance(message, Frame) else message
    if isinstance(data, (tuple, list)):
        data = data[-1]
    if isinstance(data, dict):
        data = data["data"]
    writable = not memoryview(data).readonly
    if writable:
        memoryview(data).cast("B")[0] = 7
    return type(data).__name__, memoryview(data).nbytes, bytes(memoryview(data).cast("B")[:3]), writable


class Keep(Component):
    """Keeps all that it gets, and says how much that is."""

    async def main(self) -> int:
        kept = [message async for message in self.inbox]
        return sum(memoryview(one).nbytes for one in kept)


def graphline(form: str) -> Graphline:
    first, second = Map(double), copy()
    if form == "links":
        return Graphline(
            "self.inbox" >> first.inbox, first.outbox >> second.inbox, second.outbox >> "self.outbox"
        )
    return Graphline(
        a=first,
        b=second,
        linkages={
            ("self", "inbox"): ("a", "inbox"),
            ("a", "outbox"): ("b", "inbox"),
            ("b", "outbox"): ("self", "outbox"),
        },
    )


def again(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value, 5))


class SendOn(Component):
    """Sends numbers as long as it may."""

    async def main(self) -> None:
        number = 0
        while True:
            await self.outbox.send(number)
            number += 1


class NeverBytes(Component):
    inbox = Inbox[bytes]("chunks", size="64 KiB")

    async def main(self) -> None:
        await asyncio.Event().wait()


class Split(Component):
    """Sends each pair's second to the box that its first names."""

    outbox = None
    a = Outbox[Any]("for a")
    b = Outbox[Any]("for b")

    async def main(self) -> None:
        async with asyncio.TaskGroup() as group:
            async for name, value in self.inbox:
                group.create_task(self.pass_on(self.boxes[name], value))

    async def pass_on(self, box: Any, value: Any) -> None:
        await box.send(value)


class SmallStep(Component):
    inbox = Inbox[int]("numbers", size=1)

    async def main(self) -> None:
        async for number in self.inbox:
            await self.outbox.send(number)


class Hears(Component):
    """Passes on what it gets, and in the end how that ended."""

    async def main(self) -> None:
        try:
            async for message in self.inbox:
                await self.outbox.send(message)
        except SourceFailed as error:
            cause = error.__cause__
            await self.outbox.send((type(error).__name__, type(cause).__name__, str(cause)))


class SendThenFail(Component):
    inbox = None

    def __init__(self, count: int) -> None:
        self.count = count

    async def main(self) -> None:
        for number in range(self.count):
            self.outbox.send(number)
        await asyncio.sleep(0.1)
        raise ValueError("enough")


class TwoFail(Component):
    """Fails twice at the same time."""

    async def main(self) -> None:
        raise ExceptionGroup("both", [ValueError("one"), TypeError("two")])


class CloseEarly(Component):
    """Closes its inbox after the first message, and goes on."""

    async def main(self) -> None:
        await self.inbox.receive()
        self.inbox.close()
        await self.outbox.send("got one")
        await asyncio.sleep(0.2)
        await self.outbox.send("still here")


class CloseOne(Component):
    """Closes one inbox after the first message there, and reads the other to its end."""

    other = Inbox[Any]("anything")

    async def main(self) -> None:
        await self.inbox.receive()
        self.inbox.close()
        async for _ in self.other:
            pass
        await self.outbox.send("the other has ended")


class Both(Component):
    """A source of its own beside what is fed."""

    def __init__(self) -> None:
        self.ticks = self.add_box("ticks", Inbox[int]("ticks"))
        self.link(self.add(Interval(0.01)).outbox, self.ticks)

    async def main(self) -> None:
        async for box, _ in select(self.inbox, self.ticks):
            await self.outbox.send("a message" if box is self.inbox else "a tick")
        await self.outbox.send("the end")


class DieWithoutReading(Component):
    inbox = Inbox[int]("numbers", size=40)

    async def main(self) -> None:
        await asyncio.sleep(0.2)
        os._exit(3)


class LeavesThread(Component):
    async def main(self) -> None:
        threading.Thread(target=time.sleep, args=(100,)).start()
        await self.outbox.send("done")


def deadlock() -> Graphline:
    """Two that wait for each other."""
    first, second = copy(), copy()
    return Graphline(first.outbox >> second.inbox, second.outbox >> first.inbox)


def room() -> Graphline:
    """A room, which nobody but this knows, and which ends when all is at rest."""
    return Graphline(Backplane("room"), Source([1, 2]) | PublishTo("room"), SubscribeTo("room") | Collect())


class Forks(Component):
    """Forks a process that stays and has all its descriptors, and then dies."""

    async def main(self) -> None:
        pid = os.fork()
        if not pid:
            os.closerange(0, 3)
            time.sleep(100)  # noqa: ASYNC251
            os._exit(0)
        await self.outbox.send(pid)
        await asyncio.sleep(0.05)
        os.kill(os.getpid(), 9)


class Family(Component):
    """Tells the number of its process, and that of the process of a worker in it."""

    inbox = None

    def __init__(self) -> None:
        self.add(Worker(Pipeline(TellPid(), copy())))
        self.told = self.add_box("told", Inbox[int]("its number"))
        self.link(next(iter(self._axon.children)).component.outbox, self.told)

    async def main(self) -> None:
        await self.outbox.send((os.getpid(), await self.told.receive()))
        await asyncio.Event().wait()


class TellPid(Component):
    async def main(self) -> None:
        await self.outbox.send(os.getpid())
        await asyncio.Event().wait()


class Held(Component):
    inbox = Inbox[int]("numbers, if anybody has some", held=True)
    outbox = None

    async def main(self) -> str:
        async for _ in self.inbox:
            pass
        return "at rest"


class SendAndDie(Component):
    inbox = None

    def __init__(self, count: int) -> None:
        self.count = count

    async def main(self) -> None:
        for number in range(self.count):
            await self.outbox.send(bytes([number]) * 2000)
        await asyncio.sleep(0.01)
        os.kill(os.getpid(), 9)
