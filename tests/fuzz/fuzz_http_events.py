"""Any bytes as a stream of server-sent events.

Invariant: the parser raises nothing but `RemoteProtocolError`; it finds the same events whether the stream
comes whole or byte by byte; it keeps no more than an event may have; and what it has found, written again, is
read as the same events.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    import atheris

    with atheris.instrument_imports():
        from kamaelia.axon import RemoteProtocolError
        from kamaelia.protocol.http.events import Event, EventParser
else:
    from kamaelia.axon import RemoteProtocolError
    from kamaelia.protocol.http.events import Event, EventParser

MOST = 200


def parsed(pieces: list[bytes]) -> tuple[list[Event], EventParser, bool]:
    parser = EventParser(most=MOST)
    events = []
    for piece in pieces:
        try:
            events += parser.feed(piece)
        except RemoteProtocolError:
            return events, parser, True
        assert len(parser._left) + sum(map(len, parser._data)) <= MOST
    return events, parser, False


def one_input(data: bytes) -> None:
    whole, parser, failed = parsed([data])
    dribbled, other, also = parsed([data[n : n + 1] for n in range(len(data))])
    assert failed == also
    if failed:
        return  # events of the same piece as what was too long are lost with it
    assert whole == dribbled
    assert (parser.last_id, parser.retry) == (other.last_id, other.retry)
    written = b"".join(event.wire for event in whole)
    assert EventParser().feed(written) == whole


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
