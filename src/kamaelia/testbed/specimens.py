"""Specimens of the parts of this room, see `kamaelia.axon.specimen`."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

from kamaelia.axon.specimen import Specimen

from . import FlowMetrics, Measure, PcapSource, Stamp
from .captures import PcapngWriter
from .captures.headers import UDP, ip, udp
from .measures_flow import Flow

LETTERS = (b"a", b"b", b"c")
STAMPED = tuple(bytes(7) + bytes([number]) + bytes(8) + letter for number, letter in enumerate(LETTERS))


def _passed(name: str, *, stamped: bool) -> FlowMetrics:
    """What has passed when all letters come at the very beginning."""
    flow = Flow(name)
    for number, letter in enumerate(LETTERS):
        if stamped:
            flow.passed(0, len(letter), number, 0)
        else:
            flow.passed(0, len(letter))
    return flow.result(0)


_folder = functools.cache(tempfile.TemporaryDirectory)  # gone when Python ends


@functools.cache
def capture() -> Path:
    """Return the path of a capture with the letters, one each 40 ms."""
    path = Path(_folder().name, "letters.pcapng")
    ends = "10.0.0.1", "10.0.0.2"
    with path.open("wb") as file, PcapngWriter(file) as writer:
        interface = writer.interface("letters")
        for number, letter in enumerate(LETTERS):
            data = udp(*ends, 5004, 5006, letter)
            writer.packet(interface, number * 40_000_000, ip(*ends, UDP, data))
    return path


SPECIMENS = {
    "Measure": (
        Specimen(
            lambda: Measure("film"),
            {"inbox": LETTERS},
            {"outbox": LETTERS},
            returns=_passed("film", stamped=False),
        ),
        Specimen(
            lambda: Measure(stamp=True),
            {"inbox": STAMPED},
            {"outbox": LETTERS},
            returns=_passed("", stamped=True),
        ),
    ),
    "PcapSource": (Specimen(lambda: PcapSource(capture()), {}, {"outbox": LETTERS}, returns={}),),
    "Stamp": (Specimen(Stamp, {"inbox": LETTERS}, gives=None),),  # there is the time in what it gives
}
