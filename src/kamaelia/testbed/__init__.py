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
| `network` | the description: hosts, links, what runs where (`settings`, `kamaelia.axon.units`) |
| `topologies` | networks of usual shapes; `gml`: those in files |
| `simulation` | one run of it: the clock, the systems, the end (`hostrun`) |
| `wire` | packets, and the straight path that most of them take, in two forms (`forms`) |
| `links` | models of what links do: loss, delay, rates, queues; `channel` puts them on the path |
| `stack` | a host's addresses and ports; routers and switches (`routing`, `nat`, `rules`, `fragments`) |
| `datagram` | simulated UDP |
| `stream` | simulated TCP as bytes in order (`end`, `streams`, `listener`, `ports`) |
| `tcp` | TCP as packets, after Linux: a pure machine; `packet_end` puts it behind sockets |
| `groups` | IGMP and MLD, as machines; `multicast`: where packets to groups go (`memberships`) |
| `loop` | the event loop in front of all this (`single`); `sockets`: what looks like a socket (`options`) |
| `stand_ins` | what simulated code gets in place of the machine's time, chance and sockets (`futures`) |
| `faults` | what goes wrong, and when; `disk`: a host's files, which can go wrong too (`filesystem`) |
| `snapshot` | what a run is like at one moment; `remote`: pausing, stepping and changing it from outside |
| `trace` | what a run has shown (`record`); in numbers: `measures_network` (`measures_queue`, `taps`) |
| `measures` | parts that measure what passes (`measures_flow`, `measures_sequence`) |
| `captures` | files of packets, as machines; `capture`: writing one in a run; `pcap_source`: playing one |
| `simulated` | a test over many seeds; `check`: where two runs part that should be the same |
| `experiments` | one scenario with many parameters and seeds, and what that says; a room of its own |
| `shrinking` | from a run that fails to the smallest one that fails in the same way |
| `loopback` | the same on real sockets of this machine |
| `emulation` | the same on real sockets, in network namespaces, over the same links |

Not modelled: ICMP but for what concerns ports, sizes, ways and groups, protocols by which routers find each
other (routes are computed, and known to all at once), the time that computing takes.
"""

from .check import RunsDiffer, check
from .disk import DiskCall, DiskTrace, HostDisk
from .errors import EmulationError, SimulationError
from .experiments import Experiment, Study
from .gml import network_from_gml, to_gml
from .loop import HostLoop
from .measures import Measure, Stamp
from .measures_flow import FlowMetrics
from .measures_network import HostMetrics, LinkMetrics, Metrics
from .measures_queue import QueueMetrics
from .network import Host, Network, NetworkLink
from .pcap_source import PcapSource
from .remote import Moment, Remote
from .rules import Rule
from .simulated import simulated
from .single import single_host_loop
from .snapshot import (
    DirectionSnapshot,
    HostSnapshot,
    LinkParameters,
    LossSnapshot,
    NetworkLinkSnapshot,
    NetworkSnapshot,
)
from .tcp import LinuxTCP
from .topologies import cdn, chain, dumbbell, full_mesh, grid, ring, star, tree
from .trace import Event, Trace

__all__ = [
    "DirectionSnapshot",
    "DiskCall",
    "DiskTrace",
    "EmulationError",
    "Event",
    "Experiment",
    "FlowMetrics",
    "Host",
    "HostDisk",
    "HostLoop",
    "HostMetrics",
    "HostSnapshot",
    "LinkMetrics",
    "LinkParameters",
    "LinuxTCP",
    "LossSnapshot",
    "Measure",
    "Metrics",
    "Moment",
    "Network",
    "NetworkLink",
    "NetworkLinkSnapshot",
    "NetworkSnapshot",
    "PcapSource",
    "QueueMetrics",
    "Remote",
    "Rule",
    "RunsDiffer",
    "SimulationError",
    "Stamp",
    "Study",
    "Trace",
    "cdn",
    "chain",
    "check",
    "dumbbell",
    "full_mesh",
    "grid",
    "network_from_gml",
    "ring",
    "simulated",
    "single_host_loop",
    "star",
    "to_gml",
    "tree",
]
