"""Packets that are sent, whatever becomes of them. No chance is in it: they are the same each time.

A size is what the qdisc counts: with the 14 bytes of Ethernet. Times are whole nanoseconds from the start.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

SECOND = 10**9
MS = 10**6
SMALLEST = 60  # bytes: heads of Ethernet, IP and UDP, and the number; and some to spare
LARGEST = 1500  # bytes: so ours, which knows no Ethernet, can send one as large
HEADS = 14 + 20 + 8


class Packet(NamedTuple):
    """A packet that is sent."""

    time: int
    """Nanoseconds."""
    size: int = 1000
    """Bytes, from `SMALLEST` to `LARGEST`."""
    flow: int = 0
    """Packets of different flows come from different ports."""
    ecn: int = 0
    """2 for a packet that may be marked."""


def steady(rate: float, seconds: float, size: int = 1000, flow: int = 0, ecn: int = 0) -> list[Packet]:
    """Return packets of one size, so many bits of them a second, evenly."""
    gap = size * 8 / rate
    return [Packet(round(n * gap * SECOND), size, flow, ecn) for n in range(int(seconds / gap))]


def bursts(count: int, every: float, times: int, sizes: Iterable[int] = (1000,)) -> list[Packet]:
    """Return so many packets at once, every so many seconds, so many times; sizes come in turn."""
    some = list(sizes)
    return [
        Packet(round(n * every * SECOND), some[(n * count + m) % len(some)])
        for n in range(times)
        for m in range(count)
    ]


def merged(*streams: Iterable[Packet]) -> list[Packet]:
    """Return the packets of several streams in order of time."""
    return sorted((packet for stream in streams for packet in stream), key=lambda packet: packet.time)


def shifted(stream: Iterable[Packet], by: int) -> list[Packet]:
    """Return the same packets, so many nanoseconds later."""
    return [packet._replace(time=packet.time + by) for packet in stream]
