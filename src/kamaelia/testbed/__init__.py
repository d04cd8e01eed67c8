"""For networks; one component alone: `kamaelia.testing`.

Describe hosts and links, say what runs on the hosts, and simulate::

    network = Network()
    server = network.host("server").run(chat)
    for n in range(100):
        phone = network.host(f"phone-{n}").run(talk)
        network.link(server, phone, rate="2 Mbit/s", delay="80 ms", loss=0.05)
    print(network.simulate(seconds=60, seed=7).metrics)

The components are the same objects that run on real sockets. They see an asyncio event loop, and the loop
is the only thing that is different. Read in this order to see how it works; each of these opens with its
theory:

| module | what is in it |
| --- | --- |
| `network` | the description: hosts, links, what runs where (`kamaelia.axon.units`) |
| `simulation` | one run of it: the clock, the systems, the end |
| `wire` | packets and what carries them: rate, queue, loss, delay |
| `stack` | a host's addresses and ports |
| `stream` | simulated TCP; `datagram` simulated UDP (`sockets`), `multicast` to groups |
| `loop` | the event loop in front of all this (`single`: of one host alone) |
| `stand_ins` | what simulated code finds in place of the machine's time, chance, sockets and programs |
| `trace` | what a run has shown |
| `loopback` | the same on real sockets of this machine (`hostrun`) |

Not modelled: IPv6 and broadcast, the time that joining a group takes, congestion control, corruption and
reordering of packets, the time that computing takes.
"""

from .errors import SimulationError
from .loop import HostLoop
from .network import Host, Network, NetworkLink
from .single import single_host_loop
from .trace import Event, HostMetrics, LinkMetrics, Metrics, Trace

__all__ = [
    "Event",
    "Host",
    "HostLoop",
    "HostMetrics",
    "LinkMetrics",
    "Metrics",
    "Network",
    "NetworkLink",
    "SimulationError",
    "Trace",
    "single_host_loop",
]
