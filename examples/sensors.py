"""Thermometers that fail now and then, kept up by a supervisor, and a dashboard that does not mind.

    hall   > supervisor --+
    cellar > supervisor --+--> the room "readings" --> the last of each > every 10 s > screen
    roof   > supervisor --+

Type ``python examples/sensors.py``. You see a minute of virtual time: a line of readings every 10 s, and
each failure when it happens. A thermometer that has failed is started again a little later.
"""

import logging

from kamaelia import Graphline, clock, component, random, run, sleep
from kamaelia.axon import VirtualLoop
from kamaelia.chassis import PublishTo, SubscribeTo, Supervisor, Timeout
from kamaelia.flow import Map, Sample, Scan, Tag
from kamaelia.ui import ConsoleEchoer


@component
async def thermometer(inbox, outbox, place, degrees):
    while True:
        await sleep(1)
        if random.random() < 0.02:
            raise OSError(f"the thermometer of the {place} does not answer")
        degrees += random.uniform(-0.5, 0.5)
        await outbox.send(degrees)


def sensor(place, degrees):
    """A thermometer that is kept up: says in the room what it reads, and sends how it has failed."""
    kept_up = Supervisor(thermometer(place, degrees), intensity=10, period=60)
    readings = Tag(place) | PublishTo("readings")
    news = Map(lambda failure: f"{clock():5.1f} s: {failure.error}")
    return Graphline(
        kept_up.outbox >> readings.inbox,
        kept_up.failures >> news.inbox,
        news.outbox >> "self.outbox",
    )


def show(board):
    readings = ", ".join(f"{place} {degrees:.1f}" for place, degrees in sorted(board.items()))
    return f"{clock():5.1f} s: {readings}"


dashboard = (
    SubscribeTo("readings")
    | Scan(lambda board, reading: {**board, reading[0]: reading[1]}, start={})
    | Sample(10)
    | Map(show)
)

house = [sensor("hall", 20), sensor("cellar", 12), sensor("roof", 5), dashboard]

if __name__ == "__main__":
    logging.getLogger("kamaelia").setLevel("CRITICAL")  # it would say once more what has failed
    screen = ConsoleEchoer()
    minute = Timeout(Graphline(*(part.outbox >> screen.inbox for part in house)), total=61, then="end")
    run(minute, loop_factory=VirtualLoop, seed=4)
