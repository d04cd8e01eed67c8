"""The same network with real sockets, in network namespaces of this machine, in real time.

`Network.emulate` runs what hosts run, each in a process of its own with a kernel's network of its own, and
`Network.emulation` lets outside programs run there as well. Between the hosts there is no wire but one
process, the box, which does to real packets what a simulation does to simulated ones, with the same parts.

| module | what is in it |
| --- | --- |
| `emulation` | one emulation, as whoever started it sees it |
| `warden` | the process that starts and ends all others, and why nothing can be left behind |
| `box` | the network between the hosts, on the clock of the machine |
| `packets` | real packets to those of the wire, and back |
| `hosts`, `programs` | what runs on hosts: components, outside programs |
| `tun`, `netlink`, `sysctls` | devices, addresses and routes, how a kernel's network is set |
| `kernel`, `names` | calls of the kernel, names of hosts |
| `verbs` | faults, from outside the box |
| `lateness` | how faithful it was |
| `relay` | without rights: a simulated network in real time (`realtime`) |
| `doors` | ports of this machine that lead into it and out (`streams`, `datagrams`) |
| `rights` | what it needs, and what is missing |
| `pipes` | objects between these processes |
"""

from ..errors import EmulationError
from .doors import Door, Exit
from .emulation import Emulation, EmulationWarning, Program
from .hosts import RemoteFailure
from .lateness import EmulationReport, Lateness
from .programs import Finished
from .relay import Relay
from .rights import missing

__all__ = [
    "Door",
    "Emulation",
    "EmulationError",
    "EmulationReport",
    "EmulationWarning",
    "Exit",
    "Finished",
    "Lateness",
    "Program",
    "Relay",
    "RemoteFailure",
    "missing",
]
