"""The end of a bridge between two processes: its channel, its shared memory, and the boxes that cross.

There is one in `worker` and one in `child`; what is alike in both is here.
"""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import socket
import struct
from _thread import get_ident
from typing import Any

from kamaelia.axon import Failure

from . import channel as frames
from .channel import Channel
from .crossing import Arrivals, Departures
from .remote import Errors, PackedError, portable_failure, unpack_failures
from .shared import IDLE, Arena, View, map_file


class Bridge:
    """One end.

    Arguments:
        connection: the socket to the other process
        loop: to drive it
        files: of the arenas, for sending and for receiving; None without shared memory
    """

    def __init__(
        self, connection: socket.socket, loop: asyncio.AbstractEventLoop, files: tuple[int, int] | None
    ) -> None:
        self.loop = loop
        self.errors = Errors()
        self.departures: list[Departures] = []
        self.arrivals: list[Arrivals] = []
        self.arena: Arena | None = None
        self.view: View | None = None
        if files is not None:
            self.arena = Arena(map_file(files[0]))
            self.view = View(map_file(files[1]), self._give_back_soon)
        self._thread = get_ident()
        self._trimmer: asyncio.TimerHandle | None = None
        self.channel = Channel(connection, loop, self._take, self.closed, self._unblocked)

    def tell(self, verb: str, *values: Any) -> None:
        """Send something to the other end, whose ``on_<verb>`` is called with it."""
        self.channel.send(frames.OTHER, 0, 0, pickle.dumps((verb, values), 5))

    def close(self) -> None:
        """Send nothing more, and close the channel."""
        for departures in self.departures:
            departures.close()
        if self._trimmer is not None:
            self._trimmer.cancel()
        self.channel.close()

    # -- what differs -----------------------------------------------------------------------------

    def closed(self) -> None:
        """The other end has gone."""
        raise NotImplementedError

    def trouble(self, error: Exception) -> None:
        """What has come from the other end can't be dealt with, or what was to go there can't be sent."""
        raise NotImplementedError

    def starved(self, change: int) -> None:
        """So many more departures, or fewer, wait for the other end."""

    def departures_over(self) -> None:
        """From one of the boxes nothing more will be sent."""

    # -- for the boxes ------------------------------------------------------------------------------

    def portable(self, message: Any) -> Any:
        """Return what stands for a message that can't be pickled as it is; or the same again."""
        return portable_failure(message, self.errors) if isinstance(message, Failure) else message

    def received(self, messages: list[Any]) -> list[Any]:
        """Return messages as they were before `portable`."""
        return unpack_failures(messages, self.errors.unpack)

    def end(self, departures: Departures, failure: BaseException | None) -> None:
        """All messages of a box have been sent, and now there is an end."""
        packed = None if failure is None else self.errors.pack(failure)
        self.channel.send(frames.END, departures.number, 0, pickle.dumps(packed, 5))

    def broken(self, error: Exception, departures: Departures) -> None:
        """A message of a box can't be sent."""
        self.trouble(error)

    # -- machinery ----------------------------------------------------------------------------------

    def _take(self, kind: int, box: int, count: int, body: memoryview) -> None:
        try:
            if kind == frames.MESSAGES:
                self.arrivals[box].arrive(count, body)
            elif kind == frames.CREDIT:
                self.departures[box].credit(count, body)
            elif kind == frames.END:
                packed: PackedError | None = pickle.loads(body)
                self.arrivals[box].end(None if packed is None else self.errors.unpack(packed))
            elif kind == frames.LOST:
                self.departures[box].lost()
            elif kind == frames.BLOCKS:
                assert self.arena is not None
                for where in struct.unpack(f"<{count}Q", body):
                    self.arena.free(where)
                if self._trimmer is None and self.arena.is_large():
                    self._trimmer = self.loop.call_later(IDLE, self._trim)
            else:
                verb, values = pickle.loads(body)
                getattr(self, f"on_{verb}")(*values)
        except Exception as error:  # of somebody's class, which can't be unpickled here, for one
            self.trouble(error)

    def _unblocked(self) -> None:
        for departures in self.departures:
            departures.try_again()

    def _trim(self) -> None:
        assert self.arena is not None
        pause = self.arena.trim()
        self._trimmer = None if pause is None else self.loop.call_later(pause, self._trim)

    def _give_back_soon(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed, and the other process gone
            if get_ident() == self._thread:
                self.loop.call_soon(self._give_back)
            else:
                self.loop.call_soon_threadsafe(self._give_back)

    def _give_back(self) -> None:
        if self.view is None:
            return  # the other process has gone, and only what was in its messages was left
        places = self.view.take_dead()
        self.channel.send(frames.BLOCKS, 0, len(places), struct.pack(f"<{len(places)}Q", *places))
