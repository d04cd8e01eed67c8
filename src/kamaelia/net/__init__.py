"""Transports: components that talk to other machines.

| module | what is in it |
| --- | --- |
| `tcp_server` | `TCPServer`: a component of its own for each who connects |
| `tcp_client` | `TCPClient`: one connection to a server, made again if need be |
| `connection` | what a server makes for each peer; `peer` says who that is |
| `stream` | the adapter between an asyncio transport and boxes: start reading here |
| `watch` | the time limits of many streams, with one timer |
| `kernel` | what is asked of the operating system below a transport |
| `arguments` | what may be given to servers and clients |
| `errors` | what goes wrong, and what to do about it |

All of it uses the interface of asyncio's event loops and nothing else: so it runs on asyncio's own, on
uvloop, and unchanged on the simulated hosts of `kamaelia.testbed`.
"""

from .client import ClientStatistics, Reconnect
from .connection import Connection, Peer, peer
from .errors import CannotConnect, CannotListen, ConnectionLost
from .instructions import SendFile, StartTLS
from .proxy import ProxyHeader
from .server import ServerStatistics
from .stream import Stream
from .tcp_client import TCPClient
from .tcp_server import TCPServer
from .tls import ClientTLS, ServerTLS, TLSInfo

__all__ = [
    "CannotConnect",
    "CannotListen",
    "ClientStatistics",
    "ClientTLS",
    "Connection",
    "ConnectionLost",
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
    "peer",
]
