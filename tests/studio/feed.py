"""A feed that only pretends: it speaks the protocol of the inspection socket, about a system that is made up.

The page is tested against real systems; this one is for what these do not do when it is wanted: a thousand
parts, names with scripts in them, a feed that falls silent.
``python -m tests.studio.feed SOCKET --parts 300`` serves one by hand.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import threading
from collections.abc import Callable
from typing import Any

STATES = ("receiving", "running", "sending", "sleeping")
GROUP = 10  # parts in a chassis


class MadeUp:
    """A system that does not exist.

    Arguments:
        parts: how many parts it has
        name: of the system
        grouped: put ten parts each into a chassis
    """

    def __init__(self, parts: int = 50, name: str = "Made up", *, grouped: bool = True) -> None:
        self.name = name
        self.components: dict[int, dict[str, Any]] = {}
        self.links: dict[int, dict[str, Any]] = {}
        self.details: dict[str, Any] = {}
        self.messages: list[dict[str, Any]] = []
        """What a tap shows, one after another."""
        self.waiting: dict[str, Any] = {"box": None, "waiting": 0, "messages": []}
        """What waits, wherever one asks."""
        self.stuck: str | None = None
        """Why nothing can be tapped."""
        self.silent = False
        """Whether it says nothing more."""
        self.diagnosis: dict[str, Any] | None = None
        self.events: list[list[Any]] = []
        self.failures: dict[int, int] = {}
        self.full: set[int] = set()
        """Links whose queue is full."""
        self.asked: list[dict[str, Any]] = []
        self._last = 0
        before: int | None = None
        around: int | None = None
        for number in range(parts):
            if grouped and number % GROUP == 0:
                around = self.add_part(f"stage-{number // GROUP}", boxes=())
            new = self.add_part(f"part-{number}", around)
            if before is not None and number % 25:
                self.add_link(before, new)
            if number % 2 and number > 3:
                self.add_link(new - 2 if new - 2 in self.components else before, new, "also")
            before = new

    def add_part(
        self,
        name: str,
        parent: int | None = None,
        boxes: tuple[tuple[str, str, str], ...] = (
            ("inbox", "in", "bytes"), ("also", "in", "Any"), ("outbox", "out", "bytes"),
        ),
    ) -> int:  # fmt: skip
        self._last += 1
        path = name if parent is None else f"{self.components[parent]['path']}/{name}"
        self.components[self._last] = {
            "n": self._last, "path": path, "parent": parent, "type": "made.up.Part",
            "body": "coroutine" if boxes else "none", "boxes": [[*box, False] for box in boxes],
        }  # fmt: skip
        return self._last

    def add_link(self, source: int | None, target: int, box: str = "inbox") -> int:
        self._last += 1
        self.links[self._last] = {
            "n": self._last, "from": [source, "outbox"], "to": [target, box], "when_full": "wait",
            "feedback": False, "outside": source is None,
        }  # fmt: skip
        return self._last

    def remove(self, *numbers: int) -> None:
        for n in numbers:
            self.components.pop(n, None)
            self.links.pop(n, None)
        for n, link in list(self.links.items()):
            if link["from"][0] in numbers or link["to"][0] in numbers:
                del self.links[n]

    def part(self, n: int, time: float) -> list[Any]:
        """The figures of a part."""
        state = STATES[(n + int(time)) % 4]
        share = 0.5 + 0.5 * math.sin(n + time)
        return [state, round(share * 0.6, 2), round((1 - share) * 0.4, 2), None, int(1000 * time), 0,
                self.failures.get(n, 0)]  # fmt: skip

    def link(self, n: int, time: float) -> list[Any]:
        """The figures of a link."""
        rate = round(10 ** (2 + 2 * math.sin(n + time / 3)), 1)
        waiting = 100 if n in self.full else int(30 + 30 * math.sin(n * 2 + time))
        return [int(rate * time) + 1, rate, waiting, 100, 0, True]


class Feed:
    """Serves a made-up system at a Unix socket, in a thread of its own.

    Arguments:
        made: the system
        path: of the socket
        every: seconds between two frames, whatever a client asks for; None for as it asks
    """

    def __init__(self, made: MadeUp, path: str, every: float | None = None) -> None:
        self.made = made
        self.path = path
        self.every = every
        self._loop = asyncio.new_event_loop()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._run, name="made-up feed")

    def __enter__(self) -> Feed:
        self._thread.start()
        assert self._listening.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """The system ends."""
        if not self._loop.is_closed():
            self.do(self._stop.set)
        self._thread.join()

    def do(self, act: Callable[[], object]) -> None:
        """Have something done on the thread that serves, as between two frames."""
        self._loop.call_soon_threadsafe(act)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        server = await asyncio.start_unix_server(self._client, self.path)
        self._listening.set()
        await self._stop.wait()
        server.close()
        for writer in list(self._writers):
            writer.close()
        await asyncio.sleep(0.05)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        def say(**values: Any) -> None:
            if not writer.is_closing():
                writer.write(json.dumps(values).encode() + b"\n")

        self._writers.add(writer)
        streams: dict[Any, asyncio.Task[None]] = {}
        say(kamaelia_inspection=1, pid=os.getpid(), name=self.made.name, kind="system", program="made_up.py",
            core="no core")  # fmt: skip
        try:
            while line := await reader.readline():
                request = json.loads(line)
                self.made.asked.append(request)
                number, do = request["id"], request["do"]
                if do == "watch":
                    say(id=number, ok={})
                    streams[number] = asyncio.ensure_future(self._watch(number, request, say))
                elif do == "waiting":
                    say(id=number, ok=self.made.waiting)
                elif do == "tap" and self.made.stuck is not None:
                    say(id=number, error=self.made.stuck)
                elif do == "tap":
                    say(id=number, ok={})
                    streams[number] = asyncio.ensure_future(self._tap(number, say))
                elif do == "cancel":
                    task = streams.pop(request["stream"], None)
                    if task is not None:
                        task.cancel()
                    say(id=number, ok=None)
                elif do == "details":
                    say(id=number, ok=self._details(request["path"]))
                else:
                    say(id=number, error=f"nothing is known about {do!r} here")
        except OSError:  # it has gone
            pass
        finally:
            for task in streams.values():
                task.cancel()
            self._writers.discard(writer)
            writer.close()

    def _details(self, path: str) -> dict[str, Any]:
        return {
            "path": path, "type": "made.up.Part", "doc": "It does nothing.", "file": "/made/up.py", "line": 7,
            "code": "class Part:\n    pass\n", "arguments": {"size": "100"}, "boxes": [],
            "where": "/made/up.py:8", "component": {}, "events": [], "log": [],
        } | self.made.details  # fmt: skip

    async def _watch(self, number: Any, request: dict[str, Any], say: Callable[..., None]) -> None:
        made, frame, told = self.made, 0, 0
        known: dict[int, Any] = {}
        said: dict[str, Any] = {}
        began = self._loop.time()
        while True:
            time = round(self._loop.time() - began + 1, 3)
            frame += 1
            if not made.silent:
                now = {**made.components, **made.links}
                values: dict[str, Any] = {"stream": number, "frame": frame, "time": time, "stuck": None}
                added = [one for n, one in now.items() if n not in known]
                gone = [n for n in known if n not in now]
                parts = [one for one in added if "path" in one]
                links = [one for one in added if "path" not in one]
                if frame == 1:
                    values |= {"components": parts, "links": links}
                else:
                    if added:
                        values["added"] = {"components": parts, "links": links}
                    if gone:
                        values["removed"] = {
                            "components": [n for n in gone if "path" in known[n]],
                            "links": [n for n in gone if "path" not in known[n]],
                        }
                known = now
                values["c"] = {str(n): made.part(n, time) for n in made.components}
                values["l"] = {str(n): made.link(n, time) for n in made.links}
                if said.get("diagnosis") != made.diagnosis:
                    said["diagnosis"] = values["diagnosis"] = made.diagnosis
                values["events"] = made.events[told:]
                told = len(made.events)
                say(**values)
            await asyncio.sleep(self.every or request.get("every", 0.25))

    async def _tap(self, number: Any, say: Callable[..., None]) -> None:
        time = 0.0
        while True:
            for message in list(self.made.messages):
                time += 0.1
                say(stream=number, time=round(time, 3), message=message, left_out=0)
            await asyncio.sleep(0.1)


def main() -> None:
    parser = argparse.ArgumentParser(description="Serve a made-up system.")
    parser.add_argument("socket")
    parser.add_argument("--parts", type=int, default=50)
    parser.add_argument("--flat", action="store_true")
    options = parser.parse_args()
    with Feed(MadeUp(options.parts, grouped=not options.flat), options.socket):
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            pass


if __name__ == "__main__":
    main()
