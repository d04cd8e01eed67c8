"""The router's side: who asks, when, what; and what it does when it hears others ask. Rows: test_members."""

from __future__ import annotations

from typing import Any

import pytest

from kamaelia.axon import UsageError
from kamaelia.testbed.groups import (
    IGMP,
    MLD,
    Changed,
    Family,
    Kind,
    Leave,
    Query,
    Record,
    Report,
    Router,
    Send,
    Timing,
)

pytestmark = [pytest.mark.one_core, pytest.mark.once]

SECOND = 10**9
G = "239.1.2.3"
A, B, C = (f"192.0.2.{n}" for n in (1, 2, 3))
HOST, LOWER, MIDDLE, HIGHER = "10.0.0.77", "10.0.0.9", "10.0.0.10", "10.0.0.100"
GENERAL = Query(3, robustness=2, interval=125 * SECOND)
FAMILIES = pytest.mark.parametrize("family", [IGMP, MLD], ids=repr)


def report(kind: Kind, *sources: str, group: str = G) -> Report:
    return Report(3, (Record(kind, group, sources),))


JOIN, LEAVE = report(Kind.TO_EX), report(Kind.TO_IN)
OLD_JOIN, OLD_LEAVE = Report(2, (Record(Kind.IS_EX, G),)), Leave(2, G)


def story(router: Router, until: int) -> list[tuple[float, Any]]:
    """Let it go on until a time; returns what it says, and when in seconds."""
    told: list[tuple[float, Any]] = []
    while (time := router.next_time()) is not None and time <= until * SECOND:
        told += [(time / SECOND, event) for event in router.wake(time)]
    return told


def times_of_general_queries(router: Router, until: int) -> list[float]:
    return [time for time, event in story(router, until) if event.destination == router.family.all_hosts]


def test_nothing_happens_before_the_start() -> None:
    router = Router(MIDDLE)
    assert (router.next_time(), router.wake(0), router.is_querier) == (None, [], True)
    assert repr(router) == "<router 10.0.0.10 of IGMP v3, querier 10.0.0.10>"


@pytest.mark.parametrize(
    ("timing", "times"),
    [
        (Timing(), [31.25, 156.25, 281.25]),
        (Timing(robustness=3), [31.25, 62.5, 187.5, 312.5]),
        (Timing(startup_query_interval="1 s", startup_query_count=4), [1, 2, 3, 128, 253]),
        (Timing(startup_query_count=1), [125, 250]),
    ],
)
def test_general_queries(timing: Timing, times: list[float]) -> None:
    router = Router(MIDDLE, timing=timing)
    (send,) = router.start(0)
    assert send == Send("224.0.0.1", Query(3, None, (), 10 * SECOND, False, timing.robustness, 125 * SECOND))
    assert times_of_general_queries(router, 330) == times


def test_robustness_that_cannot_be_told_is_not() -> None:
    (send,) = Router(MIDDLE, timing=Timing(robustness=8)).start(0)
    assert send.message.robustness == 0


# --- who asks (section 6.6.2) ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("heard", "querier"),
    [
        ([HIGHER], MIDDLE),
        ([LOWER], LOWER),  # 9 is less than 10, though not as text
        ([LOWER, HIGHER], LOWER),
        (["10.0.0.8", LOWER], LOWER),
        (["0.0.0.0"], MIDDLE),
    ],
)
@pytest.mark.parametrize("query", [GENERAL, Query(3, G, (), SECOND), Query(2), Query(1)])
def test_the_lowest_address_asks(heard: list[str], querier: str, query: Query) -> None:
    router = Router(MIDDLE)
    router.start(0)
    for address in heard:
        assert router.receive(query, address, SECOND) == []
    assert (router.querier, router.is_querier) == (querier, querier == MIDDLE)


def test_a_querier_that_falls_silent_is_replaced() -> None:
    router = Router(MIDDLE)
    router.start(0)
    router.receive(GENERAL, LOWER, 10 * SECOND)
    router.receive(GENERAL, LOWER, 100 * SECOND)
    assert router.next_time() == 355 * SECOND  # the other querier present interval, 255 s, after the last
    assert times_of_general_queries(router, 500) == [355, 480]
    assert router.querier == MIDDLE


