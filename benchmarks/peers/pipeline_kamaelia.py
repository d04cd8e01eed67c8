"""Kamaelia: a start, some stages and an end, with BODY coroutine, generator or script.

STAGES SIZE MESSAGES [BODY [EXTRA]]; EXTRA is "statistics", to look at those of all boxes twice a second while
it runs, or "taps", to tap every link, and take the taps away again, before the first message.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any

from benchmarks.peers.about_kamaelia import about
from benchmarks.peers.stopwatch import numbers, time_hops
from kamaelia import Component, Inbox, Outbox, Pipeline, ScriptInbox, ScriptOutbox, run
from kamaelia.axon import postman

STAGES, SIZE, MESSAGES = numbers()
WORDS = [word for word in sys.argv[1:] if not word.isdigit()]
BODY = WORDS[0] if WORDS else "coroutine"
EXTRA = WORDS[1] if len(WORDS) > 1 else ""


class CoroutineStart(Component):
    async def main(self) -> None:
        send = self.outbox.send
        for number in range(MESSAGES):
            await send(number)


class CoroutineStage(Component):
    inbox = Inbox[int]("messages", size=SIZE)
    outbox = Outbox[int]("the same")

    async def main(self) -> None:
        send = self.outbox.send
        async for message in self.inbox:
            await send(message)


class CoroutineEnd(Component):
    inbox = Inbox[int]("messages", size=SIZE)

    async def main(self) -> int:
        count = 0
        async for _ in self.inbox:
            count += 1
        return count


class GeneratorStart(Component):
    def main(self) -> Any:
        send = self.outbox.send
        for number in range(MESSAGES):
            yield send(number)


class GeneratorStage(Component):
    inbox = Inbox[int]("messages", size=SIZE)
    outbox = Outbox[int]("the same")

    def main(self) -> Any:
        receive, send = self.inbox.receive, self.outbox.send
        while True:
            yield send((yield receive()))


class GeneratorEnd(Component):
    """Counts aloud, for a generator ends together with its inbox."""

    inbox = Inbox[int]("messages", size=SIZE)

    def main(self) -> Any:
        receive = self.inbox.receive
        for _ in range(MESSAGES):
            yield receive()
        return MESSAGES


class ScriptStart(Component):
    outbox: ScriptOutbox[int] = Outbox[int]("numbers")

    def main(self) -> None:
        send = self.outbox.send
        for number in range(MESSAGES):
            send(number)


class ScriptStage(Component):
    inbox: ScriptInbox[int] = Inbox[int]("messages", size=SIZE)
    outbox: ScriptOutbox[int] = Outbox[int]("the same")

    def main(self) -> None:
        send = self.outbox.send
        for message in self.inbox:
            send(message)


class ScriptEnd(Component):
    inbox: ScriptInbox[int] = Inbox[int]("messages", size=SIZE)

    def main(self) -> int:
        count = 0
        for _ in self.inbox:
            count += 1
        return count


KINDS: dict[str, tuple[type[Component], type[Component], type[Component]]] = {
    "coroutine": (CoroutineStart, CoroutineStage, CoroutineEnd),
    "generator": (GeneratorStart, GeneratorStage, GeneratorEnd),
    "script": (ScriptStart, ScriptStage, ScriptEnd),
}


seen: list[list[Any]] = []


class LookTwiceASecond(Pipeline):
    """The pipeline, and beside it what walks all its boxes twice a second and asks for their statistics."""

    async def main(self) -> None:
        loop = asyncio.get_running_loop()

        def look() -> None:
            living = self.children
            seen.append([box.statistics() for one in living for box in one.boxes.values()])
            if living:
                loop.call_later(0.5, look)

        look()


def tap_and_untap(pipeline: Any) -> None:
    for component in pipeline.children:
        for box in component.boxes.values():
            postman.untap(postman.tap(box))


def work() -> int:
    first, stage, last = KINDS[BODY]
    make: Callable[..., Any] = LookTwiceASecond if EXTRA == "statistics" else Pipeline
    pipeline = make(first(), *(stage() for _ in range(STAGES)), last())
    if EXTRA == "taps":
        tap_and_untap(pipeline)
    count = int(run(pipeline))
    if EXTRA == "statistics" and not (seen and seen[0]):
        raise SystemExit("nobody looked")
    return count


if __name__ == "__main__":
    time_hops(about(), work, MESSAGES, STAGES + 1)
