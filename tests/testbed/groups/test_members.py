"""What one knows who hears reports: each row of the tables of RFC 3376 section 6.4 and RFC 3810 7.4."""

from __future__ import annotations

from typing import Any

import pytest

from kamaelia.testbed.groups import (
    IGMP,
    MLD,
    Family,
    GroupState,
    Kind,
    Leave,
    Members,
    Query,
    Record,
    Report,
    Router,
    Send,
    Timing,
)
from kamaelia.testbed.groups.members import TABLE

pytestmark = [pytest.mark.one_core, pytest.mark.once]

SECOND = 10**9
ALL, BEFORE, SOURCES, NOW = 0, 10 * SECOND, 20 * SECOND, 100 * SECOND
HOLD = 260 * SECOND
GROUP = BEFORE + HOLD  # when the group's timer runs out, before the report
OLD = SOURCES + HOLD  # the same of the sources that were there before
NEW = NOW + HOLD  # of what the report sets
LOW = NOW + 2 * SECOND  # of what is asked for, LMQT
HIM = {IGMP: "10.0.0.7", MLD: "fe80::7"}
NAMES = ["a", "b", "ab", "x", "y", "xa", "ya"]
FAMILIES = pytest.mark.parametrize("family", [IGMP, MLD], ids=repr)

# The state before is include (a, ab) and the report speaks of b, ab; or it is exclude ({x, xa}, {y, ya}) and
# the report speaks of a, xa, ya. So there is one source of each sort. Then, by hand from the RFC:
# the mode, the timer of the group, those of X, Y, and what is asked for.
ROWS: list[tuple[str, Kind, str, int | None, dict[str, int], str, str]] = [
    # 6.4.1, MLDv2: 7.4.1
    ("include", Kind.IS_IN, "include", None, {"a": OLD, "ab": NEW, "b": NEW}, "", ""),
    ("include", Kind.IS_EX, "exclude", NEW, {"ab": OLD}, "b", ""),
    ("exclude", Kind.IS_IN, "exclude", GROUP, {"x": OLD, "xa": NEW, "ya": NEW, "a": NEW}, "y", ""),
    ("exclude", Kind.IS_EX, "exclude", NEW, {"xa": OLD, "a": NEW}, "ya", ""),
    # 6.4.2, MLDv2: 7.4.2
    ("include", Kind.ALLOW, "include", None, {"a": OLD, "ab": NEW, "b": NEW}, "", ""),
    ("include", Kind.BLOCK, "include", None, {"a": OLD, "ab": OLD}, "", "ab"),
    ("include", Kind.TO_EX, "exclude", NEW, {"ab": OLD}, "b", "ab"),
    ("include", Kind.TO_IN, "include", None, {"a": OLD, "ab": NEW, "b": NEW}, "", "a"),
    ("exclude", Kind.ALLOW, "exclude", GROUP, {"x": OLD, "xa": NEW, "ya": NEW, "a": NEW}, "y", ""),
    ("exclude", Kind.BLOCK, "exclude", GROUP, {"x": OLD, "xa": OLD, "a": GROUP}, "y ya", "a xa"),
    ("exclude", Kind.TO_EX, "exclude", NEW, {"xa": OLD, "a": GROUP}, "ya", "a xa"),
    ("exclude", Kind.TO_IN, "exclude", GROUP, {"x": OLD, "xa": NEW, "ya": NEW, "a": NEW}, "y", "x group"),
]
EACH_ROW = pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}-{row[1].name}")


def group_of(family: Family) -> str:
    return "232.1.2.3" if family is IGMP else "ff3e::8000:1"


def addresses(family: Family, names: Any) -> set[str]:
    prefix = "192.0.2." if family is IGMP else "2001:db8::"
    return {f"{prefix}{NAMES.index(name) + 1}" for name in names}


def report(family: Family, kind: Kind, names: str = "") -> Report:
    sources = tuple(sorted(addresses(family, names.split())))
    return Report(family.newest, (Record(kind, group_of(family), sources),))


def prepare(family: Family, mode: str) -> list[tuple[Report, int]]:
    """What has been reported before, and when."""
    if mode == "include":
        return [(report(family, Kind.IS_IN, "a ab"), SOURCES)]
    return [(report(family, Kind.IS_EX, "y ya"), BEFORE), (report(family, Kind.ALLOW, "x xa"), SOURCES)]


SAID = {"include": "b ab", "exclude": "a xa ya"}


def one(family: Family, name: str) -> str:
    (address,) = addresses(family, [name])
    return address


