"""netcat: bytes as they are typed, for what no better client would send."""

from __future__ import annotations

import re

from kamaelia.flow import Map
from kamaelia.net import TCPServer

from ..judge import Judge
from ..site import PAGE
from ..workshop import HOST, Workshop, contains, equal, film

judge = Judge("netcat", programs=["nc"], version=["nc", "-h"])


@judge.quick("HTTPServer", "three requests at once by `nc -N`", "three answers, in their order")
def pipelined(shop: Workshop) -> None:
    port = shop.site().rpartition(":")[2]
    asked = b"".join(
        b"GET %b HTTP/1.1\r\nHost: tea\r\n\r\n" % path for path in (b"/blocks/1", b"/", b"/cookies/set")
    )
    said = shop.run("nc", "-N", HOST, port, given=asked).out
    equal(re.findall(rb"HTTP/1.1 (\d+)", said), [b"200"] * 3)
    equal([said.find(part) >= 0 for part in (bytes(range(256)), PAGE.encode(), b"Set-Cookie")], [True] * 3)
    equal(
        said.index(bytes(range(256))) < said.index(PAGE.encode()) < said.index(b"Set-Cookie"),
        True,
        "the order",
    )


@judge.quick("HTTPServer", "no HTTP, by `nc`", "400, and the end of the connection")
def nonsense(shop: Workshop) -> None:
    port = shop.site().rpartition(":")[2]
    said = shop.run("nc", HOST, port, given=b"EHLO tea.example\r\n\r\n").text
    contains(said, "HTTP/1.1 400 Bad Request", "Connection: close")


@judge.quick("TCPServer", "`nc -N` sends 1 MB, and ends its half", "all of it comes back in capitals")
def half_closed(shop: Workshop) -> None:
    host, port = shop.serve(TCPServer(Map(bytes.upper), port=0, quiet=True))
    given = film().lower()
    equal(shop.run("nc", "-N", host, port, given=given).out == given.upper(), True, "that it is whole")
