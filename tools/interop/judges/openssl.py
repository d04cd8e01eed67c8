"""openssl: its client against our servers, its server for our client."""

from __future__ import annotations

import subprocess

from kamaelia import Component, Outbox, run
from kamaelia.axon import ComponentsFailed
from kamaelia.flow import Collect, Map, Source, Take
from kamaelia.net import ServerTLS, StartTLS, TCPClient, TCPServer, peer
from tools.ports import free_port

from ..judge import Judge
from ..workshop import HOST, Workshop, Wrong, contains, equal, film, true

judge = Judge("openssl", programs=["openssl"], version=["openssl", "version"])


class Introduce(Component):
    """Says what was agreed on, and who the peer is."""

    async def main(self) -> None:
        tls = peer().tls
        assert tls is not None
        who = tls.certificate and tls.certificate["subjectAltName"][0][1]
        await self.outbox.send(f"{tls.version} {tls.alpn} {tls.server_name} {who}\n".encode())


def client(shop: Workshop, address: tuple[str, int], *options: str, given: bytes = b"", code: int = 0) -> str:
    """Run `openssl s_client`, which believes our authority; return what it shows."""
    host, port = address
    believes = ("-CAfile", shop.certificates.authorities, "-verify_return_error")
    command = ("openssl", "s_client", "-connect", f"{host}:{port}", "-ign_eof", *believes, *options)
    done = shop.run(*command, given=given, code=code)
    return done.text + done.err


@judge.quick(
    "TCPServer(tls=...)",
    "`s_client -tls1_3`, `-tls1_2`, `-tls1_1`",
    "either of the first two; the third is refused",
)
def versions(shop: Workshop) -> None:
    address = shop.serve(TCPServer(Introduce, port=0, tls=shop.server_tls(), quiet=True))
    for option, name in (("-tls1_3", "TLSv1.3"), ("-tls1_2", "TLSv1.2")):
        said = client(shop, address, option)
        contains(said, f"New, {name}", f"{name} None None None\n", "Verify return code: 0 (ok)")
    client(shop, address, "-tls1_1", code=1)


@judge.quick(
    "ServerTLS",
    "`s_client -alpn tea,milk -servername tea.example`",
    "milk, which is ours too; the name; its certificate",
)
def names(shop: Workshop) -> None:
    made = shop.certificates
    tls = shop.server_tls(alpn=["coffee", "milk"], names={"tea.example": (made.client, made.client_key)})
    address = shop.serve(TCPServer(Introduce, port=0, tls=tls, quiet=True))
    said = client(shop, address, "-alpn", "tea,milk", "-servername", "tea.example")
    contains(said, "ALPN protocol: milk", "TLSv1.3 milk tea.example None\n")
    with open(made.client) as file:
        contains(said, file.read().split("\n")[1])  # its certificate was shown
    contains(client(shop, address, "-alpn", "soup"), "No ALPN negotiated")


@judge.quick("ServerTLS(clients=...)", "`s_client -cert`, and without", "whose certificate it is; an alert")
def client_certificate(shop: Workshop) -> None:
    made = shop.certificates
    tls = shop.server_tls(clients=made.authorities)
    address = shop.serve(TCPServer(Introduce, port=0, tls=tls, quiet=True))
    said = client(shop, address, "-cert", made.client, "-key", made.client_key)
    contains(said, "TLSv1.3 None None ada@tea.example\n")
    contains(client(shop, address, code=1), "alert")


class Mail(Component):
    """As much of a server of mail as StartTLS needs."""

    outbox = Outbox("words, and StartTLS")

    def __init__(self, tls: ServerTLS) -> None:
        self.tls = tls

    async def main(self) -> None:
        await self.outbox.send(b"220 tea.example ESMTP\r\n")
        rest = b""
        async for data in self.inbox:
            *lines, rest = (rest + data).split(b"\r\n")
            for line in lines:
                if line.startswith(b"EHLO"):
                    await self.outbox.send(b"250-tea.example\r\n250 STARTTLS\r\n")
                elif line == b"STARTTLS":
                    await self.outbox.send(b"220 go ahead\r\n")
                    protection = StartTLS(self.tls)
                    await self.outbox.send(protection)
                    self.info = await protection.done()
                elif line == b"NOOP":
                    await self.outbox.send(f"250 under {self.info.version}\r\n".encode())
                else:
                    await self.outbox.send(b"221 bye\r\n")
                    return


