"""A vision mixer: three cameras run all the time, and a script says which of them is on air.

    studio  --+
    street  --+-- mixer --> on air
    weather --+     ^
                 script

Type ``python examples/mixer.py``. You see what is on air for 9 s of virtual time: a picture every half
second and, from the camera in the street, every second. What a camera sends while another is on air is
gone: this is live.
"""

from kamaelia import Graphline, clock, component, run, sleep
from kamaelia.axon import VirtualLoop
from kamaelia.chassis import Selector, Timeout
from kamaelia.flow import Interval, Map
from kamaelia.ui import ConsoleEchoer

SCRIPT = [(2.2, "street"), (5.2, "weather"), (6.7, "studio")]  # from when on what is on air


@component
async def script(inbox, outbox, cuts):
    for second, camera in cuts:
        await sleep(second - clock())
        await outbox.send(camera)


def camera(name, seconds):
    return Interval(seconds) | Map(lambda number: f"{name}, picture {number}")


def broadcast(cuts):
    studio, street, weather = camera("studio", 0.5), camera("street", 1), camera("weather", 0.5)
    mixer = Selector("studio", "street", "weather", others="drop")
    director, air = script(cuts), Map(lambda picture: f"{clock():4.1f} s: {picture}") | ConsoleEchoer()
    return Graphline(
        studio.outbox >> mixer.studio,
        street.outbox >> mixer.street,
        weather.outbox >> mixer.weather,
        director.outbox >> mixer.choose,
        mixer.outbox >> air.inbox,
    )


if __name__ == "__main__":
    run(Timeout(broadcast(SCRIPT), total=9, then="end"), loop_factory=VirtualLoop)
