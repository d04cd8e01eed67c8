"""Supervisors and servers in each other, in a simulated network (rules 14 and 28)."""

from __future__ import annotations

from typing import Any

import pytest

from kamaelia import Component, component, sleep
from kamaelia.axon import make, postman
from kamaelia.chassis import Backoff, Retry, Supervisor
from kamaelia.flow import Collect, Encode, Lines
from kamaelia.net import TCPClient, TCPServer
from kamaelia.testbed import Network

EXACT = Backoff(first=1, jitter=0)


@component
async def shout(inbox, outbox):
    async for line in inbox:
        if line == "bad":
            raise ValueError(line)
        await outbox.send(line.upper())


@component
async def says(inbox, outbox, *lines):
    """Say a line a second."""
    for line in lines:
        await outbox.send(f"{line}\n".encode())
        await sleep(1)


def converse(protocol: Any, *lines: str) -> list[str]:
    network = Network()
    network.host("server").run(TCPServer(protocol, port=1500))
    network.host("client").run(says(*lines) | TCPClient("server", 1500) | Lines() | Collect())
    network.link("server", "client", rate="2 Mbit/s", delay="80 ms")
    return network.simulate(seed=7, until="client").results["client"]


@pytest.mark.parametrize(
    "protocol",
    [
        Lines() | Supervisor(shout, backoff=EXACT) | Encode(end="\n"),
        Supervisor(Lines() | shout() | Encode(end="\n"), backoff=EXACT),
        Supervisor(Supervisor(Lines() | shout() | Encode(end="\n"), backoff=EXACT, intensity=0)),
    ],
    ids=["within", "around", "two of them"],
)
def test_rule_28_a_connection_survives_its_protocol_component(protocol):
    assert converse(protocol, "a", "bad", "b", "c") == ["A", "B", "C"]


def test_rule_27_a_supervisor_that_gives_up_ends_its_connection_alone():
    network = Network()
    protocol = Supervisor(Lines() | shout() | Encode(end="\n"), backoff=EXACT, intensity=0)
    network.host("server").run(TCPServer(protocol, port=1500))
    for name, lines in (("one", ["a", "bad", "b"]), ("two", ["x", "y", "z", "end"])):
        network.host(name).run(says(*lines) | TCPClient("server", 1500) | Lines() | Collect())
        network.link("server", name, rate="2 Mbit/s", delay="80 ms")
    trace = network.simulate(seed=7, until="two", errors="collect")
    assert trace.results["two"] == ["X", "Y", "Z", "END"]
    assert "ConnectionLost" in repr(trace.errors)
    assert "RestartsExceeded" not in repr(trace.errors)


class Hears(Component):
    async def main(self):
        async for data in self.inbox:
            await self.outbox.send(data)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_rule_14_what_waits_for_a_supervised_protocol_is_counted_in_bytes(depth):
    pattern: Any = Hears()
    for _ in range(depth):
        pattern = Supervisor(pattern)
    whole = make(pattern)
    (innermost,) = postman.inboxes_behind(whole.inbox)
    postman.count_anew(innermost, "64 KiB")
    queue = innermost.queue
    assert (queue.size, queue.in_bytes) == (65536, True)
    box = innermost
    while box.lender is not None:
        box = box.lender.source
        assert box.queue is queue
        assert box.statistics().size == 65536


def test_rule_28_a_server_is_started_again_and_listens():
    class Doomed(TCPServer):
        """Fails when a connection does."""

        def child_failed(self, child: Component, error: BaseException) -> None:
            raise OSError("the server itself")

    plan = [["bad", "unheard"], ["late"]]
    server = Supervisor(Doomed(Lines() | shout() | Encode(end="\n"), port=1500), backoff=EXACT)
    client = Retry(
        lambda: says(*plan.pop(0)) | TCPClient("server", 1500) | Lines(), backoff=Backoff(first=3, jitter=0)
    )
    network = Network()
    network.host("server").run(server)
    network.host("client").run(client | Collect())
    network.link("server", "client", rate="2 Mbit/s", delay="80 ms")
    assert network.simulate(seed=7, until="client").results["client"] == ["LATE"]
