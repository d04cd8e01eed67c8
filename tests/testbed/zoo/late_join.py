"""A picture is sent to a group in ten pieces, over and over; what a viewer gets first is taken for the first.

Whoever joins a moment too late gets another one first.
"""

from __future__ import annotations

from kamaelia import Component, random, sleep
from kamaelia.net import MulticastReceiver, MulticastSender
from kamaelia.testbed.simulated import simulated

GROUP = "239.1.2.3"
PIECES = [f"piece-{number}" for number in range(10)]


class Studio(Component):
    async def main(self) -> None:
        await sleep(random.random() * 2)
        for _ in range(3):
            for number, piece in enumerate(PIECES):
                await self.outbox.send(f"{number} {piece}".encode())
                await sleep(0.02)


class Viewer(Component):
    def __init__(self, faulty: bool, picture: list[str]) -> None:
        self.faulty = faulty
        self.picture = picture

    async def main(self) -> None:
        pieces: dict[int, str] = {}
        while len(pieces) < len(PIECES):
            number, piece = (await self.inbox.receive()).decode().split()
            pieces[len(pieces) if self.faulty else int(number)] = piece
        self.picture += [pieces[number] for number in sorted(pieces)]


@simulated(seeds=1000, seconds=10, within="60 s")
def protocol(network, faulty):
    pictures: list[list[str]] = [[], []]
    network.host("studio").run(Studio() | MulticastSender(GROUP, 5004, ttl=4))
    network.router("edge")
    network.link("studio", "edge", delay="5 ms")
    for number, picture in enumerate(pictures):
        network.host(f"viewer-{number}").run(
            MulticastReceiver(GROUP, 5004, quiet=True) | Viewer(faulty, picture)
        )
        network.link("edge", f"viewer-{number}", delay="20 ms")
    yield network
    assert pictures == [PIECES, PIECES], f"the pictures are {pictures}"
