"""A switch that listens: which ports get what, what goes on, what is forgotten, and its own querier."""

from __future__ import annotations

from typing import Any

import pytest

from kamaelia.axon import UsageError
from kamaelia.testbed.groups import (
    IGMP,
    MLD,
    Kind,
    Leave,
    Query,
    Record,
    Relay,
    Report,
    Send,
    Snooping,
    Timing,
)

pytestmark = [pytest.mark.one_core, pytest.mark.once]

SECOND = 10**9
G = "239.1.2.3"
A, B = "192.0.2.1", "192.0.2.2"
ROUTER, HOST = "10.0.0.254", "10.0.0.7"
GENERAL = Query(3, robustness=2, interval=125 * SECOND)
PORTS = (1, 2, 3, 4)


def report(kind: Kind, *sources: str, group: str = G) -> Report:
    return Report(3, (Record(kind, group, sources),))


JOIN, LEAVE = report(Kind.TO_EX), report(Kind.TO_IN)


def switch(*, router: int | None = 1, members: tuple[int, ...] = (), **arguments: Any) -> Snooping:
    """A switch that has heard a router at a port, and members at others, at time 0."""
    one = Snooping(PORTS, **arguments)
    one.start(0)
    if router is not None:
        one.receive(GENERAL, ROUTER, router, 0)
    for port in members:
        one.receive(JOIN, HOST, port, 0)
    return one


def test_what_goes_on_where() -> None:
    one = switch()
    assert one.receive(GENERAL, ROUTER, 1, 0) == [Relay((2, 3, 4))]
    assert one.receive(Query(3, G, (), SECOND), ROUTER, 1, 0) == [Relay((2, 3, 4))]
    for message in (JOIN, LEAVE, Report(2, (Record(Kind.IS_EX, G),)), Leave(2, G)):
        assert one.receive(message, HOST, 3, 0) == [Relay((1,))]
        assert one.receive(message, HOST, 1, 0) == []  # never back
    assert switch(router=None).receive(JOIN, HOST, 3, 0) == []  # to nobody, if there is no router
    one.receive(GENERAL, "10.0.0.253", 4, 0)
    assert one.router_ports == (1, 4)
    assert one.receive(JOIN, HOST, 3, 0) == [Relay((1, 4))]


@pytest.mark.parametrize("unknown", ["flood", "drop"])
@pytest.mark.parametrize(
    ("router", "members", "arrived", "flood", "drop"),
    [
        (None, (), 2, (1, 3, 4), ()),
        (1, (), 2, (1, 3, 4), (1,)),
        (1, (), 1, (2, 3, 4), ()),
        (None, (3,), 2, (3,), (3,)),
        (1, (3,), 2, (1, 3), (1, 3)),
        (1, (3,), 3, (1,), (1,)),
        (1, (2, 3), 1, (2, 3), (2, 3)),
        (1, (1,), 2, (1,), (1,)),
    ],
)
def test_which_ports_get_a_packet(
    unknown: Any, router: int | None, members: Any, arrived: int, flood: Any, drop: Any
) -> None:
    one = switch(router=router, members=members, unknown=unknown)
    for _ in range(2):  # the second answer comes from memory
        assert one.ports(G, A, arrived) == (flood if unknown == "flood" else drop)


def test_sources_are_told_apart() -> None:
    one = switch()
    one.receive(report(Kind.ALLOW, A), HOST, 2, 0)
    one.receive(report(Kind.TO_EX, A), HOST, 3, 0)
    assert one.ports(G, A) == (1, 2)
    assert one.ports(G, B) == (1, 3)
    one.receive(report(Kind.ALLOW, B), HOST, 2, 0)
    assert one.ports(G, B) == (1, 2, 3)


