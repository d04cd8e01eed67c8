"""Transports: components that talk to other machines.

| module | what is in it |
| --- | --- |
| `tcp_server` | `TCPServer`: a component of its own for each who connects |
| `tcp_client` | `TCPClient`: one connection to a server, made again if need be |
| `datagram` | what the parts for datagrams have in common; start there for UDP |
| `udp_receiver`, `udp_sender` | `UDPReceiver`: what comes to a port; `UDPSender`: to one address, or many |
| `udp_peer` | `UDPPeer`: both ways with one address |
| `udp_server` | `UDPServer`: a component of its own for each address that datagrams come from |
| `multicast` | groups, `Join` and `Leave`; `options`: what the kernel has to be told for that |
| `multicast_receiver`, `multicast_sender`, `multicast_transceiver` | the parts for groups |
| `connection` | what a server makes for each peer; `peer` says who that is |
| `stream` | the adapter between an asyncio transport and boxes: start reading here |
| `watch` | the time limits of many streams, with one timer |
| `kernel` | what is asked of the operating system below a transport |
| `arguments` | what may be given to servers and clients |
| `errors` | what goes wrong, and what to do about it |

All of it uses the interface of asyncio's event loops and nothing else: so it runs on asyncio's own, on
uvloop, and unchanged on the simulated hosts of `kamaelia.testbed`.
"""

from .connection import Connection, Peer, peer
from .datagram import Datagram, DatagramStatistics
from .errors import CannotConnect, CannotListen, ConnectionLost
from .multicast import GroupDatagram, Join, Leave
from .multicast_receiver import MulticastReceiver
from .multicast_sender import MulticastSender
from .multicast_transceiver import MulticastTransceiver
from .stream import Stream
from .tcp_client import ClientStatistics, Reconnect, TCPClient
from .tcp_server import ServerStatistics, TCPServer
from .udp_peer import UDPPeer
from .udp_receiver import UDPReceiver
from .udp_sender import UDPSender
from .udp_server import UDPServer, UDPServerStatistics

__all__ = [
    "CannotConnect",
    "CannotListen",
    "ClientStatistics",
    "Connection",
    "ConnectionLost",
    "Datagram",
    "DatagramStatistics",
    "GroupDatagram",
    "Join",
    "Leave",
    "MulticastReceiver",
    "MulticastSender",
    "MulticastTransceiver",
    "Peer",
    "Reconnect",
    "ServerStatistics",
    "Stream",
    "TCPClient",
    "TCPServer",
    "UDPPeer",
    "UDPReceiver",
    "UDPSender",
    "UDPServer",
    "UDPServerStatistics",
    "peer",
]
