"""Pykka: an actor (a thread) for each stage, each told by the one before it. Its mailboxes have no limit."""

from __future__ import annotations

import threading

import pykka

from benchmarks.peers.stopwatch import numbers, time_hops, version

STAGES, _, MESSAGES = numbers()


class End(pykka.ThreadingActor):
    def __init__(self, over: threading.Event) -> None:
        super().__init__()
        self.count = 0
        self.over = over

    def on_receive(self, message: object) -> None:
        self.count += 1
        if self.count == MESSAGES:
            self.over.set()


class Stage(pykka.ThreadingActor):
    def __init__(self, following: pykka.ActorRef) -> None:
        super().__init__()
        self.following = following

    def on_receive(self, message: object) -> None:
        self.following.tell(message)


def work() -> int:
    over = threading.Event()
    last = following = End.start(over)
    for _ in range(STAGES):
        following = Stage.start(following)
    for number in range(MESSAGES):
        following.tell(number)
    over.wait()
    count = int(last.proxy().count.get())
    pykka.ActorRegistry.stop_all()
    return count


if __name__ == "__main__":
    time_hops(version("pykka"), work, MESSAGES, STAGES + 1)
