"""Several processes that serve one port, and one of them dying."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections import Counter
from typing import Any

import pytest

from kamaelia import Component, Graphline, run
from kamaelia.chassis import Supervisor
from kamaelia.net import TCPServer
from kamaelia.process import Worker

pytestmark = [pytest.mark.slow, pytest.mark.one_core]


class Who(Component):
    """Says in which process it is, and then echoes."""

    async def main(self) -> None:
        await self.outbox.send(b"%d\n" % os.getpid())
        async for data in self.inbox:
            await self.outbox.send(data)


class Visitors(Component):
    """Connect to a server that some processes share; one process is killed, and another takes its place."""

    def __init__(self, workers: int, count: int) -> None:
        self.workers, self.count = workers, count
        self.seen: dict[str, Any] = {}

    async def visit(self, port: int) -> tuple[int, Any, Any]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        return int(await reader.readline()), reader, writer

    async def main(self) -> None:
        port = (await self.inbox.receive())[1]
        for _ in range(self.workers - 1):
            await self.inbox.receive()
        visits = [await self.visit(port) for _ in range(self.count)]
        by_process = Counter(process for process, _, _ in visits)
        victim = visits[0][0]
        os.kill(victim, signal.SIGKILL)
        alive = lost = 0
        for process, reader, writer in visits:
            try:
                writer.write(b"still there?\n")
                answer = await reader.readline()
            except ConnectionError:
                answer = b""
            assert answer == (b"" if process == victim else b"still there?\n")
            alive, lost = alive + (answer != b""), lost + (answer == b"")
        await self.inbox.receive()  # another process listens in its place
        later = [await self.visit(port) for _ in range(60)]
        processes = {process for process, _, _ in later}
        self.system.stop()
        self.seen = {
            "by process": by_process, "alive": alive, "lost": lost, "victim": victim, "after": processes,
        }  # fmt: skip
        for _, _, writer in [*visits, *later]:
            writer.close()


def test_who_is_killed_takes_only_his_own_connections_with_him():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    servers = [
        Supervisor(Worker(TCPServer(Who, port=port, reuse_port=True, quiet=True, linger=0.01)))
        for _ in range(2)
    ]
    visitors = Visitors(workers=2, count=40)
    run(Graphline(*(server.listening >> visitors.inbox for server in servers)))
    seen = visitors.seen
    assert len(seen["by process"]) == 2  # both serve
    assert seen["alive"] == 40 - seen["by process"][seen["victim"]]
    assert seen["lost"] == seen["by process"][seen["victim"]] > 0
    assert len(seen["after"]) == 2 and seen["victim"] not in seen["after"]
