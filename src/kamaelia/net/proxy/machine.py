"""The header of the PROXY protocol, versions 1 and 2: bytes in, one header out.

The header stands once, before the first byte of the connection. Version 1 is a line of text of at most 107
bytes; version 2 begins with twelve bytes that nothing else begins with, and says how long it is. Whoever
expects it must not guess: a connection that does not begin with one is refused, or anybody could choose his
own address (2. of the specification).
"""

from __future__ import annotations

import ipaddress
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from kamaelia.axon.errors import LocalProtocolError, RemoteProtocolError

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
LONGEST_LINE = 107  # bytes of a header of version 1, its end included (2.1)
LONGEST = 4096  # bytes of a header of version 2 that we read; what is usual has less than 300
CRC32C = 0x03  # the type of the extra that has the checksum (2.2.3)

LINE = re.compile(
    rb"PROXY (?:UNKNOWN(?: [^\r\n]*)?|(TCP[46]) ([0-9a-fA-F.:]+) ([0-9a-fA-F.:]+) (\d+) (\d+))\r\n"
)
PORT = re.compile(rb"0|[1-9]\d{0,4}")

Address = tuple[str, int] | str


class Sentinel(Enum):
    """Answers that are no header."""

    NEED_DATA = "NEED_DATA"

    def __repr__(self) -> str:
        return self.value


NEED_DATA = Sentinel.NEED_DATA


@dataclass(frozen=True)
class ProxyHeader:
    """What a proxy says of a connection.

    Example:
        >>> ProxyHeader(("192.0.2.1", 56324), ("192.0.2.2", 443)).encoded(version=1)
        b'PROXY TCP4 192.0.2.1 192.0.2.2 56324 443\\r\\n'
    """

    source: Address | None = None
    """Who has connected to the proxy: host and port, or the path of a Unix socket. None when the proxy speaks
    for itself, or does not know."""
    destination: Address | None = None
    """To what."""
    extras: Mapping[int, bytes] = field(default_factory=dict)
    """What else is said, by its type (2.2): 0x01 the protocol that TLS has agreed on, 0x02 the name of the
    server that was asked for, ..."""

    def encoded(self, version: int = 2) -> bytes:
        """Return it as it stands on the wire. Raises `LocalProtocolError` if it cannot be said so."""
        if version == 1:
            return self._as_line()
        if version != 2:
            raise LocalProtocolError(f"PROXY protocol: there is no version {version!r}: give 1 or 2")
        if self.source is None:
            if self.extras:
                raise LocalProtocolError("PROXY protocol: without addresses nothing else is heard: no extras")
            return SIGNATURE + struct.pack("!BBH", 0x20, 0x00, 0)
        family, addresses = self._packed()
        rest = b"".join(struct.pack("!BH", kind, len(value)) + value for kind, value in self.extras.items())
        return SIGNATURE + struct.pack("!BBH", 0x21, family, len(addresses + rest)) + addresses + rest

    def _packed(self) -> tuple[int, bytes]:
        source, destination = self.source, self.destination
        if isinstance(source, str) and isinstance(destination, str):
            paths = [path.encode() for path in (source, destination)]
            if max(map(len, paths)) > 108:
                raise LocalProtocolError("PROXY protocol: the path of a Unix socket has 108 bytes at most")
            return 0x31, b"".join(path.ljust(108, b"\0") for path in paths)
        hosts, ports = self._parsed()
        return (
            0x11 if hosts[0].version == 4 else 0x21,
            hosts[0].packed + hosts[1].packed + struct.pack("!HH", *ports),
        )

    def _parsed(self) -> tuple[list[Any], list[int]]:
        try:
            pairs: list[Any] = [self.source, self.destination]
            hosts = [ipaddress.ip_address(host) for host, _ in (pair[:2] for pair in pairs)]
            ports = [int(pair[1]) for pair in pairs]
            if hosts[0].version != hosts[1].version or not all(0 <= port <= 65535 for port in ports):
                raise ValueError("both must be of one family, with ports from 0 to 65535")
        except (ValueError, TypeError) as error:
            raise LocalProtocolError(
                f"PROXY protocol: {self.source!r} and {self.destination!r} are no addresses that can be "
                f"passed on: {error}"
            ) from error
        return hosts, ports

    def _as_line(self) -> bytes:
        if self.source is None:
            return b"PROXY UNKNOWN\r\n"
        if self.extras or isinstance(self.source, str):
            raise LocalProtocolError("PROXY protocol: version 1 has no extras and no Unix sockets: use 2")
        hosts, ports = self._parsed()
        kind = "TCP4" if hosts[0].version == 4 else "TCP6"
        return f"PROXY {kind} {hosts[0]} {hosts[1]} {ports[0]} {ports[1]}\r\n".encode()


