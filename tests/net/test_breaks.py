"""One who fails half way breaks the connection, and the other side can tell: on every kind of loop."""

from __future__ import annotations

import importlib
import queue
from collections.abc import Callable
from typing import Any

import pytest

from kamaelia import Component, background, run, sleep
from kamaelia.axon import ComponentsFailed, SourceFailed
from kamaelia.net import ConnectionLost, TCPClient, TCPServer
from kamaelia.testbed import Network

from .conftest import WAIT
from .parts import Echo, gather, source


class Keep(Component):
    """Keeps what it receives, and then tells how much that was and how it ended."""

    def __init__(self, told: Any) -> None:
        self.told = told

    async def main(self):
        total = 0
        try:
            async for data in self.inbox:
                total += len(data)
        except SourceFailed as error:
            self.told.put((total, error.__cause__))
            raise
        self.told.put((total, "end"))


class Dies(Component):
    """Sends something, and fails; if there is somebody to wait for, then not before it has heard of him."""

    def __init__(self, size: int, moments: float) -> None:
        self.size, self.moments = size, moments

    async def main(self):
        async for _ in self.inbox:
            break
        for start in range(0, self.size, 100_000):
            await self.outbox.send(bytes(min(100_000, self.size - start)))
        await sleep(self.moments)
        raise ValueError("half way")


def meet_on(loop: str) -> Callable[..., Any]:
    """Return what has a visitor meet a server on real sockets."""

    def meet(server: Any, visitor: Callable[..., Component], told: Any, **options: Any) -> tuple[Any, Any]:
        make_loop = importlib.import_module(loop).new_event_loop
        serving = TCPServer(server, port=0, quiet=True, **options)
        with background(serving, loop_factory=make_loop) as handle:
            with pytest.raises(ComponentsFailed) as caught:
                run(visitor(*handle.receive("listening", timeout=WAIT)), loop_factory=make_loop)
            return told.get(timeout=WAIT), caught.value

    return meet


def meet_in_a_simulation(server: Any, visitor: Any, told: Any, **options: Any) -> tuple[Any, Any]:
    network = Network()
    network.host("server").run(TCPServer(server, port=1500, quiet=True, **options))
    network.host("visitor").run(visitor("server", 1500))
    network.link("server", "visitor", rate="100 Mbit/s", delay="20 ms", loss="1 %")
    trace = network.simulate(seconds=100, seed=7, errors="collect")
    return told.get(block=False), trace.errors["visitor"]


@pytest.fixture(
    params=["asyncio", pytest.param("uvloop", marks=pytest.mark.needs("module:uvloop")), "simulated"]
)
def meet(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Have a visitor meet a server; returns what was told, and how the visitor failed."""
    return meet_in_a_simulation if request.param == "simulated" else meet_on(request.param)


@pytest.mark.parametrize(("size", "moments"), [(0, 0), (1000, 0), (1000, 0.1), (2_000_000, 0)])
def test_a_protocol_that_fails_half_way(meet, size, moments):
    told: queue.Queue[Any] = queue.Queue()
    (total, cause), failed = meet(
        Dies(size, moments),
        lambda host, port: (
            source([b"?"], then="stay") | TCPClient(host, port, idle_timeout=WAIT) | Keep(told)
        ),
        told,
    )
    assert total == size
    assert isinstance(cause, ConnectionLost) and isinstance(cause.__cause__, ConnectionResetError)
    assert [type(error) for error in failed.exceptions] == [ConnectionLost]


@pytest.mark.parametrize(("size", "moments"), [(1000, 0), (1000, 0.1), (2_000_000, 0)])
def test_a_source_of_a_client_that_fails_half_way(meet, size, moments):
    told: queue.Queue[Any] = queue.Queue()
    (total, cause), failed = meet(
        Keep(told), lambda host, port: Dies(size, moments) | TCPClient(host, port) | gather, told
    )
    assert total == size
    assert isinstance(cause, ConnectionResetError)
    assert [str(error) for error in failed.exceptions] == ["half way"]


def test_an_idle_connection_is_reset(meet):
    told: queue.Queue[Any] = queue.Queue()
    (total, cause), _ = meet(
        Echo,
        lambda host, port: source(then="stay") | TCPClient(host, port, idle_timeout=WAIT) | Keep(told),
        told,
        idle_timeout=0.1,
    )
    assert total == 0
    assert isinstance(cause, ConnectionLost) and isinstance(cause.__cause__, ConnectionResetError)
