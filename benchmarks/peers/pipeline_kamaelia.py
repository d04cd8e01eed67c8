"""Kamaelia: a start, some stages and an end, with BODY coroutine, generator or script.

STAGES SIZE MESSAGES [BODY [EXTRA]]. EXTRA is "statistics", to look at those of all boxes twice a second while
it runs, or "taps", to tap every box, and take the taps away again, before the first message.

With an EXTRA the pipeline runs many times in one process, with it and without in turn, and what is reported
is how many per cent slower it was with it: the median of all pairs, by processor time. Other programs on the
machine make more of a difference than what is looked for here, but they change little within half a second.
"""

from __future__ import annotations

import asyncio
import gc
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.peers.about_kamaelia import about
from benchmarks.peers.stopwatch import numbers, report, time_hops
from kamaelia import Component, Inbox, Outbox, Pipeline, ScriptInbox, ScriptOutbox, run
from kamaelia.axon import postman

STAGES, SIZE, MESSAGES = numbers()
WORDS = [word for word in sys.argv[1:] if not word.isdigit()]
BODY = WORDS[0] if WORDS else "coroutine"
EXTRA = WORDS[1] if len(WORDS) > 1 else ""
PAIRS = 20


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


def work(extra: str = "") -> int:
    first, stage, last = KINDS[BODY]
    make: Callable[..., Any] = LookTwiceASecond if extra == "statistics" else Pipeline
    pipeline = make(first(), *(stage() for _ in range(STAGES)), last())
    if extra == "taps":
        tap_and_untap(pipeline)
    count = int(run(pipeline))
    if extra == "statistics" and not (seen and seen[0]):
        raise SystemExit("nobody looked")
    return count


def time_pairs() -> None:
    def once(extra: str) -> float:
        gc.collect()
        before = time.process_time()
        if work(extra) != MESSAGES:
            raise SystemExit("messages were lost")
        return time.process_time() - before

    once("")
    slower = []
    for number in range(PAIRS):
        order = ("", EXTRA) if number % 2 else (EXTRA, "")
        took = {extra: once(extra) for extra in order}
        slower.append((took[EXTRA] / took[""] - 1) * 100)
    report(about(), messages=MESSAGES, hops=STAGES + 1, slower=statistics.median(slower))


if __name__ == "__main__":
    if EXTRA:
        time_pairs()
    else:
        time_hops(about(), work, MESSAGES, STAGES + 1)
