"""Feeding a server's machine, whole and in pieces, and writing down what it says."""

from __future__ import annotations

from typing import Any

from kamaelia.protocol.http import Limits, Refused, Response
from kamaelia.protocol.http.machine import ENDED, NEED_DATA, Data, EndOfRequest, ServerMachine
from kamaelia.protocol.http.messages import Request

PARSERS = ("h11", "httptools")
OK = Response(b"ok")


def tell(
    data: bytes, *, parser: str = "h11", piece: int = 0, ends: bool = True, limits: Any = None
) -> list[Any]:
    """Return what a machine makes of some bytes, each request answered as soon as it is complete.

    Bodies are put together, since they come in other pieces when the bytes do.
    """
    machine = ServerMachine(limits or Limits(), parser)
    told: list[Any] = []
    pieces = [data[at : at + piece] for at in range(0, len(data), piece)] if piece else [data]
    try:
        for one in pieces:
            machine.receive(one)
            _ask(machine, told)
        if ends:
            machine.receive_end()
            _ask(machine, told)
    except Refused as error:
        told.append(("refused", error.status))
        assert machine.reading == "ERROR"
        again = None
        try:
            machine.next_event()
        except Refused as same:
            again = same
        assert again is error
    return told


def _ask(machine: ServerMachine, told: list[Any]) -> None:
    while True:
        event = machine.next_event()
        if isinstance(event, Request):
            told.append((event.method, event.target, event.version, event.headers.pairs))
        elif isinstance(event, Data):
            assert event.data
            if isinstance(told[-1], bytes):
                told[-1] += event.data
            else:
                told.append(event.data)
        elif isinstance(event, EndOfRequest):
            told.append(event.trailers.pairs or "end")
            machine.send_whole(OK)
        else:
            if event is ENDED and told[-1:] != ["ended"]:
                told.append("ended")
            assert event in (ENDED, NEED_DATA)
            return
