"""Scripts on real time: with the compiled core they act beside the loop (rules 3, 5, 7, 21 and 25)."""

from __future__ import annotations

import asyncio
import gc
import random
import sys
import threading
import time
import weakref
from typing import Any

import pytest

from kamaelia import Component, Inbox, Pipeline, component, run, select
from kamaelia.axon import Cancelled, EndOfMessages, core
from kamaelia.axon.script import ScriptThread

from .parts import collect, copy, script_copy, source, stay


@pytest.fixture(autouse=True)
def _switch_threads_often():
    """Far more often than usual, so that what can go wrong between two of them does."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


@component
def script_source(inbox, outbox, items):
    for item in items:
        outbox.send(item)


@component
def script_collect(inbox, outbox):
    return list(inbox)


@pytest.fixture
def handed_over(monkeypatch) -> list[str]:
    """The box calls that are handed over to the loop's thread, each with the path of its script."""
    seen: list[str] = []
    request = ScriptThread.request

    def counted(self: ScriptThread, call: Any, wait: bool) -> Any:
        seen.append(self.process.path)
        return request(self, call, wait)

    monkeypatch.setattr(ScriptThread, "request", counted)
    return seen


# -- what is handed over, and what is not -------------------------------------------------------------


class FromPlenty(Component):
    """Begins when its inbox is full, and passes on what is there."""

    inbox = Inbox[int]("numbers", size=10)

    def __init__(self, full: threading.Event) -> None:
        self.full = full

    def main(self) -> None:
        self.full.wait(30)
        for _ in range(10):
            self.outbox.send(self.inbox.receive())


class Fills(Component):
    def __init__(self, full: threading.Event) -> None:
        self.full = full

    async def main(self) -> None:
        for number in range(10):
            self.outbox.send(number)
        self.full.set()


def test_a_script_that_need_not_wait_does_not_leave_its_thread(handed_over):
    full = threading.Event()
    assert run(Fills(full) | FromPlenty(full) | collect()) == list(range(10))
    assert len(handed_over) == (0 if core.form == "compiled" else 20)


def test_what_has_to_wait_is_handed_over(handed_over):
    """A queue of one has room for what has been sent, and so for nothing beside the loop."""

    class One(Component):
        inbox = Inbox[int]("numbers", size=1)

        async def main(self) -> list[int]:
            return [number async for number in self.inbox]

    assert run(script_source([1, 2, 3]) | One()) == [1, 2, 3]
    assert handed_over == ["Pipeline/script_source"] * 3


# -- rules 3 and 5: everything arrives, in order, and nobody runs ahead ---------------------------------

MANY = 1000


@pytest.mark.parametrize("size", [1, 2, 3, 10, 1000])
@pytest.mark.parametrize(
    "stages",
    [
        lambda: (script_source(range(MANY)), script_copy(), script_collect()),
        lambda: (script_source(range(MANY)), copy(), script_copy(), collect()),
        lambda: (source(range(MANY)), script_copy(), copy(), script_collect()),
    ],
    ids=["scripts", "script-coroutine-script", "coroutine-script-coroutine"],
)
def test_rule_03_order_is_kept_and_queues_stay_below_their_mark(stages, size):
    parts = stages()
    for part in parts[1:]:
        part.inbox.resize(size)
    line = Pipeline(*parts)
    assert run(line) == list(range(MANY))
    assert max(part.inbox.statistics().peak for part in parts[1:]) <= size
    assert [part.inbox.statistics().received for part in parts[1:]] == [MANY] * (len(parts) - 1)


def test_rule_05_many_scripts_into_one_box_lose_nothing():
    got: list[tuple[int, int]] = []

    class Gather(Component):
        async def main(self) -> None:
            async for pair in self.inbox:
                got.append(pair)

    class Crowd(Component):
        def __init__(self) -> None:
            reader = self.add(Gather())
            for who in range(5):
                self.link(self.add(script_source([(who, n) for n in range(500)])).outbox, reader.inbox)

    run(Crowd())
    assert sorted(got) == [(who, n) for who in range(5) for n in range(500)]
    for who in range(5):
        assert [n for one, n in got if one == who] == list(range(500))


def test_a_script_frees_the_senders_that_wait_for_room():
    got: list[tuple[int, int]] = []

    @component
    def reads(inbox, outbox):
        got.extend(inbox)

    class Crowd(Component):
        def __init__(self) -> None:
            reader = self.add(reads())
            reader.inbox.resize(8)
            for who in range(6):
                self.link(self.add(source([(who, n) for n in range(300)])).outbox, reader.inbox)

    run(Crowd())
    assert sorted(got) == [(who, n) for who in range(6) for n in range(300)]


def test_a_select_is_woken_by_scripts():
    class Both(Component):
        left = Inbox[int]("from one")
        right = Inbox[int]("from the other")

        async def main(self) -> None:
            self.got: list[tuple[str, int]] = []
            async for box, message in select(self.left, self.right):
                self.got.append((box.name, message))

    class Two(Component):
        def __init__(self) -> None:
            self.both = self.add(Both())
            self.link(self.add(script_source(range(1000))).outbox, self.both.left)
            self.link(self.add(script_source(range(1000))).outbox, self.both.right)

    two = Two()
    run(two)
    for name in ("left", "right"):
        assert [message for box, message in two.both.got if box == name] == list(range(1000))


