"""What tests of queues need: packets, a line that sends them, and chance that is written down beforehand."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

from kamaelia.testbed.links.queues import Discipline

MS = 10**6  # nanoseconds


class Packet:
    """A packet with a name."""

    __slots__ = ("ecn", "enqueued", "flow", "name", "size")

    def __init__(self, name: object, size: int = 1500, flow: Hashable = "flow", ecn: int = 0) -> None:
        self.name, self.size, self.flow, self.ecn = name, size, flow, ecn
        self.enqueued = -1

    def __repr__(self) -> str:
        return f"<packet {self.name}>"


class Script:
    """A stream that gives the numbers of a list, each once."""

    def __init__(self, *numbers: float) -> None:
        self.numbers = list(numbers)

    def random(self) -> float:
        return self.numbers.pop(0)


def name_of(packet: Any) -> object:
    return None if packet is None else packet.name


def fill(queue: Discipline, number: int, now: int = 0, **packet: Any) -> list[bool]:
    """Put in packets that are called 0, 1, 2, ... and return which were taken."""
    return [queue.enqueue(Packet(name, **packet), now) for name in range(number)]


def drain(queue: Discipline, now: int = 0) -> list[object]:
    """Take out all that may be sent at once, and return their names."""
    names = []
    while (packet := queue.dequeue(now)) is not None:
        names.append(name_of(packet))
    return names


def listen(queue: Discipline) -> list[tuple[object, int, str]]:
    """Return the list into which the queue tells what it drops: names, times and reasons."""
    heard: list[tuple[object, int, str]] = []
    queue.dropped = lambda packet, now, why: heard.append((name_of(packet), now, why))
    return heard


def send_all(queue: Discipline, start: int = 0) -> list[tuple[int, object]]:
    """Send all that is held, each as soon as it is ready, and return when which was sent."""
    sent, now = [], start
    while (ready := queue.ready(now)) is not None:
        now = ready
        packet = queue.dequeue(now)
        assert packet is not None, f"{queue} was ready at {now}, and had nothing"
        sent.append((now, name_of(packet)))
    return sent


def take_at(queue: Discipline, times: Iterable[int]) -> list[object]:
    """Take out one at each of these times, and return their names."""
    return [name_of(queue.dequeue(now)) for now in times]
