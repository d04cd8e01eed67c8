"""A thought for whoever asks: the quote of the day protocol, RFC 865."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kamaelia.axon import Component, Inbox, Outbox, random
from kamaelia.axon.errors import shorten

LONGEST: Final = 512  # characters, says the RFC

FORTUNES: Final = (
    "A pipe does not ask where the water comes from.",
    "He who reads slowly teaches the others patience.",
    "The message that was never sent can't be misunderstood.",
    "Two components that know each other are one component.",
    "Every queue is empty in the end; wise is who looks before.",
    "You will soon meet a stranger on port 1500.",
    "What happens twice a second need not happen a thousand times.",
    "Do not hold what you would not miss.",
    "An echo is a listener with little to say.",
    "Beware of the loop that has nothing to wait for.",
    "The best test is the one that was red once.",
    "A clock that stands still is right whenever you ask it to be.",
    "Whoever closes the door last should have opened it.",
    "Lost packets are only early silence.",
    "Small parts, loosely joined, seldom break together.",
    "Tomorrow you will delete a line and feel lighter.",
    "When nobody listens, it is time to stop talking.",
    "The shortest path has no loopback in it.",
    "A seed that is written down grows the same tree twice.",
    "Patience is back-pressure of the heart.",
)


class Fortune(Component):
    """Send one of some sentences, which one is left to chance, and end.

    Inbox: ``inbox``, which is not read. Outbox: ``outbox``, bytes: the sentence in UTF-8, and the end of a
    line. RFC 865. Chance is that of the system (`kamaelia.random`), so with the same seed it is the same
    sentence.

    Arguments:
        fortunes: the sentences; of at most 512 characters each

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.flow import Collect
        >>> from kamaelia.protocol import Fortune
        >>> run(Fortune(["Know thy pipes."]) | Collect())
        [b'Know thy pipes.\\r\\n']
    """

    inbox = Inbox[bytes]("is not read")
    outbox = Outbox[bytes]("a sentence")

    def __init__(self, fortunes: Sequence[str] = FORTUNES) -> None:
        if isinstance(fortunes, str) or not fortunes:
            raise ValueError(
                f"Fortune({shorten(fortunes)}): give a list of sentences, with one in it at least"
            )
        for fortune in fortunes:
            if len(fortune) > LONGEST:
                raise ValueError(
                    f"Fortune: RFC 865 allows {LONGEST} characters, and {shorten(fortune)} has {len(fortune)}"
                )
        self.fortunes = tuple(fortunes)

    async def main(self) -> None:
        await self.outbox.send(random.choice(self.fortunes).encode() + b"\r\n")


__all__ = ["FORTUNES", "Fortune"]
