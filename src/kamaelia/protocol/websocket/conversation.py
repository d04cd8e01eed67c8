"""One connection that speaks WebSocket, whichever side it is: bytes of the wire here, messages there.

Theory
------
::

    wire --> Reader --> whoever the messages are for
               |
    wire <-----+
    wire <-- Writer <-- whoever sends some

`Reader` reads the wire, `Writer` what is to be sent, and both use one machine: so each has one thing to wait
for, and holds back who feeds it. A slow taker of messages stops the reading of the wire, a slow peer the
taking of messages. What the machine answers by itself (the handshake, a pong) is sent by the reader, before
the messages of the same chunk are given on.

**The end.** When what is to be sent has ended, the writer says "close", and the reader goes on until the
peer's close has come. A peer that closes in a good way ends the messages; then what is still sent in answer
goes out, and our own close is behind it. So each half ends by itself, as with TCP, but for a time only. With
a code that tells of an error, or with no close at all, the peer breaks the messages (rule 3): who reads them
is not to take a half for the whole. At a stop of the system the messages end, what is sent in answer goes
out, and then "going away".

**Time.** One deadline stands around the reader: for the handshake, for the other's close, and for the answer
to a ping. A ping is sent when the peer has been silent for a while. Whether we were too slow to read is
known: then something waits in our inbox, or we are busy with what we had from there, and that is a sign of
life.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kamaelia.axon import (
    BrokenLink,
    ClosedBox,
    Component,
    Inbox,
    LocalProtocolError,
    Outbox,
    RemoteProtocolError,
    SourceFailed,
    postman,
    random,
    sleep,
)
from kamaelia.axon.errors import shorten
from kamaelia.axon.queue import parse_size
from kamaelia.net.arguments import check_limit, check_size
from kamaelia.net.errors import ConnectionLost

from .machine import (
    ENTROPY,
    FAILED,
    GOING_AWAY,
    GOOD_ENDS,
    NO_CLOSE,
    NORMAL,
    UNSUPPORTED,
    Closed,
    Event,
    Machine,
    Opened,
    Pong,
    Refused,
)

log = logging.getLogger("kamaelia")

TURNS = 10  # steps that others get then


@dataclass(frozen=True)
class WebSocketStatistics:
    """What a connection has done, or several have; see `WebSocketProtocol.statistics`."""

    open: int
    """Connections whose handshake is done, and that are not over."""
    opened: int
    """Connections whose handshake was done."""
    messages_in: int
    """Messages that have come."""
    messages_out: int
    """Messages that were sent."""
    pings: int
    """How often a peer was asked whether it is there."""
    latency: float | None
    """Seconds that the last answer to that took; None before there was one."""
    refused: int
    """Handshakes that were refused, or not done in time."""
    failed: int
    """Handlers that have failed."""
    closed: Mapping[int, int]
    """Connections that are over, by the code with which the peer has closed, or we because it broke a rule;
    1006 for those without a close."""


class Counts:
    """What is counted; see `WebSocketStatistics`."""

    __slots__ = ("closed", "failed", "latency", "messages_in", "messages_out", "opened", "pings", "refused")

    def __init__(self) -> None:
        self.messages_in = self.messages_out = self.pings = 0
        self.opened = self.refused = self.failed = 0
        self.latency: float | None = None
        self.closed: Counter[int] = Counter()

    def statistics(self) -> WebSocketStatistics:
        """Return all of it as it is now."""
        closed = dict(self.closed.copy())
        return WebSocketStatistics(
            open=self.opened - sum(closed.values()),
            opened=self.opened,
            messages_in=self.messages_in,
            messages_out=self.messages_out,
            pings=self.pings,
            latency=self.latency,
            refused=self.refused,
            failed=self.failed,
            closed=closed,
        )


@dataclass(frozen=True)
class Settings:
    """What server and client have in common; they say what each means."""

    compression: bool = True
    message_limit: int | str = "1 MiB"
    ping_interval: float | None = 20.0
    ping_timeout: float = 20.0
    open_timeout: float = 10.0
    close_timeout: float = 10.0
    text: bool = False

    def check(self, where: str) -> int:
        """Raise `TypeError` or `ValueError` for what cannot be meant; return the limit in bytes."""
        check_size(self.message_limit, f"{where}(message_limit=...)")
        if self.ping_interval is not None:
            check_limit(self.ping_interval, f"{where}(ping_interval=...)", ", or None for no pings")
        check_limit(self.ping_timeout, f"{where}(ping_timeout=...)")
        check_limit(self.open_timeout, f"{where}(open_timeout=...)")
        check_limit(self.close_timeout, f"{where}(close_timeout=...)")
        return parse_size(self.message_limit, "message_limit")[0]


class Conversation(Component):
    """One connection: see the theory above, and `WebSocketProtocol` and `WebSocketClient`.

    Arguments:
        settings: see there
        counts: where to count, if that is not for this connection alone
    """

    inbox = Inbox[bytes]("bytes from the wire")
    outbox = Outbox[bytes]("bytes for the wire")

    takes_text = True
    """Whoever the messages are for takes text."""
    takes_bytes = True
    """And bytes."""

    def __init__(self, settings: Settings, counts: Counts | None = None) -> None:
        self.settings = settings
        self.machine: Machine | None = None
        """Once there is one."""
        self.counts = Counts() if counts is None else counts
        self.reader = self.make_reader()
        """What reads the wire."""
        self.add(self.reader, name="reader")
        self.link(self.inbox, self.reader.inbox)
        self.link(self.reader.outbox, self.outbox)

    def statistics(self) -> WebSocketStatistics:
        """Return what the connection has done so far; may be called from any thread."""
        return self.counts.statistics()

    # -- what server and client do in their own ways ------------------------------------------------

    def make_machine(self) -> Machine:
        """Make the machine."""
        raise NotImplementedError

    def make_reader(self) -> Reader:
        """Make what reads the wire."""
        return Reader(self)

    def opened(self, opened: Opened, writer: Writer) -> None:
        """The handshake is done: link who takes the messages, and who sends some to the writer."""
        raise NotImplementedError

    def refused(self, refused: Refused) -> None:
        """There will be no connection; raises an error where that is a failure."""
        raise NotImplementedError

    def too_slow(self, machine: Machine) -> None:
        """The handshake takes too long; raises an error where that is a failure."""
        raise NotImplementedError

    async def may_answer(self) -> bool:
        """Say whether whoever sends messages may have some more now that the peer has finished."""
        raise NotImplementedError

    def lost(self, error: Exception) -> Exception | None:
        """The peer has not ended well; returns the error where that is a failure."""
        return None

    def unsendable(self, error: Exception) -> None:
        """Something was to be sent that cannot be; raises the error where that is a failure."""
        raise NotImplementedError


class Reader(Component):
    """Reads the wire, and answers what the machine answers by itself."""

    inbox = Inbox[bytes]("bytes from the wire")
    outbox = Outbox[bytes]("what the connection itself has to say")
    # Optional, for the taker may end before the peer has closed.
    messages = Outbox[Any]("messages that have come", optional=True)

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._settings = conversation.settings
        self._machine: Machine  # from its first step on
        self._deadline: asyncio.Timeout | None = None  # while it reads
        self._trouble: Exception | None = None  # why the deadline has come, if it is not just the time
        self._code = NO_CLOSE  # how the peer has closed
        self._failure: Exception | None = None  # with which to end, when the rest has been done
        self._writer: Writer | None = None
        self._keepalive: asyncio.TimerHandle | None = None
        self._heard = 0.0  # when something came last
        self._is_busy = False  # with that
        self._pings = 0  # that were sent
        self._pinged: float | None = None  # when, and it has not been answered

    async def main(self) -> None:
        """Read until both sides have closed."""
        conversation = self._conversation
        machine = self._machine = conversation.machine = conversation.machine or conversation.make_machine()
        self._deadline = deadline = asyncio.timeout(self._settings.open_timeout)
        try:
            async with deadline:
                await self._read(machine)
        except TimeoutError:
            if not deadline.expired():
                raise
            self._dismiss_writer()
            if self._trouble is not None:
                self._break(self._trouble)
            elif machine.opened is None:
                conversation.counts.refused += 1
                conversation.too_slow(machine)
            if answer := self._last_words(machine):
                self.outbox.send(answer)  # and if the peer does not take it, that is how it is
        except SourceFailed:
            self._dismiss_writer()
            if machine.opened is None or machine.closed is None:
                raise
        except BrokenLink:
            self._dismiss_writer()
            self.messages.close(ConnectionLost(f"{conversation.path}: the connection was lost"))
            raise
        finally:
            self._deadline = None
            if self._keepalive is not None:
                self._keepalive.cancel()
            if machine.opened is not None:
                conversation.counts.closed[self._code] += 1
        if self._failure is not None:
            raise self._failure

    async def _read(self, machine: Machine) -> None:
        conversation, counts = self._conversation, self._conversation.counts
        if machine.opened is not None:  # by another, which had the request
            self._begin(machine.opened)
        elif first := machine.to_send():
            await self.outbox.send(first)
        send, now = self.messages.send, self.system.loop.time
        async for data in self.inbox:
            self._heard, self._is_busy = now(), True
            while True:
                events = machine.receive(data)
                if answer := machine.to_send():
                    await self.outbox.send(answer)
                for event in events:
                    if type(event) is str or (type(event) is bytes and conversation.takes_bytes):
                        counts.messages_in += 1
                        await send(event)
                    elif type(event) is bytes:
                        return await self._refuse_bytes()
                    else:
                        await self._happened(event)
                if machine.finished:
                    return
                if not machine.has_more:
                    break
                data = b""
            self._is_busy = False
        if machine.closed is not None:
            self._dismiss_writer()  # the peer has not waited for what it has to say
        elif machine.refused is None and not self.system.stopping:
            for event in machine.receive_end():
                await self._happened(event)

    def _last_words(self, machine: Machine) -> bytes:
        """Return what is to be sent when there is no more time."""
        if machine.opened is None:
            return machine.to_send()
        return machine.close(FAILED if self._trouble is not None else NORMAL)

    async def _refuse_bytes(self) -> None:
        why = "bytes have come, where text is wanted"
        await self._ended(Closed(UNSUPPORTED, why, RemoteProtocolError(why)), UNSUPPORTED, why)

    async def _happened(self, event: Event) -> None:
        if isinstance(event, Opened):
            self._begin(event)
        elif isinstance(event, Pong):
            if self._pinged is not None and event.payload == self._ping_payload():
                self._conversation.counts.latency, self._pinged = self._heard - self._pinged, None
        elif isinstance(event, Closed):
            await self._ended(event)
        elif isinstance(event, Refused):
            self._conversation.counts.refused += 1
            self._conversation.refused(event)

    def _begin(self, opened: Opened) -> None:
        assert self._deadline is not None
        self._deadline.reschedule(None)
        self._conversation.counts.opened += 1
        self._writer = Writer(self._conversation)
        self._conversation.add(self._writer, name="writer")
        self.link(self._writer.outbox, self._conversation.outbox)
        self._conversation.opened(opened, self._writer)
        self._heard = self.system.loop.time()
        if self._settings.ping_interval is not None:
            self._look_after(self._settings.ping_interval)

    async def _ended(self, closed: Closed, code: int = NORMAL, reason: str = "") -> None:
        """The peer will send nothing more; close with this code, unless it has said already how it ends."""
        path, machine = self._conversation.path, self._machine
        good = closed.code in GOOD_ENDS or (closed.code == NO_CLOSE and machine.has_closed)
        if closed.error is not None:
            await let_others_act()
        if not good or machine.closing or not await self._conversation.may_answer():
            self._dismiss_writer()
            if answer := machine.close(code, reason):
                self.outbox.send(answer)
        self._code = closed.code
        self.expect_end()
        if good:
            self.messages.close()
        elif closed.error is not None:
            log.warning("%s: %s", path, closed.error)
            self._break(closed.error)
        elif closed.code == NO_CLOSE:
            self._break(ConnectionLost(f"{path}: the peer has ended the stream without a close"))
        else:
            said = f": {shorten(closed.reason)}" if closed.reason else ""
            self._break(ConnectionLost(f"{path}: the peer has closed with code {closed.code}{said}"))

    def _break(self, error: Exception) -> None:
        self.messages.close(error)
        self._failure = self._conversation.lost(error)

    def _dismiss_writer(self) -> None:
        """The peer takes nothing more: who sends to the writer learns that nobody listens."""
        if self._writer is not None:
            self._writer.dismissed = True
            self._writer.cancel()

    def expect_end(self) -> None:
        """Our close has been sent, or the peer's has come: the other has to follow soon."""
        if self._machine.finished:
            self._set_deadline(0)
        elif self._deadline is not None and self._deadline.when() is None:
            self._set_deadline(self._settings.close_timeout)

    def _set_deadline(self, seconds: float) -> None:
        if self._deadline is not None and not self._deadline.expired():
            self._deadline.reschedule(self.system.loop.time() + seconds)

    # -- keeping it alive ---------------------------------------------------------------------------

    def _look_after(self, delay: float) -> None:
        self._keepalive = self.system.loop.call_later(delay, self._look, context=contextvars.Context())

    def _look(self) -> None:
        """Send a ping if the peer has been silent for long; give it up if it has not answered one."""
        interval, machine = self._settings.ping_interval, self._machine
        if interval is None or machine.closing or machine.closed is not None:
            return
        now = self.system.loop.time()
        if self._is_busy or self.inbox.statistics().waiting:
            self._heard = now  # it is we who are slow
        if self._pinged is not None and self._heard < self._pinged:
            limit, path = self._settings.ping_timeout, self._conversation.path
            self._trouble = TimeoutError(f"{path}: the peer has not answered a ping within {limit:g} s")
            self._set_deadline(0)
            return
        silent = now - self._heard
        if silent >= interval and not self.outbox.full:
            try:
                self.outbox.send(machine.ping(str(self._pings + 1).encode()))
            except (BrokenLink, ClosedBox):
                return  # the wire has gone in this moment, as `main` is about to hear
            self._conversation.counts.pings += 1
            self._pings += 1
            self._pinged = now
            self._look_after(self._settings.ping_timeout)
        else:
            self._look_after(max(interval - silent, interval / 10))

    def _ping_payload(self) -> bytes:
        return str(self._pings).encode()


