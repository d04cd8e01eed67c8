"""Kamaelia: one component that sends to WIDTH others ("out"), or WIDTH that send to one ("in")."""

from __future__ import annotations

import sys
from typing import Any

from benchmarks.peers.about_kamaelia import about
from benchmarks.peers.stopwatch import numbers, time_hops
from kamaelia import Component, Graphline, Inbox, Outbox, run

WIDTH, MESSAGES = numbers()  # messages in all that arrive, a multiple of the width


class Sender(Component):
    outbox = Outbox[int]("numbers")

    def __init__(self, number: int) -> None:
        self.number = number

    async def main(self) -> None:
        send = self.outbox.send
        for number in range(self.number):
            await send(number)


class Receiver(Component):
    inbox = Inbox[int]("numbers")
    outbox = None

    def __init__(self, arrived: list[int]) -> None:
        self.arrived = arrived

    async def main(self) -> None:
        count = 0
        async for _ in self.inbox:
            count += 1
        self.arrived.append(count)


def work() -> int:
    each = MESSAGES // WIDTH
    arrived: list[int] = []
    if "out" in sys.argv:
        start = Sender(each)
        links: list[Any] = [start.outbox >> Receiver(arrived).inbox for _ in range(WIDTH)]
    else:
        end = Receiver(arrived)
        links = [Sender(each).outbox >> end.inbox for _ in range(WIDTH)]
    run(Graphline(*links))
    return sum(arrived)


if __name__ == "__main__":
    time_hops(about(), work, MESSAGES, 1)
