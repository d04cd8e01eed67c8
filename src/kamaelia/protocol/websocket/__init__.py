"""WebSocket, server and client (RFC 6455, 7692), on the machines of the package ``websockets``.

| part | what it does |
| --- | --- |
| `WebSocketServer` | listens on a TCP port, and makes a handler for each client |
| `WebSocket` | the same as a route of an `HTTPServer` |
| `WebSocketClient` | connects to a server; again, if need be |
| `WebSocketProtocol` | the server's side of one connection, whatever carries it |
| `handshake` | says what was asked for, and agreed on |

A message is a str or bytes, and handlers are components: one that serves a `TCPServer` serves here as well.
In `machine` is the protocol itself, without any of that. All of it needs ``pip install
'kamaelia[websocket]'``.
"""

from .client import HandshakeRefused, WebSocketClient
from .conversation import WebSocketStatistics
from .protocol import Handshake, WebSocketProtocol, handshake
from .server import WebSocket, WebSocketServer

__all__ = [
    "Handshake",
    "HandshakeRefused",
    "WebSocket",
    "WebSocketClient",
    "WebSocketProtocol",
    "WebSocketServer",
    "WebSocketStatistics",
    "handshake",
]
