"""ns.py: its ports, wires and demultiplexer, and a generator for each viewer.

A port sends one packet after the other at its rate, and a wire delays and loses them; each is a process of
SimPy with a queue of its own. The viewers are not the library's `PacketSink`, which keeps more than is asked
for. ns.py 0.5 says that it needs Python 3.14, so on 3.13 it is 0.4.5, which does this as fast.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial

import simpy
from ns.demux.flow_demux import FlowDemux
from ns.packet.packet import Packet
from ns.port.port import Port
from ns.port.wire import Wire

from benchmarks.peers import star_common as star
from benchmarks.peers.stopwatch import version

env = simpy.Environment()


class Viewer(star.Viewer):
    __slots__ = ()
    now = staticmethod(partial(getattr, env, "now"))
    put = star.Viewer.take


def make() -> list[Viewer]:
    viewers = [Viewer(index) for index in range(star.VIEWERS)]
    first = Port(env, star.FIRST_RATE, qlimit=star.QUEUE)
    first.out = Wire(env, lambda: star.FIRST_DELAY)
    lasts = []
    for viewer in viewers:
        last = Port(env, star.LAST_RATE, qlimit=star.QUEUE)
        last.out = Wire(env, lambda: star.LAST_DELAY, loss_dist=lambda packet_id: star.LOSS)
        last.out.out = viewer
        lasts.append(last)
    first.out.out = FlowDemux(lasts)
    for index, viewer in enumerate(viewers):
        env.process(send(first, index, viewer.start))
    return viewers


def send(first: Port, index: int, start: float) -> Iterator[simpy.Event]:
    yield env.timeout(start)
    for number in range(star.EACH):
        first.put(Packet(env.now, star.SIZE, number, flow_id=index))
        yield env.timeout(star.EVERY)


if __name__ == "__main__":
    random.seed(1)
    star.time_star(version("ns.py"), make(), env.run, star.FIRST_DELAY + star.LAST_DELAY + star.SENDING)
