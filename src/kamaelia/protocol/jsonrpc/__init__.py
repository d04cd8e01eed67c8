"""JSON-RPC 2.0 in both directions, over whatever carries texts.

| module | what is in it |
| --- | --- |
| `machine` | the rules of the standard: texts in, events out |
| `peer` | `JSONRPC`: one peer, as a component; `caller`, to call back in a method |
| `methods` | what a peer may call |
| `lines` | `JSONRPCLines`: on a stream, a line for each text |
| `client` | `JSONRPCClient`: over TCP, a line for each text |
| `content_length` | `ContentLength`: on a stream, with headers, as language servers do it |
"""

from .client import JSONRPCClient
from .content_length import ContentLength
from .lines import JSONRPCLines
from .machine import Call, Notification, RPCError
from .peer import JSONRPC, Caller, JSONRPCStatistics, caller

__all__ = [
    "JSONRPC",
    "Call",
    "Caller",
    "ContentLength",
    "JSONRPCClient",
    "JSONRPCLines",
    "JSONRPCStatistics",
    "Notification",
    "RPCError",
    "caller",
]
