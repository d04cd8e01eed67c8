"""TLS on real sockets, with the standard library and OpenSSL's own program at the other end."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import ssl
import subprocess
from typing import Any

import pytest

from kamaelia import Component, Graphline, Inbox, Outbox, component, run
from kamaelia.axon import ComponentsFailed, SourceFailed
from kamaelia.flow import Collect, Source
from kamaelia.net import (
    CannotConnect,
    CannotListen,
    ClientTLS,
    ConnectionLost,
    ServerTLS,
    StartTLS,
    TCPClient,
    TCPServer,
    peer,
)
from kamaelia.net.tls.settings import BadCertificate
from kamaelia.protocol import Echo

from .certificates import Certificates
from .conftest import WAIT, read_all
from .test_wire import Then
from .wire import Wire


def stranger(
    server: Any, certificates: Certificates, name: str = "localhost", **options: Any
) -> ssl.SSLSocket:
    """Connect with the standard library."""
    context = ssl.create_default_context(cafile=certificates.authorities)
    if "chain" in options:
        context.load_cert_chain(options["chain"])
    if "alpn" in options:
        context.set_alpn_protocols(options["alpn"])
    plain = socket.create_connection(server.address, timeout=WAIT)
    try:
        return context.wrap_socket(plain, server_hostname=name)
    except BaseException:
        plain.close()
        raise


@component
async def who(inbox: Any, outbox: Outbox[bytes]) -> None:
    """Say what was agreed."""
    tls = peer().tls
    name = None
    if tls is not None and tls.certificate is not None:
        name = tls.certificate["subjectAltName"]
    await outbox.send(repr((tls and tls.version, tls and tls.alpn, tls and tls.server_name, name)).encode())


def test_a_stranger_talks_to_us(serve, certificates):
    with serve(Echo, tls=certificates.server) as server, stranger(server, certificates) as sock:
        sock.sendall(b"hello")
        assert sock.recv(10) == b"hello"
        assert sock.version() == "TLSv1.3"
        plain = sock.unwrap()  # both have said "close notify"
        assert plain.recv(1) == b""
        plain.close()
    assert server.statistics().broken == 0


def test_who_cuts_the_connection_has_broken_it(serve, certificates):
    told: list[Any] = []

    class Note(Component):
        async def main(self) -> None:
            try:
                async for data in self.inbox:
                    told.append(data)
            except SourceFailed as error:
                told.append(str(error.__cause__))

    with serve(Note, tls=certificates.server) as server:
        with stranger(server, certificates) as sock:
            sock.sendall(b"all my ")
            plain = socket.socket(fileno=sock.detach())  # no "close notify"
            plain.settimeout(WAIT)
            plain.shutdown(socket.SHUT_WR)
            while plain.recv(100):
                pass
            plain.close()
    assert told == [b"all my ", "TLS: the connection was cut: the peer has not said that it has finished"]
    assert server.statistics().broken == 1


def test_by_the_name_that_is_asked_for(serve, certificates):
    tls = ServerTLS(
        certificates.local,
        names={
            "one.example": certificates.issue("one.example"),
            "*.two.example": certificates.issue("*.two.example"),
        },
        alpn=["b", "a"],
    )
    with serve(who, tls=tls) as server:
        for name, subject in (
            ("localhost", "localhost"),
            ("one.example", "one.example"),
            ("x.two.example", "*.two.example"),
        ):
            with stranger(server, certificates, name, alpn=["a", "c"]) as sock:
                assert ("DNS", subject) in sock.getpeercert()["subjectAltName"]
                assert sock.selected_alpn_protocol() == "a"
                assert eval(read_all(sock)) == ("TLSv1.3", "a", name, None)


def test_a_server_may_ask_for_a_certificate(serve, certificates):
    tls = ServerTLS(certificates.local, clients=certificates.authorities)
    with serve(who, tls=tls) as server:
        with stranger(server, certificates, chain=certificates.issue("a.client")) as sock:
            assert "a.client" in repr(eval(read_all(sock))[3])
        with pytest.raises((ssl.SSLError, ConnectionError)), stranger(server, certificates) as sock:
            assert sock.recv(1) != b""
    assert (server.statistics().accepted, server.statistics().rejected) == (1, 1)


def test_a_certificate_may_be_optional(serve, certificates):
    tls = ServerTLS(certificates.local, clients=certificates.authorities, clients_optional=True)
    with serve(who, tls=tls) as server, stranger(server, certificates) as sock:
        assert eval(read_all(sock))[3] is None


def test_certificates_are_read_anew_without_disturbing_anybody(serve, certificates, tmp_path, caplog):
    path = tmp_path / "server.pem"
    shutil.copy(certificates.issue("old.example"), path)
    tls = ServerTLS(path)
    with serve(Echo, tls=tls) as server:
        with stranger(server, certificates, "old.example") as early:
            shutil.copy(certificates.issue("new.example"), path)
            tls._looked -= 2  # as if two seconds had gone by
            with stranger(server, certificates, "new.example") as late:
                late.sendall(b"new")
                assert late.recv(10) == b"new"
            early.sendall(b"old")
            assert early.recv(10) == b"old"
        path.write_text("this is none")
        tls._looked -= 2
        with stranger(server, certificates, "new.example") as sock:
            sock.sendall(b"still")
            assert sock.recv(10) == b"still"
    assert "connections go on with the old certificates" in caplog.text


def test_a_client_reads_its_files_anew_when_they_change(serve, certificates, tmp_path, new_loop, caplog):
    believed, own = tmp_path / "believed.pem", tmp_path / "client.pem"
    shutil.copy(Certificates(tmp_path).authorities, believed)
    shutil.copy(certificates.issue("old.example"), own)
    tls = ClientTLS(authorities=believed, certificate=own)

    def name_given(server: Any) -> Any:
        return eval(b"".join(run(TCPClient(*server.address, tls=tls) | Collect(), loop_factory=new_loop)))[3]

    with serve(who, tls=ServerTLS(certificates.local, clients=certificates.authorities)) as server:
        with pytest.raises(ComponentsFailed, match="1 component"):
            name_given(server)
        shutil.copy(certificates.authorities, believed)
        assert name_given(server) == (("DNS", "old.example"),)
        shutil.copy(certificates.issue("new.example"), own)
        assert name_given(server) == (("DNS", "new.example"),)
        context = tls.context()
        own.write_text("this is none")
        assert name_given(server) == (("DNS", "new.example"),)
        assert tls.context() is context
    assert "connections go on with the old certificates" in caplog.text


def test_a_client_that_believes_what_the_system_does_sees_that_change(certificates, monkeypatch, tmp_path):
    believed = shutil.copy(certificates.authorities, tmp_path)
    paths = ssl.get_default_verify_paths()._replace(cafile=believed, capath=None)
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: paths)
    tls = ClientTLS()
    before = tls.context()
    assert tls.context() is before
    os.utime(believed, ns=(1, 1))
    assert tls.context() is not before


def test_a_bad_certificate_is_found_when_the_server_begins(certificates, tmp_path):
    (tmp_path / "bad.pem").write_text("nothing")
    for tls, text in (
        (ServerTLS(tmp_path / "bad.pem"), "cannot be used"),
        (ServerTLS(tmp_path / "none.pem"), "No such file"),
        (
            ServerTLS(certificates.local, clients=tmp_path / "bad.pem"),
            "cannot be used to tell who is believed",
        ),
    ):
        with pytest.raises(ComponentsFailed) as caught:
            run(TCPServer(Echo, port=0, tls=tls, quiet=True))
        (error,) = caught.value.exceptions
        assert isinstance(error, CannotListen) and isinstance(error.__cause__, BadCertificate)
        assert text in str(error)


def test_who_does_not_shake_hands_is_not_served(serve, certificates, caplog):
    caplog.set_level("INFO")
    with serve(Echo, tls=certificates.server, handshake_timeout=0.05) as server:
        for said in (b"GET / HTTP/1.1\r\n\r\n", b"", b"\x16\x03\x01"):
            with socket.create_connection(server.address, timeout=WAIT) as sock:
                sock.sendall(said)
                try:
                    while sock.recv(100):
                        pass
                except ConnectionResetError:
                    pass
    done = server.statistics()
    assert (done.accepted, done.rejected, done.open) == (0, 3, 0)
    assert "no handshake within 0.05 s" in caplog.text


def connect(new_loop: Any, server: Any, client: Any) -> Any:
    """Run a server, and a client that is made of its address; return what came of that."""
    result: list[Any] = []

    class Visit(Component):
        async def main(self) -> None:
            address = await self.inbox.receive()
            result.append(await client(address).run())
            self.system.stop()

    visit = Visit()
    try:
        run(Graphline(server.listening >> visit.inbox), loop_factory=new_loop)
    except ComponentsFailed as error:
        return error.exceptions[0]
    return result[0]


def test_a_client_does_not_believe_everybody(new_loop, certificates):
    def client(tls: Any) -> Any:
        return lambda address: Source([b"secret"]) | TCPClient(*address, tls=tls) | Collect()

    def server() -> Any:
        return TCPServer(Echo, port=0, quiet=True, tls=certificates.server)

    error = connect(new_loop, server(), client(True))
    assert isinstance(error, CannotConnect)
    assert "certificate is not accepted" in str(error) and "ClientTLS(authorities=...)" in str(error)
    wrong = ClientTLS(authorities=certificates.authorities, server_name="example.org")
    error = connect(new_loop, server(), client(wrong))
    assert isinstance(error, CannotConnect) and "Hostname mismatch" in str(error)
    assert connect(new_loop, server(), client(ClientTLS(verify=False))) == [b"secret"]
    assert connect(new_loop, server(), client(certificates.client)) == [b"secret"]


def test_a_client_that_meets_a_server_without_tls(new_loop, certificates):
    @component
    async def greet(inbox: Any, outbox: Outbox[bytes]) -> None:
        await outbox.send(b"220 hello, who are you?\r\n")

    error = connect(
        new_loop,
        TCPServer(greet, port=0, quiet=True),
        lambda address: Source([]) | TCPClient(*address, tls=certificates.client) | Collect(),
    )
    assert isinstance(error, CannotConnect) and "do not agree on TLS: wrong version number" in str(error)


def test_a_client_connects_within_its_time(new_loop, certificates):
    class Silent(Component):
        async def main(self) -> None:
            async for _ in self.inbox:
                pass

    error = connect(
        new_loop,
        TCPServer(Silent, port=0, quiet=True, linger=0.01),
        lambda address: (
            Source([]) | TCPClient(*address, tls=certificates.client, connect_timeout=0.1) | Collect()
        ),
    )
    assert isinstance(error, CannotConnect) and "no connection within 0.1 s" in str(error)


# --- a connection that becomes protected --------------------------------------------------------------


def test_an_end_that_comes_with_the_last_bytes_is_heard_by_who_takes_little_at_a_time(new_loop, certificates):
    seen: list[bytes] = []

    class Sips(Component):
        inbox = Inbox[bytes]("bytes", size=1)

        async def main(self) -> None:
            async for data in self.inbox:
                await asyncio.sleep(0)
                seen.append(data)
            await self.outbox.send(b"whole")

    def client(address: Any) -> Any:
        return Source([b"hello"]) | TCPClient(*address, tls=certificates.client) | Collect()

    answers = connect(new_loop, TCPServer(Sips, port=0, quiet=True, tls=certificates.server), client)
    assert (seen, answers) == ([b"hello"], [b"whole"])


def test_an_address_that_is_reached_too_late_does_not_spoil_the_handshake_with_the_first(certificates):
    class Two(Wire):
        """Both addresses of the name are reached at the same instant."""

        async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Any:
            return [
                (socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in ("1.1.1.1", "2.2.2.2")
            ]

        async def create_connection(self, factory: Any, host: Any = None, port: Any = None, **_: Any) -> Any:
            await asyncio.sleep(5 - self.time())
            return await super().create_connection(factory, "127.0.0.1", 1500)

    serving = TCPServer(Echo, port=1500, quiet=True, tls=certificates.server)
    client = TCPClient("localhost", 1500, tls=certificates.client)
    results = run(
        serving, Source([b"hello"]) | client | Collect(), Then((9, lambda system: system.stop())),
        loop_factory=Two,
    )  # fmt: skip
    assert results[1] == [b"hello"]
    assert (serving.statistics().accepted, serving.statistics().rejected) == (1, 1)


class Mail(Component):
    """Something like the beginning of a talk with a mail server."""

    def __init__(self, tls: ServerTLS) -> None:
        self.tls = tls

    async def main(self) -> None:
        await self.outbox.send(b"220 ready\n")
        async for line in self.inbox:
            if line.strip() == b"STARTTLS":
                await self.outbox.send(b"220 go ahead\n")
                protection = StartTLS(self.tls)
                await self.outbox.send(protection)
                assert await protection.done() == peer().tls
            else:
                tls = peer().tls
                await self.outbox.send(
                    f"250 {line.decode().strip()} {tls.version if tls else 'plain'}\n".encode()
                )


def test_a_live_connection_is_upgraded_by_a_stranger(serve, certificates):
    with serve(Mail(certificates.server)) as server:
        sock = socket.create_connection(server.address, timeout=WAIT)
        assert sock.recv(100) == b"220 ready\n"
        sock.sendall(b"EHLO\n")
        assert sock.recv(100) == b"250 EHLO plain\n"
        sock.sendall(b"STARTTLS\n")
        assert sock.recv(100) == b"220 go ahead\n"
        context = ssl.create_default_context(cafile=certificates.authorities)
        with context.wrap_socket(sock, server_hostname="localhost") as secured:
            secured.sendall(b"EHLO\n")
            assert secured.recv(100) == b"250 EHLO TLSv1.3\n"
            secured.unwrap().close()
    assert (server.statistics().broken, server.statistics().failed) == (0, 0)


def test_our_client_upgrades_too(new_loop, certificates):
    class Talk(Component):
        answers = Outbox[str]("what the server has said")

        def __init__(self) -> None:
            self.said: list[bytes] = []

        async def main(self) -> list[bytes]:
            lines = []
            lines.append(await self.inbox.receive())
            await self.outbox.send(b"STARTTLS\n")
            lines.append(await self.inbox.receive())
            protection = StartTLS(certificates.client)
            await self.outbox.send(protection)
            assert (await protection.done()).version == "TLSv1.3"
            await self.outbox.send(b"NOOP\n")
            lines.append(await self.inbox.receive())
            self.said = lines
            return lines

    talks = []

    def client(address: Any) -> Any:
        talk, connection = Talk(), TCPClient(*address)
        talks.append(talk)
        return Graphline(talk.outbox >> connection.inbox, connection.outbox >> talk.inbox)

    connect(new_loop, TCPServer(Mail(certificates.server), port=0, quiet=True, linger=0.01), client)
    assert talks[0].said == [b"220 ready\n", b"220 go ahead\n", b"250 NOOP TLSv1.3\n"]


def test_what_was_said_behind_the_request_for_tls_is_not_taken_for_protected(serve, certificates):
    with serve(Slow(certificates.server)) as server:
        sock = socket.create_connection(server.address, timeout=WAIT)
        sock.sendall(b"STARTTLS\n")
        assert sock.recv(1) == b"."
        sock.sendall(b"EVIL\n")
        with pytest.raises(ConnectionResetError):
            while sock.recv(100):
                pass
        sock.close()
    assert (server.statistics().broken, server.statistics().failed) == (1, 0)


class Slow(Component):
    """Is slow to ask for protection, and does not read meanwhile."""

    def __init__(self, tls: ServerTLS) -> None:
        self.tls = tls

    async def main(self) -> None:
        await self.inbox.receive()
        await self.outbox.send(b".")
        while not self.inbox.statistics().waiting:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        protection = StartTLS(self.tls)
        await self.outbox.send(protection)
        await protection.done()


# --- judges -------------------------------------------------------------------------------------------


@pytest.mark.needs("program:openssl")
@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl_agrees(serve, certificates, version):
    with serve(Echo, tls=ServerTLS(certificates.local, alpn=["echo"])) as server:
        host, port = server.address
        done = talk_to_openssl(host, port, certificates, version)
    assert b"Verify return code: 0 (ok)" in done
    assert b"ALPN protocol: echo" in done
    assert b"\nhello\n" in done
    assert server.statistics().broken == 0


def talk_to_openssl(host: str, port: int, certificates: Certificates, version: str) -> bytes:
    """Have OpenSSL's client say hello, and quit when it has the answer."""
    with subprocess.Popen(
        ["openssl", "s_client", "-connect", f"{host}:{port}", "-CAfile", certificates.authorities,
         "-verify_return_error", "-alpn", "echo", version, "-servername", "localhost"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    ) as program:  # fmt: skip
        assert program.stdin is not None and program.stdout is not None
        program.stdin.write(b"hello\n")
        program.stdin.flush()
        said = b""
        while b"\nhello\n" not in said:
            said += os.read(program.stdout.fileno(), 10_000)
        program.stdin.write(b"Q\n")
        program.stdin.flush()
        return said + program.stdout.read()


def test_our_own_break_over_tls_is_seen(new_loop, certificates, caplog):
    class Fails(Component):
        async def main(self) -> None:
            await self.outbox.send(b"before ")
            raise ValueError("on purpose")

    error = connect(
        new_loop,
        TCPServer(Fails, port=0, quiet=True, tls=certificates.server),
        lambda address: Source([], then="stay") | TCPClient(*address, tls=certificates.client) | Collect(),
    )
    assert isinstance(error, ConnectionLost) and "after 7 bytes received" in str(error)
