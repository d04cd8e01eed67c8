"""A picture is sent in tiles, each in a datagram; they are laid down in the order in which they arrive."""

from __future__ import annotations

from kamaelia import Component, sleep
from kamaelia.testbed.simulated import simulated

from . import on_udp, to

TILES = [f"tile-{number}" for number in range(8)]


class Painter(Component):
    async def main(self) -> None:
        for number, tile in enumerate(TILES):
            await self.outbox.send(to("gallery", number, tile))
            await sleep(0.02)


class Gallery(Component):
    def __init__(self, faulty: bool, picture: list[str]) -> None:
        self.faulty = faulty
        self.picture = picture

    async def main(self) -> None:
        tiles: dict[int, str] = {}
        while len(tiles) < len(TILES):
            message = await self.inbox.receive()
            number, tile = message.data.decode().split()
            tiles[len(tiles) if self.faulty else int(number)] = tile
        self.picture += [tiles[number] for number in sorted(tiles)]


@simulated(seeds=1000, seconds=10, within="60 s")
def protocol(network, faulty):
    picture: list[str] = []
    network.host("gallery").run(on_udp(Gallery(faulty, picture)))
    network.host("painter").run(on_udp(Painter()))
    # A router with two ways now and then takes the longer one.
    network.link("painter", "gallery", delay="30 ms", reorder="0.2 %")
    yield network
    assert picture == TILES, f"the picture is {picture}"
