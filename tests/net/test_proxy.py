"""The PROXY protocol: the machine by tables, and a server behind proxies."""

from __future__ import annotations

import socket
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamaelia import Component
from kamaelia.axon import LocalProtocolError, ProtocolError, RemoteProtocolError
from kamaelia.flow import Collect, Source
from kamaelia.net import ProxyHeader, TCPClient, TCPServer, peer
from kamaelia.net.proxy import NEED_DATA, HeaderReader
from kamaelia.net.proxy.machine import LONGEST, SIGNATURE, crc32c
from kamaelia.protocol import Echo

from ..fuzz.fuzz_proxy import one_input
from .conftest import WAIT, read_all

V4 = ProxyHeader(("192.0.2.1", 56324), ("198.51.100.2", 443))
V6 = ProxyHeader(("2001:db8::1", 1), ("2001:db8::2", 65535))


def binary(command: int, family: int, body: bytes, length: int | None = None) -> bytes:
    return SIGNATURE + struct.pack("!BBH", command, family, len(body) if length is None else length) + body


ADDRESSES = bytes([192, 0, 2, 1, 198, 51, 100, 2]) + struct.pack("!HH", 56324, 443)

# What comes, and which header that is.
GOOD = {
    "version 1, IPv4": (b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n", V4),
    "version 1, IPv6": (b"PROXY TCP6 2001:db8::1 2001:db8:0::2 1 65535\r\n", V6),
    "version 1, unknown": (b"PROXY UNKNOWN\r\n", ProxyHeader()),
    "version 1, unknown with a rest": (b"PROXY UNKNOWN ffff:f...f:ffff 1 2 3 4\r\n", ProxyHeader()),
    "version 2, IPv4": (binary(0x21, 0x11, ADDRESSES), V4),
    "version 2, IPv4 and UDP": (binary(0x21, 0x12, ADDRESSES), V4),
    "version 2, the proxy itself": (binary(0x20, 0x00, b""), ProxyHeader()),
    "version 2, itself with addresses": (binary(0x20, 0x11, ADDRESSES), ProxyHeader()),
    "version 2, itself with extras": (binary(0x20, 0x11, ADDRESSES + b"\x01\x00\x02h2"), ProxyHeader()),
    "version 2, family unknown": (binary(0x21, 0x00, b"whatever"), ProxyHeader()),
    "version 2, Unix": (
        binary(0x21, 0x31, b"/run/a".ljust(108, b"\0") + b"/run/b".ljust(108, b"\0")),
        ProxyHeader("/run/a", "/run/b"),
    ),
    "version 2, extras": (
        binary(0x21, 0x11, ADDRESSES + b"\x01\x00\x02h2" + b"\x02\x00\x07a.local"),
        ProxyHeader(V4.source, V4.destination, {1: b"h2", 2: b"a.local"}),
    ),
}

BAD = {
    "another protocol": b"GET / HTTP/1.1\r\n",
    "TLS": b"\x16\x03\x01\x02\x00",
    "lower case": b"proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
    "a name": b"PROXY TCP4 localhost 1.2.3.4 1 2\r\n",
    "the other family": b"PROXY TCP4 ::1 ::1 1 2\r\n",
    "a port too high": b"PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
    "a port with zeros": b"PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
    "a missing port": b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
    "two blanks": b"PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
    "no carriage return": b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n",
    "an address with zeros": b"PROXY TCP4 1.2.3.04 1.2.3.4 1 2\r\n",
    "an endless line": b"PROXY UNKNOWN " + b"x" * 200,
    "the signature's beginning only": SIGNATURE[:8] + b"xxxx",
    "version 3": binary(0x31, 0x11, ADDRESSES),
    "an unknown command": binary(0x22, 0x11, ADDRESSES),
    "an unknown family": binary(0x21, 0x41, ADDRESSES),
    "too short for its addresses": binary(0x21, 0x11, ADDRESSES[:-1]),
    "too short for its paths": binary(0x21, 0x31, b"x" * 200),
    "too long": binary(0x21, 0x11, b"", LONGEST),
    "a cut extra": binary(0x21, 0x11, ADDRESSES + b"\x01\x00\x05h2"),
    "a wrong checksum": binary(0x21, 0x11, ADDRESSES + b"\x03\x00\x04\x00\x00\x00\x00"),
    "a short checksum": binary(0x21, 0x11, ADDRESSES + b"\x03\x00\x02\x00\x00"),
}


def read(pieces: list[bytes]) -> tuple[Any, bytes]:
    reader = HeaderReader()
    for index, piece in enumerate(pieces):
        found = reader.receive(piece)
        if found is not NEED_DATA:
            return found, reader.rest + b"".join(pieces[index + 1 :])
    return NEED_DATA, b""


@pytest.mark.one_core
@pytest.mark.parametrize("name", GOOD)
def test_a_header_is_read_whole_and_byte_by_byte(name):
    data, header = GOOD[name]
    for rest in (b"", b"PROXY and more"):
        assert read([data + rest]) == (header, rest)
        assert read([bytes([byte]) for byte in data + rest]) == (header, rest)
    for end in range(len(data)):
        reader = HeaderReader()
        assert reader.receive(data[:end]) is NEED_DATA


@pytest.mark.one_core
@pytest.mark.parametrize("name", BAD)
def test_what_is_no_header_is_refused_whole_and_byte_by_byte(name):
    for pieces in ([BAD[name]], [bytes([byte]) for byte in BAD[name]]):
        with pytest.raises(RemoteProtocolError, match="PROXY protocol: the header is wrong"):
            assert read(pieces) is None


@pytest.mark.one_core
def test_a_checksum_is_checked():
    plain = binary(0x21, 0x11, ADDRESSES + b"\x01\x00\x01x" + b"\x03\x00\x04\x00\x00\x00\x00")
    right = plain[:-4] + struct.pack("!I", crc32c(plain))
    assert read([right])[0].source == V4.source
    for index in [
        *range(16, len(right) - 7),
        *range(len(right) - 4, len(right)),
    ]:  # not the word "checksum"
        wrong = bytearray(right)
        wrong[index] ^= 1
        with pytest.raises(RemoteProtocolError):
            assert read([bytes(wrong)])[0] is NEED_DATA


@pytest.mark.one_core
@pytest.mark.parametrize("header", [V4, V6, ProxyHeader(), ProxyHeader("/a", "/b", {5: b"id"})], ids=repr)
def test_what_is_written_is_read(header):
    assert read([header.encoded()]) == (header, b"")
    if not header.extras:
        assert read([header.encoded(version=1)]) == (header, b"")


@pytest.mark.one_core
@pytest.mark.parametrize(
    ("header", "version"),
    [
        (ProxyHeader("/a", "/b"), 1),
        (ProxyHeader(V4.source, V4.destination, {1: b"x"}), 1),
        (ProxyHeader(V4.source, V6.source), 2),
        (ProxyHeader(("host", 1), ("host", 2)), 2),
        (ProxyHeader(("1.2.3.4", 70000), ("1.2.3.4", 2)), 1),
        (ProxyHeader("/" + "a" * 108, "/b"), 2),
        (ProxyHeader(extras={1: b"x"}), 2),
        (V4, 3),
    ],
    ids=repr,
)
def test_what_cannot_be_said_is_refused(header, version):
    with pytest.raises(LocalProtocolError, match="PROXY protocol"):
        header.encoded(version)


@pytest.mark.one_core
@given(
    data=st.binary(max_size=300), prefix=st.sampled_from([b"", b"PROXY ", SIGNATURE, SIGNATURE + b"\x21\x11"])
)
def test_nothing_else_comes_of_any_bytes(data, prefix):
    one_input(prefix + data)


class Who(Component):
    async def main(self) -> None:
        one = peer()
        await self.outbox.send(repr((one.address, one.local, bool(one.proxy), dict(one.extras))).encode())


@pytest.mark.parametrize("version", [1, 2])
def test_a_server_hears_for_whom_a_proxy_speaks(serve, connect, version):
    with serve(Who, proxies=["127.0.0.0/8"]) as server:
        sock = connect(server)
        sock.sendall(V4.encoded(version))
        assert eval(read_all(sock)) == (V4.source, V4.destination, True, {})


def test_with_tls_the_header_comes_first(serve, certificates):
    import ssl

    with serve(Who, proxies="*", tls=certificates.server) as server:
        sock = socket.create_connection(server.address, timeout=WAIT)
        sock.sendall(V6.encoded())
        context = ssl.create_default_context(cafile=certificates.authorities)
        with context.wrap_socket(sock, server_hostname="localhost") as secured:
            assert eval(read_all(secured))[0] == V6.source


def test_who_is_no_proxy_is_taken_at_his_address_and_cannot_choose_one(serve, connect):
    with serve(Who, proxies=["10.0.0.0/8"]) as server:
        sock = connect(server)
        sock.sendall(V4.encoded())
        assert eval(read_all(sock))[0] == sock.getsockname()


def test_a_proxy_without_a_header_is_not_served(serve, connect, caplog):
    caplog.set_level("INFO")
    with serve(Echo, proxies=["127.0.0.1"], handshake_timeout=0.05) as server:
        for said in (b"hello", b"", b"PROXY TCP4 "):
            sock = connect(server)
            sock.sendall(said)
            with pytest.raises(ConnectionResetError):
                while sock.recv(10):
                    pass
                raise ConnectionResetError  # an end will do
    done = server.statistics()
    assert (done.accepted, done.rejected) == (0, 3)
    assert "begins with b'hello', which is none" in caplog.text


@pytest.mark.parametrize("protected", [False, True])
def test_our_client_speaks_for_others(serve, certificates, new_loop, protected):
    from kamaelia import run

    tls = {"tls": certificates.server} if protected else {}
    with serve(Who, proxies="*", **tls) as server:
        client = TCPClient(*server.address, proxied=V4, tls=certificates.client if protected else None)
        said = b"".join(run(Source([]) | client | Collect(), loop_factory=new_loop))
        assert eval(said)[:2] == (V4.source, V4.destination)


def test_what_is_no_proxy_or_header_is_refused():
    with pytest.raises(ValueError, match="give addresses or networks of proxies"):
        TCPServer(Echo, port=0, proxies=["proxy.example"])
    with pytest.raises(TypeError, match=r"TCPClient\(proxied='x'\): give a ProxyHeader"):
        TCPClient("127.0.0.1", 1, proxied="x")  # type: ignore[arg-type]
    assert issubclass(RemoteProtocolError, ProtocolError)
