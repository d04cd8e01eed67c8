"""A programme is sent line by line to many viewers, with numbers; they put the lines one below the other.

It looks at the numbers only to leave out what has come twice. On a way that changes the order, so does it.
"""

from __future__ import annotations

from kamaelia import Component, sleep
from kamaelia.observe import count
from kamaelia.testbed import Network
from tests.testbed.zoo import on_udp, to

from . import campus, trouble

LINES = 100


class Sender(Component):
    def __init__(self, viewers: list[str]) -> None:
        self.viewers = viewers

    async def main(self) -> None:
        for number in range(LINES):
            for viewer in self.viewers:
                await self.outbox.send(to(viewer, number))
            await sleep(0.1)


class Viewer(Component):
    def __init__(self, faulty: bool) -> None:
        self.faulty = faulty

    async def main(self) -> None:
        lines: list[int] = []
        async for message in self.inbox:
            number = int(message.data)
            if number not in lines:
                lines.append(number)
                if not self.faulty:
                    lines.sort()
                if lines != sorted(lines):
                    count("not in order")


def scenario(faulty=True, viewers=20):
    network = Network()
    names = [f"viewer-{number}" for number in range(viewers)]
    bystanders = campus(network, ["studio", *names])
    network.hosts["studio"].run(on_udp(Sender(names)))
    for name in names:
        network.hosts[name].run(on_udp(Viewer(faulty)))
    trouble(network, bystanders, quiet=names[:5])
    (link,) = (one for one in network.links if one.b.name == "viewer-9")
    network.at("4 s", link.set, delay="200 ms", jitter="190 ms", reordering=True)
    network.at("6 s", link.set, delay="3 ms", jitter="1 ms", reordering=False)
    return network


def fails(trace):
    """Look at what the viewers that are there have counted."""
    counted = [
        path
        for paths in trace.metrics.measures.values()
        for path, measures in paths.items()
        if "not in order" in measures
    ]
    return f"the lines of {len(counted)} viewer(s) are not in order" if counted else ""
