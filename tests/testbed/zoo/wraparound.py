"""Positions are sent as they change, numbered with one byte; the newest is the one with the largest number.

After 255 comes 0, which is taken for old, and so is everything after it.
"""

from __future__ import annotations

from kamaelia import Component, random, sleep
from kamaelia.testbed.simulated import simulated

from . import on_udp, to

COUNT = 10


class Ship(Component):
    async def main(self) -> None:
        number = random.randrange(256)  # where it begins is nobody's business
        for position in range(COUNT):
            await self.outbox.send(to("harbour", number, position))
            number = (number + 1) % 256
            await sleep(0.1)


class Harbour(Component):
    def __init__(self, faulty: bool, chart: list[int]) -> None:
        self.faulty = faulty
        self.chart = chart

    async def main(self) -> None:
        newest = None
        async for message in self.inbox:
            number, position = map(int, message.data.split())
            if newest is None or self.is_newer(number, newest):
                newest = number
                self.chart.append(position)

    def is_newer(self, number: int, than: int) -> bool:
        if self.faulty:
            return number > than
        return 0 < (number - than) % 256 < 128  # RFC 1982


@simulated(seeds=1000, seconds=20, within="60 s")
def protocol(network, faulty):
    chart: list[int] = []
    network.host("harbour").run(on_udp(Harbour(faulty, chart)))
    network.host("ship").run(on_udp(Ship()))
    network.link("ship", "harbour", delay="200 ms", jitter="180 ms", reordering=True)
    yield network
    assert chart == sorted(chart), f"the ship goes backwards: {chart}"
    assert chart[-1] == COUNT - 1, f"the last position is {chart[-1]}"
