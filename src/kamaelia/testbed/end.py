"""One end of a connection, as sockets and transports see it, in whichever form the network carries it.

`stream.StreamEnd` carries bytes in order, and is fast; `packet_end.PacketEnd` sends packets as Linux does.
"""

from __future__ import annotations

import asyncio
import contextvars
import errno
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from .addresses import family_of, socket_address
from .options import AF_UNIX, TOS, TTL, number_in
from .sockets import SimulatedSocket

if TYPE_CHECKING:
    from .listener import Listener
    from .stack import Stack


class End:
    """What all ends have in common. See the module."""

    def __init__(
        self, stack: Stack, remote_stack: Stack, local: Any, remote: Any, sock: SimulatedSocket | None
    ) -> None:
        self.stack = stack
        self.remote_stack = remote_stack
        self.port: int = local[1]
        self.remote = remote  # host and port
        family = family_of(local[0])
        self.source = socket_address(local[0], local[1], family)
        shown = socket_address(remote[0], remote[1], family)
        if sock is None:
            sock = SimulatedSocket(stack, socket.SOCK_STREAM, self.source, shown, family)
        elif sock.family != AF_UNIX:
            sock.local = socket_address(local[0], local[1], sock.family)
            sock.remote = socket_address(remote[0], remote[1], sock.family)
        self.socket = sock
        self.name = f"{stack.name}:{local[1]}"
        self.remote_name = f"{remote_stack.name}:{remote[1]}"
        self.tos, self.ttl = 0, 64
        self.listener: Listener | None = None  # which accepts it, at a server
        self.owner: Any = None  # a transport, or a socket, that is told what happens
        self.connected: asyncio.Future[None] | None = None  # at a client, until it is
        self.dead = False  # reset, refused or expired: nothing is sent or received any more
        self.closed = False  # by its owner
        self.error: OSError | None = None  # raised by the next call, once

    @property
    def is_connecting(self) -> bool:
        """It has asked for a connection, and not been answered."""
        return self.connected is not None and not self.connected.done()

    def give_up(self) -> None:
        """Whoever waits for the connection does not any more."""
        if self.is_connecting:
            self.dead = True
            assert self.connected is not None
            self.connected.cancel()

    def raise_error(self) -> None:
        """Raise what has gone wrong, once."""
        if self.error is not None:
            error, self.error = self.error, None
            raise error

    def note_failure(self, error: OSError) -> None:
        """It has failed: tell whoever waits for the connection, or keep it for the next call."""
        self.dead = True
        if self.is_connecting:
            assert self.connected is not None
            self.connected.set_exception(error)
            return
        self.error = error
        if self.owner is not None:
            self.owner.readable()

    def refused(self) -> ConnectionRefusedError:
        """Make the error of a connection that nobody wants."""
        why = f"Connect call failed {self.remote}: refused by {self.remote_name}"
        return ConnectionRefusedError(errno.ECONNREFUSED, why)

    # -- options ------------------------------------------------------------------------------------

    def inherit(self, sock: SimulatedSocket) -> None:
        """It was made by a socket that listens, and has its options."""
        if sock.options:
            self.socket.options = dict(sock.options)
        if sock.family == AF_UNIX:
            self.socket.be_unix(sock.local, "")
        elif sock.family != self.socket.family:  # which speaks both
            self.socket.family = sock.family
            self.socket.local = socket_address(self.source[0], self.port, sock.family)
            self.socket.remote = socket_address(self.remote[0], self.remote[1], sock.family)
        self.take_options()

    def take_options(self) -> None:
        """Do what the options of its socket say that were set before there was a connection."""
        for (level, option), value in (self.socket.options or {}).items():
            if (level, option) == (socket.SOL_SOCKET, socket.SO_RCVBUF):
                self.set_window(number_in(value) // 2)
            elif (level, option) == (socket.SOL_SOCKET, socket.SO_SNDBUF):
                self.set_send_buffer(number_in(value) // 2)
            elif (level, option) in TTL:
                self.set_ttl(number_in(value))
            elif (level, option) in TOS:
                self.set_tos(number_in(value) & 0xFF)

    def set_ttl(self, ttl: int) -> None:
        """Let segments pass so many routers."""
        self.ttl = 64 if ttl == -1 else ttl

    def set_tos(self, tos: int) -> None:
        """Mark segments with a class of service."""
        self.tos = tos

    def option_was_set(self, level: int, option: int, value: Any) -> None:
        """Do what an option says that has been set on its socket, if that does anything to it."""

    def vanish(self) -> None:
        """The power is off."""
        self.dead = self.closed = True
        if self.owner is not None:
            self.owner.cut_off()
            self.owner = None

    # -- what each form does in its own way ---------------------------------------------------------

    segment: int
    """Bytes of data in a segment."""

    def connect(self) -> asyncio.Future[None]:
        """Ask the other host for a connection."""
        raise NotImplementedError

    def send(self, data: bytes | bytearray | memoryview) -> int:
        """Send as much as there is room for now; return how many bytes. Raises `OSError`."""
        raise NotImplementedError

    def wait_for_room(self) -> None:
        """Have the owner called when there is room again."""
        raise NotImplementedError

    def read_by(self, reader: Callable[[], None] | None, context: contextvars.Context) -> None:
        """Have this be called when something has come, instead of the owner; None for the owner again.

        It need not be, where that makes nothing faster.
        """

    def read_now(self, most: int) -> bytes:
        """Take what has arrived, and nothing if nothing has; for who was told of it (`read_by`)."""
        raise NotImplementedError

    def has_more(self) -> bool:
        """Say whether there is more to read after that, or the end."""
        raise NotImplementedError

    def receive(self, most: int) -> bytes:
        """Take what has arrived; no bytes mean the end. Raises `OSError`, `BlockingIOError` for nothing."""
        raise NotImplementedError

    def is_readable(self) -> bool:
        """Say whether there is something to receive: bytes, the end, an error."""
        raise NotImplementedError

    def is_writable(self) -> bool:
        """Say whether there is room to send something."""
        raise NotImplementedError

    def count_not_arrived(self) -> int:
        """Return how many bytes were sent of which nobody knows that they have arrived."""
        raise NotImplementedError

    def stop_receiving(self) -> None:
        """Nothing more will be read here: what comes is thrown away, and the end is read."""
        raise NotImplementedError

    def shut_down(self) -> None:
        """Say that nothing more will be sent."""
        raise NotImplementedError

    def close(self) -> None:
        """Be done with it. What was sent goes on its way."""
        raise NotImplementedError

    def reset(self) -> None:
        """Break it off, and tell the other end."""
        raise NotImplementedError

    def push(self) -> None:
        """Small segments need not wait any more."""
        raise NotImplementedError

    def info(self) -> bytes:
        """Return what ``TCP_INFO`` tells; nothing where there is nothing to tell."""
        return b""

    def set_window(self, size: int) -> None:
        """Let the other side send so much that was not read here, and no more."""
        raise NotImplementedError

    def set_send_buffer(self, size: int) -> None:
        """Keep so much that is not acknowledged, and no more."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<end {self.name} of a connection to {self.remote_name}>"