def test_a_querier_without_an_address_gives_way_to_anyone() -> None:
    router = Router("0.0.0.0")
    router.start(0)
    router.receive(GENERAL, "0.0.0.0", SECOND)
    assert router.is_querier
    router.receive(GENERAL, HIGHER, SECOND)
    assert router.querier == HIGHER


def test_in_mld_the_lowest_number_asks_whatever_its_spelling() -> None:
    router = Router("fe80::a", family=MLD)
    router.receive(Query(2), "FE80:0::9", 0)
    assert router.querier == "fe80::9"
    router = Router("fe80::a", family=MLD)
    router.receive(Query(2), "fe80::10", 0)
    assert router.is_querier


def test_constants_of_the_querier_are_taken_over_while_it_is_there() -> None:
    router = Router(MIDDLE)
    router.start(0)
    router.receive(Query(3, robustness=3, interval=20 * SECOND), LOWER, 0)
    assert router.timing.robustness == 3
    router.receive(JOIN, HOST, 0)
    assert router.state(G).timer == 70 * SECOND  # 3 * 20 + 10
    assert router.next_time() == 65 * SECOND  # 3 * 20 + 10 / 2
    router.wake(65 * SECOND)
    assert (router.is_querier, router.timing.robustness) == (True, 2)
    older = Router(MIDDLE, version=2)
    older.receive(Query(3, robustness=3, interval=20 * SECOND), LOWER, 0)  # of version 3 it sees as version 2
    assert older.timing.robustness == 2


# --- when somebody leaves -------------------------------------------------------------------------


def of_group(**more: Any) -> Send:
    return Send(G, Query(3, G, (), SECOND, robustness=2, interval=125 * SECOND, **more))


def of_sources(*sources: str, **more: Any) -> Send:
    return Send(G, Query(3, G, sources, SECOND, robustness=2, interval=125 * SECOND, **more))


def joined(*reports: Report, **arguments: Any) -> Router:
    router = Router(MIDDLE, **arguments)
    for one in reports or (JOIN,):
        router.receive(one, HOST, 0)
    return router


def test_a_group_that_nobody_wants_ends_after_the_last_member_query_time() -> None:
    router = joined()
    assert router.receive(LEAVE, HOST, 100 * SECOND) == [of_group()]
    assert router.wants(G, A)
    assert story(router, 200) == [(101, of_group()), (102, Changed(G))]
    assert (router.wants(G, A), router.groups, router.next_time()) == (False, (), None)


@pytest.mark.parametrize(
    ("timing", "times", "end"),
    [
        (Timing(last_member_query_interval="0.3 s"), [100.3], 100.6),
        (Timing(robustness=3), [101, 102], 103),
        (Timing(last_member_query_count=1), [], 101),
        (Timing(last_member_query_count=4, last_member_query_interval="0.5 s"), [100.5, 101, 101.5], 102),
    ],
)
def test_the_leave_latency_follows_from_the_constants(timing: Timing, times: list[float], end: float) -> None:
    router = joined(timing=timing)
    router.receive(LEAVE, HOST, 100 * SECOND)
    told = story(router, 200)
    assert [time for time, event in told if isinstance(event, Send)] == times
    assert told[-1] == (end, Changed(G))
    assert end * SECOND == 100 * SECOND + timing.last_member_query_time


def test_a_group_that_somebody_wants_goes_on() -> None:
    router = joined()
    router.receive(LEAVE, HOST, 100 * SECOND)
    assert router.receive(report(Kind.IS_EX), "10.0.0.78", 100 * SECOND + 1) == []
    # The second query tells other routers to leave their timers alone.
    assert story(router, 300) == [(101, of_group(suppress=True))]
    assert router.state(G).timer == 360 * SECOND + 1


def test_a_leave_that_is_repeated_is_not_asked_about_anew() -> None:
    router = joined()
    router.receive(LEAVE, HOST, 100 * SECOND)
    assert router.receive(LEAVE, HOST, 100 * SECOND + 1) == []
    assert story(router, 200) == [(101, of_group()), (102, Changed(G))]


