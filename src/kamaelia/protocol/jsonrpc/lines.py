"""How JSON-RPC is usually put onto a stream: each text on a line of its own."""

from __future__ import annotations

from kamaelia.axon.arguments import check_whole
from kamaelia.axon.errors import shorten
from kamaelia.flow import Lines

from .machine import LONGEST


class JSONRPCLines(Lines):
    """Turn a stream of bytes into the texts of JSON-RPC, one on each line, for `JSONRPC`.

    Inbox: ``inbox``, bytes, divided in any way. Outbox: ``outbox``, str, the texts. ``Encode(end="\\n")`` is
    the way back. It is `Lines` for what `JSONRPC` takes: that answers a line that is no UTF-8 with an error,
    and so it does with one that is too long. A line of more than four times that length is a failure, and
    ends the connection.

    Arguments:
        longest: characters of the longest text, as `JSONRPC` has it

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.flow import Collect, Encode, Source
        >>> from kamaelia.protocol import JSONRPC, JSONRPCLines
        >>> wire = [b'{"jsonrpc": "2.0", "method": "pow", "par', b'ams": [2, 10], "id": 1}\\n']
        >>> run(Source(wire) | JSONRPCLines() | JSONRPC({"pow": pow}) | Encode(end="\\n") | Collect())
        [b'{"jsonrpc":"2.0","result":1024,"id":1}\\n']
    """

    def __init__(self, longest: int = LONGEST) -> None:
        check_whole(f"JSONRPCLines({shorten(longest)})", longest, "the characters of the longest text", 1)
        # What is no UTF-8 is kept as such, to be refused. A character may take four bytes.
        super().__init__(errors="surrogateescape", longest=4 * longest)


__all__ = ["JSONRPCLines"]
