"""Kamaelia: a pipeline of NUMBER components that all wait, and a message that goes through all of them.

They are made while a system runs, by what any component can do: `add` a `Pipeline` and `link` it. Meanwhile
the garbage collector is off, as it should be while very much is made that stays: it would look through all
of it again and again, and find nothing.
"""

from __future__ import annotations

import gc
import time
from typing import Any

from benchmarks.peers.about_kamaelia import about
from benchmarks.peers.stopwatch import numbers, report, resident
from kamaelia import Component, Inbox, Outbox, Pipeline, run

(NUMBER,) = numbers()


class Idle(Component):
    inbox = Inbox[int]("a message, now and then")
    outbox = Outbox[int]("the same")

    async def main(self) -> None:
        async for message in self.inbox:
            await self.outbox.send(message)


class Owner(Component):
    inbox = Inbox[int]("what has gone through all", held=True)
    outbox = Outbox[int]("what is to go through all")

    async def once_through(self) -> float:
        before = time.perf_counter()
        await self.outbox.send(1)
        await self.inbox.receive()
        return time.perf_counter() - before

    async def main(self) -> dict[str, Any]:
        gc.collect()
        memory = resident()
        gc.disable()
        before = time.perf_counter()
        row = self.add(Pipeline(*[Idle() for _ in range(NUMBER)]))
        self.link(self.outbox, row.inbox)
        self.link(row.outbox, self.inbox)
        # When this message is back, all of them have been made and have taken their first step.
        await self.once_through()
        made = time.perf_counter() - before
        gc.enable()
        gc.collect()
        memory = resident() - memory
        passes = sorted([await self.once_through() for _ in range(3)])
        self.outbox.close()
        self.inbox.release()
        return {
            "memory": memory / NUMBER,
            "making": (made - passes[1]) / NUMBER,
            "passing": passes[1] / NUMBER,
        }


if __name__ == "__main__":
    report(about(), number=NUMBER, **run(Owner(), grace=600))