@judge.quick(
    "StartTLS", "`s_client -starttls smtp`, to a toy of a server of mail", "what follows is protected"
)
def start_tls(shop: Workshop) -> None:
    address = shop.serve(TCPServer(Mail(shop.server_tls()), port=0, quiet=True))
    said = client(shop, address, "-starttls", "smtp", "-crlf", given=b"NOOP\nQUIT\n")
    contains(said, "250 under TLSv1.3", "221 bye", "Verify return code: 0 (ok)")


@judge.quick("TCPServer(tls=...)", "`s_client` sends 1 MB and gets it back", "all of it, and a proper end")
def much(shop: Workshop) -> None:
    class Upper(Component):
        async def main(self) -> None:
            count = 0
            async for data in self.inbox:
                count += len(data)
                await self.outbox.send(data)
                if count == len(film()):
                    return

    address = shop.serve(TCPServer(Upper, port=0, tls=shop.server_tls(), quiet=True))
    host, port = address
    command = ("openssl", "s_client", "-connect", f"{host}:{port}", "-quiet")
    done = shop.run(*command, "-CAfile", shop.certificates.authorities, given=film())
    equal(done.out == film(), True, f"that it is whole, of {len(done.out)} bytes")
    true("error" not in done.err, done.err[-200:])


# --- its server -----------------------------------------------------------------------------------------


def server(shop: Workshop, *options: str) -> tuple[int, subprocess.Popen[bytes]]:
    """Run `openssl s_server -rev`, which sends lines back, turned round."""
    port, made = free_port(), shop.certificates
    command = ("openssl", "s_server", "-accept", f"{HOST}:{port}", "-rev", "-cert", made.server)
    process = shop.start(*command, "-key", made.server_key, *options, port=port, stdout=subprocess.PIPE)
    return port, process


def asked(port: int, **options: object) -> bytes:
    system = Source([b"tea\n"], then="stay") | TCPClient("localhost", port, **options)  # type: ignore[arg-type]
    return b"".join(run(system | Take(1) | Collect()))


@judge.quick("TCPClient(tls=...)", "`s_server`, with TLS 1.2 and 1.3", "what it turned round")
def serves(shop: Workshop) -> None:
    for version in ("-tls1_2", "-tls1_3"):
        port, _ = server(shop, version)
        equal(asked(port, tls=shop.client_tls()), b"aet\n", version)


@judge.quick(
    "ClientTLS",
    "`s_server -Verify 1 -alpn milk`, and our certificate; then without",
    "it takes us; it does not",
)
def serves_certificate(shop: Workshop) -> None:
    made = shop.certificates
    port, _ = server(
        shop, "-Verify", "1", "-verify_return_error", "-CAfile", made.authorities, "-alpn", "milk"
    )
    mine = shop.client_tls(certificate=made.client, key=made.client_key, alpn=["tea", "milk"])
    equal(asked(port, tls=mine), b"aet\n")
    _refuses(port, tls=shop.client_tls())


@judge.quick(
    "ClientTLS",
    "`s_server` with a certificate for another name; one by nobody we know",
    "we do not believe it",
)
def serves_another(shop: Workshop) -> None:
    port, _ = server(shop)
    _refuses(port, tls=shop.client_tls(server_name="milk.example"))
    _refuses(port, tls=True)


def _refuses(port: int, **options: object) -> None:
    try:
        got = asked(port, **options)
    except ComponentsFailed:
        return
    raise Wrong(f"it has got {got!r}")


@judge.quick(
    "TCPServer(tls=...)", "no TLS at all, by `openssl s_client -starttls smtp`", "the connection is closed"
)
def no_tls(shop: Workshop) -> None:
    server = TCPServer(Map(bytes.upper), port=0, tls=shop.server_tls(), quiet=True, handshake_timeout=0.3)
    host, port = shop.serve(server)
    shop.run("openssl", "s_client", "-connect", f"{host}:{port}", "-starttls", "smtp", code=1)
    shop.until(lambda: server.statistics().rejected, "it was counted")
