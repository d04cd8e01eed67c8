"""Specimens of the parts of this room, see `kamaelia.axon.specimen`."""

from __future__ import annotations

from kamaelia.axon.specimen import Specimen

from . import FlowMetrics, Measure, Stamp
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
    "Stamp": (Specimen(Stamp, {"inbox": LETTERS}, gives=None),),  # there is the time in what it gives
}
