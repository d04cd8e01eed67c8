"""A source that sends what was captured once, at the same distances in time."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Iterator

from kamaelia.axon import Component, Outbox, VirtualLoop, clock, sleep
from kamaelia.axon.arguments import check_positive

from .captures.replay import Datagram, datagrams

READ_AHEAD = 256  # datagrams that are read in one go


class PcapSource(Component):
    """Send what is in the UDP datagrams of a capture, each when it is its time, then end.

    The capture may be one of tcpdump or Wireshark, or of a simulation (`Trace.pcap`). So a real stream, with
    its bursts and pauses, can drive what runs on a simulated host, or on a real one::

        host.run(PcapSource("film.pcapng", port=5004) | UDPSender("viewer", 5004))

    Outbox: ``outbox``, the bytes of each datagram. There is no inbox. It returns how many packets of the file
    were left out, by the reason (`Datagrams.skipped`).

    Number *n* is sent as long after the first as it was captured, so small delays do not add up. When
    readers hold it up, it sends what is late at once, and leaves out nothing.

    Arguments:
        path: of a pcapng or pcap file
        port: only datagrams that went to this port
        source: only those that came from this address
        interface: only those captured at this interface, given by its number or its name
        speed: so many times faster than it was; 0.5 is at half the speed

    Raises `OSError` if the file cannot be opened, and `UsageError` where it is damaged.

    Example:
        >>> import os, tempfile
        >>> from kamaelia import run
        >>> from kamaelia.flow import Collect
        >>> from kamaelia.testbed import PcapSource
        >>> from kamaelia.testbed.captures import PcapngWriter
        >>> from kamaelia.testbed.captures.headers import UDP, ip, udp
        >>> ends = "10.0.0.1", "10.0.0.2"
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = os.path.join(folder, "talk.pcapng")
        ...     with open(path, "wb") as file, PcapngWriter(file) as capture:
        ...         eth0 = capture.interface("eth0")
        ...         for n in range(3):
        ...             data = udp(*ends, 5004, 5006, b"part %d" % n)
        ...             capture.packet(eth0, n * 40_000_000, ip(*ends, UDP, data))
        ...     run(PcapSource(path) | Collect())
        [b'part 0', b'part 1', b'part 2']
    """

    inbox = None
    outbox = Outbox[bytes]("what was in each datagram")

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        port: int | None = None,
        source: str | None = None,
        interface: int | str | None = None,
        speed: float = 1.0,
    ) -> None:
        check_positive(f"PcapSource(speed={speed!r})", speed, "how many times faster it is to be")
        self._datagrams = datagrams(path, port=port, source=source, interface=interface)
        self.speed = speed

    async def main(self) -> dict[str, int]:
        start = clock()
        schedule = iter(self._datagrams)
        while some := await self._read(schedule):
            for datagram in some:
                wait = start + datagram.time_ns / 1e9 / self.speed - clock()
                if wait > 0:
                    await sleep(wait)
                await self.outbox.send(datagram.payload)
        return self._datagrams.skipped

    async def _read(self, schedule: Iterator[Datagram]) -> list[Datagram]:
        """Return what comes next. A thread does it, so that nobody waits for the disk but in virtual time."""
        loop = asyncio.get_running_loop()
        if isinstance(loop, VirtualLoop):
            return _next(schedule)
        return await loop.run_in_executor(None, _next, schedule)


def _next(schedule: Iterator[Datagram]) -> list[Datagram]:
    return list(itertools.islice(schedule, READ_AHEAD))


__all__ = ["PcapSource"]
