from .protocol import WebSocketProtocol, handshake
from .server import WebSocketServer

__all__ = ["WebSocketProtocol", "WebSocketServer", "handshake"]
