"""The ends of pipes: bytes between a program and boxes, at the pace of the slower.

Theory
------
A pipe is a queue in the kernel with its own back-pressure: who writes to a full one waits, who reads from an
empty one waits. So there is nothing to store here. Our end of each is a descriptor that never blocks, and the
loop says when it can go on.

**In**: a `PipeReader` sends each piece that it reads, from within the loop's callback. When the box is at its
mark it does not ask the loop any more, the pipe fills, and the program has to wait; the box calls back when
there is room. When every reader of the box has gone, the end of the pipe is closed, and what the program
writes next earns it SIGPIPE, as on a shell line.

**Out**: a `PipeWriter` is what an outlet (`kamaelia.axon.outlet`) writes to. What the pipe has no room for
is kept, of one message at most, and the outlet rests meanwhile: messages wait in the inbox, whose mark holds
back who sends them. Also while there is nothing to write the loop watches for the program's closing its end.

Transports of asyncio would do much the same. But they read up to 256 KiB into a buffer that has to be mapped
and cut for each piece, may still deliver after they were told to pause, and do not tell whether everything
that a program had written before it died has been read: see `PipeReader.expect`.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any, Protocol

from kamaelia.axon import Inbox, Outbox, core

CHUNK = 64 * 1024  # bytes of one message at most
READS = 4  # pieces that are read before others on the loop have their turn
# What a pipe is to hold, in bytes: half as fast again as the usual 64 KiB. More is not much faster, and when
# all the pipes of a user hold 64 MiB together, Linux makes new ones narrow.
WIDE = READS * CHUNK


class Listener(Protocol):
    """Who looks after the pipes of a program."""

    def pipe_ended(self, /) -> None:
        """A pipe will give no more, or what it had to give for certain it has given."""

    def input_ended(self, /) -> None:
        """Everything that there was for a pipe has been written, and the pipe is closed."""

    def source_failed(self, inbox: Inbox[bytes], /) -> None:
        """What the program reads is not complete, and never will be. Its pipe is still open."""

    def pipe_failed(self, error: Exception, message: Any = b"", /) -> None:
        """Reading has failed, or writing of a message."""


class PipeReader:
    """Sends what comes from a pipe through an outbox.

    Arguments:
        descriptor: the reading end, which is the reader's own from now on
        box: to send through
        listener: told of the end
        look: given each piece as well
    """

    def __init__(
        self,
        descriptor: int,
        box: Outbox[bytes],
        listener: Listener,
        look: Callable[[bytes], object] | None = None,
    ) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._look = look
        self._watched = False
        self._expected: int | None = None  # bytes still to come for certain, once that is known
        self.box = box
        self.ended = False
        """The pipe is closed, at one end or the other."""
        self._read_on()

    @property
    def complete(self) -> bool:
        """Whether everything has been sent that was in the pipe at the time of `expect`."""
        return self.ended or (self._expected is not None and self._expected <= 0)

    def expect(self) -> None:
        """The program has exited: of what may still come, what it wrote itself is what is there now."""
        if not self.ended:
            self._expected = _bytes_in(self._descriptor)

    def close(self) -> None:
        """Close our end: who writes to the pipe gets SIGPIPE. Twice is harmless."""
        if not self.ended:
            self._rest()
            self.ended = True
            os.close(self._descriptor)

    def _read(self) -> None:
        box = self.box
        for _ in range(READS):
            if box.lost and not box.optional:
                self.close()
                self._listener.pipe_ended()
                return
            try:
                data = os.read(self._descriptor, CHUNK)
            except BlockingIOError:
                return
            except OSError as error:
                self.close()
                self._listener.pipe_failed(error)
                return
            if not data:
                self.close()
                self._listener.pipe_ended()
                return
            if self._look is not None:
                self._look(data)
            box.send(data)
            if self._expected is not None:
                self._expected -= len(data)
                if self._expected <= 0:
                    self._listener.pipe_ended()
            if box.full:
                self._rest()
                box.when_ready(self._read_on)
                return
            if len(data) < CHUNK:
                return  # there was no more; if there is now, the loop will say so

    def _read_on(self) -> None:
        if not (self._watched or self.ended):
            self._watched = True
            self._loop.add_reader(self._descriptor, self._read)

    def _rest(self) -> None:
        if self._watched:
            self._watched = False
            self._loop.remove_reader(self._descriptor)


class PipeWriter:
    """Writes what comes into an inbox to a pipe; the end of the inbox is the end of the pipe.

    Arguments:
        descriptor: the writing end, which is the writer's own from now on
        inbox: to read; nobody else may
        listener: told of what goes wrong
    """

    def __init__(self, descriptor: int, inbox: Inbox[bytes], listener: Listener) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._inbox = inbox
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._rest: memoryview | None = None  # of a message, what the pipe had no room for
        self._stopped = False
        self.closed = False
        """The pipe is closed, at one end or the other."""
        # Only an error makes the end that we write to readable: that nobody has the other any more.
        self._loop.add_reader(descriptor, self.close)
        self._outlet = core.Outlet(inbox, self, self, self._loop.time)
        if inbox.ended and not inbox.statistics().waiting:  # nobody will wake the outlet any more
            self._loop.call_soon(self.outlet_ended, inbox.failure)

    @property
    def amount(self) -> int:
        """How many bytes there were to be written so far."""
        return self._outlet.amount

    @property
    def delivered(self) -> bool:
        """Whether the program has taken everything that was to be written."""
        return self.closed or (self._rest is None and not _bytes_in(self._descriptor))

    def stop(self) -> None:
        """Write nothing more: who sends learns that nobody listens. The program does not see an end."""
        if not self._stopped:
            self._stopped = True
            if self._rest is not None:
                self._rest = None
                self._loop.remove_writer(self._descriptor)
                self._inbox.unread += 1
            self._outlet.close()

    def close(self) -> None:
        """Write nothing more, and close our end of the pipe. Twice is harmless."""
        if not self.closed:
            self.stop()
            self.closed = True
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)

    # -- for the outlet ---------------------------------------------------------------------------

    def write(self, data: Any) -> None:
        """See `kamaelia.axon.outlet.Transport`."""
        try:
            done = os.write(self._descriptor, data)
        except BlockingIOError:
            done = 0
        except BrokenPipeError:
            # The outlet is in the middle of its step; until it has been closed it is at rest.
            self._loop.call_soon(self.close)
            done = 0
        view = memoryview(data)
        if done < view.nbytes:
            self._rest = view.cast("B")[done:]
            self._outlet.pause()
            self._loop.add_writer(self._descriptor, self._write_rest)

    def is_closing(self) -> bool:
        """See `kamaelia.axon.outlet.Transport`."""
        return self._stopped

    def outlet_ended(self, failure: BaseException | None) -> None:
        """See `kamaelia.axon.outlet.Listener`."""
        if failure is None:
            self.close()
            self._listener.input_ended()
        else:
            self._listener.source_failed(self._inbox)

    def outlet_failed(self, message: Any, error: Exception) -> None:
        """See `kamaelia.axon.outlet.Listener`."""
        self._listener.pipe_failed(error, message)

    def not_taken(self, data: Any) -> None:
        """See `kamaelia.axon.outlet.Listener`; an outlet gives nothing."""

    def sink_full(self) -> None:
        """See `kamaelia.axon.outlet.Listener`; an outlet gives nothing."""

    def _write_rest(self) -> None:
        assert self._rest is not None
        try:
            done = os.write(self._descriptor, self._rest)
        except BlockingIOError:
            return
        except BrokenPipeError:
            self.close()
            return
        self._rest = self._rest[done:]
        if not self._rest:
            self._rest = None
            self._loop.remove_writer(self._descriptor)
            self._outlet.resume()


def make_pipe() -> tuple[int, int]:
    """Return the reading and the writing end of a pipe that holds much, where that can be had."""
    ends = os.pipe()
    try:
        from fcntl import F_SETPIPE_SZ, fcntl  # Linux has it

        fcntl(ends[1], F_SETPIPE_SZ, WIDE)
    except (ImportError, OSError):  # the latter where the user's pipes hold too much already
        pass
    return ends


def _bytes_in(descriptor: int) -> int:
    """Return how many bytes are in a pipe."""
    import array
    import fcntl  # here, because Windows has neither
    import termios

    count = array.array("i", [0])
    fcntl.ioctl(descriptor, termios.FIONREAD, count)
    return count[0]


__all__ = ["CHUNK", "Listener", "PipeReader", "PipeWriter", "make_pipe"]
