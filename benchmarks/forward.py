"""Datagrams received and forwarded on one core, load from a compiled client on another: how many a second."""

from __future__ import annotations

from .contest import Contest, Measure, Server, Target, latencies
from .ours import Forms
from .programs import Python

SIZES = (64, 1316)  # bytes: a small one, and seven packets of an MPEG transport stream
BACK = 19_999  # the port that the client listens on: no system gives it to whoever asks for any
WINDOW = 64  # datagrams under way: fewer than any buffer holds
WARM_UP, DURATION = 500, 2000  # milliseconds
MEASURES = (Measure("rate", "datagrams a second"), *latencies("datagrams"))


def contests(forms: Forms) -> list[Contest]:
    return [one(forms, size) for size in SIZES]


def one(forms: Forms, size: int) -> Contest:
    load = (BACK, size, WINDOW, WARM_UP, DURATION)
    ours, bare = Python(forms.version, "forward_kamaelia"), Python(forms.version, "forward_asyncio")
    return Contest(
        f"forward-{size}",
        f"UDP datagrams of {size} bytes received and forwarded on uvloop, none in a thousand lost",
        MEASURES,
        (
            *forms.contestants(Server("Kamaelia", ours, (BACK,), load=load, client="datagrams")),
            Server("bare uvloop protocol", bare, (BACK, "uvloop"), load=load, client="datagrams"),
            Server("bare asyncio protocol", bare, (BACK,), load=load, client="datagrams"),
        ),
        (Target(0.6, "bare uvloop protocol"),),
    )
