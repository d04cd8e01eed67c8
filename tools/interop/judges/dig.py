"""dig: asks for names, over UDP and over TCP."""

from __future__ import annotations

import re

from kamaelia.flow import Deframe, Frame
from kamaelia.net import TCPServer, UDPServer
from tools.ports import free_port

from ..judge import Judge
from ..names import FORMAT, Names
from ..workshop import HOST, Workshop, contains, equal

judge = Judge("dig", programs=["dig"], version=["dig", "-v"])

MANY = [f"192.0.2.{n}" for n in range(1, 101)]
ADDRESSES = {"example.org": MANY[:2], "many.example.org": MANY}


def udp(shop: Workshop, port: int = 0) -> int:
    _, port = shop.serve(UDPServer(Names(ADDRESSES, most=512), port=port, quiet=True))
    return port


def tcp(shop: Workshop, port: int = 0) -> int:
    framed = Deframe(FORMAT) | Names(ADDRESSES) | Frame(FORMAT)
    _, port = shop.serve(TCPServer(framed, port=port, quiet=True))
    return port


def dig(shop: Workshop, port: int, *words: str, code: int = 0) -> str:
    always = (f"@{HOST}", "-p", port, "+tries=1", "+time=5", "+nocookie")
    return shop.run("dig", *always, *words, code=code).text


@judge.quick(
    "UDPServer", "`dig example.org A`; `AAAA`; a name that is not there", "two addresses; none; NXDOMAIN"
)
def over_udp(shop: Workshop) -> None:
    port = udp(shop)
    said = dig(shop, port, "Example.ORG", "A")
    contains(said, "status: NOERROR", "flags: qr aa rd", "ANSWER: 2", "(UDP)")
    equal(re.findall(r"\tIN\tA\t(\S+)", said), MANY[:2])
    contains(dig(shop, port, "example.org", "AAAA"), "status: NOERROR", "ANSWER: 0")
    contains(dig(shop, port, "milk.example.org", "A"), "status: NXDOMAIN")


@judge.quick(
    "TCPServer", "`dig +tcp`, to the same component, with lengths before messages", "the same answers"
)
def over_tcp(shop: Workshop) -> None:
    port = tcp(shop)
    said = dig(shop, port, "+tcp", "+noedns", "example.org", "A")
    contains(said, "status: NOERROR", "ANSWER: 2", "(TCP)")
    said = dig(shop, port, "+tcp", "+short", "many.example.org", "A")
    equal(said.split(), MANY, "all that do not fit into a datagram")
    both = dig(shop, port, "+tcp", "+keepopen", "+short", "example.org", "A", "many.example.org", "A")
    equal(both.split(), MANY[:2] + MANY, "two over one connection")


@judge.quick(
    "UDPServer and TCPServer",
    "an answer that does not fit into a datagram",
    "cut; so dig asks by TCP, on the same port",
)
def truncated(shop: Workshop) -> None:
    port = udp(shop, tcp(shop, free_port()))
    said = dig(shop, port, "many.example.org", "A")
    contains(said, "Truncated, retrying in TCP mode", "ANSWER: 100", "(TCP)")
