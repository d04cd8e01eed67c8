"""Inlets and outlets, where transports call a system back: in virtual time, with a played transport."""

from __future__ import annotations

import array
import asyncio
import gc
import weakref
from typing import Any

import pytest

from kamaelia import Component, Inbox, run
from kamaelia.axon import BrokenLink, ComponentsFailed, Seat, SourceFailed, VirtualLoop, core
from kamaelia.axon.outlet import lead_outside

from .parts import collect, source, virtually


class Transport:
    """Keeps what it is given, and pauses its outlet after so many messages, for a second."""

    def __init__(self, pause_after: int | None = None, refuses: bytes | None = None) -> None:
        self.written: list[tuple[float, Any]] = []
        self.tasks: list[Any] = []
        self.pause_after, self.refuses = pause_after, refuses
        self.closing = False
        self.outlet: Any = None

    def write(self, data: Any) -> None:
        loop = asyncio.get_running_loop()
        if data == self.refuses:
            raise ValueError("not this one")
        self.written.append((loop.time(), data))
        self.tasks.append(asyncio.current_task())
        if self.pause_after is not None and len(self.written) % self.pause_after == 0:
            self.outlet.pause()
            loop.call_later(1, self.outlet.resume)

    def is_closing(self) -> bool:
        return self.closing


class Listener:
    """Keeps what it is told."""

    def __init__(self, log: list[Any] | None = None) -> None:
        self.log: list[Any] = [] if log is None else log

    def not_taken(self, data: Any) -> None:
        self.log.append(("not taken", data))

    def sink_full(self) -> None:
        self.log.append("full")

    def outlet_ended(self, failure: BaseException | None) -> None:
        self.log.append(("ended", failure))

    def outlet_failed(self, message: Any, error: Exception) -> None:
        self.log.append(("failed", message, str(error)))


class Out(Component):
    """A chassis from whose part an outlet leads to a transport."""

    def __init__(self, part: Component, transport: Any, size: int | str = 10, log: Any = None) -> None:
        self.part, self.transport, self.size = part, transport, size
        self.listener = Listener(log)

    async def main(self) -> None:
        box = lead_outside(self.part.boxes["outbox"], self.size, self.system)
        self.outlet = core.Outlet(box, self.transport, self.listener, asyncio.get_running_loop().time)
        self.transport.outlet = self.outlet
        self.add(self.part)


# -- outlets ------------------------------------------------------------------------------------------


def test_everything_is_written_in_order_and_then_the_end_is_told():
    transport = Transport()
    out = Out(source([b"%d" % n for n in range(50)]), transport)
    virtually(out)
    assert transport.written == [(0.0, b"%d" % n) for n in range(50)]
    assert out.listener.log == [("ended", None)]
    assert out.outlet.amount == 90  # bytes
    assert out.outlet.inbox.statistics().peak == 10


def test_bytes_are_counted_whatever_they_are_in():
    transport = Transport()
    out = Out(source([b"1234", bytearray(5), memoryview(array.array("I", [1, 2])), b""]), transport, "100 B")
    virtually(out)
    assert out.outlet.amount == 4 + 5 + 8
    assert out.outlet.inbox.statistics().waiting == 0
    assert out.outlet.inbox.statistics().received == 4


def test_empty_messages_are_held_back_as_well():
    """They would make no queue full that counts bytes, and so nobody else would have a turn."""

    class Floods(Component):
        async def main(self) -> None:
            while not self.system.stopping:
                await self.outbox.send(b"")

    class Stops(Component):
        async def main(self) -> None:
            for _ in range(5):
                await asyncio.sleep(0)
            self.system.stop()

    transport = Transport()
    out = Out(Floods(), transport, "20 B")
    virtually(out, Stops())
    assert out.outlet.inbox.statistics().peak == 20
    assert 20 <= len(transport.written) < 2000


def test_what_is_changed_after_it_was_sent_is_told_when_debugging():
    class Changes(Component):
        async def main(self) -> None:
            data = bytearray(b"right")
            sent = self.outbox.send(data)
            data[:] = b"wrong"
            await sent

    transport = Transport()
    out = Out(Changes(), transport)
    virtually(out, debug=True)
    assert transport.written == []
    ((word, message, text),) = out.listener.log
    assert (word, message) == ("failed", None)
    assert text.startswith("a message was changed after it had been sent")


