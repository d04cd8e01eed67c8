"""Datagrams: what the parts for UDP and multicast have in common. Start reading here.

Theory
------
A datagram is a message with both ends marked: one `sendto` there, one `datagram_received` here, or nothing at
all. So one message of a box is one datagram, and nothing has to be framed. What a stream does by waiting, a
datagram can only do by being dropped: asyncio's datagram transports cannot stop reading.

**In**: a `Port` is the asyncio protocol of one socket. It hands what comes to `Arrivals.take`, which puts it
into a box of the component's own, from within the loop's callback; the component passes it on at its
reader's pace. So a burst of datagrams costs one step of the component. When as much waits as the component
was told to keep (``size``), the newest is dropped, counted, and logged the first time. Before that there is
the kernel's own buffer (``SO_RCVBUF``), which the loop empties whenever it has its turn; what the kernel
drops because nobody came in time is in the statistics too where it tells (Linux).

**Out**: `Port.send` gives a message to the transport, at once. UDP is seldom full; where it is, the transport
keeps what the kernel did not take and says "pause", and the component waits, so that its inbox fills.

**Errors**: what a datagram met on its way does not concern the next one. So an error that the kernel reports
(nobody has the port, no way there, too long) is counted and logged once of each kind, and ends nothing,
unless the component was told otherwise. A socket that is connected to one address hears that nobody has the
port there; others never do. What an event loop closes a socket for is another thing: nothing goes through it
any more, so it is a failure of the component.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
from collections.abc import Callable
from dataclasses import dataclass
from socket import SO_RCVBUF, SOL_SOCKET
from typing import Any, NamedTuple, cast

from kamaelia.axon import Component, Hold, Inbox, Outbox, Signal, core, units
from kamaelia.axon.arguments import check_bytes
from kamaelia.axon.errors import shorten

from . import options
from .arguments import check_size, check_whole
from .errors import ConnectionLost
from .kernel import LARGEST_BUFFER
from .serving import reachable

log = logging.getLogger("kamaelia")

LONGEST = 65507  # bytes of data in a datagram: 65535 less the headers of IP and UDP
OVERHEAD = 64  # bytes: what a datagram that waits takes besides its data, about
SIZE = "256 KiB"  # that may wait for a reader


class Datagram(NamedTuple):
    """Data, and the address that it came from or is to go to, as asyncio gives it."""

    data: bytes
    address: Any


@dataclass(frozen=True)
class DatagramStatistics:
    """What has passed through sockets for datagrams; see `UDPReceiver.statistics` and its like."""

    received: int
    """Datagrams that have come."""
    dropped: int
    """Of those, dropped because the reader was slow, or nobody was there to read them any more."""
    missed: int | None
    """Datagrams that came besides, which the operating system dropped: its buffer was full. None where it
    does not tell; known on Linux."""
    sent: int
    """Datagrams given to the operating system."""
    unsent: int
    """Messages that cannot be a datagram (too long, or empty), or had no address that could be found."""
    errors: int
    """What the operating system reported of datagrams sent before: nobody has the port, no way there, ..."""
    bytes_in: int
    """Bytes of data received."""
    bytes_out: int
    """Bytes of data given to the operating system."""


def add_statistics(ports: list[Port], arrivals: Arrivals | None = None) -> DatagramStatistics:
    """Return the sum of what some sockets have done."""
    missed = [port.missed for port in ports]
    return DatagramStatistics(
        received=arrivals.received if arrivals is not None else 0,
        dropped=arrivals.dropped if arrivals is not None else 0,
        missed=None if None in missed else sum(cast("list[int]", missed)),
        sent=sum(port.sent for port in ports),
        unsent=sum(port.unsent for port in ports),
        errors=sum(port.errors for port in ports),
        bytes_in=arrivals.bytes if arrivals is not None else 0,
        bytes_out=sum(port.bytes_out for port in ports),
    )


class Once:
    """Logs the first of each kind of trouble that a component has."""

    __slots__ = ("_component", "_said")

    def __init__(self, component: Component) -> None:
        self._component = component
        self._said: dict[str, None] = {}

    def warn(self, kind: str, text: str) -> None:
        """Log what begins with the component's path, if nothing of that kind has been logged."""
        if kind not in self._said:
            self._said[kind] = None
            log.warning("%s %s", self._component.path, text)


