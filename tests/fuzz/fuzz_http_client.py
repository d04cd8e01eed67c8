"""Whatever a server answers, the client's machine says what it was, or refuses it; and it does so however the
bytes are divided.

No exception but `RemoteProtocolError`. No empty part of a body. No header that we could not send on. Bytes
given one by one come to the same events, and the same verdict, as bytes given together; and so they do with
the other parser.

Run it with ``python tests/fuzz/fuzz_http_client.py -runs=1000000`` (needs ``atheris``).
"""

from __future__ import annotations

import sys
from typing import Any

if __name__ == "__main__":
    import atheris

    with atheris.instrument_imports():
        from kamaelia.axon import RemoteProtocolError
        from kamaelia.protocol.http.client_machine import ClientMachine, EndOfResponse, Event
        from kamaelia.protocol.http.messages import Request, Response
else:
    from kamaelia.axon import RemoteProtocolError
    from kamaelia.protocol.http.client_machine import ClientMachine, EndOfResponse, Event
    from kamaelia.protocol.http.messages import Request, Response

METHODS = ("GET", "HEAD", "CONNECT", "POST")
HEAD_LIMIT = 300


def one_input(data: bytes) -> None:
    """Answer some requests with some bytes; the first byte says which requests."""
    if not data:
        return
    kind, answer = data[0], data[1:]
    together = events_of([answer], kind)
    assert together == events_of([answer[i : i + 1] for i in range(len(answer))], kind)
    assert together == events_of([answer[:7], answer[7:50], answer[50:]], kind, "h11")


def events_of(chunks: list[bytes], kind: int, parser: str = "httptools") -> list[Any]:
    """Return what a client hears that asks one or two things, and is answered so."""
    machine = ClientMachine(head_limit=HEAD_LIMIT, header_limit=8, pipeline=2, parser=parser)
    headers = [("Host", "a")] + ([("Upgrade", "x"), ("Connection", "upgrade")] if kind & 8 else [])
    method = METHODS[kind & 3]
    machine.send_whole(Request(method, "a:1" if method == "CONNECT" else "/", _headers(headers)))
    if kind & 16:
        machine.send_whole(Request("GET", "/2", _headers([("Host", "a")])))
    heard: list[Any] = []
    try:
        for chunk in chunks:
            if machine.switched:
                heard.append(("rest", chunk))
                continue
            machine.receive(chunk)
            _hear(machine, heard)
        if not machine.switched:
            machine.receive_end()
            _hear(machine, heard)
    except RemoteProtocolError:
        heard.append(("refused", machine.answering))
    return _joined(heard)


def _hear(machine: ClientMachine, heard: list[Any]) -> None:
    while (event := machine.next_event()) is not None:
        heard.append(_plain(event))


def _plain(event: Event) -> Any:
    if isinstance(event, bytes):
        assert event, "there is no empty part of a body"
        return ("body", event)
    if isinstance(event, Response):
        return ("head", event.status, _sendable(event.headers.pairs))
    if isinstance(event, EndOfResponse):
        return ("end", _sendable(event.trailers.pairs), event.reusable)
    if hasattr(event, "rest"):
        return ("rest", event.rest)
    return (event.status, _sendable(event.headers.pairs))


def _sendable(pairs: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return pairs that headers can be made of; an error if these are none."""
    return list(_headers(pairs).pairs)


def _joined(heard: list[Any]) -> list[Any]:
    """Join what may come in one piece or several."""
    joined: list[Any] = []
    for one in heard:
        if joined and one[0] in ("body", "rest") and joined[-1][0] == one[0]:
            joined[-1] = (one[0], joined[-1][1] + one[1])
        else:
            joined.append(one)
    return joined


def _headers(pairs: list[tuple[str, str]]) -> Any:
    from kamaelia.protocol.http.headers import Headers

    return Headers(pairs)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
