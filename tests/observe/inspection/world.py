"""Systems to look at, and a client that says what it likes."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from kamaelia import Component, component, sleep

LIMIT = 20.0  # seconds, after which a test that waits for something is given up


def until(condition: Callable[[], Any], what: str = "it") -> Any:
    """Wait until something is so, and return it."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        found = condition()
        if found:
            return found
        threading.Event().wait(0.005)
    raise AssertionError(f"{what} has not come within {LIMIT:g} s")


@component
async def copy(inbox, outbox):
    """Pass on what comes."""
    async for message in inbox:
        await outbox.send(message)


class ticks(Component):
    """Send a number every so often."""

    inbox = None

    def __init__(self, pace: float = 0.005) -> None:
        self.pace = pace

    async def main(self) -> None:
        number = 0
        while True:
            await self.outbox.send(number)
            number += 1
            await sleep(self.pace)


@component
async def drain(inbox, outbox):
    """Take what comes."""
    async for _ in inbox:
        pass


class Raw:
    """A client that sends any bytes."""

    def __init__(self, path: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(LIMIT)
        self.socket.connect(path)
        self.file = self.socket.makefile("rb")

    def say(self, message: Any) -> None:
        data = message if isinstance(message, bytes) else json.dumps(message).encode() + b"\n"
        self.socket.sendall(data)

    def hear(self) -> Any:
        line = self.file.readline()
        return json.loads(line) if line else None

    def ask(self, message: Any) -> Any:
        self.say(message)
        return self.hear()

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()
        self.socket.close()


def files(folder: Any) -> list[str]:
    """Return the sockets of this process in a folder."""
    mine = str(os.getpid())
    there = os.listdir(folder) if os.path.exists(folder) else []
    return sorted(name for name in there if name.startswith(mine))
