"""The constants of group management, and what follows from them (RFC 3376 section 8, RFC 3810 section 9).

Four are chosen, with the names of IGMP; MLD says "listener" where IGMP says "member":

| name | default | what it is |
| --- | --- | --- |
| robustness RV | 2 | what is said is said so often; RV - 1 losses in a row do no harm |
| query interval QI | 125 s | from one general query to the next |
| query response interval QRI | 10 s | hosts spread their answers to a general query over it |
| last member query interval LMQI | 1 s | the same for a specific query, and from one of those to the next |

The others follow:

| name | formula | default |
| --- | --- | --- |
| group membership interval GMI | RV * QI + QRI | 260 s |
| other querier present interval | RV * QI + QRI / 2 | 255 s |
| older version present interval | RV * QI + QRI | 260 s |
| last member query count LMQC | RV | 2 |
| last member query time LMQT | LMQC * LMQI | 2 s |
| startup query interval, count | QI / 4, RV | 31.25 s, 2 |

So the **leave latency**, from a leave that the querier hears until it stops forwarding, is LMQT, 2 s,
however fast the links are. A host that goes without a word is noticed between (RV - 1) * QI and GMI after
that: from 125 s to 260 s. The **join latency** is the way of one report to the router: nothing waits. If
the first report is lost, it is that and a random part of the unsolicited report interval (1 s; 10 s in the
older versions).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kamaelia.axon import UsageError
from kamaelia.axon.units import seconds

if TYPE_CHECKING:
    from .messages import Query

SECOND = 1_000_000_000
"""Nanoseconds in one."""


def nanoseconds(value: float | str, what: str) -> int:
    """Return a length of time in whole nanoseconds. Raises `UsageError` for what is none.

    >>> nanoseconds("0.5 s", "pause")
    500000000
    """
    return round(seconds(value, what) * SECOND)


def _positive(value: float | str, what: str) -> int:
    time = nanoseconds(value, what)
    if time == 0:
        raise UsageError(f"{what}={value!r}: give a time that is more than 0, such as '1 s'")
    return time


class Timing:
    """The constants of all machines of a link, given as text or in seconds, kept in whole nanoseconds.

    One object may serve any number of machines: it never changes. ``unsolicited_report_interval`` is 1 s,
    or 10 s for the older versions, if it is not given. Raises `UsageError` for a time or a count that
    cannot be.

    >>> timing = Timing(robustness=3, last_member_query_interval="0.5 s")
    >>> timing.last_member_query_time, timing.group_membership_interval
    (1500000000, 385000000000)
    """

    __slots__ = (
        "_last_member_query_count",
        "_startup_query_count",
        "_startup_query_interval",
        "_unsolicited_report_interval",
        "last_member_query_interval",
        "query_interval",
        "query_response_interval",
        "robustness",
    )

    robustness: int
    """RV, from 1."""
    query_interval: int
    """QI, in nanoseconds."""
    query_response_interval: int
    """QRI, in nanoseconds."""
    last_member_query_interval: int
    """LMQI, in nanoseconds."""

    def __init__(
        self,
        *,
        robustness: int = 2,
        query_interval: float | str = "125 s",
        query_response_interval: float | str = "10 s",
        last_member_query_interval: float | str = "1 s",
        last_member_query_count: int | None = None,
        startup_query_interval: float | str | None = None,
        startup_query_count: int | None = None,
        unsolicited_report_interval: float | str | None = None,
    ) -> None:
        for what, count in (
            ("robustness", robustness),
            ("last_member_query_count", last_member_query_count),
            ("startup_query_count", startup_query_count),
        ):
            if count is not None and count < 1:
                raise UsageError(f"{what}={count!r}: give a whole number from 1 on, such as 2")
        self.robustness = robustness
        self.query_interval = _positive(query_interval, "query_interval")
        self.query_response_interval = _positive(query_response_interval, "query_response_interval")
        self.last_member_query_interval = _positive(last_member_query_interval, "last_member_query_interval")
        if self.query_response_interval >= self.query_interval:
            raise UsageError(
                f"query_response_interval={query_response_interval!r}: give less than the query_interval, "
                f"{query_interval!r}; answers are to be there before the next query"
            )
        self._last_member_query_count = last_member_query_count
        self._startup_query_count = startup_query_count
        self._startup_query_interval = (
            None
            if startup_query_interval is None
            else _positive(startup_query_interval, "startup_query_interval")
        )
        self._unsolicited_report_interval = (
            None
            if unsolicited_report_interval is None
            else _positive(unsolicited_report_interval, "unsolicited_report_interval")
        )

    @property
    def group_membership_interval(self) -> int:
        """GMI: how long a router believes a report, in nanoseconds (RFC 3376 section 8.4).

        >>> Timing().group_membership_interval
        260000000000
        """
        return self.robustness * self.query_interval + self.query_response_interval

    @property
    def older_version_present_interval(self) -> int:
        """How long somebody of an older version is taken to be there still, in nanoseconds (8.12, 8.13).

        >>> Timing().older_version_present_interval
        260000000000
        """
        return self.group_membership_interval

    @property
    def other_querier_present_interval(self) -> int:
        """How long a querier may be silent until another takes over, in nanoseconds (8.5).

        >>> Timing().other_querier_present_interval
        255000000000
        """
        return self.robustness * self.query_interval + self.query_response_interval // 2

    @property
    def last_member_query_count(self) -> int:
        """LMQC: how often a router asks before it believes that nobody is left (8.9).

        >>> Timing(robustness=3).last_member_query_count
        3
        """
        return self._last_member_query_count or self.robustness

    @property
    def last_member_query_time(self) -> int:
        """LMQT: the leave latency, in nanoseconds (8.10).

        >>> Timing().last_member_query_time
        2000000000
        """
        return self.last_member_query_count * self.last_member_query_interval

    @property
    def startup_query_interval(self) -> int:
        """From one general query to the next when a router has just started, in nanoseconds (8.6).

        >>> Timing().startup_query_interval
        31250000000
        """
        return self._startup_query_interval or self.query_interval // 4

    @property
    def startup_query_count(self) -> int:
        """How many general queries come so close together (8.7).

        >>> Timing().startup_query_count
        2
        """
        return self._startup_query_count or self.robustness

    def unsolicited_report_interval(self, *, older: bool) -> int:
        """Within what time a host says again that it has joined or left, in nanoseconds (8.11).

        >>> Timing().unsolicited_report_interval(older=False)
        1000000000
        """
        return self._unsolicited_report_interval or (10 if older else 1) * SECOND

    def adopted(self, query: Query) -> Timing:
        """Return what holds after a query of another: its robustness and query interval, if it tells them.

        >>> from kamaelia.testbed.groups import Query
        >>> Timing().adopted(Query(3, robustness=5)).last_member_query_count
        5
        """
        robustness = query.robustness or self.robustness
        interval = query.interval or self.query_interval
        if robustness == self.robustness and interval == self.query_interval:
            return self
        other = object.__new__(Timing)
        for name in self.__slots__:
            setattr(other, name, getattr(self, name))
        other.robustness = robustness
        other.query_interval = interval
        return other

    def __repr__(self) -> str:
        times = ", ".join(
            f"{name}={getattr(self, name) / SECOND:g}"
            for name in ("query_interval", "query_response_interval", "last_member_query_interval")
        )
        return f"Timing(robustness={self.robustness}, {times})"


DEFAULT = Timing()
"""The constants that the RFCs recommend."""
