"""A byte stream: the one adapter between an asyncio transport and boxes.

Theory
------
A connection is two streams of bytes that begin and end separately. `Stream` is the asyncio protocol that
stands between a transport and a component, and keeps the two apart:

**In**: what the peer sends an *inlet* puts straight into a box (the *sink*: a hold on somebody's inbox, or an
outbox) from the loop's callback; no task, no copy and no queue of our own is between. When the box is at its
mark, the transport stops reading, TCP's window closes, and the peer has to wait; the box calls back when
there is room. The peer's end of stream is the end of the sink; a connection that breaks is a sink whose
source has failed.

**Out**: an *outlet* gives what arrives in an inbox to the transport, or a component takes it from there and
calls `Stream.write`. The transport's own buffer is set to *no* size: as soon as the operating system does not
take everything, it says so and is given nothing until it has. So of one message at most is the rest in the
transport, and what a slow peer makes wait is in an inbox, whose mark stops the sender. (Asyncio's usual
64 KiB would hide there from everybody who counts.)

**The end.** `Stream.finish` is for when everything has been sent: it ends our half, waits for the peer's, and
closes. When nobody would read what the peer may still send, it waits for a moment only (*linger*) and
discards, counting: a socket that is closed with unread bytes in it resets the connection, and that may take
away from the peer what it has not read yet (RFC 1122, 4.2.2.13).

**The break.** Whoever fails half way must not look like one who has finished, so `Stream.abort` resets the
connection: the peer is told "connection reset", where an ordinary close would say "end of stream". A reset
throws away what is still in our operating system, so `Stream.deliver` comes first, which waits until the
peer's has confirmed everything, for as long as it goes on doing so. There is no event for that, hence it
looks again and again. What has arrived Linux gives to its program before it speaks of the reset, but not to
one that is still about to connect, or meets the reset while it writes: for those there is a moment more.
`Stream.leave` is for who is not interested any more, and has not failed either.

**Time.** Two limits, both in seconds of the loop, real or virtual: *idle*, no bytes in either direction, and
*stall*, the peer takes nothing of what we have for it, or less than the *least rate*. The timers are lazy: a
byte notes the time, and only a timer that fires looks whether it was needed. So they cost nothing per packet;
and for idling all streams of one server share a timer (`watch`), so that it costs next to nothing per
connection. While we do not read, because the component has enough to do, nobody is idle. Besides there are
*total*, for the whole of a connection, and the *receive rate*: a peer that sends faster is not read from for
a while, which it notices as it would notice a slow network.

**Instructions.** Among the bytes that go out may be messages that tell the connection to do something
(`instructions`): the outlet stops at one, `Stream.follow` has it carried out when everything before it has
been written, and goes on with a new outlet.

What does not belong here: who makes connections, how many, and what becomes of failures (`server`, `client`).
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from typing import Any, cast

from kamaelia.axon import (
    Hold,
    Inbox,
    LocalProtocolError,
    Outbox,
    RemoteProtocolError,
    Signal,
    core,
    select,
)
from kamaelia.axon.outlet import check_bytes

from .instructions import Instruction, StartTLS
from .kernel import duplicate, not_arrived, reset_at_close
from .tls.settings import ClientTLS, client_context, server_context
from .tls.transport import TLSTransport
from .watch import Watch

STALL_CHECKS = 4  # looks per stall time-out whether the peer has taken anything
CHUNK = 64 * 1024  # bytes: what one message of a stream is expected to be at most
PATIENCE = 1.0  # seconds that a peer may let pass without taking anything of a stream that is to be broken
BLIND_PATIENCE = 0.2  # seconds, where it cannot be known what the peer has taken
LONGEST_LOOK = 0.05  # seconds between two looks
SENDFILE = 64 * 1024  # bytes of a file for which it pays not to read them
FILE_PIECE = 256 * 1024  # bytes of a file that are read at a time
MOMENT = 0.05  # seconds that a peer's program has to read what has arrived, before there is a reset as well


class Stream(asyncio.Protocol):
    """One connection, as an asyncio protocol on one side and for components on the other.

    Whoever uses it derives a class, and is told by `on_made`, `on_deaf` and `on_lost`. To be made on the
    loop's thread.

    Arguments:
        watch: the time limits, and a timer for them, which many streams may share
        half_close: the peer's end of stream leaves our half open; otherwise it ends the connection
    """

    __slots__ = (
        "__weakref__",
        "_changed",
        "_early",
        "_expiry",
        "_inlet",
        "_left_over",
        "_left_seen",
        "_outlet",
        "_pace",
        "_paced_until",
        "_reading",
        "_sink",
        "_stall",
        "_started",
        "_transport",
        "_unwanted",
        "_writable",
        "_written",
        "_written_at",
        "deadline",
        "deaf",
        "failure",
        "half_close",
        "lost",
        "peer_ended",
        "trouble",
        "unread",
        "watch",
    )

    server = False
    """This is the side that has listened."""
    server_name: str | None = None
    """Of the server, for a client: for certificates."""

    def __init__(self, watch: Watch, *, half_close: bool = True) -> None:
        self.watch = watch
        self.half_close = half_close
        self.unread = 0
        """Of the bytes received, how many nobody was there to read."""
        self.peer_ended = False
        """The peer has said that it will send nothing more."""
        self.deaf = False
        """Nothing more goes into the sink: the peer has ended, the connection is lost, or we want no more."""
        self.lost = False
        """There is no connection any more."""
        self.failure: Exception | None = None
        """Why it is lost, if that was not agreed."""
        self.trouble: str | None = None
        """What kind of failure that was: ``"idle"``, ``"stalled"``, ``"expired"`` or ``"broken"``."""
        self.deadline = 0.0
        """When the watch is to look at it again."""
        self._inlet: Any = core.Inlet(self, watch.clock)
        self._outlet: core.Outlet | None = None
        self._changed: Signal | None = None
        self._transport: asyncio.Transport | None = None
        self._sink: Hold[bytes] | Outbox[bytes] | None = None
        self._started = False  # somebody reads
        self._early: list[bytes] | None = None  # what came before
        self._unwanted = False  # `stop_reading` has been called
        self._reading = False  # as far as we are concerned
        self._written = 0  # bytes handed to the transport by `write`
        self._written_at = 0.0  # when that was last done, or it was all taken
        self._left_over = 0  # of what was written, how much the transport still had when we closed it
        self._left_seen = 0  # how much the transport had when that was last looked at
        self._writable = True  # the transport has room
        self._stall: _Stall | None = None  # once the transport had no room
        self._expiry: asyncio.TimerHandle | None = None
        self._paced_until = 0.0  # if it is paced: when the peer may be read from again
        self._pace: asyncio.TimerHandle | None = None  # reads on then

    def on_made(self) -> None:
        """There is a connection; the stream reads nothing until `start`."""

    def on_deaf(self, failure: Exception | None) -> None:
        """After `start`, once: nothing more will go into the sink, with the failure if it is one."""

    def on_lost(self) -> None:
        """After `start`, once: the connection is over."""

    # -- for components ---------------------------------------------------------------------------

    @property
    def transport(self) -> asyncio.Transport:
        """The transport, from `on_made` on."""
        assert self._transport is not None, "the stream has no connection yet"
        return self._transport

    @property
    def changed(self) -> Signal:
        """Set whenever one of the attributes has changed, or there is room to write again."""
        if self._changed is None:
            self._changed = Signal("hear from its connection")
        return self._changed

    def tell(self) -> None:
        """Set `changed`."""
        if self._changed is not None:
            self._changed.set()

    @property
    def connected(self) -> bool:
        """Whether there is a connection."""
        return self._transport is not None and not self.lost

    def start(self, sink: Hold[bytes] | Outbox[bytes] | None) -> None:
        """Begin to read. Received bytes go into the sink; with None they are discarded and counted."""
        self._started = True
        self._sink = sink
        early, self._early = self._early, None
        for data in early or ():
            self._give(data)
        if not self._unwanted and sink is not None:
            self._inlet.box = sink.outbox if isinstance(sink, Hold) else sink
        if self.deaf:
            self.on_deaf(self.failure)
        if self.lost:
            if self._outlet is not None:
                self._outlet.close()
            self.on_lost()
        if not self.deaf:
            if self._has_room:
                self._read_on()
            else:
                self.sink_full()

    def lead_out(self, inbox: Inbox[bytes]) -> None:
        """Give what arrives in an inbox to the transport, until `outlet_ended` or `outlet_failed`."""
        self._outlet = core.Outlet(inbox, self.transport, self, self.watch.clock)
        if not self._writable:
            self._outlet.pause()

    def lead_on(self, inbox: Inbox[bytes]) -> None:
        """Do so again after an instruction: there may be something already, if only the end."""
        self.lead_out(inbox)
        assert self._outlet is not None
        if self._writable:
            self._outlet.pause()
            self._outlet.resume()

    def write(self, data: bytes) -> None:
        """Hand bytes to the transport; then, unless `writable`, `flush` before the next."""
        check_bytes(data)
        if self.lost:
            return
        self._written += len(data)
        self._written_at = self.watch.clock()
        self.transport.write(data)

    @property
    def bytes_in(self) -> int:
        """Bytes received."""
        amount: int = self._inlet.amount
        return amount

    @property
    def bytes_out(self) -> int:
        """Bytes that the operating system has taken.

        Of a connection that the peer or the network breaks, also those that the transport still had: it does
        not tell.
        """
        waiting = self.transport.get_write_buffer_size() if self.connected else 0
        return self._all_written - (self._left_over or waiting)

    @property
    def peer_gone(self) -> bool:
        """Whether nothing more can come from the peer."""
        return self.peer_ended or self.lost

    @property
    def writable(self) -> bool:
        """Whether the operating system has taken everything written so far."""
        return self._writable

    async def flush(self) -> None:
        """Wait until the operating system has taken everything written so far, or the connection is lost."""
        while not self._writable and not self.lost:
            await self.changed

    async def write_from(self, outgoing: Inbox[bytes], news: Inbox[str]) -> bytes | None:
        """Write what arrives in one inbox until that has ended or the connection is lost.

        ``news`` is woken up by when the connection is lost: have ``on_lost`` send something there. Returns a
        message that was taken and could not be written, if there is one. Raises `SourceFailed` when what fed
        ``outgoing`` has failed.
        """
        async for box, message in select(outgoing, news, until=outgoing):
            if self.lost or self.transport.is_closing():
                while not self.lost:  # the loop is about to say so
                    await self.changed
                return message if box is outgoing else None
            if box is outgoing:
                if isinstance(message, Instruction):
                    await self.follow(message)
                    continue
                self.write(message)
                if not self._writable:
                    await self.flush()
        return None

    async def follow(self, instruction: Instruction) -> None:
        """Carry out an instruction, when everything before it has been written.

        What goes wrong with the connection breaks it; what is wrong with the instruction is raised.
        """
        instruction.prepare(self)
        self._count_outlet()
        await self.flush()
        if self.connected and not self.transport.is_closing():
            await instruction.carry_out(self)

    def has_unread(self) -> bool:
        """Say whether something that the peer has sent waits to be read by somebody; see `StartTLS`."""
        return False

    def read_no_more(self) -> None:
        """Have the transport wait with what comes."""
        self._reading = False
        if self.connected and not self.transport.is_closing():
            self.transport.pause_reading()  # also if we have not begun to read: uvloop does it unasked

    async def start_tls(self, tls: Any) -> None:
        """Protect the connection from here on; see `StartTLS`."""
        StartTLS(tls).check(server=self.server)
        if self.transport.get_extra_info("tls") is not None:
            raise LocalProtocolError("StartTLS: the connection is protected already")
        if self.has_unread():
            self.break_off(
                RemoteProtocolError("the peer has sent something behind its last words before StartTLS"),
                "broken",
            )
            return
        name = None
        if self.server:
            context = server_context(tls, self.watch.clock())
        else:
            context = client_context(tls)
            name = (tls.server_name if isinstance(tls, ClientTLS) else None) or self.server_name
        secured: list[bool] = []

        def opened() -> None:
            over.pause_reading()  # what came with the handshake's end waits until there is room for it
            secured.append(True)
            self.tell()

        def failed(error: Exception) -> None:
            self.failure, self.trouble = error, "broken"

        below = self.transport
        over = TLSTransport(
            context, self, server=self.server, server_name=name, on_open=opened, on_failure=failed, live=True
        )
        limit = self.watch.handshake_timeout
        late = TimeoutError(f"no handshake within {limit:g} s")
        timer = self.watch.call_later(limit, lambda: self.break_off(late, "broken"))
        self._transport = over
        try:
            over.take_over(below)
            while not secured and not self.lost:
                await self.changed
        finally:
            timer.cancel()
        if not (self.lost or self.deaf) and self._has_room:
            self._read_on()

    async def send_file(self, file: int, offset: int, count: int) -> None:
        """Send a part of a file, by its number; see `SendFile`. Raises `OSError` when it cannot be read."""
        if count >= SENDFILE and self.transport.get_extra_info("tls") is None:
            out = duplicate(self.transport)
            if out is not None:
                try:
                    await self._copy_file(out, file, offset, count)
                finally:
                    os.close(out)
                return
        loop = asyncio.get_running_loop()
        while count and self.connected and not self.transport.is_closing():
            # In a thread, since disks are slow at times.
            data = await loop.run_in_executor(None, os.pread, file, min(count, FILE_PIECE), offset)
            if not data:
                raise _shrunk(count)
            self.write(data)
            offset, count = offset + len(data), count - len(data)
            await self.flush()

    async def _copy_file(self, out: int, file: int, offset: int, count: int) -> None:
        """Have the operating system copy from a file to the connection, as fast as the peer takes it.

        The loop calls back whenever there is room, and then a piece is copied: so others have their turn
        after each, and no component is stepped for it.
        """
        loop, clock, limit = asyncio.get_running_loop(), self.watch.clock, self.watch.stall_timeout
        failure: OSError | None = None
        timer: asyncio.TimerHandle | None = None

        def copy() -> None:
            nonlocal offset, count, failure
            try:
                sent = os.sendfile(out, file, offset, min(count, FILE_PIECE))
                if not sent:
                    raise _shrunk(count)
            except BlockingIOError:
                return
            except OSError as error:
                failure = error
            else:
                offset, count = offset + sent, count - sent
                self._written += sent
                self._written_at = clock()
            if failure is not None or not count:
                loop.remove_writer(out)
                self.tell()

        def look(before: int) -> None:
            nonlocal timer
            assert limit is not None
            if self._written - before < self._least_taken(limit):
                self._give_up_stalled()
            else:
                timer = self.watch.call_later(limit, look, self._written)

        self._written_at = clock()
        loop.add_writer(out, copy)
        if limit is not None:
            timer = self.watch.call_later(limit, look, self._written)
        try:
            while count and failure is None and self.connected and not self.transport.is_closing():
                await self.changed
        finally:
            loop.remove_writer(out)
            if timer is not None:
                timer.cancel()
        if isinstance(failure, ConnectionError):
            self.break_off(failure, "broken")
        elif failure is not None:
            raise failure

    async def finish(
        self,
        linger: float,
        nobody_reads: Callable[[], bool],
        has_failed: Callable[[], bool] = lambda: False,
    ) -> None:
        """Everything has been written: end our half, wait for the peer's, and close.

        Arguments:
            linger: seconds to wait for the peer's end once nobody reads what it sends
            nobody_reads: says whether that is so; `changed` is set when it becomes so
            has_failed: says whether who was to read has failed, so that the connection breaks
        """
        await self.flush()
        if not self.lost and not self.peer_ended and self.transport.can_write_eof():
            try:
                self.transport.write_eof()
            except OSError as error:
                # The peer has reset the connection, and the loop has not told us yet. What came before that
                # is still to be read, so we go on as if we had only heard of the end.
                self.failure, self.trouble = _as_reset(error), "broken"
            while not self.peer_gone and not nobody_reads():
                await self.changed
            if self.failure is not None or has_failed():
                await self.abort()
            elif not self.peer_gone:
                self.stop_reading()
                self._read_on()  # and discard
                timer = self.watch.call_later(linger, self.transport.close)
                try:
                    while not self.peer_gone:
                        await self.changed
                finally:
                    timer.cancel()
        if self.connected:
            self.transport.close()
        while not self.lost:
            await self.changed

    async def deliver(self) -> None:
        """Wait until everything written so far has arrived at the peer, or the peer takes no more of it."""
        await self.flush()
        pause, before, since = 0.001, -1, self.watch.clock()
        while not self.lost and not self.transport.is_closing():
            left = not_arrived(self.transport)
            if left == 0:
                if self._all_written:
                    await asyncio.sleep(MOMENT)
                return
            now = self.watch.clock()
            if left is not None and left != before:
                before, since = left, now
            if now - since >= (BLIND_PATIENCE if left is None else PATIENCE):
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_LOOK)

    async def abort(self) -> None:
        """Break the connection: the peer gets a reset. Nothing happens if the connection is over.

        What has not arrived yet may be lost, see `deliver`.
        """
        if self.connected:
            self.reset()
            while not self.lost:
                await self.changed

    async def leave(self) -> None:
        """Close at once, whatever was not written yet; nothing happens if the connection is over."""
        if self.connected:
            self._throw_away()
            while not self.lost:
                await self.changed

    def reset(self) -> None:
        """Begin to break the connection."""
        reset_at_close(self.transport)
        self._throw_away()

    def stop_reading(self) -> None:
        """Take nothing more from the peer."""
        if not self.deaf:
            self._unwanted = True
            self._inlet.box = None
            self._become_deaf(None)
            self.read_no_more()

    def break_off(self, error: Exception, trouble: str) -> None:
        """Give the connection up because of a failure, or because it does not end after one."""
        if self.connected:
            if self.failure is None:
                self.failure, self.trouble = error, trouble
            self.reset()

    # -- for the transport ------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        transport = cast(asyncio.Transport, transport)  # uvloop's is one only by what it can do
        self._transport = transport
        self._inlet.active = self.watch.clock()
        transport.set_write_buffer_limits(high=0)
        transport.pause_reading()  # until somebody is there to read; uvloop begins to read all the same
        self.watch.add(self)
        if self.watch.total_timeout is not None:
            self._expiry = self.watch.call_later(self.watch.total_timeout, self._expire)
        self.on_made()

    @property
    def data_received(self) -> Callable[[bytes], None]:
        """See asyncio: what takes received bytes."""
        return self._inlet.data_received if self.watch.receive_rate is None else self._receive_paced

    def eof_received(self) -> bool:
        """See asyncio; True keeps our half open."""
        self.peer_ended = True
        self._become_deaf(None)
        self.tell()
        return self.half_close and self.transport.can_write_eof()

    def pause_writing(self) -> None:
        """See asyncio."""
        self._writable = False
        if self._outlet is not None:
            self._outlet.pause()
        if self.watch.stall_timeout is not None:
            if self._stall is None:
                self._stall = _Stall()
            if self._stall.timer is None:
                self._stall.since, self._stall.taken = self.watch.clock(), self.bytes_out
                self._watch_stall(self._stall, self.watch.stall_timeout)

    def resume_writing(self) -> None:
        """See asyncio."""
        self._writable = True
        self._written_at = self.watch.clock()
        if self._outlet is not None:
            self._outlet.resume()
        self.tell()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self.lost = True
        if self.failure is None and exc is not None:
            self.failure, self.trouble = _as_reset(exc), "broken"
        self.watch.remove(self)
        for timer in (self._expiry, self._pace):
            if timer is not None:
                timer.cancel()
        if self._stall is not None and self._stall.timer is not None:
            self._stall.timer.cancel()
        self._become_deaf(self.failure)  # first: who reads is to hear why, before that nobody reads it
        if self._outlet is not None:
            self._outlet.close()
        self.tell()
        if self._started:
            self.on_lost()

    # -- for the inlet and the outlet ---------------------------------------------------------------

    def not_taken(self, data: bytes) -> None:
        """See `kamaelia.axon.outlet.Listener`."""
        if self._started:
            self.unread += len(data)
        else:
            if self._early is None:
                self._early = []
            self._early.append(data)
            self.transport.pause_reading()

    def sink_full(self) -> None:
        """See `kamaelia.axon.outlet.Listener`."""
        assert self._sink is not None
        self.read_no_more()
        self._sink.when_ready(self._read_on)

    def outlet_ended(self, failure: BaseException | None) -> None:
        """See `kamaelia.axon.outlet.Listener`."""

    def outlet_failed(self, message: Any, error: Exception) -> None:
        """See `kamaelia.axon.outlet.Listener`."""

    # -- machinery --------------------------------------------------------------------------------

    @property
    def _all_written(self) -> int:
        return self._written + (self._outlet.amount if self._outlet is not None else 0)

    def _give(self, data: bytes) -> None:
        sink = self._sink
        if sink is None or sink.lost or self._unwanted:
            self.unread += len(data)
            return
        sink.send(data)

    def _count_outlet(self) -> None:
        """Keep what an outlet that has stopped has written."""
        if self._outlet is not None:
            self._written += self._outlet.amount
            self._written_at = max(self._written_at, self._outlet.active)
            self._outlet = None

    def _receive_paced(self, data: bytes) -> None:
        """Take what has come, and read nothing more until it may have come at the rate that is allowed."""
        rate = self.watch.receive_rate
        assert rate is not None
        self._inlet.data_received(data)
        self._paced_until = max(self.watch.clock(), self._paced_until) + len(data) / rate
        if self._reading:
            self.read_no_more()
            self._read_on()

    def _expire(self) -> None:
        """The time for the whole of the connection is over."""
        limit = self.watch.total_timeout
        self.break_off(TimeoutError(f"the connection has lasted {limit:g} s, and may not longer"), "expired")

    def _throw_away(self) -> None:
        """Have the transport close without what it still has to send."""
        self._left_over = self._left_over or self.transport.get_write_buffer_size()
        self.transport.abort()

    def _become_deaf(self, failure: Exception | None) -> None:
        if not self.deaf:
            self.deaf = True
            if self._started:
                self.on_deaf(failure)

    def _read_on(self) -> None:
        """Read on; if the peer has been too fast, when the time has come and there is room."""
        if self._reading or not self.connected or self.transport.is_closing():
            return
        now = self.watch.clock()
        if self._paced_until > now:
            if self._pace is None:
                self._pace = self.watch.call_later(self._paced_until - now, self._pace_over)
            return
        self._reading = True
        self._inlet.active = now  # the time in which we did not read was not the peer's
        self.transport.resume_reading()

    def _pace_over(self) -> None:
        self._pace = None
        if self.deaf or self._has_room:  # otherwise the sink calls when it has
            self._read_on()

    @property
    def _has_room(self) -> bool:
        return self._sink is None or not self._sink.full

    def __lt__(self, other: Stream) -> bool:
        """Which of the two its watch has to look at first."""
        return self.deadline < other.deadline

    # -- time limits --------------------------------------------------------------------------------

    @property
    def active(self) -> float:
        """When a byte last moved, in either direction. While we do not read, the peer can't be blamed for its
        silence."""
        now = self.watch.clock()
        if not (self._reading or self.deaf):
            return now
        if not self._writable and self.connected:
            # What has moved of a large message only shows in what is left of it.
            left = self.transport.get_write_buffer_size()
            if left != self._left_seen:
                self._left_seen = left
                return now
        latest: float = max(self._inlet.active, self._written_at)
        return latest if self._outlet is None else max(latest, self._outlet.active)

    def _watch_stall(self, stall: _Stall, limit: float) -> None:
        stall.timer = self.watch.call_later(limit / STALL_CHECKS, lambda: self._check_stall(stall, limit))

    def _give_up_stalled(self) -> None:
        limit = self.watch.stall_timeout
        rate = self.watch.least_rate
        what = "nothing" if rate is None else f"less than {rate:g} B/s"
        error = TimeoutError(f"the peer has taken {what} of what was written for {limit:g} s")
        self.break_off(error, "stalled")

    def _check_stall(self, stall: _Stall, limit: float) -> None:
        stall.timer = None
        if self._writable or self.lost:
            return
        now, taken = self.watch.clock(), self.bytes_out
        if taken - stall.taken >= self._least_taken(limit):
            stall.taken, stall.since = taken, now
        if now - stall.since >= limit:
            self._give_up_stalled()
        else:
            self._watch_stall(stall, limit)

    def _least_taken(self, limit: float) -> float:
        """Return how many bytes the peer has to take within the time after which it has stalled."""
        return max(1.0, (self.watch.least_rate or 0.0) * limit)


class _Stall:
    """What is kept of a stream whose transport once had no room."""

    __slots__ = ("since", "taken", "timer")

    def __init__(self) -> None:
        self.since = 0.0  # when the peer had last taken enough
        self.taken = 0  # how many bytes it had then
        self.timer: asyncio.TimerHandle | None = None


def _shrunk(missing: int) -> OSError:
    return OSError(errno.EIO, f"the file has become shorter: {missing} bytes are missing")


def _as_reset(error: Exception) -> Exception:
    """Return an error of a connection by its proper name.

    A socket that has been reset says "not connected" to whoever ends its half before reading of the reset.
    """
    if isinstance(error, OSError) and error.errno == errno.ENOTCONN:
        reset = ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
        reset.__cause__ = error
        return reset
    return error