class Arrivals:
    """What has come for a component and waits for it to be passed on.

    Arguments:
        component: whose arrivals they are
        box: its inbox for them; to be declared without a limit worth mentioning, see `ARRIVED`
        size: bytes that may wait
    """

    def __init__(self, component: Component, box: Inbox[Any], size: int | str, once: Once) -> None:
        self.received = self.dropped = self.bytes = 0
        self.waiting = 0  # bytes, with what each datagram takes besides
        self.hold: Hold[Any] = box.hold(outside=True)
        """Open while something may come; a stop of the system releases it."""
        self._limit = units.size(size, "size")
        self._send = self.hold.outbox.send
        self._once = once
        self._component = component

    def take(self, message: Any, length: int) -> None:
        """A datagram of so many bytes has come: put it into the box, or drop it."""
        self.received += 1
        self.bytes += length
        waiting = self.waiting + length + OVERHEAD
        if (waiting > self._limit and self.waiting) or self.hold.released:
            self.dropped += 1
            if not self.hold.released:
                self._once.warn(
                    "dropped",
                    f"drops what comes: {self.waiting} bytes wait for a slow reader, and size= allows "
                    f"{self._limit}",
                )
            return
        self.waiting = waiting
        self._send(message)

    def passed(self, length: int) -> None:
        """A datagram has been taken out of the box."""
        self.waiting -= length + OVERHEAD


ARRIVED = 1_000_000_000
"""Messages: the mark of a box for arrivals, which count bytes by themselves."""


class Port(asyncio.DatagramProtocol):
    """One socket for datagrams, as an asyncio protocol. To be made on the loop's thread, then `open`.

    Arguments:
        component: whose socket it is
        once: what logs
        receive: called with data and address for each datagram; without it they are thrown away
        on_error: called with each error that the operating system reports; without it they are logged
        on_failure: called when the loop has closed the socket because of an error
    """

    def __init__(
        self,
        component: Component,
        once: Once,
        receive: Callable[[bytes, Any], None] | None = None,
        *,
        on_error: Callable[[Exception], object] | None = None,
        on_failure: Callable[[ConnectionLost], object] | None = None,
    ) -> None:
        self.component = component
        self.sent = self.unsent = self.errors = self.bytes_out = 0
        self.full = False
        """The transport has no room: send nothing more for now."""
        self.closed = True
        self.failure: ConnectionLost | None = None
        """Why the loop has closed the socket, if nobody asked for it."""
        self.address: Any = None
        """Our own address."""
        self.changed = Signal("hear from its socket")
        """Set when `full` or `closed` has changed."""
        if receive is not None:
            self.datagram_received = receive  # type: ignore[method-assign,assignment]
        self._once = once
        self.on_change: Callable[[], object] | None = None
        """Called when `full` or `closed` has changed."""
        self._on_error = on_error
        self._on_failure = on_failure
        self._missed: int | None = 0
        self._transport: asyncio.DatagramTransport | None = None

    async def open(self, *, buffer: int | str | None = None, **where: Any) -> Port:
        """Make the socket, as ``loop.create_datagram_endpoint`` does. Raises `OSError`."""
        try:
            await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, **where)
        except OSError as error:
            if error.errno is None and isinstance(error.__cause__, OSError):
                raise error.__cause__ from None  # uvloop puts why behind an error that says nothing
            raise
        except asyncio.CancelledError:
            self.abort()  # uvloop leaves a transport open for whose beginning nobody waits any more
            raise
        if buffer is not None:
            size = min(units.size(buffer, "buffer"), LARGEST_BUFFER)
            try:
                self.set(options.Option(SOL_SOCKET, SO_RCVBUF, size))
            except BaseException:
                await self.close()
                raise
        return self

    @property
    def socket(self) -> Any:
        """What there is to be had of the socket."""
        assert self._transport is not None, "the port has not been opened yet"
        return self._transport.get_extra_info("socket")

    def set(self, option: options.Option) -> None:
        """Set an option of the socket. Raises `OSError`."""
        self.socket.setsockopt(*option)

    @property
    def missed(self) -> int | None:
        """Datagrams that the operating system has dropped because its buffer was full; None if unknown."""
        if not self.closed:
            self._missed = options.dropped_by_kernel(self.socket)
        return self._missed

    def send(self, data: Any, address: Any = None) -> None:
        """Send a datagram; if then `full`, `flush` before the next.

        The address must have been checked (`check_address`): for one that is none some loops close the
        socket. Raises `TypeError` for no bytes, and `ConnectionLost` when the loop has closed the socket.
        """
        if type(data) is not bytes:
            check_bytes(self.component, data)
            data = bytes(data)
        length = len(data)
        if not 0 < length <= LONGEST:
            self.refuse(data)
        elif not self.closed:
            self.sent += 1
            self.bytes_out += length
            self._transport.sendto(data, address)  # type: ignore[union-attr]
        else:
            self.check()

    def check(self) -> None:
        """Raise `ConnectionLost` if the loop has closed the socket because of an error."""
        if self.failure is not None:
            raise self.failure

    def refuse(self, data: bytes) -> None:
        """Count a message that is none that a datagram could carry."""
        self.unsent += 1
        if data:
            self._once.warn(
                "too long",
                f"cannot send {len(data)} bytes in one datagram: at most {LONGEST} fit, and about 1400 "
                "arrive in one piece; put Chunk(1316) before it",
            )
        else:
            self._once.warn("empty", "does not send empty datagrams: not every loop can")

    async def flush(self) -> None:
        """Wait until there is room in the transport, or the socket is closed."""
        while self.full and not self.closed:
            await self.changed

    async def close(self) -> None:
        """Send what is still in the transport, and close the socket."""
        try:
            if not self.closed and self._transport is not None:
                self._transport.close()
            while not self.closed:
                await self.changed
        except BaseException:
            self.abort()
            raise

    def abort(self) -> None:
        """Close the socket now."""
        if not self.closed and self._transport is not None:
            self._transport.abort()

    # -- for the transport ------------------------------------------------------------------------

    def connection_made(self, transport: Any) -> None:
        """See asyncio."""
        self._transport = transport
        self.address = transport.get_extra_info("sockname")
        self.closed = False
        transport.set_write_buffer_limits(high=0)

    def datagram_received(self, data: bytes, address: Any) -> None:
        """See asyncio."""

    def error_received(self, exc: Exception) -> None:
        """See asyncio."""
        self.errors += 1
        if self._on_error is not None:
            self._on_error(exc)
        else:
            number = getattr(exc, "errno", None)
            self._once.warn(f"error {number}", f"goes on after an error with a datagram: {why_not_sent(exc)}")

    def pause_writing(self) -> None:
        """See asyncio."""
        self.full = True
        self._tell()

    def resume_writing(self) -> None:
        """See asyncio."""
        self.full = False
        self._tell()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        if not self.closed:
            with contextlib.suppress(OSError, TypeError, ValueError):
                self._missed = options.dropped_by_kernel(self.socket)
            self.closed = True
        if exc is not None:
            self.errors += 1
            self.failure = ConnectionLost(f"{self.component.path}: its socket has failed: {exc}")
            self.failure.__cause__ = exc
            if self._on_failure is not None:
                self._on_failure(self.failure)
        self._tell()

    def _tell(self) -> None:
        self.changed.set()
        if self.on_change is not None:
            self.on_change()


