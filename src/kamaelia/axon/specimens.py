"""Specimens of what puts components together, see `specimen`."""

from __future__ import annotations

from typing import Any

from .component import Component, component
from .graph import Graphline, Pipeline
from .seat import Seat
from .specimen import Specimen


@component
async def twice(inbox: Any, outbox: Any) -> str:
    """Send twice of each number."""
    async for number in inbox:
        await outbox.send(2 * number)
    return "done"


def both_ways() -> Component:
    """Make a graphline with one way in and two ways out."""
    once, again = twice(), twice()
    return Graphline(
        "self.inbox" >> once.inbox,
        once.outbox >> ["self.outbox", again.inbox],
        again.outbox >> "self.more",
    )


SPECIMENS = {
    "Graphline": (
        Specimen(both_ways, {"inbox": (1, 2)}, {"outbox": (2, 4), "more": (4, 8)}),
        Specimen(
            lambda: Graphline(
                part=twice(),
                linkages={("self", "inbox"): ("part", "inbox"), ("part", "outbox"): ("self", "outbox")},
            ),
            {"inbox": (1, 2)},
            {"outbox": (2, 4)},
        ),
    ),
    "Pipeline": (
        Specimen(lambda: Pipeline(twice, twice), {"inbox": (1, 2)}, {"outbox": (4, 8)}, returns="done"),
    ),
    "Seat": (Specimen(lambda: Seat(twice), {"inbox": (1, 2)}, {"outbox": (2, 4)}, returns="done"),),
}
