"""Upstream's Axon: components in a `Pipeline`, with `setInboxSize` for the size of the queues.

Axon has no word for "wait until there is room": who sends into a full box gets `noSpaceInBox`, keeps the
message and pauses. A box wakes its senders when a message is taken out of it. The start sends one message and
yields, as Axon's own components do; with the word "boxful" it goes on until the box is full, which is faster.
"""

from __future__ import annotations

import sys

from Axon.AxonExceptions import noSpaceInBox
from Axon.Component import component
from Axon.Ipc import producerFinished
from Axon.Scheduler import scheduler
from Kamaelia.Chassis.Pipeline import Pipeline

from benchmarks.peers.stopwatch import numbers, time_hops, version

STAGES, SIZE, MESSAGES = numbers()
A_BOXFUL = "boxful" in sys.argv


class Start(component):
    def main(self):
        for number in range(MESSAGES):
            while True:
                try:
                    self.send(number, "outbox")
                    break
                except noSpaceInBox:
                    self.pause()
                    yield 1
            if not A_BOXFUL:
                yield 1
        self.send(producerFinished(self), "signal")


class Stage(component):
    def __init__(self):
        super().__init__()
        self.setInboxSize("inbox", SIZE)

    def main(self):
        while True:
            while self.dataReady("inbox"):
                message = self.recv("inbox")
                while True:
                    try:
                        self.send(message, "outbox")
                        break
                    except noSpaceInBox:
                        self.pause()
                        yield 1
            if self.dataReady("control"):
                self.send(self.recv("control"), "signal")
                return
            if not self.anyReady():
                self.pause()
            yield 1


class End(component):
    count = 0

    def __init__(self):
        super().__init__()
        self.setInboxSize("inbox", SIZE)

    def main(self):
        while True:
            while self.dataReady("inbox"):
                self.recv("inbox")
                self.count += 1
            if self.dataReady("control"):
                return
            if not self.anyReady():
                self.pause()
            yield 1


def work() -> int:
    end = End()
    Pipeline(Start(), *(Stage() for _ in range(STAGES)), end).activate()
    scheduler.run.runThreads()
    return end.count


if __name__ == "__main__":
    time_hops(f"upstream {version('kamaelia-axon')}", work, MESSAGES, STAGES + 1)
