"""Specimens of the parts of this room, see `kamaelia.axon.specimen`."""

from __future__ import annotations

from typing import Any

from kamaelia.axon import component
from kamaelia.axon.specimen import Specimen

from . import Backplane, PublishTo, Retry, SubscribeTo, Supervisor
from .backplane import EARLY_LIMIT


@component
async def twice(inbox: Any, outbox: Any) -> str:
    """Send twice of each number."""
    async for number in inbox:
        await outbox.send(2 * number)
    return "done"


SPECIMENS = {
    "Backplane": (
        Specimen(
            lambda: Backplane("room"),
            {"inbox": ("a", "b")},
            {"outbox": ("a", "b")},
            endless=True,
            holds=EARLY_LIMIT,
        ),
    ),
    "PublishTo": (
        Specimen(lambda: PublishTo("room"), {"inbox": ("a", "b")}),
        Specimen(lambda: PublishTo("room", forward=True), {"inbox": ("a", "b")}, {"outbox": ("a", "b")}),
    ),
    "Retry": (Specimen(lambda: Retry(twice), {"inbox": (1, 2)}, {"outbox": (2, 4)}, returns="done"),),
    "SubscribeTo": (
        Specimen(
            lambda: SubscribeTo("room"),
            {"inbox": ("a",), "feed": ("b", "c")},
            {"outbox": ("b", "c")},
            holds=EARLY_LIMIT,
        ),
        Specimen(
            lambda: SubscribeTo("room", forward=True),
            {"inbox": ("a",), "feed": ("b", "c")},
            {"outbox": ("a", "b", "c")},
            holds=EARLY_LIMIT,
        ),
    ),
    "Supervisor": (
        Specimen(lambda: Supervisor(twice), {"inbox": (1, 2)}, {"outbox": (2, 4)}, returns="done"),
        Specimen(
            lambda: Supervisor(
                first=twice,
                second=twice,
                linkages={
                    ("self", "inbox"): ("first", "inbox"),
                    ("first", "outbox"): ("second", "inbox"),
                    ("second", "outbox"): ("self", "outbox"),
                },
                strategy="rest_for_one",
            ),
            {"inbox": (1, 2)},
            {"outbox": (4, 8)},
        ),
    ),
}
