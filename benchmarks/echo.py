"""A TCP echo server on one core, load from a compiled client on another: messages a second."""

from __future__ import annotations

from .contest import Contest, Measure, Server, Target, latencies
from .ours import Forms
from .programs import Python

SIZE = 100  # bytes in a message
WARM_UP, DURATION = 500, 2000  # milliseconds
MEASURES = (Measure("rate", "messages a second"), *latencies("echoes"))

WANTED = {
    "bare uvloop Protocol": 0.92,
    "uvloop streams": 1.2,
    "Twisted": 2.0,
    "upstream Kamaelia": 100.0,
}


def contests(forms: Forms) -> list[Contest]:
    return [one(f"echo-{connections}", forms, connections) for connections in (100, 1000)]


def one(name: str, forms: Forms, connections: int) -> Contest:
    load = (connections, SIZE, WARM_UP, DURATION)
    version = forms.version
    # With a thousand connections upstream needs most of half a minute to accept them.
    upstream_rounds = 3 if connections > 100 else None
    return Contest(
        name,
        f"TCP echo server on uvloop, a component for each of {connections} connections, {SIZE}-byte messages",
        MEASURES,
        (
            *forms.contestants(Server("Kamaelia", Python(version, "echo_kamaelia"), load=load)),
            Server(
                "bare uvloop Protocol",
                Python(version, "echo_asyncio"),
                ("protocol", "uvloop"),
                load=load,
            ),
            Server("uvloop streams", Python(version, "echo_asyncio"), ("streams", "uvloop"), load=load),
            Server("Twisted", Python(version, "echo_twisted"), load=load),
            Server("upstream Kamaelia", Python("upstream", "echo_axon"), load=load, rounds=upstream_rounds),
        ),
        tuple(Target(factor, peer) for peer, factor in WANTED.items()),
    )
