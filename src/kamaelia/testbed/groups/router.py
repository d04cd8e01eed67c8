"""The router's side of one interface: what its link wants, and who asks.

**Who asks.** Of all routers at a link one is the **querier**, the one with the lowest address (RFC 3376
section 6.6.2, RFC 3810 section 7.6.2). Each begins as querier, with queries close together. One that hears
a query from a lower address falls silent; if it hears none for the other querier present interval, 255 s,
it asks again. An address of zero is no router's (RFC 4541 section 2.1.1), so such queries elect nobody; a
querier that has no address itself gives way to anyone who has.

**What is asked.** A *general* query, every 125 s, makes all hosts tell all groups: what nobody tells for
GMI, 260 s, is not wanted any more. When somebody leaves, a *specific* query asks for that group, or for
those of its sources: the timers in question are lowered to LMQT, it is asked LMQC times, every LMQI, and
whoever still wants it answers in time. So forwarding stops exactly LMQT after the leave was heard, 2 s, or
goes on without a gap. All routers hear reports and keep the records of `kamaelia.testbed.groups.members`;
the others lower their timers when they hear the querier ask, by its count and response time. (RFC 3376
sections 6.4.2, 6.6.1, 6.6.3.)

A source that has been reported again is asked for in a query of its own whose S flag tells other routers to
leave their timers alone. What is lowered already is not asked anew: the RFC says so of sources, and RFC
2236 of groups, so a leave that is repeated for robustness causes no further queries. A querier that is
replaced finishes what it has begun to ask (RFC 2236 section 3).

**Fast leave.** If there is but one host at the link, nobody else need be asked: with ``fast_leave``
whatever would be asked is taken as not wanted at once, so the leave latency is 0. With two hosts at the
link the first that leaves cuts off the other, until that answers the next general query.

**Versions.** A router of version 2 (MLDv1) sends queries of that version, ignores reports of records, and
knows groups only: the same tables, fed with IS_EX () and TO_IN (). When a group is reported again it stops
asking at once, as there is no S flag. As the RFC demands (7.3.1), routers at one link are to be set to one
version. Each takes over robustness and query interval from the querier, if that tells them, as long as it
is not querier itself.

**Not modelled**: the range of groups that are routed at all (224.0.0.0/24 is not, nor is what does not leave
the link in IPv6), limits on the number of groups, and the router's own memberships: it is a host as well
(`kamaelia.testbed.groups.host`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

from kamaelia.axon import LocalProtocolError, UsageError

from .alarms import Alarms
from .members import GroupState, Members
from .messages import (
    IGMP,
    Family,
    Message,
    Mode,
    Query,
    Report,
    Send,
    as_told,
    check_version,
    family_of,
    normal,
    ordered,
    packed,
    sources_of_a_query,
)
from .timing import DEFAULT, SECOND, Timing


@dataclass(frozen=True, slots=True)
class Changed:
    """A group is wanted from other sources than before: ask `Router.wanted`, and join or prune upstream.

    >>> Changed("239.1.2.3").group
    '239.1.2.3'
    """

    group: str


Event: TypeAlias = Send | Changed
"""What a router has to say, to the link or to its user."""


class _Asking:
    """Of one group is asked whether it is still wanted: how often more, and when next."""

    __slots__ = ("at", "left", "sources")

    def __init__(self) -> None:
        self.left = 0  # for the whole group
        self.at = 0
        self.sources: dict[str, tuple[int, int]] = {}  # how often more, and when next

    @property
    def next_time(self) -> int | None:
        soonest = min((at for _, at in self.sources.values()), default=None)
        if not self.left:
            return soonest
        return self.at if soonest is None else min(self.at, soonest)


class Router:
    """The router's side of group management on one interface, which has an ``address``.

    For MLD the address is to be link-local. Without a ``version`` it is the newest of the family. What it
    has to say is returned, in the order in which it happens. Raises `UsageError` for an address or a
    version that the family does not have, and for times that its queries cannot tell.

    >>> router = Router("10.0.0.254")
    >>> print(*(send.destination for send in router.start(0)))
    224.0.0.1
    >>> from kamaelia.testbed.groups import Kind, Leave, Record
    >>> join = Report(2, (Record(Kind.IS_EX, "239.1.2.3"),))
    >>> router.receive(join, "10.0.0.1", now=5)
    [Changed(group='239.1.2.3')]
    >>> router.wants("239.1.2.3", "192.0.2.1")
    True
    """

    __slots__ = (
        "_asking",
        "_asks",
        "_configured",
        "_fast_leave",
        "_members",
        "_most_sources",
        "_next_query",
        "_other_until",
        "_startup_left",
        "address",
        "family",
        "querier",
        "timing",
        "version",
    )

    address: str
    """Its own."""
    querier: str
    """The address of who asks, as far as is known."""
    timing: Timing
    """The constants, those that the querier tells among them."""

    def __init__(
        self,
        address: str,
        *,
        family: Family = IGMP,
        version: int | None = None,
        timing: Timing = DEFAULT,
        fast_leave: bool = False,
        mtu: int = 1500,
    ) -> None:
        if family_of(address) is not family:
            raise UsageError(f"address={address!r} is none of {family}: give another, or the other family")
        self.address = self.querier = normal(address)
        self.family = family
        self.version = check_version(version, family)
        _check_can_be_told(timing, family, self.version)
        self.timing = self._configured = timing
        self._fast_leave = fast_leave
        self._most_sources = sources_of_a_query(family, mtu)
        self._members = Members(family)
        self._asking: dict[str, _Asking] = {}
        self._asks: Alarms[str] = Alarms()
        self._startup_left = 0
        self._next_query: int | None = None
        self._other_until: int | None = None

    def start(self, now: int) -> list[Event]:
        """Begin, as querier. Returns the first general query.

        >>> Router("10.0.0.254", version=2).start(0)[0].message.max_response
        10000000000
        """
        self._startup_left = self.timing.startup_query_count
        self._next_query = now
        return self.wake(now)

    @property
    def is_querier(self) -> bool:
        """It is the one who asks.

        >>> Router("10.0.0.254").is_querier
        True
        """
        return self._other_until is None

    def wants(self, group: str, source: str) -> bool:
        """Say whether packets of this source to this group are to go to the link now.

        >>> Router("10.0.0.254").wants("239.1.2.3", "192.0.2.1")
        False
        """
        return self._members.wants(group, source)

    def wanted(self, group: str) -> tuple[Mode, frozenset[str]]:
        """Return from which sources the link wants a group: from these, or from all but these.

        >>> Router("10.0.0.254").wanted("239.1.2.3")
        ('include', frozenset())
        """
        return self._members.wanted(group)

    def state(self, group: str) -> GroupState | None:
        """Return all that is known of a group, with its timers; None if nobody wants it.

        >>> Router("10.0.0.254").state("239.1.2.3") is None
        True
        """
        return self._members.state(group)

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups that somebody wants, in the order in which they were first reported.

        >>> Router("10.0.0.254").groups
        ()
        """
        return self._members.groups

    def next_time(self) -> int | None:
        """Return when to `wake` it, in nanoseconds; None for not at all.

        >>> router = Router("10.0.0.254")
        >>> _ = router.start(0)
        >>> router.next_time()  # the second query of two that come close together
        31250000000
        """
        soonest = self._next_query if self._other_until is None else self._other_until
        for time in (self._members.next_time(), self._asks.next_time()):
            if time is not None and (soonest is None or time < soonest):
                soonest = time
        return soonest

    def wake(self, now: int) -> list[Event]:
        """The time has come: timers have run out, or it is time to ask. Returns what is to be said.

        >>> Router("10.0.0.254").wake(0)
        []
        """
        events: list[Event] = []
        self._expire(now, events)
        for group in self._asks.due(now):
            self._ask_on(group, now, events)
        if self._other_until is not None and self._other_until <= now:
            self._other_until = None
            self.querier = self.address
            self.timing = self._configured
            self._next_query = now
        if self._next_query is not None and self._next_query <= now:
            self._startup_left = max(self._startup_left - 1, 0)
            timing = self.timing
            self._next_query = now + (
                timing.startup_query_interval if self._startup_left else timing.query_interval
            )
            query = self._query(None, timing.query_response_interval)
            events.append(Send(self.family.all_hosts, query))
        return events

    def receive(self, message: Message, source: str, now: int) -> list[Event]:
        """A message of this source was heard on the link, not one of its own. Returns what is to be said.

        >>> router = Router("10.0.0.254")
        >>> router.receive(Query(3), "10.0.0.253", now=0), router.querier
        ([], '10.0.0.253')
        """
        events: list[Event] = []
        if isinstance(message, Query):
            self._hear_query(message, source, now)
        elif message.version <= self.version:
            heard = self._members.hear(message, now, self.timing.group_membership_interval)
            for group, changed, ask, ask_group in heard:
                if changed:
                    events.append(Changed(group))
                if self.version < self.family.newest and isinstance(message, Report):
                    # There is no S flag to keep other routers' timers where they are.
                    self._stop_asking(group)
                if ask or ask_group:
                    self._ask(group, ask, ask_group, now, events)
        return events

    # --- the querier ---

    def _hear_query(self, query: Query, source: str, now: int) -> None:
        source = normal(source)
        if source != self.family.unspecified and (
            self.address == self.family.unspecified or packed(source) < packed(self.address)
        ):
            self.querier = source
            self._next_query = None
            self._startup_left = 0
            if self.version == self.family.newest:
                self.timing = self._configured.adopted(query)
            self._other_until = now + self.timing.other_querier_present_interval
        self._lower(query, now)

    def _lower(self, query: Query, now: int) -> None:
        """Another asks, so what nobody answers is to end here at the same time (section 6.6.1)."""
        if query.group is None or query.suppress:
            return
        until = now + self.timing.last_member_query_count * query.max_response
        if not query.sources:
            self._members.lower_group(query.group, until)
        elif self.version == self.family.newest:
            self._members.lower_sources(query.group, query.sources, until)

    def _ask(self, group: str, sources: Iterable[str], whole: bool, now: int, events: list[Event]) -> None:
        """Somebody has left: are there others? (Section 6.6.3.)"""
        if self._fast_leave:
            self._members.lower_sources(group, sources, now)
            if whole:
                self._members.lower_group(group, now)
            self._expire(now, events)
            return
        if not self.is_querier:
            return
        until = now + self.timing.last_member_query_time
        times = self.timing.last_member_query_count
        asking = self._asking.get(group) or _Asking()
        for source in self._members.lower_sources(group, sources, until):
            asking.sources[source] = (times, now)
        if whole and self._members.lower_group(group, until):
            asking.left, asking.at = times, now
        if asking.next_time is not None:
            self._asking[group] = asking
            self._ask_on(group, now, events)

    def _ask_on(self, group: str, now: int, events: list[Event]) -> None:
        """Send the specific queries for a group that are due, and arrange for the next."""
        asking = self._asking[group]
        state = self._members.state(group)
        if state is None:
            self._stop_asking(group)
            return
        timing, response = self.timing, self.timing.last_member_query_interval
        lowered = now + timing.last_member_query_time
        if state.timer is None:
            asking.left = 0
        elif asking.left and asking.at <= now:
            asking.left -= 1
            asking.at = now + response
            suppress = state.timer > lowered and self.version == self.family.newest
            events.append(Send(group, self._query(group, response, suppress=suppress)))
        due = [one for one, (_, at) in asking.sources.items() if at <= now]
        for one in due:
            left = asking.sources.pop(one)[0] - 1
            if left:
                asking.sources[one] = (left, now + response)
        wanted = state.requested
        for suppress in (True, False):
            sources = ordered(one for one in due if one in wanted and (wanted[one] > lowered) is suppress)
            for at in range(0, len(sources), self._most_sources):
                some = sources[at : at + self._most_sources]
                events.append(Send(group, self._query(group, response, some, suppress)))
        time = asking.next_time
        self._asks.set(group, time)
        if time is None:
            del self._asking[group]

    def _stop_asking(self, group: str) -> None:
        if self._asking.pop(group, None) is not None:
            self._asks.set(group, None)

    def _query(
        self, group: str | None, response: int, sources: tuple[str, ...] = (), suppress: bool = False
    ) -> Query:
        if self.version < self.family.newest:
            return Query(self.version, group, max_response=response)
        timing = self.timing
        robustness = timing.robustness if timing.robustness <= 7 else 0
        return Query(self.version, group, sources, response, suppress, robustness, timing.query_interval)

    def _expire(self, now: int, events: list[Event]) -> None:
        for group in self._members.expire(now):
            events.append(Changed(group))
            if group not in self._members:
                self._stop_asking(group)

    def __repr__(self) -> str:
        return f"<router {self.address} of {self.family} v{self.version}, querier {self.querier}>"


def _check_can_be_told(timing: Timing, family: Family, version: int) -> None:
    """Refuse times that would be others on the wire: the machines would not do there what they do here."""
    times = ["query_response_interval", "last_member_query_interval"]
    if version == family.newest:
        times.append("query_interval")
    for what in times:
        time = getattr(timing, what)
        is_interval = what == "query_interval"
        query = Query(version, interval=time) if is_interval else Query(version, max_response=time)
        try:
            told = as_told(query, family)
        except LocalProtocolError as error:
            raise UsageError(f"{what} of {time / SECOND:g} s: {error}") from None
        read = told.interval if is_interval else told.max_response
        if read != time:
            raise UsageError(
                f"{what} of {time / SECOND:g} s: a query of {family} v{version} would say "
                f"{read / SECOND:g} s; choose that, or another time that it can say"
            )
