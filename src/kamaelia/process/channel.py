"""Frames between two processes, over a socket.

A frame is a kind, the number of a box, a count, and a body. Here are bytes only; what they mean is told in
`crossing` and `worker`.

The socket is driven by the loop's readers and writers: a frame is written at once if the system takes it,
which spares a step, and is read into a buffer that is there already. What the system does not take waits;
while it does, `blocked` says so to those who would send more.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from collections.abc import Callable
from typing import Any

HEAD = struct.Struct("<QBHI")
BUFFER = 256 * 1024  # bytes that are read at a time

# Kinds of frames.
MESSAGES = 1  # for a box
CREDIT = 2  # of a box: so many messages were taken
END = 3  # of a box
LOST = 4  # of a box: nobody reads it any more
BLOCKS = 5  # of the arena: these are free
OTHER = 6  # something pickled, between `worker` and `child`


class Channel:
    """One end of the socket between two processes.

    Arguments:
        connection: the socket
        loop: to drive it
        on_frame: called with kind, box, count and body of each frame; the body is gone when it returns
        on_closed: called once, when the other end has gone and all it had sent has been read
        on_unblocked: called when what had been waiting was written
    """

    def __init__(
        self,
        connection: socket.socket,
        loop: asyncio.AbstractEventLoop,
        on_frame: Callable[[int, int, int, memoryview], object],
        on_closed: Callable[[], object],
        on_unblocked: Callable[[], object],
    ) -> None:
        connection.setblocking(False)
        self.blocked = False
        """The system takes no more at the moment."""
        self.closed = False
        self.waiting = 0
        """Bytes that wait for the system to take them."""
        self._socket = connection
        self._loop = loop
        self._on_frame = on_frame
        self._on_closed = on_closed
        self._on_unblocked = on_unblocked
        self._buffer = memoryview(bytearray(BUFFER))
        self._filled = 0
        self._large: memoryview | None = None  # the body of a frame that has no room in the buffer
        self._large_head = (0, 0, 0)
        self._large_filled = 0
        self._unsent: deque[memoryview] = deque()
        self._reading = False

    def begin(self) -> None:
        """Begin to read."""
        self._reading = True
        self._loop.add_reader(self._socket, self.read)

    def send(self, kind: int, box: int = 0, count: int = 0, body: Any = b"") -> None:
        """Send a frame. Nothing happens when the other end has gone: that is told by ``on_closed``."""
        if self.closed:
            return
        head = HEAD.pack(len(body), kind, box, count)
        if self.blocked:
            self._keep(head, body)
            return
        try:
            sent = self._socket.sendmsg((head, body)) if body else self._socket.send(head)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            return
        if sent < len(head) + len(body):
            self._keep(memoryview(head)[sent:], memoryview(body)[max(0, sent - len(head)) :])
            self.blocked = True
            self._loop.add_writer(self._socket, self._write)

    def _keep(self, *parts: Any) -> None:
        for part in parts:
            if len(part):
                self._unsent.append(memoryview(part))
                self.waiting += len(part)

    def _write(self) -> None:
        try:
            while self._unsent:
                part = self._unsent[0]
                sent = self._socket.send(part)
                self.waiting -= sent
                if sent < len(part):
                    self._unsent[0] = part[sent:]
                    return
                self._unsent.popleft()
        except (BlockingIOError, InterruptedError):
            return
        except OSError:  # the other end has gone; the reader will tell
            self._unsent.clear()
            self.waiting = 0
        self._loop.remove_writer(self._socket)
        self.blocked = False
        self._on_unblocked()

    def read(self) -> bool:
        """Read what is there, up to the size of the buffer; say whether there was anything."""
        if self.closed:
            return False
        large = self._large
        room = self._buffer[self._filled :] if large is None else large[self._large_filled :]
        try:
            count = self._socket.recv_into(room)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:  # "connection reset", where the other end had not read everything
            count = 0
        if not count:
            self.close()
            self._on_closed()
        elif large is None:
            self._filled += count
            self._take_frames()
        else:
            self._large_filled += count
            if self._large_filled == len(large):
                self._large = None
                self._on_frame(*self._large_head, large)
        return count > 0

    def read_rest(self) -> None:
        """Read all that is there: nothing more will come."""
        while self.read():
            pass

    def _take_frames(self) -> None:
        buffer, at, end = self._buffer, 0, self._filled
        while end - at >= HEAD.size and not self.closed:
            length, kind, box, count = HEAD.unpack_from(buffer, at)
            start = at + HEAD.size
            if start + length > end:
                if HEAD.size + length > BUFFER:
                    self._large = memoryview(bytearray(length))
                    self._large_head = (kind, box, count)
                    self._large_filled = end - start
                    self._large[: end - start] = buffer[start:end]
                    at = end
                break
            at = start + length
            self._on_frame(kind, box, count, buffer[start:at])
        if at:
            buffer[: end - at] = bytes(buffer[at:end])
        self._filled = end - at

    def close(self) -> None:
        """Close this end; twice is harmless."""
        if not self.closed:
            self.closed = True
            if self._reading:
                self._loop.remove_reader(self._socket)
            if self.blocked:
                self._loop.remove_writer(self._socket)
            self._socket.close()
            self._unsent.clear()
            self.waiting = 0