@pytest.mark.parametrize(
    ("group", "flooded"),
    [
        ("224.0.0.1", True),
        ("224.0.0.251", True),
        ("224.0.1.1", False),
        ("ff02::1", True),
        ("ff01::5", True),
        ("ff02::2", False),
        ("ff02::1:ff00:1", False),
    ],
)
def test_some_groups_go_everywhere(group: str, flooded: bool) -> None:
    one = Snooping(PORTS, family=MLD if ":" in group else IGMP, unknown="drop")
    assert one.ports(group, "fe80::1" if ":" in group else A) == (PORTS if flooded else ())


@pytest.mark.parametrize("unknown", ["flood", "drop"])
def test_members_are_forgotten_after_the_group_membership_interval(unknown: Any) -> None:
    """The trap: without a querier nobody reports a second time."""
    one = switch(router=None, members=(3, 4), unknown=unknown)
    one.receive(JOIN, HOST, 3, 100 * SECOND)
    assert one.next_time() == 260 * SECOND
    one.wake(260 * SECOND)
    assert one.ports(G, A, 1) == (3,)  # 4 gets nothing any more, although nobody has left
    one.wake(360 * SECOND)
    assert one.ports(G, A, 1) == ((2, 3, 4) if unknown == "flood" else ())
    assert one.next_time() is None


def test_a_leave_changes_nothing_if_nobody_asks() -> None:
    one = switch(router=None, members=(3,))
    one.receive(LEAVE, HOST, 3, 100 * SECOND)
    assert (one.ports(G, A, 1), one.next_time()) == ((3,), 260 * SECOND)


@pytest.mark.parametrize(
    ("query", "until"),
    [
        (Query(3, G, (), SECOND, robustness=2), 102),
        (Query(3, G, (), SECOND, robustness=3), 103),
        (Query(2, G, (), SECOND), 102),
        (Query(3, G, (), SECOND, suppress=True), 260),
        (Query(3, "239.9.9.9", (), SECOND), 260),
    ],
)
def test_ports_go_when_the_querier_has_asked_in_vain(query: Query, until: int) -> None:
    one = switch(members=(2, 3))
    one.receive(query, ROUTER, 1, 100 * SECOND)
    one.receive(report(Kind.IS_EX), HOST, 3, 101 * SECOND)  # one still wants it
    assert one.next_time() == min(until, 100 + 255) * SECOND
    one.wake(until * SECOND)
    assert one.ports(G, A, 1) == (3,)


def test_sources_go_when_the_querier_has_asked_in_vain() -> None:
    one = switch()
    one.receive(report(Kind.ALLOW, A, B), HOST, 2, 0)
    one.receive(Query(3, G, (A,), SECOND), ROUTER, 1, 100 * SECOND)
    one.wake(102 * SECOND)
    assert (one.ports(G, A, 1), one.ports(G, B, 1)) == ((), (2,))


def test_routers_are_forgotten() -> None:
    one = switch(members=(3,), unknown="drop")
    assert one.ports(G, A, 2) == (1, 3)
    assert one.next_time() == 255 * SECOND
    one.wake(255 * SECOND)
    assert (one.router_ports, one.ports(G, A, 2)) == ((), (3,))


def test_a_router_that_appears_gets_everything() -> None:
    one = switch(members=(3,))
    assert one.ports(G, A, 2) == (1, 3)
    one.receive(GENERAL, "10.0.0.253", 4, SECOND)
    assert one.ports(G, A, 2) == (1, 3, 4)
    one.receive(GENERAL, "10.0.0.253", 4, 100 * SECOND)
    assert one.next_time() == 255 * SECOND  # the first router's; the other's has begun anew
    one.wake(255 * SECOND)
    assert one.router_ports == (4,)


def test_a_query_from_zero_is_no_routers() -> None:
    one = switch(router=None)
    assert one.receive(GENERAL, "0.0.0.0", 1, 0) == [Relay((2, 3, 4))]
    assert one.router_ports == ()


def test_constants_are_those_of_the_querier() -> None:
    one = switch(router=None)
    one.receive(Query(3, robustness=3, interval=20 * SECOND), ROUTER, 1, 0)
    assert one.next_time() == 65 * SECOND
    one.receive(JOIN, HOST, 3, 0)
    one.wake(65 * SECOND)
    assert one.next_time() == 70 * SECOND


