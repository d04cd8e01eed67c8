"""What a system keeps in memory has bounds, and is given back."""

from __future__ import annotations

import gc
import tracemalloc
import weakref

import pytest

from kamaelia import Component, component
from kamaelia.axon import ComponentsFailed, WouldBlock

from .parts import collect, copy, source, virtually

CHUNK = 10_000  # bytes in a message


def test_a_coroutine_that_never_awaits_its_sends_is_stopped_while_little_memory_is_used():
    sent = []

    class Careless(Component):
        async def main(self):
            while True:
                self.outbox.send(bytes(CHUNK))
                sent.append(None)

    gc.collect()
    tracemalloc.start()
    try:
        with pytest.raises(ComponentsFailed) as caught:
            virtually(Careless() | copy() | collect())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    (error,) = caught.value.exceptions
    assert isinstance(error, WouldBlock) and "write 'await'" in str(error)
    assert len(sent) == 100 + 1000  # the mark of the inbox, and what goes past it
    assert peak < 1.2 * len(sent) * CHUNK


def test_a_message_is_kept_by_nobody_once_its_last_reader_has_let_it_go():
    class Message:
        pass

    seen = []

    @component
    async def watch(inbox, outbox):
        async for message in inbox:
            seen.append(weakref.ref(message))
            del message
            await outbox.send(len(seen))

    got = virtually(source([1, 2, 3]) | make_messages(Message) | watch() | collect())
    assert got == [1, 2, 3]
    assert [one() for one in seen] == [None, None, None]


@component
async def make_messages(inbox, outbox, kind):
    async for _ in inbox:
        await outbox.send(kind())


def test_nothing_is_left_of_a_system_that_is_over():
    parts = [copy() for _ in range(100)]
    system = source(range(1000)) | parts[0]
    for part in parts[1:]:
        system = system | part
    kept = [weakref.ref(part) for part in parts]
    queues = [weakref.ref(part._axon) for part in parts]
    assert virtually(system | collect()) == list(range(1000))
    del parts, part, system
    gc.collect()
    assert [one() for one in [*kept, *queues] if one() is not None] == []