class Outgoing:
    """The way out of a component that receives too: an outlet from its inbox to a socket.

    So neither way waits for the other.

    Arguments:
        inbox: what is to be sent
        port: the socket
        address: where to; None if the socket is connected
        on_end: called once: with None when everything has been sent, with why if what feeds the inbox has
            failed, or a message was no bytes
    """

    def __init__(
        self,
        inbox: Inbox[bytes],
        port: Port,
        address: Any,
        on_end: Callable[[BaseException | None], object],
    ) -> None:
        self.over = False
        """Nothing more will be sent."""
        self._port = port
        self._address = address
        self._on_end = on_end
        self._outlet = core.Outlet(inbox, self, self, asyncio.get_running_loop().time)
        port.on_change = self._port_changed

    def close(self) -> None:
        """Send nothing more."""
        self.over = True
        self._outlet.close()

    def _port_changed(self) -> None:
        if not self.over:
            if self._port.full:
                self._outlet.pause()
            else:
                self._outlet.resume()

    # -- for the outlet ---------------------------------------------------------------------------

    def write(self, data: Any) -> None:
        """See `kamaelia.axon.outlet.Transport`."""
        self._port.send(data, self._address)

    def is_closing(self) -> bool:
        """See `kamaelia.axon.outlet.Transport`."""
        return self._port.closed

    def outlet_ended(self, failure: BaseException | None) -> None:
        """See `kamaelia.axon.outlet.Listener`."""
        self.over = True
        self._on_end(failure)

    def outlet_failed(self, message: Any, error: Exception) -> None:
        """See `kamaelia.axon.outlet.Listener`."""
        self.over = True
        self._on_end(error)

    def not_taken(self, data: Any) -> None:
        """See `kamaelia.axon.outlet.Listener`."""

    def sink_full(self) -> None:
        """See `kamaelia.axon.outlet.Listener`."""