def state(
    family: Family, mode: Any, timer: int | None, requested: dict[str, int], excluded: str
) -> GroupState:
    timers = {one(family, name): until for name, until in requested.items()}
    return GroupState(mode, timer, timers, frozenset(addresses(family, excluded.split())))


def test_there_is_a_row_for_everything() -> None:
    assert {row[:2] for row in ROWS} == set(TABLE) == {(m, k) for m in ("include", "exclude") for k in Kind}


@FAMILIES
@EACH_ROW
def test_rows(family: Family, row: Any) -> None:
    before, kind, mode, timer, requested, excluded, asked = row
    members = Members(family)
    for message, at in prepare(family, before):
        members.hear(message, at, HOLD)
    was_wanted = members.wanted(group_of(family))
    (heard,) = members.hear(report(family, kind, SAID[before]), NOW, HOLD)
    assert members.state(group_of(family)) == state(family, mode, timer, requested, excluded)
    assert heard.ask == addresses(family, [name for name in asked.split() if name != "group"])
    assert heard.ask_group == ("group" in asked)
    assert heard.changed == (members.wanted(group_of(family)) != was_wanted)
    for name in NAMES:  # section 6.3: what is forwarded
        wanted = name in requested if mode == "include" else name not in excluded.split()
        assert members.wants(group_of(family), one(family, name)) is wanted, name


@FAMILIES
@EACH_ROW
def test_what_a_querier_does(family: Family, row: Any) -> None:
    """Sections 6.6.3.1 and 6.6.3.2: what is asked for is lowered to LMQT, and asked twice."""
    before, kind, mode, timer, requested, excluded, asked = row
    router = Router("10.0.0.254" if family is IGMP else "fe80::254", family=family)
    group = group_of(family)
    for message, at in prepare(family, before):
        assert all(not isinstance(event, Send) for event in router.receive(message, HIM[family], at))
    events = router.receive(report(family, kind, SAID[before]), HIM[family], NOW)
    names = [name for name in asked.split() if name != "group"]
    lowered = requested | dict.fromkeys(names, LOW)
    expected = state(family, mode, LOW if "group" in asked else timer, lowered, excluded)
    assert router.state(group) == expected
    queries = [event for event in events if isinstance(event, Send)]
    common = {"max_response": SECOND, "robustness": 2, "interval": 125 * SECOND}
    sources = tuple(sorted(addresses(family, names)))
    expected_queries = [Send(group, Query(family.newest, group, **common))] if "group" in asked else []
    if names:
        expected_queries.append(Send(group, Query(family.newest, group, sources, **common)))
    assert queries == expected_queries
    if expected_queries:  # and again, LMQI later, and no more
        assert router.next_time() == NOW + SECOND
        assert router.wake(NOW + SECOND) == expected_queries
        assert router.next_time() == LOW
        assert all(not isinstance(event, Send) for event in router.wake(LOW))


@FAMILIES
def test_timers_of_sources_in_include_mode(family: Family) -> None:
    members, group = Members(family), group_of(family)
    members.hear(report(family, Kind.IS_IN, "a"), 0, 100)
    members.hear(report(family, Kind.IS_IN, "b"), 50, 100)
    assert (members.next_time(), members.expire(99)) == (100, [])
    assert members.expire(100) == [group]
    assert members.state(group) == state(family, "include", None, {"b": 150}, "")
    assert members.expire(150) == [group]
    assert (members.state(group), members.groups, members.next_time()) == (None, (), None)
    assert group not in members


@FAMILIES
def test_timers_of_sources_in_exclude_mode(family: Family) -> None:
    members, group = Members(family), group_of(family)
    members.hear(report(family, Kind.IS_EX, "y"), 0, 100)
    members.hear(report(family, Kind.ALLOW, "x"), 0, 50)
    assert members.expire(50) == [group]  # it is kept as one that nobody wants
    assert members.state(group) == state(family, "exclude", 100, {}, "x y")
    assert members.wanted(group) == ("exclude", addresses(family, "xy"))


@FAMILIES
@pytest.mark.parametrize(
    ("requested", "after"),
    [("", None), ("x", {"x": 150}), ("x xa", {"x": 150, "xa": 150})],
)
def test_the_timer_of_a_group_ends_exclude_mode(family: Family, requested: str, after: Any) -> None:
    """Section 6.5."""
    members, group = Members(family), group_of(family)
    members.hear(report(family, Kind.IS_EX, "y"), 0, 100)
    if requested:
        members.hear(report(family, Kind.ALLOW, requested), 50, 100)
    members.hear(report(family, Kind.ALLOW, "a"), 0, 100)  # runs out with the group, so it goes too
    assert members.expire(100) == [group]
    assert members.state(group) == (after and state(family, "include", None, after, ""))


