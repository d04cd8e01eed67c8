"""Specimens of the parts of this room, see `kamaelia.axon.specimen`."""

from __future__ import annotations

from kamaelia.axon.specimen import Specimen
from kamaelia.protocol import Echo

from . import WebSocketClient, WebSocketProtocol, WebSocketServer

ASKED = (
    b"GET / HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
ANSWERED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)
HELLO = b"\x82\x85abcd\t\x07\x0f\x08\x0e"  # masked, as a client sends it
CLOSE = b"\x88\x82abcdb\x8a"  # with 1000

SPECIMENS = {
    "WebSocketClient": (
        Specimen(
            lambda: WebSocketClient("ws://127.0.0.1:1500/"),
            {"inbox": ("one", b"two")},
            gives=None,
            outside="it connects to a server",
        ),
    ),
    "WebSocketProtocol": (
        Specimen(
            lambda: WebSocketProtocol(Echo),
            {"inbox": (ASKED, HELLO, HELLO, CLOSE)},
            {"outbox": (ANSWERED, b"\x82\x05hello", b"\x82\x05hello", b"\x88\x02\x03\xe8")},
            by_time="at a stop the client is told that we are going away",
        ),
    ),
    "WebSocketServer": (
        Specimen(
            lambda: WebSocketServer(Echo, 0, quiet=True),
            gives=None,
            endless=True,
            outside="it listens on the network",
        ),
    ),
}