class Writer(Component):
    """Sends what somebody wants to have sent to the peer."""

    inbox = Inbox[Any]("messages for the peer", size="192 KiB")
    outbox = Outbox[bytes]("frames for the wire")

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self.dismissed = False
        """The reader has seen to the end."""

    async def main(self) -> None:
        """Send each message, and at the end a close."""
        conversation = self._conversation
        machine = conversation.machine
        assert machine is not None
        text = machine.text
        data = machine.utf8 if conversation.settings.text else machine.data
        send = self.outbox.send
        counts, code = conversation.counts, FAILED
        try:
            async for message in self.inbox:
                if type(message) is bytes:
                    frame = data(message)
                elif isinstance(message, str):
                    frame = text(message)
                elif isinstance(message, (bytes, bytearray, memoryview)):
                    frame = data(bytes(message))
                else:
                    raise TypeError(
                        f"{conversation.path} sends text and bytes, and was given {shorten(message)} "
                        f"({type(message).__name__})"
                    )
                counts.messages_out += 1
                await send(frame)
            code = GOING_AWAY if self.system.stopping else NORMAL
        except SourceFailed:
            pass  # the peer is told by the code
        except (LocalProtocolError, TypeError) as error:
            if not machine.closing:  # else the peer has closed in this moment
                conversation.unsendable(error)
        finally:
            if not self.dismissed and (frame := machine.close(code)) and postman.has_reader(self.outbox):
                send(frame)
                conversation.reader.expect_end()


async def let_others_act() -> None:
    """Let what came just before the end be answered, if that is done at once."""
    for _ in range(TURNS):
        await sleep(0)


def chance() -> bytes:
    """Return bytes for the masks of a client, from the random stream of the component that asks."""
    return random.randbytes(ENTROPY)
