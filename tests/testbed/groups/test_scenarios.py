"""Whole links in virtual time: latencies, elections, old and new versions together, switches; and chance."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kamaelia.testbed.groups import IGMP, MLD, Family, Host, Leave, Query, Report, Router, Snooping, Timing

from .link import MS, SECOND, Link, Values

pytestmark = [pytest.mark.one_core, pytest.mark.once]

G = "239.1.2.3"
A, B, C = (f"192.0.2.{n}" for n in (1, 2, 3))
ROUTER, SECOND_ROUTER, THIRD_ROUTER = "10.0.0.1", "10.0.0.2", "10.0.0.3"
FIRST, OTHER, THIRD = "10.0.0.11", "10.0.0.12", "10.0.0.13"


def link(*hosts: str, version: int | None = None, versions: Any = (), **arguments: Any) -> Link:
    """A link with a router and these hosts, each of which draws from the middle; a second has passed."""
    timing = arguments.pop("timing", Timing())
    it = Link(**arguments)
    it.add(ROUTER, Router(ROUTER, version=version, timing=timing))
    for number, host in enumerate(hosts):
        spoken = dict(enumerate(versions)).get(number)
        it.add(host, Host(Values(0.5), version=spoken, timing=timing))
    it.start()
    it.run(1)
    return it


def at(*times: float) -> list[int]:
    return [round(time * SECOND) for time in times]


# --- latencies ------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [2, 3])
def test_join_latency_is_the_way_of_one_report(version: int) -> None:
    it = link(FIRST, version=version)
    it.join(FIRST, G)
    it.run(10)
    assert it.changes == [(SECOND + MS, ROUTER, G)]
    assert it.machines[ROUTER].wants(G, A)


@pytest.mark.parametrize(("version", "after"), [(2, 5), (3, 0.5)])
def test_a_first_report_that_is_lost_costs_a_part_of_the_unsolicited_report_interval(
    version: int, after: float
) -> None:
    it = link(FIRST, version=version)
    it.lost = lambda time, sender, receiver, message: isinstance(message, Report) and time == SECOND
    it.join(FIRST, G)
    it.run(10)
    assert it.changes == [(round((1 + after) * SECOND) + MS, ROUTER, G)]


@pytest.mark.parametrize(
    "timing",
    [
        Timing(),
        Timing(robustness=3),
        Timing(last_member_query_interval="0.5 s"),
        Timing(last_member_query_count=1, last_member_query_interval="0.2 s"),
    ],
    ids=repr,
)
@pytest.mark.parametrize("version", [2, 3])
def test_leave_latency_is_the_last_member_query_time_exactly(timing: Timing, version: int) -> None:
    it = link(FIRST, version=version, timing=timing)
    it.join(FIRST, G)
    it.run(20)
    it.changes.clear()
    it.leave(FIRST, G)
    it.run(40)
    assert it.changes == [(20 * SECOND + MS + timing.last_member_query_time, ROUTER, G)]
    asked = [message for _, message in it.said(ROUTER, Query) if message.group == G]
    assert len(asked) == timing.last_member_query_count
    assert not it.machines[ROUTER].wants(G, A)


@pytest.mark.parametrize("version", [2, 3])
def test_who_stays_sees_no_gap_when_another_leaves(version: int) -> None:
    it = link(FIRST, OTHER, version=version)
    it.join(FIRST, G)
    it.join(OTHER, G)
    it.run(20)
    it.leave(FIRST, G)
    it.run(300)
    assert len(it.changes) == 1
    it.leave(OTHER, G)
    it.run(400)
    assert it.changes[1:] == [(302 * SECOND + MS, ROUTER, G)]


@pytest.mark.parametrize(("version", "last"), [(2, 161.25), (3, 161.25)])
def test_who_goes_without_a_word_is_noticed_by_time(version: int, last: float) -> None:
    it = link(FIRST, version=version)
    it.join(FIRST, G)
    it.run(200)  # it has answered the query at 156.25 s, 5 s and the way there later
    del it.machines[FIRST]
    it.run(600)
    assert it.changes[1:] == [(round((last + 260) * SECOND) + 2 * MS, ROUTER, G)]


@pytest.mark.parametrize("robustness", [2, 3, 4])
def test_one_loss_less_than_the_robustness_does_no_harm(robustness: int) -> None:
    """Of reports, leaves or queries: here each is lost so often that only the last comes."""
    it = link(FIRST, OTHER, timing=Timing(robustness=robustness))
    it.join(OTHER, G)
    it.run(30)
    lost: dict[Any, int] = {}

    def lose(time: int, sender: str, receiver: str, message: Any) -> bool:
        if receiver not in (ROUTER, OTHER) or isinstance(message, Query) != (receiver == OTHER):
            return False
        key = (receiver, repr(message))
        lost[key] = lost.get(key, 0) + 1
        return lost[key] < robustness

    it.lost = lose
    it.join(FIRST, "239.9.9.9")
    it.run(35)
    assert it.machines[ROUTER].wants("239.9.9.9", A)
    it.leave(OTHER, G)
    it.join(OTHER, G)  # at once, so there is a member when it is asked
    it.leave(FIRST, "239.9.9.9")
    it.run(50)
    assert not it.machines[ROUTER].wants("239.9.9.9", A)
    assert it.machines[ROUTER].wants(G, A)
    assert lost


# --- who asks -------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [2, 3])
def test_election_and_failover(version: int) -> None:
    it = Link()
    for address in (SECOND_ROUTER, THIRD_ROUTER, ROUTER):
        it.add(address, Router(address, version=version))
    it.add(FIRST, Host(Values(0.5)))
    it.start()
    it.join(FIRST, G)
    it.run(100)
    routers = [it.machines[address] for address in (ROUTER, SECOND_ROUTER, THIRD_ROUTER)]
    assert [router.querier for router in routers] == [ROUTER] * 3
    # All began to ask, then only the lowest went on.
    asked = it.queries()
    assert asked == [(0, SECOND_ROUTER), (0, THIRD_ROUTER), (0, ROUTER), (31.25, ROUTER)]
    assert all(router.wants(G, A) for router in routers)
    it.run(160)
    del it.machines[ROUTER]
    it.run(600)
    # Its last query was at 156.25 s; 255 s after that was heard the others ask, and the lower goes on.
    assert it.queries()[4:] == [
        (156.25, ROUTER),
        (411.251, SECOND_ROUTER),
        (411.251, THIRD_ROUTER),
        (536.251, SECOND_ROUTER),
    ]
    assert [router.querier for router in routers[1:]] == [SECOND_ROUTER] * 2
    assert all(router.wants(G, A) for router in routers[1:])
    # The first is back: it asks at once, and is heard.
    it.add(ROUTER, Router(ROUTER, version=version))
    it.do(ROUTER, it.machines[ROUTER].start(it.now))
    it.run(650)
    assert [it.machines[one].querier for one in (SECOND_ROUTER, THIRD_ROUTER)] == [ROUTER] * 2
    assert it.machines[ROUTER].wants(G, A)


def test_all_routers_stop_forwarding_together() -> None:
    it = link(FIRST)
    it.add(SECOND_ROUTER, Router(SECOND_ROUTER))
    it.run(200)
    assert it.machines[SECOND_ROUTER].querier == ROUTER
    it.join(FIRST, G)
    it.run(210)
    it.changes.clear()
    it.leave(FIRST, G)
    it.run(300)
    assert it.changes == [
        (212 * SECOND + MS, ROUTER, G),
        (212 * SECOND + 2 * MS, SECOND_ROUTER, G),  # it lowers its timer when the first query is there
    ]


# --- versions -------------------------------------------------------------------------------------


def test_a_host_of_version_2_on_a_link_of_version_3() -> None:
    it = link(FIRST, OTHER, versions=(2, 3))
    router = it.machines[ROUTER]
    it.join(OTHER, G, "exclude", A)
    it.run(10)
    assert (router.wants(G, A), router.wants(G, B)) == (False, True)
    it.join(FIRST, G)
    it.run(20)
    assert router.wants(G, A)
    it.join(OTHER, G, "exclude", A, B)  # BLOCK (B), which is ignored as long as the other is there
    it.run(500)
    assert (router.wants(G, A), router.wants(G, B)) == (True, True)
    it.leave(OTHER, G)
    it.run(510)
    assert router.wants(G, B)
    it.changes.clear()
    it.leave(FIRST, G)
    it.run(600)
    assert it.changes == [(512 * SECOND + MS, ROUTER, G)]


def test_hosts_of_version_3_on_a_link_of_version_2() -> None:
    it = link(FIRST, OTHER, version=2)
    assert [it.machines[one].version for one in (FIRST, OTHER)] == [2, 2]
    it.join(FIRST, G, "include", A)
    it.run(20)
    assert it.machines[ROUTER].wants(G, B)  # it knows groups only
    it.join(OTHER, G, "include", B)
    it.run(300)
    said = [message for one in (FIRST, OTHER) for _, message in it.said(one)]
    assert {message.version for message in said} == {2}


def test_in_version_2_one_report_a_query_is_enough() -> None:
    it = Link()
    it.add(ROUTER, Router(ROUTER, version=2))
    for number in range(20):
        address = f"10.0.1.{number}"
        it.add(address, Host(random.Random(number), version=2))
    it.start()
    it.run(1)
    for address in list(it.machines)[1:]:
        it.join(address, G)
    it.run(150)
    it.log.clear()
    it.run(170)  # the query at 156.25 s
    reports = [time for time, _, message in it.log if isinstance(message, Report)]
    assert len(reports) == 1 or max(reports) - min(reports) < MS  # two within the way of one


# --- many groups, and sources ---------------------------------------------------------------------


def test_fifty_groups() -> None:
    it = link(FIRST, OTHER)
    router = it.machines[ROUTER]
    groups = [f"239.0.0.{number}" for number in range(50)]
    for group in groups:
        it.join(FIRST, group)
    for group in groups[::2]:
        it.join(OTHER, group)
    it.run(20)
    assert router.groups == tuple(groups)
    it.log.clear()
    it.run(50)  # the query at 31.25 s: a report of each host tells all
    assert [len(message.records) for _, _, message in it.log if isinstance(message, Report)] == [50, 25]
    it.changes.clear()
    it.log.clear()
    for group in groups:
        it.leave(FIRST, group)
    it.run(60)
    assert it.changes == [(52 * SECOND + MS, ROUTER, group) for group in groups[1::2]]
    assert router.groups == tuple(groups[::2])
    asked = [message.group for _, _, message in it.log if isinstance(message, Query)]
    assert {group: asked.count(group) for group in groups} == dict.fromkeys(groups, 2)
    it.run(1000)
    assert router.groups == tuple(groups[::2])


def test_sources() -> None:
    it = link(FIRST, OTHER, THIRD)
    router = it.machines[ROUTER]

    def wanted(then: float) -> str:
        it.run(then)
        return "".join(name for name, one in (("A", A), ("B", B), ("C", C)) if router.wants(G, one))

    it.join(FIRST, G, "include", A)
    it.join(OTHER, G, "include", A, B)
    assert wanted(10) == "AB"
    it.join(OTHER, G, "include", B)  # the first still wants A
    assert wanted(20) == "AB"
    it.join(FIRST, G, "include", C)
    assert wanted(22) == "ABC"
    assert wanted(22.001) == "BC"  # LMQT after BLOCK (A) was there
    it.join(THIRD, G, "exclude", C)
    assert wanted(30) == "ABC"  # the first wants C
    it.leave(FIRST, G)
    assert wanted(32.001) == "AB"
    it.leave(THIRD, G)
    assert wanted(34.002) == "B"
    it.leave(OTHER, G)
    assert wanted(36.003) == ""
    assert router.state(G) is None


# --- switches -------------------------------------------------------------------------------------


def switched(*hosts: str, router: bool = True, version: int | None = None, **arguments: Any) -> Link:
    it = Link(switch=lambda ports: Snooping(ports, **arguments))
    it.add(ROUTER, Router(ROUTER, version=version) if router else Host(Values(0.5)))  # or a mere sender
    for host in hosts:
        it.add(host, Host(Values(0.5), version=version))
    it.start()
    it.run(1)
    return it


def ports(it: Link, source: str = A) -> list[str]:
    """Who gets what the first machine sends to the group."""
    assert it.switch is not None
    return [list(it.machines)[port - 1] for port in it.switch.ports(G, source, 1)]


@pytest.mark.parametrize("version", [2, 3])
def test_a_switch_with_a_router(version: int) -> None:
    it = switched(FIRST, OTHER, THIRD, version=version)
    assert ports(it) == [FIRST, OTHER, THIRD]  # unknown
    it.join(FIRST, G)
    it.join(OTHER, G)
    it.run(1.0009)
    assert ports(it) == [FIRST, OTHER, THIRD]
    it.run(1.001)
    assert ports(it) == [FIRST, OTHER]
    it.run(1000)
    assert ports(it) == [FIRST, OTHER]  # though each reports only to the router, in version 2 too
    heard = [sender for _, sender, message in it.log if isinstance(message, Report)]
    assert heard.count(FIRST) == heard.count(OTHER) == 2 + 8  # joined twice, answered queries from 31.25 s on
    it.leave(OTHER, G)
    it.run(1002.002)
    assert ports(it) == [FIRST, OTHER]
    it.run(1002.003)  # the leave came to the router 2 ms later, its query to the switch after 3
    assert ports(it) == [FIRST]
    assert it.machines[ROUTER].wants(G, A)
    it.leave(FIRST, G)
    it.run(1010)
    assert not it.machines[ROUTER].wants(G, A)


@pytest.mark.parametrize(("unknown", "after"), [("flood", [FIRST, OTHER, THIRD]), ("drop", [])])
def test_a_switch_without_a_querier_forgets(unknown: str, after: list[str]) -> None:
    """The trap: all is well for 260 s; then the stream stops, or goes everywhere."""
    it = switched(FIRST, OTHER, THIRD, router=False, unknown=unknown)
    it.join(FIRST, G)
    it.run(10)
    assert ports(it) == [FIRST]
    last = it.said(FIRST)[-1][0]
    assert last == 1.5  # said twice, and never again
    it.run(last + 260)
    assert ports(it) == [FIRST]
    it.run(last + 260.001)
    assert ports(it) == after
    it.run(2000)
    assert (it.said(FIRST)[-1][0], it.machines[FIRST].groups) == (last, (G,))


@pytest.mark.parametrize("address", [None, "10.0.0.200"])
@pytest.mark.parametrize("version", [2, 3])
def test_a_switch_that_asks_itself_does_not_forget(address: str | None, version: int) -> None:
    it = switched(FIRST, OTHER, router=False, version=version, querier=True, address=address, unknown="drop")
    it.join(FIRST, G)
    it.join(OTHER, G)
    it.run(5000)
    assert ports(it) == [FIRST, OTHER]
    it.leave(FIRST, G)
    it.run(5002)
    assert ports(it) == [FIRST, OTHER]
    it.run(5002.001)
    assert ports(it) == [OTHER]
    del it.machines[OTHER]
    assert it.switch is not None
    it.run(5300)
    assert it.switch.ports(G, A) == ()


def test_fast_leave_of_a_switch() -> None:
    it = switched(FIRST, OTHER, fast_leave=True)
    it.join(FIRST, G)
    it.join(OTHER, G)
    it.run(10)
    it.leave(FIRST, G)
    it.run(10.001)
    assert ports(it) == [OTHER]


# --- chance ---------------------------------------------------------------------------------------

STEP = st.tuples(
    st.integers(0, 3),  # host
    st.integers(0, 1),  # group
    st.sampled_from(["include", "exclude"]),
    st.sets(st.integers(0, 2)),  # sources
    st.sampled_from([0.01, 0.3, 0.9, 1.7, 4, 40, 130]),  # seconds until the next
)
NAMES: dict[Family, dict[str, Any]] = {
    IGMP: {
        "router": ROUTER,
        "hosts": ["10.0.0.11", "10.0.0.12", "10.0.0.13", "10.0.0.14"],
        "groups": ["232.1.1.1", "232.1.1.2"],
        "sources": [A, B, C],
    },
    MLD: {
        "router": "fe80::1",
        "hosts": ["fe80::11", "fe80::12", "fe80::13", "fe80::14"],
        "groups": ["ff3e::8000:1", "ff3e::8000:2"],
        "sources": ["2001:db8::1", "2001:db8::2", "2001:db8::3"],
    },
}


@pytest.mark.parametrize("family", [IGMP, MLD], ids=repr)
@settings(max_examples=100, deadline=None)
@given(
    steps=st.lists(STEP, min_size=1, max_size=12),
    seed=st.integers(0, 2**32),
    old_router=st.booleans(),
    old_hosts=st.sets(st.integers(0, 3)),
    has_switch=st.booleans(),
)
def test_without_losses_a_router_wants_what_its_hosts_want(
    family: Family, steps: list[Any], seed: int, old_router: bool, old_hosts: set[int], has_switch: bool
) -> None:
    """Never less, once a report is there; and nothing more, when all timers have run out."""
    names = NAMES[family]
    it = Link(
        family, switch=(lambda ports: Snooping(ports, family=family, unknown="drop")) if has_switch else None
    )
    router = Router(names["router"], family=family, version=family.older if old_router else None)
    it.add(names["router"], router)
    for number, address in enumerate(names["hosts"]):
        version = family.older if number in old_hosts else None
        stream = random.Random(f"{seed}/{address}")
        it.add(address, Host(stream, family=family, version=version))
    it.start()
    it.run(1)
    wishes: dict[tuple[int, int], tuple[str, frozenset[int]]] = {}

    def wants(host: int, group: int, source: int) -> bool:
        mode, sources = wishes.get((host, group), ("include", frozenset()))
        if host in old_hosts or old_router:  # knows groups only
            return mode == "exclude" or bool(sources)
        return (source in sources) is (mode == "include")

    def compare(*, exactly: bool) -> None:
        for number, group in enumerate(names["groups"]):
            for which, source in enumerate(names["sources"]):
                wanting = [host for host in range(4) if wants(host, number, which)]
                told = router.wants(group, source)
                assert told is bool(wanting) if exactly else told or not wanting, (
                    seed,
                    group,
                    source,
                    wanting,
                )
                if it.switch is not None:
                    ports = it.switch.ports(group, source, 1)
                    expected = {host + 2 for host in wanting}
                    assert set(ports) == expected if exactly else set(ports) >= expected, (
                        seed,
                        group,
                        source,
                    )

    now = 1.0
    for host, group, mode, sources, pause in steps:
        wishes[host, group] = (mode, frozenset(sources))
        it.join(
            names["hosts"][host], names["groups"][group], mode, *(names["sources"][one] for one in sources)
        )
        now += pause
        it.run(now)
        compare(exactly=False)
    it.run(now + 800)
    compare(exactly=True)
    assert not any(isinstance(message, Leave) for _, _, message in it.log) or old_router or old_hosts
