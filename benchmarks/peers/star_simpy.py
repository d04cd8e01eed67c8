"""SimPy alone: a process for each viewer that is sent to, and an event for each packet and hop.

When a packet comes out of a link is computed as it enters, so no link has a process. It is what somebody
writes who wants this one star to be fast: there are no hosts, addresses, sockets or contents.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import partial

import simpy

from benchmarks.peers import star_common as star
from benchmarks.peers.stopwatch import version

env = simpy.Environment()
draw = random.Random(1).random
Then = Callable[[simpy.Event], None]


class Viewer(star.Viewer):
    __slots__ = ()
    now = staticmethod(partial(getattr, env, "now"))


class Link:
    def __init__(self, rate: float, delay: float, loss: float = 0.0) -> None:
        self.sending = star.SIZE * 8 / rate
        self.most = star.QUEUE * self.sending
        self.delay = delay
        self.loss = loss
        self.free_at = 0.0

    def enter(self, packet: int, then: Then) -> None:
        now = env.now
        free_at = self.free_at if self.free_at > now else now
        if free_at - now > self.most:
            return
        self.free_at = free_at + self.sending
        if self.loss and draw() < self.loss:
            return
        env.timeout(self.free_at + self.delay - now, packet).callbacks.append(then)


def make() -> list[Viewer]:
    viewers = [Viewer(index) for index in range(star.VIEWERS)]
    first = Link(star.FIRST_RATE, star.FIRST_DELAY)
    lasts = [Link(star.LAST_RATE, star.LAST_DELAY, star.LOSS) for _ in viewers]

    def route(event: simpy.Event) -> None:
        lasts[event.value].enter(event.value, arrive)

    def arrive(event: simpy.Event) -> None:
        viewers[event.value].take()

    def send(index: int) -> Iterator[simpy.Event]:
        yield env.timeout(viewers[index].start)
        for _ in range(star.EACH):
            first.enter(index, route)
            yield env.timeout(star.EVERY)

    for index in range(star.VIEWERS):
        env.process(send(index))
    return viewers


if __name__ == "__main__":
    star.time_star(version("simpy"), make(), env.run, star.FIRST_DELAY + star.LAST_DELAY + star.SENDING)
