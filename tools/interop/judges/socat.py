"""socat, which joins anything with anything."""

from __future__ import annotations

import socket
import subprocess

from kamaelia import Inbox, Outbox, component, run
from kamaelia.flow import Collect, Map, Source, Take
from kamaelia.net import (
    MulticastReceiver,
    MulticastSender,
    TCPClient,
    TCPServer,
    UDPPeer,
    UDPReceiver,
    UDPSender,
    UDPServer,
    UnixClient,
    UnixServer,
)
from tools.ports import free_port

from ..judge import Judge
from ..workshop import HOST, Workshop, equal, film

judge = Judge("socat", programs=["socat"], version=["socat", "-V"])
GROUP = "239.255.42.42"
UPPER = "SYSTEM:tr a-z A-Z"


@judge.quick(
    "TCPServer", "`socat - TCP`: 1 MB and the end of its half", "all of it comes back before ours ends"
)
def tcp(shop: Workshop) -> None:
    host, port = shop.serve(TCPServer(Map(bytes.upper), port=0, quiet=True))
    said = shop.run("socat", "-t", "10", "-", f"TCP:{host}:{port}", given=film())
    equal(said.out == film().upper(), True, "that it is whole")


@judge.quick("TCPClient", "`socat TCP-LISTEN`, which answers when our half has ended", "all of it")
def tcp_listen(shop: Workshop) -> None:
    port = free_port()
    shop.start("socat", "-t", "10", f"TCP-LISTEN:{port},bind={HOST},reuseaddr,fork", "SYSTEM:sort", port=port)
    lines = [b"tea\n", b"milk\n", b"cup\n"]
    equal(b"".join(run(Source(lines) | TCPClient(HOST, port) | Collect())), b"cup\nmilk\ntea\n")
    many = [b"%06d\n" % n for n in reversed(range(100_000))]
    equal(
        b"".join(run(Source(many) | TCPClient(HOST, port) | Collect())) == b"".join(many[::-1]), True, "that"
    )


@judge.quick("UnixServer", "`socat - UNIX-CONNECT`", "1 MB, there and back")
def unix(shop: Workshop) -> None:
    path = shop.serve(UnixServer(Map(bytes.upper), str(shop.folder / "s"), quiet=True))
    said = shop.run("socat", "-t", "10", "-", f"UNIX-CONNECT:{path}", given=film())
    equal(said.out == film().upper(), True, "that it is whole")


@judge.quick("UnixServer", "`socat - ABSTRACT-CONNECT`: a name in no folder", "the answer")
def abstract(shop: Workshop) -> None:
    name = f"interop-{shop.folder.name}"
    shop.serve(UnixServer(Map(bytes.upper), f"\0{name}", quiet=True))
    equal(shop.run("socat", "-t", "10", "-", f"ABSTRACT-CONNECT:{name}", given=b"tea").out, b"TEA")


@judge.quick("UnixClient", "`socat UNIX-LISTEN`", "what it has sorted")
def unix_listen(shop: Workshop) -> None:
    path = shop.folder / "s"
    shop.start("socat", "-t", "10", f"UNIX-LISTEN:{path}", "SYSTEM:sort")
    shop.until(path.exists, "socat listens")
    equal(b"".join(run(Source([b"tea\n", b"milk\n"]) | UnixClient(str(path)) | Collect())), b"milk\ntea\n")


@judge.quick("TCPServer(tls=...)", "`socat - OPENSSL`, with a certificate of its own", "1 MB, there and back")
def protected(shop: Workshop) -> None:
    made = shop.certificates
    tls = shop.server_tls(clients=made.authorities)
    host, port = shop.serve(TCPServer(Map(bytes.upper), port=0, tls=tls, quiet=True))
    own = f"cafile={made.authorities},cert={made.client},key={made.client_key}"
    said = shop.run("socat", "-t", "10", "-", f"OPENSSL:{host}:{port},{own}", given=film())
    equal(said.out == film().upper(), True, "that it is whole")


