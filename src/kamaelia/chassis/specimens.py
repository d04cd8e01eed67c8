"""Specimens of the parts of this room, see `kamaelia.axon.specimen`."""

from __future__ import annotations

from typing import Any

from kamaelia.axon import Component, component
from kamaelia.axon.specimen import Specimen

from . import (
    Ask,
    Backplane,
    Calls,
    Carousel,
    Chooser,
    Dispatch,
    Join,
    Parallel,
    Pool,
    PublishTo,
    Retry,
    Selector,
    Sequential,
    SubscribeTo,
    Supervisor,
    Timeout,
)
from .backplane import EARLY_LIMIT


@component
async def twice(inbox: Any, outbox: Any) -> str:
    """Send twice of each number."""
    async for number in inbox:
        await outbox.send(2 * number)
    return "done"


@component
async def first(inbox: Any, outbox: Any) -> None:
    """Send the first message."""
    await outbox.send(await inbox.receive())


@component
async def spell(inbox: Any, outbox: Any, word: str) -> None:
    """Send the letters of a word."""
    for letter in word:
        await outbox.send(letter)


class Announce(Component):
    """Send a word, with no need of an inbox."""

    inbox = None

    def __init__(self, word: str) -> None:
        self.word = word

    async def main(self) -> None:
        await self.outbox.send(self.word)


@component
async def answer(inbox: Any, outbox: Any) -> None:
    """Answer each question with itself."""
    async for number, question in inbox:
        await outbox.send((number, question))


SPECIMENS = {
    "Ask": (
        Specimen(
            lambda: Ask("service"),
            {"inbox": ("why?",)},
            gives=None,
            outside="it asks another part of the system",
        ),
    ),
    "Backplane": (
        Specimen(
            lambda: Backplane("room"),
            {"inbox": ("a", "b")},
            {"outbox": ("a", "b")},
            endless=True,
            holds=EARLY_LIMIT,
        ),
    ),
    "Calls": (Specimen(lambda: Calls("service", answer, limit=10), endless=True, holds=10),),
    "Carousel": (
        Specimen(
            lambda: Carousel(spell),
            {"next": ("la", "lu")},
            {"outbox": ("l", "a", "l", "u"), "requests": ("next", "next", "next")},
        ),
        Specimen(
            lambda: Carousel(Announce, when_taken="wait"),
            {"next": ("la", "lu")},
            {"outbox": ("la", "lu"), "requests": ("next", "next", "next")},
            by_time="a stop cancels what nothing feeds, and no other part follows",
        ),
    ),
    "Chooser": (
        Specimen(
            lambda: Chooser(["red", "green", "blue"]),
            {"inbox": ("next", "next", "previous", "last")},
            {"outbox": ("red", "green", "red", "blue")},
        ),
    ),
    "Dispatch": (
        Specimen(
            lambda: Dispatch(lambda number: "even" if number % 2 == 0 else "", "even", other="rest"),
            {"inbox": (0, 1, 2, 3)},
            {"even": (0, 2), "rest": (1, 3)},
        ),
    ),
    "Join": (
        Specimen(lambda: Join("room"), {"inbox": ("a", "b")}, {"outbox": ("a", "b")}, holds=2 * EARLY_LIMIT),
        Specimen(lambda: Join("room", echo=False), {"inbox": ("a", "b")}, holds=2 * EARLY_LIMIT),
    ),
    "Parallel": (Specimen(lambda: Parallel(twice, twice), {"inbox": (1, 2)}, {"outbox": (2, 2, 4, 4)}),),
    "Pool": (
        Specimen(lambda: Pool(twice, 2), {"inbox": (1, 2, 3)}, {"outbox": (2, 4, 6)}),
        Specimen(lambda: Pool(twice, 2, ordered=True), {"inbox": (1, 2, 3)}, {"outbox": (2, 4, 6)}, holds=2),
        Specimen(lambda: Pool(first, 2, ordered=True), {"inbox": (1, 2, 3)}, {"outbox": (1, 2, 3)}, holds=2),
    ),
    "PublishTo": (
        Specimen(lambda: PublishTo("room"), {"inbox": ("a", "b")}),
        Specimen(lambda: PublishTo("room", forward=True), {"inbox": ("a", "b")}, {"outbox": ("a", "b")}),
    ),
    "Retry": (Specimen(lambda: Retry(twice), {"inbox": (1, 2)}, {"outbox": (2, 4)}, returns="done"),),
    "Selector": (
        Specimen(
            lambda: Selector("studio", "street"),
            {"studio": ("a",), "choose": ("street",), "street": ("b",)},
            {"outbox": ("a", "b")},
        ),
    ),
    "Sequential": (
        Specimen(
            lambda: Sequential(first, twice), {"inbox": (1, 2, 3)}, {"outbox": (1, 4, 6)}, returns="done"
        ),
        Specimen(
            lambda: Sequential(Announce("begin"), twice, Announce("end")),
            {"inbox": (1, 2)},
            {"outbox": ("begin", 2, 4, "end")},
            by_time="a stop cancels what nothing feeds, and after it only what has something to read begins",
        ),
    ),
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
    "Timeout": (
        Specimen(lambda: Timeout(twice, idle=60), {"inbox": (1, 2)}, {"outbox": (2, 4)}, returns="done"),
    ),
}