class HeaderReader:
    """Reads the header with which a connection begins.

    Example:
        >>> reader = HeaderReader()
        >>> reader.receive(b"PROXY TCP4 192.0.2.1 192.0.2.2 56324 ")
        NEED_DATA
        >>> reader.receive(b"443\\r\\nGET /")
        ProxyHeader(source=('192.0.2.1', 56324), destination=('192.0.2.2', 443), extras={})
        >>> reader.rest
        b'GET /'
    """

    __slots__ = ("_data", "_done", "rest")

    def __init__(self) -> None:
        self._data = b""
        self._done = False
        self.rest = b""
        """What came behind the header, once that is complete."""

    def receive(self, data: bytes) -> ProxyHeader | Sentinel:
        """Take bytes; return the header when it is complete. Raises `RemoteProtocolError` if it is none."""
        if self._done:
            raise LocalProtocolError("PROXY protocol: there is one header, and it has been read")
        self._data += data
        found: ProxyHeader | Sentinel
        if self._data[: len(SIGNATURE)] == SIGNATURE[: len(self._data)]:
            found = self._read_binary()
        elif self._data[:6] == b"PROXY "[: len(self._data)]:
            found = self._read_line()
        else:
            raise _wrong(f"the connection begins with {self._data[:16]!r}, which is none")
        self._done = isinstance(found, ProxyHeader)
        return found

    def _read_line(self) -> ProxyHeader | Sentinel:
        end = self._data.find(b"\n", 0, LONGEST_LINE) + 1
        if not end:
            if len(self._data) >= LONGEST_LINE:
                raise _wrong(f"its line has more than {LONGEST_LINE} bytes")
            return NEED_DATA
        line, self.rest = self._data[:end], self._data[end:]
        match = LINE.fullmatch(line)
        if match is None:
            raise _wrong(f"{line!r} is no line of it")
        kind, source, destination, *ports = match.groups()
        if kind is None:
            return ProxyHeader()
        version = int(kind[3:])
        return ProxyHeader(
            (_host(source, version), _port(ports[0])), (_host(destination, version), _port(ports[1]))
        )

    def _read_binary(self) -> ProxyHeader | Sentinel:
        if len(self._data) < 16:
            return NEED_DATA
        command, family, length = struct.unpack_from("!BBH", self._data, 12)
        if command >> 4 != 2 or command & 15 > 1:
            raise _wrong(f"version and command are 0x{command:02x}, and only 0x20 and 0x21 are known")
        if 16 + length > LONGEST:
            raise _wrong(f"it has {16 + length} bytes, and {LONGEST} is the most that is read")
        if len(self._data) < 16 + length:
            return NEED_DATA
        body, self.rest = self._data[16 : 16 + length], self._data[16 + length :]
        source, destination, used = _addresses(family, body)
        extras = _extras(body[used:]) if family else {}
        if CRC32C in extras:
            self._check_sum(16 + length, 16 + used, extras[CRC32C])
        if command & 15 == 0:  # the proxy speaks for itself: what else is said is to be ignored (2.2)
            return ProxyHeader()
        return ProxyHeader(source, destination, extras)

    def _check_sum(self, length: int, extras_at: int, said: bytes) -> None:
        """The sum is over the whole header with its own four bytes as 0 (2.2.3)."""
        header, at = bytearray(self._data[:length]), extras_at
        while header[at] != CRC32C:
            at += 3 + int.from_bytes(header[at + 1 : at + 3])
        header[at + 3 : at + 3 + len(said)] = bytes(len(said))
        if len(said) != 4 or crc32c(bytes(header)) != int.from_bytes(said):
            raise _wrong("its checksum is wrong")


def crc32c(data: bytes) -> int:
    """Return the checksum of RFC 3720, appendix B.4, which `zlib` does not have.

    >>> hex(crc32c(b"123456789"))
    '0xe3069283'
    """
    register = 0xFFFFFFFF
    for byte in data:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (0x82F63B78 if register & 1 else 0)
    return register ^ 0xFFFFFFFF


def _addresses(family: int, body: bytes) -> tuple[Address | None, Address | None, int]:
    """Return source and destination, and how many bytes they have taken."""
    if family in (0x11, 0x12, 0x21, 0x22):
        size = 4 if family >> 4 == 1 else 16
        if len(body) < 2 * size + 4:
            raise _wrong("it is too short for its addresses")
        hosts = [str(ipaddress.ip_address(body[start : start + size])) for start in (0, size)]
        ports = struct.unpack_from("!HH", body, 2 * size)
        return (hosts[0], ports[0]), (hosts[1], ports[1]), 2 * size + 4
    if family in (0x31, 0x32):
        if len(body) < 216:
            raise _wrong("it is too short for its addresses")
        paths = [
            body[start : start + 108].partition(b"\0")[0].decode("utf-8", "replace") for start in (0, 108)
        ]
        return paths[0], paths[1], 216
    if family == 0x00:
        return None, None, len(body)
    raise _wrong(f"the family of its addresses is 0x{family:02x}, which is not known")


def _extras(data: bytes) -> dict[int, bytes]:
    extras = {}
    while data:
        if len(data) < 3 or len(data) < 3 + (length := int.from_bytes(data[1:3])):
            raise _wrong("its last extra is cut off")
        extras[data[0]], data = data[3 : 3 + length], data[3 + length :]
    return extras


def _host(text: bytes, version: int) -> str:
    kind = ipaddress.IPv4Address if version == 4 else ipaddress.IPv6Address
    try:
        return str(kind(text.decode()))
    except ValueError:
        raise _wrong(f"{text!r} is no address of IPv{version}") from None


def _port(text: bytes) -> int:
    if not PORT.fullmatch(text) or int(text) > 65535:
        raise _wrong(f"{text!r} is no port")
    return int(text)


def _wrong(what: str) -> RemoteProtocolError:
    return RemoteProtocolError(f"PROXY protocol: the header is wrong: {what}")
