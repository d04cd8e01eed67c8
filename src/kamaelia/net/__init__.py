"""Transports: components that talk to other machines.

| module | what is in it |
| --- | --- |
| `tcp_server`, `unix_server` | `TCPServer`, `UnixServer`: a component of its own for each who connects |
| `tcp_client`, `unix_client` | `TCPClient`, `UnixClient`: one connection to a server, made again if need be |
| `memory` | `MemoryServer`, `MemoryClient`: the same within one system |
| `stream` | the adapter between an asyncio transport and boxes: start reading here |
| `server` | what all servers of streams have in common: who is let in, and what is counted |
| `client` | what all clients have in common |
| `serving` | what these have in common with servers of datagrams |
| `connection` | what a server makes for each peer; `peer` says who that is |
| `gate` | what a connection goes through before: the header of a proxy, the handshake of TLS |
| `instructions` | messages among the bytes: `SendFile`, `StartTLS` |
| `tls/` | certificates and names: `ServerTLS`, `ClientTLS`; TLS as a machine without a socket |
| `proxy/` | the PROXY protocol: for whom a proxy speaks |
| `dial` | how a client gets through to a server with several addresses |
| `datagram` | what the parts for datagrams have in common; start there for UDP |
| `udp_receiver`, `udp_sender` | `UDPReceiver`: what comes to a port; `UDPSender`: to one address, or many |
| `udp_peer` | `UDPPeer`: both ways with one address |
| `udp_socket` | `UDPSocket`: both ways with anybody |
| `udp_server` | `UDPServer`: a component of its own for each address that datagrams come from |
| `multicast` | groups, `JoinGroup`, `LeaveGroup`; `options`: what the kernel has to be told for that |
| `multicast_receiver`, `multicast_sender`, `multicast_transceiver` | the parts for groups |
| `watch` | the time limits of many streams, with one timer |
| `kernel` | what is asked of the operating system below a transport |
| `arguments` | what may be given to servers and clients |
| `errors` | what goes wrong, and what to do about it |

All of it uses the interface of asyncio's event loops and nothing else: so it runs on asyncio's own, on
uvloop, and unchanged on the simulated hosts of `kamaelia.testbed`.
"""

from .client import ClientStatistics, Reconnect
from .connection import Connection, Peer, peer
from .datagram import Datagram, DatagramStatistics
from .errors import CannotConnect, CannotListen, ConnectionLost
from .instructions import SendFile, StartTLS
from .memory import MemoryClient, MemoryServer
from .multicast import GroupDatagram, JoinGroup, LeaveGroup
from .multicast_receiver import MulticastReceiver
from .multicast_sender import MulticastSender
from .multicast_transceiver import MulticastTransceiver
from .proxy import ProxyHeader
from .server import ServerStatistics
from .stream import Stream
from .tcp_client import TCPClient
from .tcp_server import TCPServer
from .tls import ClientTLS, ServerTLS, TLSInfo
from .udp_peer import UDPPeer
from .udp_receiver import UDPReceiver
from .udp_sender import UDPSender
from .udp_server import UDPServer, UDPServerStatistics
from .udp_socket import UDPSocket
from .unix_client import UnixClient
from .unix_server import UnixServer

__all__ = [
    "CannotConnect",
    "CannotListen",
    "ClientStatistics",
    "ClientTLS",
    "Connection",
    "ConnectionLost",
    "Datagram",
    "DatagramStatistics",
    "GroupDatagram",
    "JoinGroup",
    "LeaveGroup",
    "MemoryClient",
    "MemoryServer",
    "MulticastReceiver",
    "MulticastSender",
    "MulticastTransceiver",
    "Peer",
    "ProxyHeader",
    "Reconnect",
    "SendFile",
    "ServerStatistics",
    "ServerTLS",
    "StartTLS",
    "Stream",
    "TCPClient",
    "TCPServer",
    "TLSInfo",
    "UDPPeer",
    "UDPReceiver",
    "UDPSender",
    "UDPServer",
    "UDPServerStatistics",
    "UDPSocket",
    "UnixClient",
    "UnixServer",
    "peer",
]
