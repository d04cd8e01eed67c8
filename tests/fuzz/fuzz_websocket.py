"""Whatever bytes a peer sends: a machine of WebSocket raises nothing, keeps no more than one message, one
chunk and one handshake, tells no more at a time than a chunk and some messages, comes to an end, and says the
same in pieces of any size; so does its short way for frames that need no more, beside `websockets`.

The first byte chooses the side and the options. The rest is what the peer sends after the handshake or, if
the choice says so, from its beginning.

Run it by itself for as long as you like: ``python tests/fuzz/fuzz_websocket.py -runs=1000000``.
"""

from __future__ import annotations

import sys
from typing import Any

if __name__ == "__main__":
    import atheris  # type: ignore[import-not-found]  # no requirement of the tests

    with atheris.instrument_imports():
        import websockets.client
        import websockets.extensions.permessage_deflate
        import websockets.server  # noqa: F401

        from kamaelia.protocol.websocket.machine import HANDSHAKE_LIMIT, ClientMachine, Machine, ServerMachine
else:
    from kamaelia.protocol.websocket.machine import HANDSHAKE_LIMIT, ClientMachine, Machine, ServerMachine

LIMIT = 300  # bytes of a message

REQUEST = (
    b"GET /chat?x=1 HTTP/1.1\r\nHost: example.org\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n"
)
ANSWER = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: S31gNkJuyx3y5Rr4ygBths12Z9E=\r\n"
)
DEFLATE = b"Sec-WebSocket-Extensions: permessage-deflate\r\n"

Told = tuple[list[Any], bytes, bool]


def make(choice: int) -> tuple[Machine, bytes]:
    """Return a machine, and what its peer begins with."""
    options: dict[str, Any] = {
        "compression": bool(choice & 2),
        "streaming": bool(choice & 4),
        "as_bytes": bool(choice & 8),
        "message_limit": LIMIT,
    }
    start: bytes
    machine: Machine
    if choice & 1:
        machine = ClientMachine("example.org", "/chat", chance=bytes(32), **options)
        start = ANSWER + (DEFLATE if choice & 2 else b"") + b"\r\n"
    else:
        machine, start = ServerMachine(**options), REQUEST
    return machine, b"" if choice & 16 else start


class Slow(int):
    """A limit of messages that makes every frame go the long way."""

    def __ge__(self, other: int) -> bool:
        return False


def kept(machine: Machine) -> int:
    """Return how many bytes a machine keeps of what has come."""
    return len(machine._rest) + len(machine._message or b"") + len(machine._protocol.reader.buffer)


def told(events: list[Any]) -> int:
    """Return how long the messages are together that a machine tells at a time."""
    payloads = [getattr(event, "payload", event) for event in events]
    return sum(len(payload) for payload in payloads if isinstance(payload, (str, bytes)))


def feed(choice: int, data: bytes, size: int, *, quick: bool = True) -> Told:
    """Return what a machine tells of some bytes, which come in chunks of one size, and what it sends."""
    machine, start = make(choice)
    data = start + data
    if not quick:
        machine._limit = Slow(LIMIT)
    events: list[Any] = []
    sent = machine.to_send()
    for at in range(0, len(data), size):
        chunk = data[at : at + size]
        some = machine.receive(chunk)
        while True:
            # What has come before: a message, or the frame that is the last of one. What comes of the
            # chunk: as it stands there, or inflated, and then one message goes beyond the limit.
            assert told(some) <= len(chunk) + 3 * LIMIT, told(some)
            events += some
            sent += machine.to_send()
            most = HANDSHAKE_LIMIT if machine.opened is None else 2 * LIMIT + 20
            assert kept(machine) <= len(chunk) + most, kept(machine)
            if not machine.has_more:
                break
            before = machine._read
            some = machine.receive(b"")
            assert machine._read > before or not machine.has_more, "it does not go on"
    events += machine.receive_end()
    sent += machine.to_send()
    return events, sent, machine.finished


def one_input(data: bytes) -> None:
    """Try one input; see the top of the module."""
    choice, rest = (data[0], data[1:]) if data else (0, b"")
    whole = feed(choice, rest, len(rest) + 1000)
    assert whole[2], "our side of the stream has not been ended"
    for size in (1, 7):
        assert feed(choice, rest, size) == whole, f"in chunks of {size}"
    assert feed(choice, rest, len(rest) + 1000, quick=False) == whole, "the short way says something else"


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