def test_no_component_is_current_while_the_transport_writes():
    transport = Transport()
    virtually(Out(source([b"1", b"2"]), transport))
    assert transport.tasks == [None, None]


def test_while_the_transport_pauses_the_sender_is_held_back_and_that_is_no_deadlock():
    sent: list[Any] = []
    transport = Transport(pause_after=4)
    out = Out(source([bytes([n]) for n in range(15)], log=sent), transport, 2)
    virtually(out)
    assert transport.written == [(float(n // 4), bytes([n])) for n in range(15)]
    assert out.outlet.inbox.statistics().peak == 2
    assert out.listener.log == [("ended", None)]


def test_a_pause_while_nothing_comes_is_none_for_what_comes_after_it():
    class Then(Component):
        async def main(self) -> None:
            await self.outbox.send(b"1")
            await asyncio.sleep(5)
            await self.outbox.send(b"2")

    transport = Transport()

    class Pauses(Out):
        async def main(self) -> None:
            await super().main()
            loop = asyncio.get_running_loop()
            loop.call_at(2, self.outlet.pause)
            loop.call_at(3, self.outlet.pause)
            loop.call_at(4, self.outlet.resume)
            loop.call_at(4.5, self.outlet.resume)

    virtually(Pauses(Then(), transport))
    assert transport.written == [(0.0, b"1"), (5.0, b"2")]


def test_a_failure_is_told_after_what_was_sent_before():
    class Fails(Component):
        async def main(self) -> None:
            await self.outbox.send(b"1")
            await self.outbox.send(b"2")
            raise ValueError("then this")

    transport = Transport()
    out = Out(Fails(), transport)
    with pytest.raises(ComponentsFailed):
        virtually(out)
    assert [data for _, data in transport.written] == [b"1", b"2"]
    ((word, failure),) = out.listener.log
    assert word == "ended" and isinstance(failure, ValueError)


@pytest.mark.parametrize("message", ["text", 5, None, ["list"], []])
def test_what_is_not_bytes_is_refused_and_nothing_is_written_after_it(message):
    transport = Transport()
    out = Out(source([b"1", message, b"2"]), transport)
    virtually(out)
    assert [data for _, data in transport.written] == [b"1"]
    assert out.listener.log == [
        (
            "failed",
            message,
            f"a connection carries bytes, and was given {message!r} ({type(message).__name__}): "
            "put Encode() between (text to bytes)",
        )
    ]


def test_buffers_are_as_good_as_bytes():
    transport = Transport()
    virtually(Out(source([bytearray(b"1"), memoryview(b"2")]), transport, "10 B"))
    assert [bytes(data) for _, data in transport.written] == [b"1", b"2"]


def test_what_the_transport_refuses_is_told():
    transport = Transport(refuses=b"2")
    out = Out(source([b"1", b"2", b"3"]), transport)
    virtually(out)
    assert [data for _, data in transport.written] == [b"1"]
    assert out.listener.log == [("failed", b"2", "not this one")]


def test_what_waits_when_the_transport_closes_stays_and_is_counted_when_the_outlet_does():
    class Writes(Component):
        async def main(self) -> None:
            self.outbox.send(b"1")
            await asyncio.sleep(1)
            transport.closing = True
            self.outbox.send(b"2")
            self.outbox.send(b"3")
            await asyncio.sleep(1)
            out.outlet.close()
            out.outlet.close()  # twice is harmless
            try:
                await self.outbox.send(b"4")
            except BrokenLink:
                told.append("nobody listens")

    told: list[str] = []
    transport = Transport()
    out = Out(Writes(), transport)
    virtually(out)
    assert transport.written == [(0.0, b"1")]
    assert out.outlet.inbox.unread == 2
    assert told == ["nobody listens"]
    assert out.listener.log == []


def test_closing_a_paused_outlet_leaves_nobody_outside():
    """Or the system would never be seen to be at rest again."""

    class Waits(Component):
        inbox = Inbox[Any]("from nobody")

        async def main(self) -> None:
            out.outlet.pause()
            await asyncio.sleep(1)
            out.outlet.close()
            assert self._axon.scheduler is not None
            seen.append(self._axon.scheduler.outside)

    seen: list[int] = []
    out = Out(Waits(), Transport())
    virtually(out)
    assert seen == [0]


def test_what_an_outlet_was_given_as_it_closed_goes_to_the_next_in_its_seat():
    class Writes(Component):
        async def main(self) -> None:
            loop = asyncio.get_running_loop()
            self.outlet = core.Outlet(self.inbox, transport, Listener(), loop.time)
            lives.append(self)
            await asyncio.sleep(2)

    class Feeds(Component):
        async def main(self) -> None:
            await asyncio.sleep(1)
            await self.outbox.send(b"one")
            asyncio.get_running_loop().call_soon(self.send_and_close)
            await asyncio.sleep(2)
            assert transport.written == [(1.0, b"one"), (2.0, b"two")]
            lives[1].outlet.close()

        def send_and_close(self) -> None:  # it has its turn then, but not taken it
            self.outbox.send(b"two")
            lives[0].outlet.close()

    transport = Transport()
    lives: list[Any] = []
    seat = Seat(Writes, on_vacant=lambda occupant, failure: len(lives) < 2 and seat.fill(Writes))
    virtually(Feeds() | seat)
    assert len(lives) == 2


# -- inlets -------------------------------------------------------------------------------------------


class In(Component):
    """A chassis with an inlet into its part; a script of times and data is played to it."""

    def __init__(self, part: Component, played: list[tuple[float, bytes | None]]) -> None:
        self.part, self.played = part, played
        self.listener = Listener()

    async def main(self) -> None:
        loop = asyncio.get_running_loop()
        hold = self.part.boxes["inbox"].hold(outside=True)
        self.add(self.part)
        self.inlet = core.Inlet(self.listener, loop.time)
        self.inlet.data_received(b"early")
        self.inlet.box = hold.outbox
        for at, data in self.played:
            loop.call_at(at, self.inlet.data_received if data is not None else hold.release, data)
        await asyncio.sleep(20)


def test_what_comes_is_received_and_what_nobody_reads_is_told():
    part = collect()
    chassis = In(part, [(1, b"one"), (2, b"three"), (3, None)])
    virtually(chassis)
    assert part.result() == [b"one", b"three"]
    assert chassis.listener.log == [("not taken", b"early")]
    assert chassis.inlet.amount == len(b"earlyonethree")
    assert chassis.inlet.active == 2.0


def test_at_the_mark_the_listener_is_told():
    class Sleeps(Component):
        inbox = Inbox[bytes]("bytes", size="4 B")

        async def main(self) -> None:
            await asyncio.sleep(10)
            got.extend([data async for data in self.inbox])

    got: list[bytes] = []
    chassis = In(Sleeps(), [(1, b"123"), (2, b"4"), (3, b"5"), (11, None)])
    virtually(chassis)
    assert got == [b"123", b"4", b"5"]
    assert chassis.listener.log == [("not taken", b"early"), "full", "full"]


def test_when_the_reader_has_gone_the_listener_gets_what_comes():
    class TakesOne(Component):
        async def main(self) -> bytes:
            return bytes(await self.inbox.receive())

    part = TakesOne()
    chassis = In(part, [(1, b"one"), (2, b"two")])
    virtually(chassis)
    assert part.result() == b"one"
    assert chassis.listener.log == [("not taken", b"early"), ("not taken", b"two")]


# -- memory -------------------------------------------------------------------------------------------


def test_an_outlet_that_nobody_knows_any_more_is_collected_with_what_waits():
    class Message(bytearray):
        """Something that may be referred to weakly."""

    message = Message(b"1")
    transport = Transport()
    transport.closing = True
    out = Out(source([message]), transport)
    virtually(out)
    gone = weakref.ref(message)
    del message, out, transport
    gc.collect()
    assert gone() is None


def test_a_failing_source_of_an_inlet_is_told_to_its_reader():
    class Reads(Component):
        async def main(self) -> None:
            try:
                async for _ in self.inbox:
                    pass
            except SourceFailed as error:
                told.append(error.__cause__)

    class Fails(In):
        async def main(self) -> None:
            hold = self.part.boxes["inbox"].hold(outside=True)
            self.add(self.part)
            asyncio.get_running_loop().call_at(1, hold.release, ConnectionResetError())

    told: list[Any] = []
    run(Fails(Reads(), []), loop_factory=VirtualLoop)
    assert [type(error) for error in told] == [ConnectionResetError]