@FAMILIES
def test_lowering_never_raises(family: Family) -> None:
    members, group = Members(family), group_of(family)
    assert not members.lower_group(group, 5)
    assert members.lower_sources(group, ["192.0.2.1"], 5) == ()
    members.hear(report(family, Kind.IS_IN, "a"), 0, 100)
    assert not members.lower_group(group, 5)  # there is no timer of the group in include mode
    assert members.lower_sources(group, addresses(family, ["a", "b"]), 100) == ()
    assert members.lower_sources(group, addresses(family, ["a", "b"]), 99) == (one(family, "a"),)
    assert members.next_time() == 99
    members.hear(report(family, Kind.IS_EX), 0, 100)
    assert [members.lower_group(group, until) for until in (100, 40, 60)] == [False, True, False]
    assert members.next_time() == 40


def igmp(version: int, kind: Kind = Kind.IS_EX, names: str = "") -> Report:
    return Report(version, (Record(kind, group_of(IGMP), tuple(sorted(addresses(IGMP, names.split())))),))


V3 = {kind.name: igmp(3, kind, "b") for kind in Kind}


@pytest.mark.parametrize(
    ("older", "then", "ask", "ask_group"),
    [
        (igmp(2), V3["BLOCK"], None, None),
        (igmp(2), V3["TO_EX"], "", False),
        (igmp(2), V3["TO_IN"], "", True),
        (igmp(2), Leave(2, group_of(IGMP)), "", True),
        (igmp(1), V3["BLOCK"], None, None),
        (igmp(1), V3["TO_EX"], "", False),
        (igmp(1), V3["TO_IN"], None, None),
        (igmp(1), Leave(2, group_of(IGMP)), None, None),
        (igmp(3), V3["BLOCK"], "b", False),
        (igmp(3), V3["TO_EX"], "b", False),
    ],
)
def test_what_is_ignored_while_hosts_of_older_versions_are_there(
    older: Report, then: Report | Leave, ask: str | None, ask_group: bool | None
) -> None:
    """Section 7.3.2, and that it ends after the older host present interval."""
    members = Members(IGMP)
    members.hear(older, 0, 100)
    heard = members.hear(then, 50, 100)
    if ask is None:
        assert heard == []
    else:
        assert [(one.ask, one.ask_group) for one in heard] == [(addresses(IGMP, ask), ask_group)]
    # Somebody of version 3 keeps the group going; the older one is forgotten at 100.
    members.hear(igmp(3), 99, 100)
    assert len(members.hear(V3["TO_IN"], 100, 100)) == 1
    assert members.hear(V3["BLOCK"], 100, 100)[0].ask_group is False


def test_the_same_of_mld() -> None:
    members, group = Members(MLD), group_of(MLD)
    members.hear(Report(1, (Record(Kind.IS_EX, group),)), 0, 100)
    assert members.hear(report(MLD, Kind.BLOCK, "b"), 50, 100) == []
    (heard,) = members.hear(Leave(1, group), 60, 100)
    assert (heard.ask, heard.ask_group) == (frozenset(), True)
    assert members.hear(report(MLD, Kind.BLOCK, "b"), 100, 100)[0].ask == addresses(MLD, "b")


def test_a_leave_of_what_nobody_wants_leaves_no_trace() -> None:
    members = Members(IGMP)
    assert members.hear(Leave(2, "239.1.2.3"), 0, 100) == [("239.1.2.3", False, frozenset(), False)]
    assert members.hear(igmp(3, Kind.BLOCK, "a"), 0, 100)[0].changed is False
    assert (members.groups, members.next_time()) == ((), None)


def test_a_message_has_its_records_heard_in_order() -> None:
    members = Members(IGMP)
    message = Report(
        3, (Record(Kind.TO_EX, "239.0.0.1"), Record(Kind.TO_IN, "239.0.0.1"), Record(Kind.TO_EX, "239.0.0.2"))
    )
    assert [(one.group, one.changed, one.ask_group) for one in members.hear(message, 0, 100)] == [
        ("239.0.0.1", True, False),
        ("239.0.0.1", False, True),
        ("239.0.0.2", True, False),
    ]
    assert members.groups == ("239.0.0.1", "239.0.0.2")


def test_timing_of_the_rows_is_that_of_the_defaults() -> None:
    timing = Timing()
    assert (timing.group_membership_interval, timing.last_member_query_time) == (HOLD, LOW - NOW)
