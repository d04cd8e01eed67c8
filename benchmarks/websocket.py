"""A WebSocket echo server on one core, load from a compiled client on another: messages a second."""

from __future__ import annotations

from .contest import Contest, Measure, Server, Target, latencies
from .ours import Forms
from .programs import Python

CONNECTIONS = 100
SIZE = 100  # bytes in a message
WARM_UP, DURATION = 500, 2000  # milliseconds
MEASURES = (Measure("rate", "messages a second"), *latencies("echoes"))
WANTED = 1.5  # times the library whose machines we use


def contests(forms: Forms) -> list[Contest]:
    load = (CONNECTIONS, SIZE, WARM_UP, DURATION, "websocket")
    version = forms.version
    return [
        Contest(
            "websocket",
            f"WebSocket echo server on uvloop, {CONNECTIONS} connections, plain {SIZE}-byte messages",
            MEASURES,
            (
                *forms.contestants(Server("Kamaelia", Python(version, "websocket_kamaelia"), load=load)),
                Server("websockets", Python(version, "websocket_websockets"), load=load),
            ),
            (Target(WANTED, "websockets"),),
        )
    ]