# -- rules 7 and 25: ends, failures and stops ------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
def test_rule_25_a_stop_loses_nothing_that_was_sent(seed):
    """A script that sends for ever is stopped at some moment: what it has sent arrives, up to the last."""
    print("seed", seed)
    draw = random.Random(seed)
    sent: list[int] = []

    @component
    def endless(inbox, outbox):
        number = 0
        while True:
            outbox.send(number)
            sent.append(number)
            number += 1

    class StopsAfter(Component):
        async def main(self) -> list[int]:
            got = []
            left = draw.randrange(1, 2000)
            async for number in self.inbox:
                got.append(number)
                left -= 1
                if left == 0:
                    self.system.stop()
            return got

    got = run(endless() | script_copy() | StopsAfter())
    assert got[: len(sent)] == sent
    # The one call more is that which the stop has interrupted: its message had been taken all the same.
    assert got == list(range(len(got)))
    assert len(got) - len(sent) in (0, 1)


def test_rule_07_a_script_is_told_that_nobody_listens():
    sent: list[int] = []
    told: list[str] = []

    @component
    def endless(inbox, outbox):
        try:
            while True:
                outbox.send(len(sent))
                sent.append(len(sent))
        except Exception as error:
            told.append(type(error).__name__)
            raise

    class TakesThree(Component):
        async def main(self) -> list[int]:
            return [await self.inbox.receive() for _ in range(3)]

    reader = TakesThree()
    assert run(endless() | reader) == [0, 1, 2]
    assert told == ["BrokenLink"]
    # What it has sent beyond those is counted; the call that was told may have had its message taken as well.
    assert 3 + reader.inbox.unread in (len(sent), len(sent) + 1)


def test_rule_04_a_failure_reaches_a_script_behind_what_was_sent_before():
    @component
    async def fails(inbox, outbox):
        for number in range(50):
            await outbox.send(number)
        raise ValueError("half way")

    got: list[int] = []

    @component
    def reads(inbox, outbox):
        for number in inbox:
            got.append(number)

    with pytest.raises(ExceptionGroup):
        run(fails() | reads())
    assert got == list(range(50))


def test_rule_21_a_cancelled_script_raises_at_its_next_call_although_there_is_room():
    """Also at a call that could be met at once."""
    order: list[str] = []
    cancelled = threading.Event()

    @component
    def script(inbox, outbox):
        outbox.send(1)
        order.append("sent")
        ready.set()
        cancelled.wait(30)
        try:
            outbox.send(2)
        except Cancelled:
            order.append("cancelled")
            raise
        order.append("sent again")

    ready = threading.Event()

    class Cancels(Component):
        def __init__(self) -> None:
            self.script = self.add(script() | stay([]))

        async def main(self) -> None:
            await asyncio.to_thread(ready.wait, 30)
            self.script.cancel()
            cancelled.set()

    run(Cancels())
    assert order == ["sent", "cancelled"]


# -- between the last line of a step and its end ----------------------------------------------------------


class Dawdle:
    """Awaits something, and lets other threads run when it has been suspended, before its component has."""

    def __init__(self, awaitable: Any) -> None:
        self.iterator = awaitable.__await__()

    def __await__(self) -> Any:
        return self

    def __iter__(self) -> Any:
        return self

    def __next__(self) -> Any:
        step = self.iterator.send if hasattr(self.iterator, "send") else lambda _: next(self.iterator)
        suspended = step(None)
        sum(range(500))
        return suspended


def test_a_script_may_make_room_while_the_sender_is_still_being_suspended():
    @component
    async def dawdles(inbox, outbox):
        for number in range(1000):
            await Dawdle(outbox.send(number))

    reader = script_collect()
    reader.inbox.resize(2)
    assert run(dawdles() | reader) == list(range(1000))


def test_a_script_may_send_while_the_reader_is_still_being_suspended():
    @component
    async def dawdles(inbox, outbox):
        got = []
        try:
            while True:
                got.append(await Dawdle(inbox.receive()))
        except EndOfMessages:
            return got

    reader = dawdles()
    reader.inbox.resize(2)
    assert run(script_source(range(1000)) | reader) == list(range(1000))


# -- memory -----------------------------------------------------------------------------------------------


class Message:
    """Something that may be referred to weakly."""


def test_a_script_that_is_busy_keeps_no_message_that_it_has_let_go_of():
    alive: list[bool] = []

    @component
    async def late(inbox, outbox):
        await asyncio.sleep(0.01)  # the script is waiting by then, and so gets it by way of the loop
        await outbox.send(Message())
        await asyncio.to_thread(looked.wait, 30)

    @component
    def reads(inbox, outbox):
        message = inbox.receive()
        gone = weakref.ref(message)
        del message
        look(gone)
        looked.set()

    class Takes(Component):
        inbox = Inbox[Any]("messages", size=1)  # so that whoever sends has to wait

        async def main(self) -> None:
            async for message in self.inbox:
                del message

    @component
    def sends(inbox, outbox):
        message = Message()
        gone = weakref.ref(message)
        outbox.send(message)
        del message
        look(gone)

    def look(gone: weakref.ref[Message]) -> None:
        for _ in range(200):  # the loop's thread may still be about to let go
            gc.collect()
            if gone() is None:
                break
            time.sleep(0.01)
        alive.append(gone() is not None)

    looked = threading.Event()
    run(late() | reads())
    run(sends() | Takes())
    assert alive == [False, False]
