"""Servers with several addresses (RFC 8305), on virtual time: who is tried when, and who wins."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

from kamaelia.axon import VirtualLoop
from kamaelia.net.dial import DELAY, dial

pytestmark = [pytest.mark.one_core]

FOUR, SIX = socket.AF_INET, socket.AF_INET6


class Net(VirtualLoop):
    """A loop on which each address answers after a time, or fails after one, or never answers."""

    def __init__(self, addresses: dict[str, Any]) -> None:
        super().__init__()
        self.addresses = addresses
        self.trace: list[tuple[str, str, float]] = []

    async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Any:  # type: ignore[override]
        assert options == {"type": socket.SOCK_STREAM}
        return [
            (SIX if ":" in address else FOUR, socket.SOCK_STREAM, 6, "", (address, port))
            for address in self.addresses
        ]

    async def create_connection(self, make: Any, host: Any, port: Any, *, family: int = 0) -> Any:  # type: ignore[override]
        assert family == (SIX if ":" in host else FOUR)
        self.trace.append(("try", host, self.time()))
        outcome = self.addresses[host]
        try:
            await asyncio.sleep(abs(outcome) if outcome else 1e9)
        except asyncio.CancelledError:
            self.trace.append(("give up", host, self.time()))
            raise
        if outcome < 0:
            raise ConnectionRefusedError(host)
        protocol = make()
        protocol.address = host
        return Transport(self, host), protocol


class Transport:
    def __init__(self, net: Net, host: str) -> None:
        self.net, self.host = net, host

    def abort(self) -> None:
        self.net.trace.append(("abort", self.host, self.net.time()))


class Protocol(asyncio.Protocol):
    address = ""


def dialled(addresses: dict[str, Any], limit: float = 100) -> tuple[Any, list[Any]]:
    """Return the address that has won, or the error; and what was done when."""
    net = Net(addresses)

    async def main() -> Any:
        async with asyncio.timeout(limit):
            return (await dial(Protocol, "name", 80)).address

    try:
        outcome: Any = net.run_until_complete(main())
    except (OSError, TimeoutError) as error:
        outcome = error
    finally:
        net.close()
    return outcome, [(what, host, round(when, 6)) for what, host, when in net.trace]


def test_one_address_is_simply_tried():
    assert dialled({"1.1.1.1": 0.3}) == ("1.1.1.1", [("try", "1.1.1.1", 0.0)])


def test_families_take_turns_and_the_first_that_answers_wins():
    outcome, trace = dialled({"::1": None, "::2": None, "1.1.1.1": 0.3, "1.1.1.2": 0.1})
    assert outcome == "1.1.1.1"
    assert trace == [
        ("try", "::1", 0.0),
        ("try", "1.1.1.1", DELAY),
        ("try", "::2", 2 * DELAY),
        ("give up", "::1", 0.55),
        ("give up", "::2", 0.55),
    ]


def test_who_refuses_is_followed_by_the_next_at_once():
    outcome, trace = dialled({"::1": -0.01, "1.1.1.1": -0.02, "::2": 0.05})
    assert outcome == "::2"
    assert trace == [("try", "::1", 0.0), ("try", "1.1.1.1", 0.01), ("try", "::2", 0.03)]


def test_when_all_refuse_the_first_says_why():
    outcome, trace = dialled({"::1": -0.3, "1.1.1.1": -0.01})
    assert isinstance(outcome, ConnectionRefusedError) and outcome.args == ("1.1.1.1",)
    assert trace == [("try", "::1", 0.0), ("try", "1.1.1.1", DELAY)]


def test_a_dead_heat_leaves_one_connection():
    outcome, trace = dialled({"::1": 0.5, "1.1.1.1": 0.25})
    assert outcome == "::1"
    assert trace[-1][:2] in (("abort", "1.1.1.1"), ("give up", "1.1.1.1"))


def test_no_more_than_ten_are_tried():
    addresses = {f"1.1.1.{number}": -0.001 for number in range(30)}
    _, trace = dialled(addresses)
    assert len(trace) == 10


def test_being_cancelled_leaves_nothing():
    outcome, trace = dialled({"::1": None, "1.1.1.1": None}, limit=1)
    assert isinstance(outcome, TimeoutError)
    assert trace[2:] == [("give up", "::1", 1.0), ("give up", "1.1.1.1", 1.0)]
