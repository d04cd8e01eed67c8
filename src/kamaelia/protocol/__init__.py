"""Protocols. Each component speaks one with one peer, in bytes: give it to a server, or drive it in a test.

| part | what it does | by |
| --- | --- | --- |
| `Echo` | sends back what it gets | RFC 862 |
| `Chargen` | sends characters without end | RFC 864 |
| `Fortune` | sends a thought, and closes | RFC 865 |
| `Daytime` | sends the date and the time, and closes | RFC 867 |
| `JSONRPC`, `JSONRPCClient`, `JSONRPCLines` | calls methods of a peer, and is called | JSON-RPC 2.0 |
| `Conversation`, `Telnet` | talks with a person at a terminal; lets another part do so | RFC 854, 1143 |

>>> from kamaelia.protocol import Echo
>>> from kamaelia.testing import drive
>>> with drive(Echo()) as echo:
...     echo.send(b"x")
...     echo.take()
b'x'
"""

from .chargen import Chargen
from .daytime import Daytime
from .echo import Echo
from .fortune import Fortune
from .jsonrpc import JSONRPC, Call, ContentLength, JSONRPCClient, JSONRPCLines, Notification, RPCError, caller
from .telnet import CommandError, Commands, Conversation, ConversationOver, Telnet

__all__ = [
    "JSONRPC",
    "Call",
    "Chargen",
    "CommandError",
    "Commands",
    "ContentLength",
    "Conversation",
    "ConversationOver",
    "Daytime",
    "Echo",
    "Fortune",
    "JSONRPCClient",
    "JSONRPCLines",
    "Notification",
    "RPCError",
    "Telnet",
    "caller",
]
