"""The host's side: what sockets want, what is said when that changes, what is answered; older versions."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamaelia.axon import UsageError
from kamaelia.testbed.groups import (
    IGMP,
    MLD,
    Family,
    Host,
    Kind,
    Leave,
    Query,
    Record,
    Report,
    Send,
    Timing,
    merged,
)

from .link import Values

pytestmark = [pytest.mark.one_core, pytest.mark.once]

SECOND = 10**9
G = "239.1.2.3"
A, B, C, D = (f"10.0.0.{n}" for n in (1, 2, 3, 4))
NAMED = {"A": A, "B": B, "C": C, "D": D}


def records(sends: list[Send]) -> list[tuple[str, Any]]:
    """What reports of version 3 say, shortly."""
    said = []
    for send in sends:
        assert send.destination == "224.0.0.22"
        assert isinstance(send.message, Report)
        assert send.message.version == 3
        said += [(record.kind.name, record.sources) for record in send.message.records]
    return said


def quiet(host: Host) -> None:
    """Let it say all that it has to say."""
    while (time := host.next_time()) is not None:
        host.wake(time)


# --- what sockets want (RFC 3376 section 3.2) -----------------------------------------------------


@pytest.mark.parametrize(
    ("wishes", "mode", "sources"),
    [
        ([], "include", ""),
        ([("include", "")], "include", ""),
        ([("include", "A"), ("include", "AB")], "include", "AB"),
        ([("exclude", "")], "exclude", ""),
        ([("exclude", "ABCD"), ("exclude", "BCD")], "exclude", "BCD"),
        # the example of the RFC
        ([("exclude", "ABCD"), ("exclude", "BCD"), ("include", "D")], "exclude", "BC"),
        ([("exclude", "A"), ("include", "A")], "exclude", ""),
        ([("exclude", "A"), ("include", "B")], "exclude", "A"),
        ([("exclude", "A"), ("exclude", "B")], "exclude", ""),
    ],
)
def test_the_wish_of_an_interface(wishes: list[tuple[Any, str]], mode: str, sources: str) -> None:
    found = merged([(wanted, frozenset(NAMED[letter] for letter in letters)) for wanted, letters in wishes])
    assert found == (mode, {NAMED[letter] for letter in sources})


WISHES = st.lists(
    st.tuples(st.sampled_from(["include", "exclude"]), st.frozensets(st.sampled_from([A, B, C]))), max_size=5
)


@given(WISHES)
def test_an_interface_wants_what_any_of_its_sockets_wants(wishes: list[Any]) -> None:
    mode, listed = merged(wishes)
    for source in (A, B, C, D):
        each = [(source in sources) is (wish == "include") for wish, sources in wishes]
        assert ((source in listed) is (mode == "include")) is any(each)


def test_what_hosts_refuse() -> None:
    host = Host(Values(0.5))
    with pytest.raises(UsageError, match=r"mode='both': say 'include' or 'exclude'"):
        host.set_filter(G, "both", [], 0)  # type: ignore[arg-type]
    message = r"sources='10.0.0.1': give a list of addresses, such as \['10.0.0.1'\]"
    with pytest.raises(UsageError, match=message):
        host.set_filter(G, "include", A, 0)
    with pytest.raises(UsageError, match=r"sources: 'fe80::1' is no address of IGMP"):
        host.set_filter(G, "include", ["fe80::1"], 0)
    with pytest.raises(UsageError, match=r"group='10.0.0.1' is no group of IGMP: give an address such as"):
        host.set_filter(A, "exclude", [], 0)
    with pytest.raises(UsageError, match=r"version=1: IGMP is spoken in version 2 or 3 here"):
        Host(Values(0.5), version=1)
    assert host.groups == ()


def test_a_group_has_one_spelling() -> None:
    host = Host(Values(0.5), family=MLD)
    host.set_filter("FF3E:0::8000:1", "exclude", [], 0)
    assert host.groups == ("ff3e::8000:1",)


# --- what is said when that changes (section 5.1) -------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (("include", [A, B]), ("include", [B, C]), [("ALLOW", (C,)), ("BLOCK", (A,))]),
        (("include", [A]), ("include", [A, B]), [("ALLOW", (B,))]),
        (("include", [A, B]), ("include", [A]), [("BLOCK", (B,))]),
        (("include", []), ("include", [A]), [("ALLOW", (A,))]),
        (("include", [A]), ("include", []), [("BLOCK", (A,))]),
        (("exclude", [A, B]), ("exclude", [B, C]), [("ALLOW", (A,)), ("BLOCK", (C,))]),
        (("exclude", [A]), ("exclude", []), [("ALLOW", (A,))]),
        (("include", [A]), ("exclude", [B]), [("TO_EX", (B,))]),
        (("include", []), ("exclude", []), [("TO_EX", ())]),
        (("exclude", [A]), ("include", [B]), [("TO_IN", (B,))]),
        (("exclude", []), ("include", []), [("TO_IN", ())]),
        (("exclude", [A]), ("exclude", [A]), []),
    ],
)
@pytest.mark.parametrize("robustness", [1, 2, 3])
def test_changes(before: Any, after: Any, said: Any, robustness: int) -> None:
    host = Host(Values(0.25), timing=Timing(robustness=robustness))
    host.set_filter(G, *before, 0)
    quiet(host)
    now = 100 * SECOND
    assert records(host.set_filter(G, *after, now)) == said
    for time in range(1, robustness if said else 1):  # a quarter of the unsolicited report interval each
        assert host.next_time() == now + time * SECOND // 4
        assert records(host.wake(now + time * SECOND // 4)) == said
    assert host.next_time() is None
    assert host.groups == (() if after == ("include", []) else (G,))


def test_a_change_of_sources_is_merged_with_what_is_still_to_be_said() -> None:
    host = Host(Values(0.5), timing=Timing(robustness=3))
    assert records(host.set_filter(G, "include", [A, B], 0)) == [("ALLOW", (A, B))]
    at = SECOND // 4  # before the first repetition
    assert records(host.set_filter(G, "include", [A, C], at)) == [("ALLOW", (A, C)), ("BLOCK", (B,))]
    assert host.next_time() == at + SECOND // 2  # the earlier repetition is off
    # A has been said twice; it is in one more report. B and C are in two more.
    assert records(host.wake(at + SECOND // 2)) == [("ALLOW", (A, C)), ("BLOCK", (B,))]
    assert records(host.wake(at + SECOND)) == [("ALLOW", (C,)), ("BLOCK", (B,))]
    assert host.next_time() is None


def test_a_change_of_mode_is_told_in_all_that_follows() -> None:
    host = Host(Values(0.5), timing=Timing(robustness=2))
    assert records(host.set_filter(G, "include", [A], 0)) == [("ALLOW", (A,))]
    assert records(host.set_filter(G, "exclude", [B], 1)) == [("TO_EX", (B,))]
    # the sources change while one more report of the mode is due: that tells it all; then comes one more
    assert records(host.set_filter(G, "exclude", [B, C], 2)) == [("TO_EX", (B, C))]
    assert records(host.wake(2 + SECOND // 2)) == [("BLOCK", (C,))]
    assert host.next_time() is None


def test_what_is_taken_back_at_once_is_said_all_the_same() -> None:
    host = Host(Values(0.5))
    host.set_filter(G, "exclude", [], 0)
    assert records(host.set_filter(G, "include", [], 1)) == [("TO_IN", ())]
    assert records(host.wake(1 + SECOND // 2)) == [("TO_IN", ())]
    assert host.next_time() is None


@pytest.mark.parametrize(("family", "group"), [(IGMP, "224.0.0.1"), (MLD, "ff02::1"), (MLD, "ff01::5")])
def test_some_groups_are_never_reported(family: Family, group: str) -> None:
    host = Host(Values(0.5), family=family)
    assert host.set_filter(group, "exclude", [], 0) == []
    assert host.next_time() is None


# --- what is answered (section 5.2) ---------------------------------------------------------------

GENERAL = Query(3, max_response=10 * SECOND)
OF_GROUP = Query(3, G, max_response=SECOND)


def of_sources(*sources: str) -> Query:
    return Query(3, G, sources, SECOND)


def joined(mode: Any, *sources: str, values: tuple[float, ...] = (0.5,)) -> Host:
    stream = Values(0.5)
    host = Host(stream)
    host.set_filter(G, mode, sources, 0)
    quiet(host)
    stream.values = list(values)
    return host


NOW = 100 * SECOND


@pytest.mark.parametrize(
    ("wish", "query", "answer"),
    [
        (("include", A, B), GENERAL, [("IS_IN", (A, B))]),
        (("exclude", A), GENERAL, [("IS_EX", (A,))]),
        (("include", A, B), OF_GROUP, [("IS_IN", (A, B))]),
        (("exclude", A), OF_GROUP, [("IS_EX", (A,))]),
        (("include", A, B), of_sources(B, C), [("IS_IN", (B,))]),
        (("include", A, B), of_sources(C), []),
        (("exclude", A, B), of_sources(B, C), [("IS_IN", (C,))]),
        (("exclude", A, B), of_sources(A, B), []),
        (("exclude",), of_sources(A), [("IS_IN", (A,))]),
    ],
)
def test_answers(wish: Any, query: Query, answer: Any) -> None:
    host = joined(*wish)
    assert host.receive(query, NOW) == []
    assert host.next_time() == NOW + query.max_response // 2
    assert records(host.wake(NOW + query.max_response // 2)) == answer
    assert host.next_time() is None


def test_one_who_wants_nothing_does_not_answer() -> None:
    host = Host(Values(0.5))
    for query in (GENERAL, OF_GROUP, of_sources(A)):
        host.receive(query, NOW)
    assert host.next_time() is None
    host = joined("exclude")
    host.receive(Query(3, "239.9.9.9", max_response=SECOND), NOW)
    assert host.next_time() is None


def test_one_who_left_before_the_answer_was_due_does_not_give_it() -> None:
    host = joined("exclude", values=(0.9, 0.1))
    host.receive(OF_GROUP, NOW)
    assert records(host.set_filter(G, "include", [], NOW)) == [("TO_IN", ())]
    assert records(host.wake(NOW + SECOND // 10)) == [("TO_IN", ())]
    assert host.next_time() is None


def test_a_general_answer_tells_all_groups_in_one_report() -> None:
    host = joined("exclude")
    host.set_filter("239.1.2.4", "include", [A], 0)
    quiet(host)
    host.receive(GENERAL, NOW)
    (send,) = host.wake(NOW + 5 * SECOND)
    assert send == Send(
        "224.0.0.22", Report(3, (Record(Kind.IS_EX, G), Record(Kind.IS_IN, "239.1.2.4", (A,))))
    )


# Queries, the random numbers drawn for them, and the answers: after how many tenths of a second, and what.
RULES: list[tuple[str, list[Query], tuple[float, ...], list[tuple[int, Any]]]] = [
    ("1: general, then general later", [GENERAL, GENERAL], (0.3, 0.5), [(30, ("IS_IN", (A, B)))]),
    ("1: general, then of the group later", [GENERAL, OF_GROUP], (0.01, 0.5), [(1, ("IS_IN", (A, B)))]),
    (
        "3: general, then of the group sooner",
        [GENERAL, OF_GROUP],
        (0.5, 0.5),
        [(5, ("IS_IN", (A, B))), (50, ("IS_IN", (A, B)))],
    ),
    ("2: general, then general sooner", [GENERAL, GENERAL], (0.5, 0.2), [(20, ("IS_IN", (A, B)))]),
    ("3: of sources", [of_sources(A)], (0.5,), [(5, ("IS_IN", (A,)))]),
    ("4: of sources, then of the group", [of_sources(A), OF_GROUP], (0.5, 0.8), [(5, ("IS_IN", (A, B)))]),
    ("4: of the group, then of sources", [OF_GROUP, of_sources(A)], (0.5, 0.2), [(2, ("IS_IN", (A, B)))]),
    ("5: of sources, then of others", [of_sources(A), of_sources(B)], (0.5, 0.9), [(5, ("IS_IN", (A, B)))]),
    (
        "5: of sources, then of others sooner",
        [of_sources(A), of_sources(C)],
        (0.5, 0.1),
        [(1, ("IS_IN", (A,)))],
    ),
]


@pytest.mark.parametrize(("rule", "queries", "values", "answers"), RULES, ids=[rule[0] for rule in RULES])
def test_rules_of_answers_that_are_due_already(rule: str, queries: Any, values: Any, answers: Any) -> None:
    host = joined("include", A, B, values=values)
    for query in queries:
        host.receive(query, NOW)
    heard = []
    while (time := host.next_time()) is not None:
        heard += [(time - NOW, said) for said in records(host.wake(time))]
    assert heard == [(tenths * SECOND // 10, said) for tenths, said in answers]


def test_robustness_is_taken_over_from_queries() -> None:
    host = Host(Values(0.5), version=2)
    host.receive(Query(3, robustness=4), 0)  # of which version 2 sees the first 8 bytes
    assert host.timing.robustness == 2
    host = Host(Values(0.5))
    host.receive(Query(3, robustness=4), 0)
    assert host.timing.robustness == 4
    host.set_filter(G, "exclude", [], 0)
    said = 0
    while (time := host.next_time()) is not None:
        said += len(host.wake(time))
    assert said == 3


# --- older versions -------------------------------------------------------------------------------

OLD_REPORT = Report(2, (Record(Kind.IS_EX, G),))
JOIN, LEAVE = Send(G, OLD_REPORT), Send("224.0.0.2", Leave(2, G))
OLD_GENERAL = Query(2, max_response=10 * SECOND)


def test_version_2_joins_and_leaves() -> None:
    host = Host(Values(0.5), version=2)
    assert host.set_filter(G, "include", [A], 0) == [JOIN]
    assert host.next_time() == 5 * SECOND  # half of the unsolicited report interval, 10 s
    assert host.set_filter(G, "exclude", [B], SECOND) == []  # sources are its own business
    assert host.wake(5 * SECOND) == [JOIN]
    assert host.next_time() is None
    assert host.set_filter(G, "include", [], 6 * SECOND) == [LEAVE]
    assert (host.next_time(), host.groups) == (None, ())


def test_version_2_repeats_as_often_as_robustness_says() -> None:
    host = Host(Values(0.5), version=2, timing=Timing(robustness=3, unsolicited_report_interval="2 s"))
    assert host.set_filter(G, "exclude", [], 0) == [JOIN]
    assert [host.wake(SECOND), host.wake(2 * SECOND), host.next_time()] == [[JOIN], [JOIN], None]


def old(*values: float, **arguments: Any) -> Host:
    stream = Values(0.5)
    host = Host(stream, version=2, **arguments)
    host.set_filter(G, "exclude", [], 0)
    quiet(host)
    stream.values = list(values)
    return host


@pytest.mark.parametrize(
    "query", [OLD_GENERAL, GENERAL, Query(1), OLD_GENERAL], ids=["v2", "v3", "v1", "again"]
)
def test_version_2_answers_queries_of_all_versions(query: Query) -> None:
    host = old(0.25)
    host.receive(query, NOW)
    assert host.next_time() == NOW + 2_500_000_000
    assert host.wake(NOW + 2_500_000_000) == [JOIN]
    assert host.next_time() is None


def test_version_2_draws_anew_only_for_a_query_that_is_more_urgent() -> None:
    host = old(0.5, 0.1, 0.9)
    host.receive(OLD_GENERAL, NOW)
    assert host.next_time() == NOW + 5 * SECOND
    host.receive(Query(2, G, max_response=5 * SECOND), NOW)  # not sooner than what is due
    assert host.next_time() == NOW + 5 * SECOND
    host.receive(Query(2, G, max_response=SECOND), NOW)
    assert host.next_time() == NOW + SECOND // 10


def test_version_2_suppresses_its_report_when_it_hears_another() -> None:
    host = old(0.5)
    host.receive(OLD_GENERAL, NOW)
    host.receive(Report(2, (Record(Kind.IS_EX, "239.9.9.9"),)), NOW + SECOND)  # of another group
    assert host.next_time() == NOW + 5 * SECOND
    host.receive(OLD_REPORT, NOW + SECOND)
    assert host.next_time() is None
    # It was not the last to report, so it leaves without a word.
    assert host.set_filter(G, "include", [], NOW + 2 * SECOND) == []


def test_a_report_counts_only_while_one_is_due() -> None:
    """RFC 2236 section 6: it is of no importance to an idle member."""
    host = old(0.5)
    host.receive(OLD_REPORT, NOW)
    assert host.set_filter(G, "include", [], NOW) == [LEAVE]


def test_one_may_say_that_it_leaves_every_time() -> None:
    host = old(0.5, always_leaves=True)
    host.receive(OLD_GENERAL, NOW)
    host.receive(OLD_REPORT, NOW + SECOND)
    assert host.set_filter(G, "include", [], NOW + 2 * SECOND) == [LEAVE]


def test_version_3_ignores_reports_of_others() -> None:
    host = joined("exclude")
    host.receive(GENERAL, NOW)
    host.receive(OLD_REPORT, NOW)
    host.receive(Report(3, (Record(Kind.IS_EX, G),)), NOW)
    assert records(host.wake(NOW + 5 * SECOND)) == [("IS_EX", ())]


@pytest.mark.parametrize(
    ("family", "group", "older", "newest"),
    [(IGMP, G, 2, 3), (MLD, "ff3e::8000:1", 1, 2)],
    ids=["IGMP", "MLD"],
)
def test_the_newest_version_speaks_the_older_to_an_older_querier(
    family: Family, group: str, older: int, newest: int
) -> None:
    """Section 7.2.1: for RV * QI + QRI after its last query, 260 s; what was to be said is forgotten."""
    host = Host(Values(0.5), family=family)
    host.set_filter(group, "exclude", [], 0)
    assert host.next_time() == SECOND // 2
    host.receive(Query(older, max_response=10 * SECOND), SECOND // 4)
    assert host.version == older
    assert host.next_time() == SECOND // 4 + 5 * SECOND
    assert [send.message.version for send in host.wake(SECOND // 4 + 5 * SECOND)] == [older]
    assert host.set_filter(group, "include", [], 10 * SECOND) == [
        Send(family.all_routers, Leave(older, group))
    ]
    host.set_filter(group, "exclude", [], 259 * SECOND)
    assert host.version == older
    assert host.wake(SECOND // 4 + 260 * SECOND) == []
    assert (host.version, host.next_time(), host.groups) == (newest, None, (group,))
    # A query of the newest version does not end it, time does.
    host.receive(Query(older), 300 * SECOND)
    host.receive(Query(newest), 301 * SECOND)
    assert host.version == older


def test_what_was_to_be_repeated_of_a_group_that_was_left_is_forgotten_with_it() -> None:
    host = joined("exclude")
    host.set_filter(G, "include", [], NOW)
    host.receive(OLD_GENERAL, NOW + 1)
    assert (host.next_time(), host.groups) == (None, ())


@pytest.mark.parametrize("version", [2, 3])
def test_delays_are_drawn_from_the_stream_alone(version: int) -> None:
    def story() -> list[Any]:
        host, told = Host(random.Random("7/viewer"), version=version), []
        for number in range(5):
            told.append(host.set_filter(f"239.0.0.{number}", "exclude", [], number))
        host.receive(Query(3), SECOND // 2)
        while (time := host.next_time()) is not None:
            told.append((time, host.wake(time)))
        return told

    assert story() == story()
    assert len({one[0] for one in story() if isinstance(one, tuple)}) > 3