def test_sources_are_asked_for_each_as_often() -> None:
    router = joined(report(Kind.ALLOW, A, B))
    assert router.receive(report(Kind.BLOCK, A), HOST, 100 * SECOND) == [of_sources(A)]
    assert router.receive(report(Kind.BLOCK, A, B), HOST, 100 * SECOND + SECOND // 2) == [of_sources(B)]
    assert story(router, 200) == [
        (101, of_sources(A)),
        (101.5, of_sources(B)),
        (102, Changed(G)),
        (102.5, Changed(G)),
    ]


def test_a_source_that_is_reported_again_is_asked_for_apart() -> None:
    """Section 6.6.3.2: with the S flag for those with timers above LMQT, without for the others."""
    router = joined(report(Kind.ALLOW, A, B, C))
    assert router.receive(report(Kind.TO_IN, C), HOST, 100 * SECOND) == [of_sources(A, B)]
    router.receive(report(Kind.IS_IN, B), "10.0.0.78", 100 * SECOND + 1)
    assert story(router, 103) == [
        (101, of_sources(B, suppress=True)),
        (101, of_sources(A)),
        (102, Changed(G)),
    ]
    assert router.wanted(G) == ("include", {B, C})


def test_what_is_asked_ends_with_the_mode() -> None:
    router = joined(report(Kind.TO_EX), report(Kind.ALLOW, A))
    events = router.receive(report(Kind.TO_IN, B), HOST, 100 * SECOND)
    assert events == [of_group(), of_sources(A)]
    assert story(router, 200) == [(101, of_group()), (101, of_sources(A)), (102, Changed(G))]
    assert router.wanted(G) == ("include", {B})


@FAMILIES
def test_more_sources_than_a_query_holds_are_asked_for_in_several(family: Family) -> None:
    group, newest = ("232.1.2.3", 3) if family is IGMP else ("ff3e::8000:1", 2)
    form = "10.1.{}.{}" if family is IGMP else "2001:db8::{}:{}"
    sources = tuple(form.format(n // 200 + 1, n % 200 + 1) for n in range(400))
    router = Router(MIDDLE if family is IGMP else "fe80::a", family=family)
    router.receive(Report(newest, (Record(Kind.ALLOW, group, sources),)), HOST, 0)
    events = router.receive(Report(newest, (Record(Kind.BLOCK, group, sources),)), HOST, 0)
    assert [len(event.message.sources) for event in events] == {IGMP: [366, 34], MLD: [89, 89, 89, 89, 44]}[
        family
    ]
    assert {source for event in events for source in event.message.sources} == set(sources)


def test_one_who_is_not_querier_does_not_ask() -> None:
    router = joined()
    router.receive(GENERAL, LOWER, 99 * SECOND)
    assert router.receive(LEAVE, HOST, 100 * SECOND) == []
    assert router.state(G).timer == 260 * SECOND


def test_a_querier_that_is_replaced_finishes_what_it_has_begun_to_ask() -> None:
    router = joined()
    router.receive(LEAVE, HOST, 100 * SECOND)
    router.receive(GENERAL, LOWER, 100 * SECOND + 1)
    assert story(router, 200) == [(101, of_group()), (102, Changed(G))]


# --- when another asks (section 6.6.1) ------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "timer", "source"),
    [
        (Query(3, G, (), SECOND, robustness=2), 102, 260),
        (Query(3, G, (), SECOND, robustness=3), 103, 260),
        (Query(3, G, (), 3 * SECOND, robustness=2), 106, 260),
        (Query(3, G, (), SECOND, suppress=True), 260, 260),
        (Query(3, G, (A,), SECOND), 260, 102),
        (Query(3, G, (A,), SECOND, suppress=True), 260, 260),
        (Query(3, G, (B,), SECOND), 260, 260),
        (Query(3, "239.9.9.9", (), SECOND), 260, 260),
        (Query(2, G, (), SECOND), 102, 260),
        (Query(3), 260, 260),
    ],
)
def test_timers_are_lowered_when_the_querier_asks(query: Query, timer: int, source: int) -> None:
    router = joined(JOIN, report(Kind.ALLOW, A))
    router.receive(query, LOWER, 100 * SECOND)
    state = router.state(G)
    assert (state.timer, state.requested) == (timer * SECOND, {A: source * SECOND})


# --- versions, fast leave, what cannot be ---------------------------------------------------------


@pytest.mark.parametrize(("family", "older"), [(IGMP, 2), (MLD, 1)], ids=["IGMP", "MLD"])
def test_an_older_router(family: Family, older: int) -> None:
    group, address = (G, MIDDLE) if family is IGMP else ("ff3e::8000:1", "fe80::a")
    router = Router(address, family=family, version=older)
    assert router.start(0) == [Send(family.all_hosts, Query(older, max_response=10 * SECOND))]
    assert router.receive(Report(older + 1, (Record(Kind.TO_EX, group),)), HOST, 0) == []
    assert router.groups == ()
    joins = Report(older, (Record(Kind.IS_EX, group),))
    assert router.receive(joins, HOST, 0) == [Changed(group)]
    asks = Send(group, Query(older, group, max_response=SECOND))
    assert router.receive(Leave(older, group), HOST, SECOND) == [asks]
    # Somebody else wants it: it is not asked again, as there is no S flag.
    assert router.receive(joins, HOST, SECOND + 1) == []
    assert story(router, 31) == []
    assert router.receive(Leave(older, group), HOST, 40 * SECOND) == [asks]
    assert story(router, 42)[-2:] == [(41, asks), (42, Changed(group))]


def test_an_older_router_sees_queries_of_sources_as_no_business_of_its_own() -> None:
    router = Router(MIDDLE, version=2)
    router.receive(OLD_JOIN, HOST, 0)
    router.receive(Query(3, G, (A,), SECOND), LOWER, 0)
    assert router.state(G).timer == 260 * SECOND


@pytest.mark.parametrize(
    ("reports", "leaves", "after"),
    [
        ([JOIN], LEAVE, ("include", frozenset())),
        ([OLD_JOIN], OLD_LEAVE, ("include", frozenset())),
        ([report(Kind.ALLOW, A, B)], report(Kind.BLOCK, A), ("include", {B})),
        ([report(Kind.ALLOW, A)], report(Kind.BLOCK, A), ("include", frozenset())),
        ([JOIN], report(Kind.BLOCK, A), ("exclude", {A})),
        ([JOIN, report(Kind.BLOCK, A)], report(Kind.ALLOW, A), ("exclude", frozenset())),
        ([JOIN], report(Kind.TO_IN, A), ("include", {A})),
        ([report(Kind.ALLOW, A)], report(Kind.TO_EX, A, B), ("exclude", {A, B})),
    ],
)
def test_fast_leave(reports: list[Report], leaves: Report | Leave, after: Any) -> None:
    router = joined(*reports, fast_leave=True)
    events = router.receive(leaves, HOST, 100 * SECOND)
    assert set(events) == {Changed(G)}
    assert router.wanted(G) == after
    assert (router.groups == ()) is (after == ("include", frozenset()))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"address": "fe80::1"}, r"address='fe80::1' is none of IGMP"),
        ({"version": 1}, r"version=1: IGMP is spoken in version 2 or 3 here"),
        (
            {"timing": Timing(last_member_query_interval="50 ms")},
            r"last_member_query_interval of 0.05 s: a query of IGMP v3 would say 0.1 s; choose that",
        ),
        (
            {"timing": Timing(query_response_interval="15.5 s")},
            r"query_response_interval of 15.5 s: a query of IGMP v3 would say 15.2 s",
        ),
        (
            {"timing": Timing(query_interval="150 s")},
            r"query_interval of 150 s: a query of IGMP v3 would say 144 s",
        ),
        (
            {"timing": Timing(query_response_interval="30 s"), "version": 2},
            r"query_response_interval of 30 s: max_response=30 s: IGMP v2 can say at most 25.5 s",
        ),
    ],
)
def test_what_cannot_be(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Router(**{"address": MIDDLE} | arguments)


def test_what_an_older_version_need_not_tell() -> None:
    Router(MIDDLE, version=2, timing=Timing(query_interval="150 s"))
    Router("fe80::a", family=MLD, timing=Timing(last_member_query_interval="50 ms"))


def test_changes_are_told_only_if_something_else_is_wanted() -> None:
    router = Router(MIDDLE)
    told = [
        router.receive(one, HOST, at)
        for at, one in enumerate(
            [JOIN, JOIN, report(Kind.IS_EX), report(Kind.ALLOW, A), report(Kind.IS_IN, B)]
        )
    ]
    assert told == [[Changed(G)], [], [], [], []]
    assert router.receive(report(Kind.IS_EX, group="239.9.9.9"), HOST, 9) == [Changed("239.9.9.9")]
    assert router.groups == (G, "239.9.9.9")
