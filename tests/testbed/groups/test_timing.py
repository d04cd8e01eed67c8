"""The constants of group management, and the alarms of its machines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamaelia.axon import UsageError
from kamaelia.testbed.groups import Query, Timing
from kamaelia.testbed.groups.alarms import Alarms

pytestmark = [pytest.mark.one_core, pytest.mark.once]

SECOND = 10**9


def test_what_the_rfcs_recommend() -> None:
    timing = Timing()
    assert (timing.robustness, timing.query_interval, timing.query_response_interval) == (
        2,
        125 * SECOND,
        10 * SECOND,
    )
    assert timing.group_membership_interval == timing.older_version_present_interval == 260 * SECOND
    assert timing.other_querier_present_interval == 255 * SECOND
    assert timing.startup_query_interval == 31_250_000_000
    assert (timing.startup_query_count, timing.last_member_query_count) == (2, 2)
    assert (timing.last_member_query_interval, timing.last_member_query_time) == (SECOND, 2 * SECOND)
    assert timing.unsolicited_report_interval(older=False) == SECOND
    assert timing.unsolicited_report_interval(older=True) == 10 * SECOND


def test_what_is_given_and_what_follows() -> None:
    timing = Timing(
        robustness=4,
        query_interval="60 s",
        query_response_interval="5 s",
        last_member_query_interval="200 ms",
        last_member_query_count=3,
        startup_query_interval="2 s",
        startup_query_count=5,
        unsolicited_report_interval="500 ms",
    )
    assert timing.group_membership_interval == 245 * SECOND
    assert timing.other_querier_present_interval == 242_500_000_000
    assert timing.last_member_query_time == 600_000_000
    assert (timing.startup_query_interval, timing.startup_query_count) == (2 * SECOND, 5)
    assert timing.unsolicited_report_interval(older=True) == 500_000_000
    assert repr(timing) == (
        "Timing(robustness=4, query_interval=60, query_response_interval=5, last_member_query_interval=0.2)"
    )


def test_what_a_query_tells_is_taken_over() -> None:
    timing = Timing(last_member_query_interval="0.5 s")
    assert timing.adopted(Query(2)) is timing
    assert timing.adopted(Query(3, robustness=2, interval=125 * SECOND)) is timing
    other = timing.adopted(Query(3, robustness=3, interval=20 * SECOND))
    assert (other.robustness, other.query_interval) == (3, 20 * SECOND)
    assert other.last_member_query_time == 1_500_000_000
    assert timing.robustness == 2
    assert Timing(last_member_query_count=1).adopted(Query(3, robustness=7)).last_member_query_count == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"robustness": 0}, r"robustness=0: give a whole number from 1 on, such as 2"),
        ({"last_member_query_count": 0}, r"last_member_query_count=0: "),
        ({"startup_query_count": -1}, r"startup_query_count=-1: "),
        ({"query_interval": "soon"}, r"query_interval='soon': write a number and one of"),
        ({"last_member_query_interval": 0}, r"last_member_query_interval=0: give a time that is more than 0"),
        (
            {"query_interval": "10 s"},
            r"query_response_interval='10 s': give less than the query_interval, '10 s'",
        ),
    ],
)
def test_what_cannot_be(arguments: dict[str, str | int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Timing(**arguments)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.integers(0, 4), st.none() | st.integers(0, 20)),
        st.tuples(st.just("due"), st.integers(0, 20), st.none()),
    )
)


@given(STEPS)
def test_alarms_do_what_a_dictionary_would(steps: list[tuple[str, int, int | None]]) -> None:
    alarms, times, given_at = Alarms[int](), dict[int, int](), dict[int, int]()
    for number, (what, value, time) in enumerate(steps):
        if what == "set":
            if time is None:
                times.pop(value, None)
            elif times.get(value) != time:
                times[value], given_at[value] = time, number
            alarms.set(value, time)
        else:
            due = sorted((one for one in times if times[one] <= value), key=lambda n: (times[n], given_at[n]))
            assert alarms.due(value) == due
            for one in due:
                del times[one]
        assert alarms.next_time() == min(times.values(), default=None)
