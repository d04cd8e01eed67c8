"""Systems that are looked at: run as programs, each in a process of its own, with a Studio beside it.

``python -m tests.studio.systems fifty`` runs one by hand.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from kamaelia import Component, Graphline, Pipeline, component, run, sleep
from kamaelia.flow import Collect, Interval, Map, Take
from kamaelia.net import TCPClient, TCPServer
from kamaelia.protocol import Echo
from kamaelia.testbed import Network, Remote


@component
async def station(inbox: Any, outbox: Any, name: str = "north", every: float = 0.02) -> None:
    """A weather station: it measures every so often."""
    n = 0
    while True:
        await sleep(every)
        await outbox.send({"station": name, "n": n, "celsius": 20 + n % 10})
        n += 1


@component
async def step(inbox: Any, outbox: Any, work: str = "") -> None:
    """Pass on each message, after some work on it."""
    async for message in inbox:
        await outbox.send({**message, "work": work})


@component
async def archive(inbox: Any, outbox: Any, seconds: float = 0.2) -> None:
    """Write each message down, on a disk that is too slow for that."""
    async for message in inbox:
        await sleep(seconds)
        await outbox.send(message)


@component
async def end(inbox: Any, outbox: Any) -> None:
    """Take each message, and do nothing with it."""
    async for _ in inbox:
        pass


@component
async def frozen(inbox: Any, outbox: Any, after: int = 30, seconds: float = 3.0) -> None:
    """After some messages, do what nobody should: block the whole loop."""
    n = 0
    async for message in inbox:
        n += 1
        if n % after == 0:
            time.sleep(seconds)  # noqa: ASYNC251  # that is the point
        await outbox.send(message)


def fifty(delay: float = 0.2) -> Component:
    """Some fifty parts, of which one holds up the others: the archive's disk."""
    names = ("north", "east", "south", "west", "hill", "coast")
    stations = {
        name: Pipeline(station(name), step("checked"), step("converted"), step("stamped")) for name in names
    }
    joined = Pipeline(step("merged"), step("sorted"), step("numbered"))
    branches = {
        "archive": Pipeline(step("packed"), archive(delay).named("disk"), end()),
        "alarms": Pipeline(step("compared"), step("filtered"), end()),
        "charts": Pipeline(step("averaged"), step("scaled"), step("drawn"), end()),
        "web": Pipeline(step("selected"), step("rendered"), end()),
    }
    links = [part.outbox >> joined.inbox for part in stations.values()]
    links += [joined.outbox >> part.inbox for part in branches.values()]
    return Graphline(*links, **stations, merge=joined, **branches).named("weather")


class Spawner(Component):
    """Adds ten parts, one after another, waits until they have ended, and adds others."""

    inbox = None
    outbox = None

    async def main(self) -> None:
        while True:
            for n in range(10):
                self.add(Pipeline(station(f"extra-{n}", 0.1), Take(30), end()).named(f"extra-{n}"))
                await sleep(0.05)
            await sleep(4.0)


def changing() -> Component:
    """One in which parts come and go, beside some that stay."""
    return Graphline(steady=healthy(), spawner=Spawner()).named("changing")


def healthy() -> Component:
    """A small one that does its work."""
    return Pipeline(station(every=0.01), step("checked"), end())


def stuck() -> Component:
    """One whose loop is blocked again and again."""
    return Pipeline(station(every=0.01), frozen(), end())


def phones(count: int = 5) -> Network:
    """A simulated network: phones that talk to a server, each over a link that loses a little."""
    network = Network()
    server, edge = network.host("server"), network.router("edge")
    network.link(server, edge, rate="10 Mbit/s", delay="20 ms")
    server.run(TCPServer(Echo, port=1500))
    for n in range(count):
        phone = network.host(f"phone-{n}")
        network.link(edge, phone, rate="2 Mbit/s", delay="80 ms", loss=0.01)
        phone.run(Interval(0.05) | Map(lambda _: b"x" * 400) | TCPClient("server", 1500) | Collect())
    return network


if __name__ == "__main__":
    made = globals()[sys.argv[1]]()
    if isinstance(made, Network):
        made.simulate(seconds=3600, seed=7, studio=True, remote=Remote(speed=1))
    else:
        run(made, studio=True)
