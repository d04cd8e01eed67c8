"""What a simulation has shown: events, counts, results.

The **fingerprint** of a trace is a hash of all its events (`record`). Two runs with the same seed have the
same one, on any machine and any of the supported interpreters.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..axon import UsageError
from .disk import DiskTrace
from .errors import SimulationError
from .measures_network import Metrics
from .protocols import REASONS, WORDS

if TYPE_CHECKING:
    from .emulation.lateness import EmulationReport


class Event(NamedTuple):
    """Something that happened in the network.

    | event | what has happened |
    | --- | --- |
    | send | a host sends a packet |
    | forward | a packet has come over one link, and goes on over the next |
    | deliver | it has arrived at the host that it was for |
    | lose | a link has lost it |
    | drop | it found the queue of a link full |
    | resend | a host sends a packet of a connection again |
    | ignore | a datagram has arrived, and nobody has that port |
    | listen | a server has begun to accept connections |
    | connect | a connection is made, says the one who asked for it |
    | accept | a connection is made, says the server |
    | refuse | nobody listens there |
    | reset | the other side has given the connection up |
    | expire | a packet was sent again too often without getting through: the connection is given up |
    | expire | the TTL of a datagram to a group does not let it go on from here |
    | set, cut, mend, crash, restart, call | somebody has changed the network by hand (`Remote`) |
    """

    time: float
    """Virtual time, in seconds."""
    what: str
    """One of the words above."""
    number: int
    """Of the packet, counted in the whole network; 0 where there is none."""
    protocol: str
    """``udp``, ``icmp``, or ``tcp`` with what the packet is: ``tcp syn``, ``tcp data``, ``tcp fin`` ... Of
    what was done by hand: ``host``, or ``link`` with what was set; of a call its name."""
    source: str
    """Host and port that it comes from: ``phone-3:49152``."""
    target: str
    """Host and port that it goes to."""
    size: int
    """In bytes, with all headers."""
    where: str
    """The link direction or host at which it happened, when it is neither source nor target."""
    why: str = ""
    """Why, of what was lost or dropped."""

    def __str__(self) -> str:
        packet = f" #{self.number} {self.size} B" if self.number else ""
        where = f" at {self.where}" if self.where else ""
        ends = f"{self.source} > {self.target}" if self.target else self.source
        return f"{self.time:.6f} {self.what:<7} {self.protocol} {ends}{packet}{where}"


class Trace:
    """What came of one run of a network. Made by `Network.simulate` and `Network.loopback`."""

    def __init__(
        self,
        *,
        seed: int | str,
        recorder: Any,
        metrics: Metrics,
        results: dict[str, Any],
        errors: dict[str, Exception],
        captures: dict[str, io.BytesIO] | None = None,
        disks: dict[str, DiskTrace] | None = None,
        emulation: EmulationReport | None = None,
    ) -> None:
        self.seed = seed
        """The seed of the run: with it, it can be run again."""
        self.metrics = metrics
        """How much went where, and what components have measured."""
        self.results = results
        """What each host's component returned, by the host's name; a list where it ran several."""
        self.errors = errors
        """What failed, by the host's name; only with ``errors="collect"``."""
        self.disks = disks or {}
        """What is on the disks of those hosts that have one, by the host's name."""
        self.emulation = emulation
        """How faithful an emulation was: how late packets left the box; None in other worlds."""
        self._recorder = recorder
        self._captures = captures or {}
        self._again: Callable[[str], Trace] | None = None

    @cached_property
    def events(self) -> list[Event]:
        """Everything that happened in the network, in order, as far as it was kept."""
        if self._recorder is None:
            return []
        return [
            Event(time / 1e9, WORDS[what], number, kind, source, target, size, where, REASONS[why])
            for time, what, number, kind, source, target, size, where, why in self._recorder.rows
        ]

    @cached_property
    def fingerprint(self) -> str:
        """A hash of all events: 64 hexadecimal digits; none where no events were written down."""
        return "" if self._recorder is None else self._recorder.fingerprint()

    def can_be_had_again(self, again: Callable[[str], Trace]) -> None:
        """Whoever has made this says how the same is made once more, with a capture."""
        self._again = again

    def pcap(self, what: str, path: str | PathLike[str]) -> None:
        """Write what has passed a host, or a link such as ``"server > phone-3"``, to a file (pcapng).

        If it was not captured, the network is simulated once more, with the same seed; so it has to go the
        same way again, and what its components do outside of the network they do once more. For large
        networks and long runs say beforehand what is to be captured: ``simulate(capture={"phone-3":
        "phone-3.pcapng"})``.

        Raises `UsageError` for what is not in the network, `SimulationError` when the run cannot be repeated.
        """
        captures = self._captures
        if what not in captures:
            if self._again is None:
                raise UsageError(f"pcap({what!r}): it was not captured: say capture=[{what!r}] before")
            trace = self._again(what)
            if trace.fingerprint != self.fingerprint:
                raise SimulationError(
                    f"pcap({what!r}): simulated again, the network has gone another way, so these would be "
                    "other packets. Capture them in the first run: simulate(capture=...)"
                )
            captures = trace._captures
        Path(path).write_bytes(captures[what].getvalue())

    def __repr__(self) -> str:
        count = 0 if self._recorder is None else self._recorder.count
        return f"<trace of {self.metrics.seconds:g} s, seed {self.seed!r}, {count} events>"
