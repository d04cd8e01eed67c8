"""The contract suite of `kamaelia.testing`, over every part in the catalogue; and whether it can fail."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from kamaelia.axon import (
    BrokenLink,
    Cancelled,
    Component,
    Graphline,
    Inbox,
    Outbox,
    SourceFailed,
    component,
    random,
    select,
    sleep,
)
from kamaelia.axon.specimen import Specimen
from kamaelia.catalogue import parts
from kamaelia.testbed import Network
from kamaelia.testing import contract
from kamaelia.testing.contract import CHECKS

ALONE = [
    pytest.param(specimen, id=f"{part.name}-{number}")
    for part in parts()
    if part.module.startswith("kamaelia.")
    for number, specimen in enumerate(part.specimens())
    if not specimen.outside
]
each_check = pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))


@each_check
@pytest.mark.parametrize("specimen", ALONE)
def test_every_part_keeps_the_contract(specimen: Specimen, check: Any) -> None:
    check(specimen)


# -- on a simulated host ------------------------------------------------------------------------------

MOMENT = 2.0**-20  # seconds: as soon as the part can do no more about the message before


class Feeder(Component):
    """Sends what a specimen is fed with, one message after the other."""

    inbox = outbox = None

    def __init__(self, feed: Any) -> None:
        self.feed = feed
        for name in feed:
            self.add_box(f"to_{name}", Outbox[Any](f"for {name}", optional=True))

    async def main(self) -> None:
        await sleep(MOMENT)
        for name, messages in self.feed.items():
            for message in messages:
                await self.boxes[f"to_{name}"].send(message)
                await sleep(MOMENT)


class Reader(Component):
    """Collects what comes out of a part: all of it, or so many."""

    outbox = None

    def __init__(self, messages: list[Any], count: int | None) -> None:
        self.messages = messages
        self.count = count

    async def main(self) -> None:
        while self.count is None or len(self.messages) < self.count:
            self.messages.append(await self.inbox.receive())


@pytest.mark.parametrize("specimen", ALONE)
def test_on_a_simulated_host_it_gives_the_same(specimen: Specimen) -> None:
    if specimen.gives is None:
        return
    part, feeder = specimen.make(), Feeder(specimen.feed)
    links: list[Any] = [feeder.boxes[f"to_{name}"] >> part.boxes[name] for name in specimen.feed]
    got: dict[str, list[Any]] = {}
    for name, box in part.boxes.items():
        if not box.is_inbox:
            got[name] = []
            # Of one that goes on and on no more is taken than it is known to give.
            count = len(specimen.gives.get(name, ())) if specimen.endless else None
            links.append(box >> Reader(got[name], count).inbox)
    network = Network()
    network.host("studio").run(Graphline(part, feeder, *links))
    network.simulate(seconds=600, seed=1)
    assert got == {name: list(specimen.gives.get(name, ())) for name in got}


# -- can it fail at all? ------------------------------------------------------------------------------


class Copy(Component):
    """A part that keeps the contract, for others to break it."""

    async def main(self) -> None:
        async for message in self.inbox:
            await self.outbox.send(message)


class GivesMore(Copy):
    async def main(self) -> None:
        await super().main()
        await self.outbox.send("one more")


class Remembers(Copy):
    """Is not the same when it is made again."""

    made = 0

    def __init__(self) -> None:
        type(self).made += 1
        self.number = type(self).made

    async def main(self) -> None:
        await self.outbox.send(self.number)


class NeverEnds(Component):
    other = Inbox[Any]("held, and not released", held=True)

    async def main(self) -> None:
        async for _, message in select(self.inbox, self.other):
            await self.outbox.send(message)


class Moody(Component):
    """Draws its random numbers where everybody does."""

    count = 0

    async def main(self) -> None:
        type(self).count += 1
        async for message in self.inbox:
            await sleep(1 if type(self).count % 2 else 2)
            await self.outbox.send(message)


class Threaded(Component):
    async def main(self) -> None:
        async for message in self.inbox:
            await self.outbox.send(await asyncio.to_thread(lambda message=message: message))


class Loses(Component):
    """Takes its queue apart behind everybody's back."""

    async def main(self) -> None:
        async for message in self.inbox:
            self.inbox.queue.received += 1
            await self.outbox.send(message)


class DropsWhenStopped(Component):
    """Keeps two back, and forgets them when it is stopped."""

    async def main(self) -> None:
        kept: list[Any] = []
        async for message in self.inbox:
            kept.append(message)
        if not self.system.stopping:
            for message in kept:
                await self.outbox.send(message)


class Swallows(Component):
    """Takes a cancellation for an end of one message."""

    async def main(self) -> None:
        while True:
            try:
                await self.outbox.send(await self.inbox.receive())
            except (Cancelled, BrokenLink):
                await sleep(3600)


class TakesBreaksForEnds(Component):
    async def main(self) -> None:
        try:
            async for message in self.inbox:
                await self.outbox.send(message)
        except SourceFailed:
            pass


class HidesItsFailure(Component):
    async def main(self) -> None:
        try:
            async for message in self.inbox:
                await self.outbox.send(message)
        except contract.PlannedFailure:
            pass


class TalksToNobody(Component):
    outbox = Outbox[Any]("never waited for")

    async def main(self) -> None:
        async for message in self.inbox:
            try:
                await self.outbox.send(message)
            except BrokenLink:
                pass
        try:
            await sleep(5)
        except BrokenLink:
            await sleep(5)


class NeverWaits(Component):
    """Takes everything at once, and keeps it until it can be sent."""

    async def main(self) -> None:
        self.kept: list[Any] = []
        sent = 0
        async for message in self.inbox:
            self.kept.append(message)
            while sent < len(self.kept) and not self.outbox.statistics().full:
                self.outbox.send(self.kept[sent])
                sent += 1


FEED = {"inbox": ("ab", "cd", "ef", "gh")}
GIVES = {"outbox": ("ab", "cd", "ef", "gh")}


@component
async def chance(inbox: Inbox[Any], outbox: Outbox[Any]) -> None:
    async for _ in inbox:
        await outbox.send(random.random())


@pytest.mark.parametrize(
    ("check", "part", "complaint"),
    [
        ("result", GivesMore, "it gives other things"),
        ("result", Remembers, "it gives other things"),
        ("result", NeverEnds, "its inboxes have ended, and it does not end: it waits to receive from"),
        ("repeats", Moody, "take their steps at other times"),
        ("alone", Threaded, "it has called Thread.start: in virtual time a part stays alone"),
        ("books", Loses, "4 were sent to inbox, and 8 are accounted for"),
        ("stop", DropsWhenStopped, "of what it had accepted comes"),
        ("stop", NeverEnds, None),
        ("cancel", Swallows, "it went on until 3600"),
        ("break", TakesBreaksForEnds, "its readers take what they have for the whole"),
        ("failure", HidesItsFailure, "0 failures are told of"),
        ("leave", TalksToNobody, "it went on for some time"),
        ("held_back", NeverWaits, "and nobody has read what it sent"),
        ("memory", NeverWaits, "0 are said, 0 are in boxes"),
    ],
)
def test_the_suite_sees_a_part_that_does_not_keep_it(check: str, part: Any, complaint: str | None) -> None:
    specimen = Specimen(part, FEED, GIVES)
    run: Any = getattr(contract, f"check_{check}")
    run(Specimen(Copy, FEED, GIVES))
    if complaint is None:
        run(specimen)
    else:
        with pytest.raises(AssertionError, match=complaint):
            run(specimen)


def test_chance_of_its_own_is_no_complaint() -> None:
    contract.check_repeats(Specimen(chance, FEED, None))
