"""A relay: programs of this machine talk through a simulated network in real time, with no rights at all.

Theory
------
Where namespaces cannot be made, a network can still be between a program and its peer. It is simulated, but
its clock is set to the real time, as in the box; and it has *doors* and *exits*, on 127.0.0.1::

    program --> door, port 8080 . . host phone --- simulated network --- host server . . exit --> real server
                                                                                     or a component there

Who connects to a door is, in the network, the host that the door belongs to, and connects from there. An exit
listens on a host, and connects whoever comes to a real address; where the host itself runs a server, no exit
is needed. Each real connection is two simulated ends that pass on bytes to real sockets, and hold back
whoever is faster than the network.

So loss, delay, rate and queues are those of the links, for connections as the testbed's own TCP bears them.
What a real kernel would do, with its own TCP, this does not tell: that takes an emulation.

All of it is done by one thread: real sockets are not blocking, and are looked after between two turns of the
clock.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from ...axon import UsageError
from .datagrams import DatagramDoor, DatagramExit
from .doors import Door, Exit, checked, listen
from .realtime import RealTime
from .streams import StreamDoor, StreamExit

if TYPE_CHECKING:
    from ..network import Network
    from ..trace import Trace


class Relay:
    """A simulated network in real time, while it lasts, with doors and exits. Made by `Network.relay`.

    It works in a thread of its own between entering and leaving it.
    """

    def __init__(
        self,
        network: Network,
        doors: Iterable[Door],
        exits: Iterable[Exit],
        *,
        seed: int | str,
        grace: float,
        errors: str,
        captures: dict[str, Any],
        snaplen: int,
    ) -> None:
        self.network = network
        """What is simulated."""
        self.doors = tuple(checked(network, doors, Door))
        self.exits = tuple(checked(network, exits, Exit))
        self.trace: Trace | None = None
        """What came of it, when it is over."""
        self._errors = errors
        self._options = (seed, grace, captures, snaplen)
        self._listening: dict[Door, socket.socket] = {}
        self._thread: threading.Thread | None = None
        self._simulation: RealTime | None = None
        self._begun = threading.Event()
        self._problem: BaseException | None = None

    def port(self, door: Door) -> int:
        """Return the port of 127.0.0.1 at which a door is."""
        number: int = self._listening[door].getsockname()[1]
        return number

    def __enter__(self) -> Relay:
        if self._thread is not None:
            raise UsageError("this relay has been used already; make another one")
        if self.network.simulation is not None:
            raise UsageError(f"{self.network!r} runs already")
        try:
            for door in self.doors:
                self._listening[door] = listen(door)
            seed, grace, captures, snaplen = self._options
            self._simulation = RealTime(self.network, seed, grace, self._open)
            if captures:
                self._simulation.capture(captures, snaplen)
        except BaseException:
            self._close()
            raise
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        self._thread.start()
        self._begun.wait()
        return self

    def _open(self, simulation: RealTime) -> None:
        """The time begins."""
        for exit_ in self.exits:
            (StreamExit if exit_.protocol == "tcp" else DatagramExit)(simulation, exit_).open()
        for door, listening in self._listening.items():
            (StreamDoor if door.protocol == "tcp" else DatagramDoor)(simulation, door, listening).open()
        self._begun.set()

    def _run(self) -> None:
        assert self._simulation is not None
        try:
            self.trace = self._simulation.run(float("inf"), None, self._errors)
        except BaseException as error:
            self._problem = error
            self._close()  # who knocks is refused, and does not wait
        finally:
            self._begun.set()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._simulation is not None and self._thread is not None
        if self._problem is None:
            self._simulation.tell_to_stop()
        self._thread.join()
        self._close()
        if self._problem is not None and error is None:
            raise self._problem

    def _close(self) -> None:
        for listening in self._listening.values():
            listening.close()
        if self._simulation is not None:
            self._simulation.close()


__all__ = ["Relay"]
