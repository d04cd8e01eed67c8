"""Specimens of the parts of this room, see `kamaelia.axon.specimen`; none of them meets a terminal."""

from __future__ import annotations

import io

from kamaelia.axon.specimen import Specimen

from . import ConsoleEchoer, ConsoleReader, Ticker
from .console_echoer import BATCH

SPECIMENS = {
    "ConsoleEchoer": (
        Specimen(
            lambda: ConsoleEchoer(forward=True, stream=io.StringIO()),
            {"inbox": ("one", b"two", 3)},
            {"outbox": ("one", b"two", 3)},
            holds=BATCH - 1,
        ),
    ),
    "ConsoleReader": (
        Specimen(lambda: ConsoleReader(stream=["one\n", "two"]), gives={"outbox": ("one", "two")}),
    ),
    "Ticker": (
        Specimen(
            lambda: Ticker(width=20, stream=io.StringIO()),
            {"inbox": ("To be, or not to be:", b"that is the question.")},
            {"outbox": ("To be, or not to be:", b"that is the question.")},
        ),
    ),
}
