"""The header of the PROXY protocol.

Whatever a connection begins with, `HeaderReader` gives one header, asks for more, or raises
`RemoteProtocolError`, and nothing else. It does so for the bytes one by one as for all at once, with the same
header and the same rest; it keeps no more than the longest header; and a header that was read can be written.
"""

from __future__ import annotations

import sys
from typing import Any

from kamaelia.axon import LocalProtocolError, RemoteProtocolError
from kamaelia.net.proxy import NEED_DATA, HeaderReader
from kamaelia.net.proxy.machine import LONGEST


def one_input(data: bytes) -> None:
    """Try one input."""
    whole = outcome([data])
    single = outcome([data[index : index + 1] for index in range(len(data))])
    assert whole[0] == single[0], (whole, single)
    assert whole[1] == single[1] or whole[0] is RemoteProtocolError
    if whole[0] is not NEED_DATA and whole[0] is not RemoteProtocolError:
        try:
            assert outcome([whole[0].encoded()])[0] == whole[0]
        except LocalProtocolError:
            pass  # a path that is no UTF-8 became longer
    elif whole[0] is NEED_DATA:
        assert len(data) < LONGEST


def outcome(pieces: list[bytes]) -> tuple[Any, bytes]:
    reader = HeaderReader()
    for index, piece in enumerate(pieces):
        try:
            found = reader.receive(piece)
        except RemoteProtocolError:
            return RemoteProtocolError, b""
        if found is not NEED_DATA:
            return found, reader.rest + b"".join(pieces[index + 1 :])
    return NEED_DATA, b""


if __name__ == "__main__":
    import atheris

    atheris.instrument_all()
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
