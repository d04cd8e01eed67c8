"""Any bytes as a form, in either format.

Invariant: the parsers raise nothing but `RemoteProtocolError`; they find the same whether a form comes whole
or byte by byte; parts are well nested; and what they keep is bounded by the bounds of a head or name, however
much comes. What was found, written again, is read as the same.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    import atheris

    with atheris.instrument_imports():
        from kamaelia.axon import RemoteProtocolError
        from kamaelia.protocol.http.forms import (
            END_OF_PART,
            FormPart,
            Multipart,
            MultipartParser,
            UrlencodedParser,
        )
else:
    from kamaelia.axon import RemoteProtocolError
    from kamaelia.protocol.http.forms import (
        END_OF_PART,
        FormPart,
        Multipart,
        MultipartParser,
        UrlencodedParser,
    )

MOST_HEAD, MOST_NAME, MOST_PARTS = 200, 40, 5
Found = list[tuple[FormPart, bytes]]


def parsed(parser: MultipartParser | UrlencodedParser, pieces: list[bytes]) -> tuple[Found, bool]:
    found: Found = []
    part, body = None, b""
    try:
        for number in range(len(pieces) + 1):
            for event in parser.feed(pieces[number]) if number < len(pieces) else parser.end():
                if isinstance(event, FormPart):
                    assert part is None
                    part, body = event, b""
                elif event is END_OF_PART:
                    assert part is not None
                    found.append((part, body))
                    part = None
                else:
                    assert part is not None and event
                    body += event
            assert len(parser._left) <= MOST_HEAD + 4 and parser._parts <= MOST_PARTS
    except RemoteProtocolError:
        return found, True
    assert part is None
    return found, False


def one_input(data: bytes) -> None:
    dribble = [data[n : n + 1] for n in range(len(data))]
    bounds = {"most_parts": MOST_PARTS, "most_name": MOST_NAME}
    whole, failed = parsed(UrlencodedParser(**bounds), [data])
    assert failed or (whole, failed) == parsed(UrlencodedParser(**bounds), dribble)
    more = {**bounds, "most_head": MOST_HEAD}
    whole, failed = parsed(MultipartParser("x", **more), [data])
    again = parsed(MultipartParser("x", **more), dribble)
    assert failed == again[1]
    if failed:
        return
    assert whole == again[0]
    form = Multipart("not-in-there")
    try:
        written = b"".join(form.head(part) + body for part, body in whole) + form.end
    except Exception as error:
        assert type(error).__name__ == "LocalProtocolError", error  # of a type that no header can have
        return
    if b"not-in-there" not in data:
        assert parsed(MultipartParser("not-in-there"), [written]) == (whole, False)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
