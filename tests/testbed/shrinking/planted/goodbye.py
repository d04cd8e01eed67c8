"""A studio sends to a group for as long as somebody listens. Viewers say when they come and when they go,
each until the studio has said that it knows; it counts them.

A goodbye that is said twice, for its answer came late, counts for two, and somebody else gets no more.
"""

from __future__ import annotations

from kamaelia import Component, Graphline, sleep
from kamaelia.axon import Link
from kamaelia.net import MulticastReceiver, MulticastSender, UDPSocket
from kamaelia.testbed.simulated import simulated
from tests.testbed.zoo import PORT, answer, on_udp, to

from . import campus, trouble

GROUP = "239.1.2.3"
PICTURES = 5006


class Doorkeeper(Component):
    """Counts who listens."""

    def __init__(self, faulty: bool, listeners: dict[str, int]) -> None:
        self.faulty = faulty
        self.listeners = listeners

    async def main(self) -> None:
        known: set[tuple[str, str]] = set()
        async for message in self.inbox:
            word, viewer = message.data.decode().split()
            if self.faulty or (word, viewer) not in known:
                known.add((word, viewer))
                self.listeners["count"] += 1 if word == "hello" else -1
            await self.outbox.send(answer(message, word))


class Camera(Component):
    """Shows something while somebody listens."""

    def __init__(self, listeners: dict[str, int]) -> None:
        self.listeners = listeners

    async def main(self) -> None:
        for number in range(200):
            if self.listeners["count"] > 0:
                await self.outbox.send(f"{number}".encode())
            await sleep(0.1)


class Viewer(Component):
    """Comes and goes."""

    def __init__(self, name: str, comes: float, goes: float) -> None:
        self.name = name
        self.comes = comes
        self.goes = goes

    async def main(self) -> None:
        await sleep(self.comes)
        await self.say("hello")
        await sleep(self.goes - self.comes)
        await self.say("goodbye")

    async def say(self, word: str) -> None:
        while True:
            await self.outbox.send(to("studio", word, self.name))
            try:
                while (await self.inbox.receive(timeout=0.4)).data.decode() != word:
                    pass
            except TimeoutError:
                continue
            return


class Screen(Component):
    """Knows which pictures were shown."""

    def __init__(self, shown: list[int]) -> None:
        self.shown = shown

    async def main(self) -> None:
        async for picture in self.inbox:
            self.shown.append(int(picture))


def door(listeners: dict[str, int], faulty: bool) -> Graphline:
    keeper, socket = Doorkeeper(faulty, listeners), UDPSocket(local=("0.0.0.0", PORT), quiet=True)
    return Graphline(keeper.outbox >> socket.datagrams, Link(socket.outbox, keeper.inbox, feedback=True))


@simulated(seeds=[7], seconds=30)
def protocol(network, faulty):
    viewers = [f"viewer-{number}" for number in range(12)]
    bystanders = campus(network, ["studio", *viewers])
    listeners = {"count": 0}
    shown: dict[str, list[int]] = {viewer: [] for viewer in viewers}
    network.hosts["studio"].run(door(listeners, faulty))
    network.hosts["studio"].run(Camera(listeners) | MulticastSender(GROUP, PICTURES, ttl=8))
    for number, viewer in enumerate(viewers):
        goes = 18.0 if number == 0 else 4 + number
        network.hosts[viewer].run(on_udp(Viewer(viewer, 0.5 + number / 10, goes)))
        if number == 0:
            network.hosts[viewer].run(MulticastReceiver(GROUP, PICTURES, quiet=True) | Screen(shown[viewer]))
    trouble(network, bystanders, quiet=viewers[6:11])
    network.at("8.9 s", network.hold, "studio", "viewer-5", one_way=True)
    network.at("9.5 s", network.release, "studio", "viewer-5")
    yield network
    seen = shown["viewer-0"]
    assert not seen or seen[-1] > 170, f"the last picture that viewer-0 has got is {seen[-1]}"