async def pass_on(component: Any, arrivals: Arrivals, arrived: Inbox[Any]) -> None:
    """Pass on what arrives, at the pace of the readers: bytes to ``outbox``, datagrams to ``datagrams``."""
    outbox, datagrams, passed = component.outbox, component.datagrams, arrivals.passed
    async for message in arrived:
        if type(message) is bytes:
            passed(len(message))
            await outbox.send(message)
        else:
            passed(len(message.data))
            await send_datagram(outbox, datagrams, message)


async def send_datagram(outbox: Outbox[bytes], datagrams: Outbox[Any], datagram: Any) -> None:
    """Send a datagram to those who want its address, and its data to those who do not."""
    if datagrams.routes:
        await datagrams.send(datagram)
        if not outbox.routes:
            return
    await outbox.send(datagram.data)


def why_not_sent(error: Exception) -> str:
    """Say what an error of a datagram means.

    >>> why_not_sent(ConnectionRefusedError(errno.ECONNREFUSED, "refused"))
    'nobody has the port that it was sent to'
    """
    number = getattr(error, "errno", None)
    if number == errno.ECONNREFUSED:
        return "nobody has the port that it was sent to"
    if number == errno.EMSGSIZE:
        return "it is longer than the way there takes; put Chunk(1316) before it"
    if number in (errno.ENETUNREACH, errno.EHOSTUNREACH):
        return f"there is no way to where it was sent ({error})"
    return str(error)


def how_to_try(address: tuple[str, int]) -> str:
    """Return the command by which a person may send something to an address.

    >>> how_to_try(("0.0.0.0", 1500))
    'nc -u 127.0.0.1 1500'
    """
    host, port = address
    return f"nc -u {reachable(host)} {port}"


def check_buffer(buffer: Any, where: str) -> None:
    """Refuse what is no size of a buffer, or None."""
    if buffer is not None:
        check_size(buffer, where)


def check_port(port: Any, where: str, *, free: bool) -> None:
    """Refuse what is no port; with ``free`` 0 is any that is free."""
    if free:
        check_whole(port, where, 0, 65535, "a port from 0 (any that is free) to 65535")
    else:
        check_whole(port, where, 1, 65535, "a port from 1 to 65535")


def check_local(local: Any, where: str) -> None:
    """Refuse what is no address of our own: (host, port), or None."""
    if local is None:
        return
    if not isinstance(local, tuple) or len(local) != 2 or not isinstance(local[0], str):
        raise TypeError(
            f"{where.replace('...', shorten(local))}: give our own address as (host, port), or None for any"
        )
    check_port(local[1], where, free=True)


def check_address(address: Any, where: str) -> None:
    """Refuse what is no address to send to: (host, port), of IPv6 with flow and scope if need be.

    >>> check_address(("127.0.0.1", 70000), "UDPSender")
    Traceback (most recent call last):
    ValueError: UDPSender: ('127.0.0.1', 70000) is no address: give (host, port), with a port from 1 to 65535
    """
    wrong = f"{where}: {shorten(address)} is no address: give (host, port), with a port from 1 to 65535"
    if not isinstance(address, tuple) or not 2 <= len(address) <= 4 or not isinstance(address[0], str):
        raise TypeError(wrong)
    if not all(isinstance(number, int) for number in address[1:]):
        raise TypeError(wrong)
    within = zip(address[1:], (range(1, 1 << 16), range(1 << 20), range(1 << 32)), strict=False)
    if not address[0] or "\0" in address[0] or not all(number in numbers for number, numbers in within):
        raise ValueError(wrong)


def check_listening_host(host: Any, where: str) -> None:
    """Refuse what is no address to receive at."""
    if host is not None and not isinstance(host, str):
        raise TypeError(
            f"{where.replace('...', shorten(host))}: give one name or address, or None for all of IPv4"
        )
    if host is not None and (not host or "\0" in host):
        raise ValueError(
            f"{where.replace('...', shorten(host))}: give one name or address, or None for all of IPv4"
        )
