"""Frames and handshakes as they stand on the wire, made without any of what is tested."""

from __future__ import annotations

import struct
import zlib

MASK = b"abcd"
KEY = b"dGhlIHNhbXBsZSBub25jZQ=="  # that of RFC 6455, 1.3
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

CONT, TEXT, DATA, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    rsv: int = 0,
    masked: bool = True,
    mask: bytes = MASK,
) -> bytes:
    """Return a frame; masked, as a client sends it, or not."""
    bit = 0x80 if masked else 0
    head = bytes([fin << 7 | rsv << 4 | opcode])
    if len(payload) < 126:
        head += bytes([bit | len(payload)])
    elif len(payload) < 65536:
        head += bytes([bit | 126]) + struct.pack("!H", len(payload))
    else:
        head += bytes([bit | 127]) + struct.pack("!Q", len(payload))
    if masked:
        payload = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
        head += mask
    return head + payload


def answer(opcode: int, payload: bytes = b"", **options: bool) -> bytes:
    """Return a frame as a server sends it."""
    return frame(opcode, payload, masked=False, **options)  # type: ignore[arg-type]


def close(code: int, reason: str = "") -> bytes:
    """Return the payload of a close frame."""
    return struct.pack("!H", code) + reason.encode()


def deflated(payload: bytes, bits: int = 12) -> bytes:
    """Return the payload of a compressed message."""
    deflate = zlib.compressobj(wbits=-bits)
    return (deflate.compress(payload) + deflate.flush(zlib.Z_SYNC_FLUSH))[:-4]


def request(*more: bytes, path: bytes = b"/", without: bytes = b"") -> bytes:
    """Return what a client asks for a connection with."""
    lines = [
        b"Host: example.org",
        b"Connection: Upgrade",
        b"Upgrade: websocket",
        b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Key: " + KEY,
        *more,
    ]
    kept = [line for line in lines if not without or not line.startswith(without)]
    return b"\r\n".join([b"GET " + path + b" HTTP/1.1", *kept, b"", b""])


ACCEPTED = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: " + ACCEPT + b"\r\n\r\n"
)
DEFLATE = b"Sec-WebSocket-Extensions: permessage-deflate"
