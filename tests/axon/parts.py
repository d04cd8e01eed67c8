"""Small components that the tests of Axon wire together; each appends what it saw to a list it was given."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

from kamaelia import Component, Inbox, Outbox, component, run, sleep
from kamaelia.axon import System, VirtualLoop
from kamaelia.axon.process import Process

virtually = functools.partial(run, loop_factory=VirtualLoop)
"""`run` in virtual time: exact, and over at once."""


@contextlib.contextmanager
def on_every_step(look: Callable[[Process], object]) -> Iterator[None]:
    """Have something called after each step of every system that is made meanwhile."""
    make = System.__init__

    def make_seen(self: System, *args: Any, **options: Any) -> None:
        make(self, *args, **options)
        self.scheduler.on_step = look

    System.__init__ = make_seen  # type: ignore[method-assign]
    try:
        yield
    finally:
        System.__init__ = make  # type: ignore[method-assign]


@component
async def source(inbox, outbox, items=(), log=None):
    """Send each item, then end."""
    for item in items:
        await outbox.send(item)
        if log is not None:
            log.append(item)


@component
async def copy(inbox, outbox):
    async for message in inbox:
        await outbox.send(message)


@component
def generator_copy(inbox, outbox):
    while True:
        message = yield inbox.receive()
        yield outbox.send(message)


@component
def script_copy(inbox, outbox):
    for message in inbox:
        outbox.send(message)


@component
async def collect(inbox, outbox, into=None):
    """Return what arrived; a list given as `into` has it even when the end was no normal one."""
    got = [] if into is None else into
    async for message in inbox:
        got.append(message)
    return got


@component
async def fail_at(inbox, outbox, bad, error=ValueError):
    """Pass messages on until a bad one comes."""
    async for message in inbox:
        if message == bad:
            raise error(f"cannot stand {message!r}")
        await outbox.send(message)


@component
async def after(inbox, outbox, seconds, message=None):
    """Send one message after some time."""
    await sleep(seconds)
    await outbox.send(message)


@component
async def later(inbox, outbox, seconds, do):
    """Call something after some time."""
    await sleep(seconds)
    do()


@component
async def take(inbox, outbox, count):
    """Return so many messages, then be gone."""
    return [await inbox.receive() for _ in range(count)]


@component
async def stay(inbox, outbox, log=None):
    """Wait for ever."""
    try:
        await sleep(1e9)
    except BaseException as error:
        if log is not None:
            log.append(type(error).__name__)
        raise


class Stop(Component):
    """Stops the system after some seconds."""

    def __init__(self, seconds: float = 1.0, **options: Any) -> None:
        self.seconds = seconds
        self.options = options

    async def main(self) -> None:
        await sleep(self.seconds)
        self.system.stop(**self.options)


class Held(Component):
    """Has an inbox that is held open."""

    inbox = Inbox[Any]("what will be linked later", held=True)
    outbox = Outbox[Any]("the same")

    async def main(self) -> None:
        async for message in self.inbox:
            await self.outbox.send(message)