def test_fast_leave() -> None:
    one = switch(members=(2, 3), fast_leave=True)
    one.receive(LEAVE, HOST, 3, SECOND)
    assert one.ports(G, A, 1) == (2,)
    one.receive(report(Kind.BLOCK, A), HOST, 2, SECOND)
    assert (one.ports(G, A, 1), one.ports(G, B, 1)) == ((), (2,))
    one.receive(Leave(2, G), HOST, 2, SECOND)
    assert one.ports(G, A, 1) == (2, 3, 4)  # unknown again, so it is flooded


# --- its own querier ------------------------------------------------------------------------------

OWN = Send("224.0.0.1", GENERAL)
ASKS = Send(G, Query(3, G, (), SECOND, robustness=2, interval=125 * SECOND))


@pytest.mark.parametrize("address", [None, "10.0.0.5"])
def test_its_own_querier_asks_and_lowers_the_timers_of_all_ports(address: str | None) -> None:
    one = Snooping(PORTS, querier=True, address=address)
    assert one.start(0) == [OWN]
    assert one.is_querier
    for port in (2, 3):
        assert one.receive(JOIN, HOST, port, 0) == []
    assert one.next_time() == 31_250_000_000
    assert one.wake(31_250_000_000) == [OWN]
    assert one.receive(LEAVE, HOST, 3, 100 * SECOND) == [ASKS]
    one.receive(report(Kind.IS_EX), HOST, 2, 100 * SECOND + 5)
    assert one.wake(101 * SECOND) == [Send(G, Query(3, G, (), SECOND, True, 2, 125 * SECOND))]
    assert one.ports(G, A, 1) == (2, 3)
    assert one.wake(102 * SECOND) == []
    assert one.ports(G, A, 1) == (2,)


@pytest.mark.parametrize(
    ("address", "router", "gives_way"),
    [
        (None, ROUTER, True),
        ("10.0.0.5", ROUTER, False),
        ("10.0.0.5", "10.0.0.4", True),
        (None, "0.0.0.0", False),
    ],
)
def test_its_own_querier_gives_way(address: str | None, router: str, gives_way: bool) -> None:
    one = Snooping(PORTS, querier=True, address=address)
    one.start(0)
    assert one.receive(GENERAL, router, 1, SECOND) == [Relay((2, 3, 4))]
    assert one.is_querier is not gives_way
    if gives_way:  # and takes over again
        assert one.next_time() == 256 * SECOND
        assert one.wake(256 * SECOND) == [OWN]
        assert one.is_querier


def test_without_a_querier_it_is_none() -> None:
    assert not switch().is_querier


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"unknown": "lose"}, r"unknown='lose': say 'flood' or 'drop'"),
        ({"ports": (1, 2, 1)}, r"ports=\(1, 2, 1\): give each port a number of its own"),
        (
            {"family": MLD, "querier": True},
            r"querier=True: hosts answer no query of MLD from zero; give address=",
        ),
        ({"version": 7}, r"version=7: IGMP is spoken in version 2 or 3 here"),
        ({"querier": True, "address": "ff"}, r"'ff' is no address of IPv4 or IPv6"),
    ],
)
def test_what_cannot_be(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Snooping(**{"ports": PORTS} | arguments)


def test_a_port_that_it_does_not_have() -> None:
    with pytest.raises(UsageError, match=r"port=9 is none of this switch: it has \(1, 2, 3, 4\)"):
        switch().receive(JOIN, HOST, 9, 0)


def test_its_own_queries_are_of_the_version_and_the_constants_given() -> None:
    one = Snooping(PORTS, querier=True, version=2, timing=Timing(query_interval="20 s"))
    assert one.start(0) == [Send("224.0.0.1", Query(2, max_response=10 * SECOND))]
    assert one.next_time() == 5 * SECOND
    mld = Snooping(PORTS, family=MLD, querier=True, address="fe80::1")
    assert mld.start(0)[0].destination == "ff02::1"