@judge.quick("TCPClient(tls=...)", "`socat OPENSSL-LISTEN`", "1 MB, there and back")
def protected_listen(shop: Workshop) -> None:
    made, port = shop.certificates, free_port()
    own = f"cert={made.server},key={made.server_key},verify=0"
    listen = f"OPENSSL-LISTEN:{port},bind={HOST},reuseaddr,fork,{own}"
    shop.start("socat", "-t", "10", listen, "PIPE", port=port)
    client = TCPClient(HOST, port, tls=shop.client_tls())
    got = run(Source([film()], then="stay") | client | until(len(film())) | Collect())
    equal(b"".join(got) == film(), True, "that it is whole")


@component
async def until(inbox: Inbox[bytes], outbox: Outbox[bytes], count: int) -> None:
    """Pass on so many bytes, and end."""
    while count > 0:
        data = await inbox.receive()
        count -= len(data)
        await outbox.send(data)


# --- datagrams ------------------------------------------------------------------------------------------


@judge.quick("UDPServer", "`socat - UDP`", "the answer, to the port that asked")
def udp(shop: Workshop) -> None:
    host, port = shop.serve(UDPServer(Map(bytes.upper), port=0, quiet=True))
    equal(shop.run("socat", "-t", "0.3", "-", f"UDP:{host}:{port}", given=b"tea").out, b"TEA")


@judge.quick("UDPPeer", "`socat UDP-RECVFROM`, which sends back what it has made capitals", "the answer")
def udp_recvfrom(shop: Workshop) -> None:
    port = free_udp_port()
    process = shop.start("socat", f"UDP4-RECVFROM:{port},bind={HOST},fork", UPPER)
    listens(shop, port)
    got = run(Source([b"tea\n"]) | UDPPeer(HOST, port) | Take(1) | Collect())
    equal(got, [b"TEA\n"])
    equal(process.poll(), None)


@judge.quick("UDPReceiver, UDPSender", "`socat UDP-SENDTO` and `UDP-RECV`", "each datagram by itself")
def udp_one_way(shop: Workshop) -> None:
    receiver = shop.begin(UDPReceiver(port=0, quiet=True))
    host, port = receiver.receive("listening", timeout=10)
    for text in (b"tea", b"milk"):
        shop.run("socat", "-u", "-", f"UDP-SENDTO:{host}:{port}", given=text)
    equal([receiver.receive(timeout=10) for _ in range(2)], [b"tea", b"milk"])
    port = free_udp_port()
    process = shop.start("socat", "-u", f"UDP-RECV:{port},bind={HOST}", "-", stdout=subprocess.PIPE)
    listens(shop, port)
    run(Source([b"cup\n", b"spoon\n"]) | UDPSender(HOST, port))
    assert process.stdout is not None
    equal([process.stdout.readline() for _ in range(2)], [b"cup\n", b"spoon\n"])


@judge.quick("MulticastReceiver", "`socat UDP4-DATAGRAM` to a group", "each datagram")
def multicast_receive(shop: Workshop) -> None:
    receiver = shop.begin(MulticastReceiver(GROUP, free_udp_port(), interface=HOST, quiet=True))
    group, port = receiver.receive("listening", timeout=10)
    to = f"UDP4-DATAGRAM:{group}:{port},ip-multicast-if={HOST}"
    for text in (b"tea", b"milk"):
        shop.run("socat", "-u", "-", to, given=text)
    equal([receiver.receive(timeout=10) for _ in range(2)], [b"tea", b"milk"])


@judge.quick(
    "MulticastSender", "`socat UDP4-RECVFROM` with `ip-add-membership`", "what we have sent to the group"
)
def multicast_send(shop: Workshop) -> None:
    port = free_udp_port()
    hears = f"UDP4-RECVFROM:{port},ip-add-membership={GROUP}:{HOST},fork"
    process = shop.start("socat", "-u", hears, "-", stdout=subprocess.PIPE)
    listens(shop, port)
    run(Source([b"tea\n"]) | MulticastSender(GROUP, port, interface=HOST))
    assert process.stdout is not None
    equal(process.stdout.readline(), b"tea\n")


def free_udp_port() -> int:
    return free_port(socket.SOCK_DGRAM)


def listens(shop: Workshop, port: int) -> None:
    """Wait until somebody has a UDP port: nobody answers, so the system is asked."""

    def there() -> bool:
        with open("/proc/net/udp") as file:
            return any(line.split()[1].endswith(f":{port:04X}") for line in file.readlines()[1:])

    shop.until(there, f"socat has the port {port}")
