"""What those at one link want, as somebody knows who hears their reports: a router, or a switch at one port.

There is a record for each group that somebody wants (RFC 3376 section 6.2, RFC 3810 section 7.2). It is in
one of two modes:

- **include (A)**: only the sources in A are wanted; each has a timer, and goes when it runs out. The record
  goes with the last.
- **exclude (X, Y)**: everything is wanted but the sources in Y. Those in X are wanted by somebody who would
  not get them otherwise; each has a timer, and goes to Y when it runs out. The group has a timer too: when
  that runs out, nobody is left who wants everything, and the record becomes include (X), or goes if X is
  empty (6.5).

`TABLE` is the tables of RFC 3376 sections 6.4.1 and 6.4.2, which are those of RFC 3810 sections 7.4.1 and
7.4.2. It is what is executed. In its formulas x, y and a stand for X (in include mode for A), for Y, and
for the sources of the report: ``&`` is "*" of the RFC, ``|`` is "+".

Many rows end with "Send Q(G, ...)": somebody has left, so are there others? Asking is the querier's business
(`kamaelia.testbed.groups.router`), so `Members.hear` returns what the row asks.

**Older versions** (RFC 3376 section 7.3.2). A report of one group means IS_EX (), a leave means TO_IN ().
As long as a host of an older version may be there (GMI after its last report), BLOCK is ignored, and so are
the sources of TO_EX, because it wants all sources. A host of version 1 cannot say that it leaves, so as
long as one may be there TO_IN is ignored too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from .by_group import ByGroup
from .messages import Family, Kind, Leave, Mode, Record, Report, ordered

Sources: TypeAlias = frozenset[str]
Formula: TypeAlias = Callable[[Set[str], Set[str], Set[str]], Set[str]]

NOTHING: Sources = frozenset()
NO_TIMERS: dict[str, int] = {}  # never written to: most groups are wanted from any source


def _nothing(x: Set[str], y: Set[str], a: Set[str]) -> Set[str]:
    return NOTHING


@dataclass(frozen=True, slots=True)
class Row:
    """What becomes of a record when something is reported.

    >>> row = TABLE["include", Kind.IS_EX]
    >>> row.mode, row.excluded({"a", "b"}, set(), {"b", "c"})
    ('exclude', {'c'})
    """

    mode: Mode
    """Of the record afterwards."""
    requested: Formula
    """X afterwards (in include mode A)."""
    excluded: Formula = _nothing
    """Y afterwards."""
    fresh: Formula = _nothing
    """Sources whose timers are set to GMI."""
    borrowed: Formula = _nothing
    """Sources whose timers are set to that of the group."""
    renew: bool = False
    """The group's timer is set to GMI, after all that."""
    ask: Formula = _nothing
    """Sources of which is asked whether somebody wants them still."""
    ask_group: bool = False
    """Is asked whether somebody wants the group still."""


TABLE: dict[tuple[Mode, Kind], Row] = {
    # 6.4.1: what is
    ("include", Kind.IS_IN): Row(
        "include",
        requested=lambda x, y, a: x | a,
        fresh=lambda x, y, a: a,
    ),
    ("include", Kind.IS_EX): Row(
        "exclude",
        requested=lambda x, y, a: x & a,
        excluded=lambda x, y, a: a - x,
        renew=True,
    ),
    ("exclude", Kind.IS_IN): Row(
        "exclude",
        requested=lambda x, y, a: x | a,
        excluded=lambda x, y, a: y - a,
        fresh=lambda x, y, a: a,
    ),
    ("exclude", Kind.IS_EX): Row(
        "exclude",
        requested=lambda x, y, a: a - y,
        excluded=lambda x, y, a: y & a,
        fresh=lambda x, y, a: a - x - y,
        renew=True,
    ),
    # 6.4.2: what has changed
    ("include", Kind.ALLOW): Row(
        "include",
        requested=lambda x, y, a: x | a,
        fresh=lambda x, y, a: a,
    ),
    ("include", Kind.BLOCK): Row(
        "include",
        requested=lambda x, y, a: x,
        ask=lambda x, y, a: x & a,
    ),
    ("include", Kind.TO_EX): Row(
        "exclude",
        requested=lambda x, y, a: x & a,
        excluded=lambda x, y, a: a - x,
        renew=True,
        ask=lambda x, y, a: x & a,
    ),
    ("include", Kind.TO_IN): Row(
        "include",
        requested=lambda x, y, a: x | a,
        fresh=lambda x, y, a: a,
        ask=lambda x, y, a: x - a,
    ),
    ("exclude", Kind.ALLOW): Row(
        "exclude",
        requested=lambda x, y, a: x | a,
        excluded=lambda x, y, a: y - a,
        fresh=lambda x, y, a: a,
    ),
    ("exclude", Kind.BLOCK): Row(
        "exclude",
        requested=lambda x, y, a: x | (a - y),
        excluded=lambda x, y, a: y,
        borrowed=lambda x, y, a: a - x - y,
        ask=lambda x, y, a: a - y,
    ),
    ("exclude", Kind.TO_EX): Row(
        "exclude",
        requested=lambda x, y, a: a - y,
        excluded=lambda x, y, a: y & a,
        borrowed=lambda x, y, a: a - x - y,
        renew=True,
        ask=lambda x, y, a: a - y,
    ),
    ("exclude", Kind.TO_IN): Row(
        "exclude",
        requested=lambda x, y, a: x | a,
        excluded=lambda x, y, a: y - a,
        fresh=lambda x, y, a: a,
        ask=lambda x, y, a: x - a,
        ask_group=True,
    ),
}
"""What each record reported does to a record in each mode."""


_ANY_SOURCE = (Kind.IS_EX, Kind.TO_EX)


@dataclass(frozen=True, slots=True)
class GroupState:
    """What is known of one group.

    >>> GroupState("include", None, {"10.0.0.1": 260_000_000_000}, frozenset()).mode
    'include'
    """

    mode: Mode
    timer: int | None
    """When the group's timer runs out, in nanoseconds; None in include mode."""
    requested: dict[str, int]
    """X (in include mode A), and when the timer of each runs out."""
    excluded: frozenset[str]
    """Y."""


class Heard(NamedTuple):
    """What came of one record of a report.

    >>> Heard("239.1.2.3", True, frozenset(), False).changed
    True
    """

    group: str
    changed: bool
    """From which sources the group is wanted."""
    ask: frozenset[str]
    """Of these sources a querier asks whether somebody wants them still."""
    ask_group: bool
    """A querier asks so of the group."""


class _Group:
    """One group: the mode, the timers; and until when hosts of older versions may be there."""

    __slots__ = ("excluded", "mode", "older_until", "oldest_until", "requested", "since", "timer")

    def __init__(self, since: int) -> None:
        self.mode: Mode = "include"
        self.since = since
        self.timer = 0  # of use in exclude mode
        self.requested: dict[str, int] = NO_TIMERS
        self.excluded: Sources = NOTHING
        self.older_until = 0
        self.oldest_until = 0

    @property
    def wanted(self) -> tuple[Mode, Sources]:
        if self.mode == "include":
            return "include", frozenset(self.requested)
        return "exclude", self.excluded

    @property
    def is_plain(self) -> bool:
        """It is wanted from any source, and nothing else is known."""
        return self.mode == "exclude" and not self.requested and not self.excluded

    @property
    def next_time(self) -> int | None:
        soonest = min(self.requested.values()) if self.requested else None
        if self.mode == "include":
            return soonest
        return self.timer if soonest is None else min(self.timer, soonest)


class Members(ByGroup[_Group]):
    """The groups wanted at one link, or behind one port.

    >>> from kamaelia.testbed.groups import IGMP
    >>> members = Members(IGMP)
    >>> members.hear(Report(3, (Record(Kind.TO_EX, "239.1.2.3"),)), now=0, hold=260)
    [Heard(group='239.1.2.3', changed=True, ask=frozenset(), ask_group=False)]
    >>> members.wants("239.1.2.3", "10.0.0.1"), members.next_time()
    (True, 260)
    >>> members.expire(260), members.wants("239.1.2.3", "10.0.0.1")
    (['239.1.2.3'], False)
    """

    __slots__ = ("family", "soonest")

    soonest: int | None
    """A time before which no timer runs out, None for never; `next_time` says exactly when one does."""

    def __init__(self, family: Family) -> None:
        super().__init__()
        self.family = family
        self.soonest = None

    def hear(self, message: Report | Leave, now: int, hold: int) -> list[Heard]:
        """Somebody reports, or leaves; ``hold`` is GMI in nanoseconds. Returns what came of each record.

        >>> from kamaelia.testbed.groups import IGMP
        >>> members = Members(IGMP)
        >>> _ = members.hear(Report(3, (Record(Kind.ALLOW, "232.1.2.3", ("10.0.0.1",)),)), 0, 260)
        >>> members.hear(Report(3, (Record(Kind.BLOCK, "232.1.2.3", ("10.0.0.1",)),)), 5, 260)
        [Heard(group='232.1.2.3', changed=False, ask=frozenset({'10.0.0.1'}), ask_group=False)]
        """
        if isinstance(message, Leave):
            records: Iterable[Record] = (Record(Kind.TO_IN, message.group),)
        else:
            records = message.records
        heard = []
        for record in records:
            kind, sources = record.kind, frozenset(record.sources)
            group = self.find(record.group)
            if group is not None and not sources and kind in _ANY_SOURCE and group.is_plain:
                # By far the most common, and what the table says of it: only the timer is set anew.
                group.timer = now + hold
                heard.append(Heard(record.group, False, NOTHING, False))
                if message.version < self.family.newest:
                    self._note_older(record.group, message.version, now + hold)
                continue
            if group is not None and now < group.older_until:
                if kind is Kind.BLOCK or (kind is Kind.TO_IN and now < group.oldest_until):
                    continue
                if kind is Kind.TO_EX:
                    sources = NOTHING
            heard.append(self._apply(record.group, kind, sources, now, now + hold))
            if message.version < self.family.newest and isinstance(message, Report):
                self._note_older(record.group, message.version, now + hold)
        return heard

    def _note_older(self, name: str, version: int, until: int) -> None:
        group = self.find(name)
        if group is not None:
            group.older_until = until
            if version < self.family.older:  # only IGMPv1, whose hosts have no leave
                group.oldest_until = until

    def _apply(self, name: str, kind: Kind, sources: Sources, now: int, until: int) -> Heard:
        group = self.find(name)
        if group is None:
            group = _Group(now)
            self.put(name, group)
        before = group.wanted
        row = TABLE[group.mode, kind]
        x, y = frozenset(group.requested), group.excluded
        timers = group.requested
        fresh, borrowed = row.fresh(x, y, sources), row.borrowed(x, y, sources)
        requested = row.requested(x, y, sources)
        group.requested = NO_TIMERS
        if requested:
            group.requested = {
                one: until if one in fresh else group.timer if one in borrowed else timers[one]
                for one in ordered(requested)
            }
        group.excluded = frozenset(row.excluded(x, y, sources)) or NOTHING
        group.mode = row.mode
        if row.renew:
            group.timer = until
        changed = group.wanted != before
        self._settle(name, group)
        return Heard(name, changed, frozenset(row.ask(x, y, sources)), row.ask_group)

    def lower_group(self, group: str, until: int) -> bool:
        """Let the timer of a group run out at a time, if it would later. Say whether that was so.

        >>> from kamaelia.testbed.groups import IGMP
        >>> members = Members(IGMP)
        >>> _ = members.hear(Report(3, (Record(Kind.TO_EX, "232.1.2.3"),)), 0, 260)
        >>> members.lower_group("232.1.2.3", 50), members.next_time()
        (True, 50)
        """
        record = self.find(group)
        if record is None or record.mode == "include" or record.timer <= until:
            return False
        record.timer = until
        self._settle(group, record)
        return True

    def lower_sources(self, group: str, sources: Iterable[str], until: int) -> tuple[str, ...]:
        """Let timers of sources run out at a time, if they would later. Return the sources that were so.

        >>> from kamaelia.testbed.groups import IGMP
        >>> members = Members(IGMP)
        >>> _ = members.hear(Report(3, (Record(Kind.ALLOW, "232.1.2.3", ("10.0.0.1",)),)), 0, 260)
        >>> members.lower_sources("232.1.2.3", ["10.0.0.1", "10.0.0.2"], 50)
        ('10.0.0.1',)
        """
        record = self.find(group)
        if record is None:
            return ()
        timers = record.requested
        lowered = ordered(one for one in set(sources) if timers.get(one, until) > until)
        for one in lowered:
            timers[one] = until
        self._settle(group, record)
        return lowered

    def expire(self, now: int) -> list[str]:
        """See to the timers that have run out. Return the groups that are wanted from other sources now.

        >>> from kamaelia.testbed.groups import IGMP
        >>> members = Members(IGMP)
        >>> _ = members.hear(Report(3, (Record(Kind.ALLOW, "232.1.2.3", ("10.0.0.1",)),)), 0, 260)
        >>> members.expire(259), members.expire(260)
        ([], ['232.1.2.3'])
        """
        changed: list[str] = []
        if self.soonest is None or self.soonest > now:
            return changed
        self.soonest = None
        for name, group in self.items():
            time = group.next_time
            assert time is not None
            if time > now:
                self._note_time(time)
                continue
            before = group.wanted
            gone = [one for one, until in group.requested.items() if until <= now]
            for one in gone:
                del group.requested[one]
            if group.mode == "exclude":
                if group.timer <= now:
                    group.mode = "include"
                    group.excluded = NOTHING
                else:
                    group.excluded |= frozenset(gone)
            if group.wanted != before:
                changed.append(name)
            self._settle(name, group)
        return changed

    def _settle(self, name: str, group: _Group) -> None:
        time = group.next_time
        if time is None:
            self.drop(name)
        else:
            self._note_time(time)

    def _note_time(self, time: int) -> None:
        if self.soonest is None or time < self.soonest:
            self.soonest = time

    def next_time(self) -> int | None:
        """Return when to `expire` next; None for never.

        >>> from kamaelia.testbed.groups import IGMP
        >>> members = Members(IGMP)
        >>> _ = members.hear(Report(3, (Record(Kind.ALLOW, "232.1.2.3", ("10.0.0.1",)),)), 0, 260)
        >>> members.next_time()
        260
        """
        times = [group.next_time for _, group in self.items()]
        return min((time for time in times if time is not None), default=None)

    def wants(self, group: str, source: str) -> bool:
        """Say whether somebody wants what comes from a source to a group.

        >>> from kamaelia.testbed.groups import IGMP
        >>> members = Members(IGMP)
        >>> _ = members.hear(Report(3, (Record(Kind.ALLOW, "232.1.2.3", ("10.0.0.1",)),)), 0, 260)
        >>> members.wants("232.1.2.3", "10.0.0.1"), members.wants("232.1.2.3", "10.0.0.2")
        (True, False)
        """
        record = self.find(group)
        if record is None:
            return False
        if record.mode == "include":
            return source in record.requested
        return source not in record.excluded

    def wanted(self, group: str) -> tuple[Mode, frozenset[str]]:
        """Return from which sources a group is wanted: from these, or from all but these.

        >>> from kamaelia.testbed.groups import IGMP
        >>> members = Members(IGMP)
        >>> _ = members.hear(Report(3, (Record(Kind.TO_EX, "232.1.2.3", ("10.0.0.1",)),)), 0, 260)
        >>> members.wanted("232.1.2.3")
        ('exclude', frozenset({'10.0.0.1'}))
        """
        record = self.find(group)
        return ("include", NOTHING) if record is None else record.wanted

    def state(self, group: str) -> GroupState | None:
        """Return all that is known of a group; None if nobody wants it.

        >>> from kamaelia.testbed.groups import IGMP
        >>> members = Members(IGMP)
        >>> _ = members.hear(Report(3, (Record(Kind.TO_EX, "232.1.2.3"),)), 0, 260)
        >>> members.state("232.1.2.3")
        GroupState(mode='exclude', timer=260, requested={}, excluded=frozenset())
        """
        record = self.find(group)
        if record is None:
            return None
        timer = record.timer if record.mode == "exclude" else None
        return GroupState(record.mode, timer, dict(record.requested), record.excluded)

    def since(self, group: str) -> int | None:
        """Return since when somebody wants a group, in nanoseconds; None if nobody does.

        >>> from kamaelia.testbed.groups import IGMP
        >>> members = Members(IGMP)
        >>> _ = members.hear(Report(3, (Record(Kind.TO_EX, "232.1.2.3"),)), 5, 260)
        >>> members.since("232.1.2.3")
        5
        """
        record = self.find(group)
        return None if record is None else record.since

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups that somebody wants, in the order in which they were first reported.

        >>> from kamaelia.testbed.groups import IGMP
        >>> members = Members(IGMP)
        >>> _ = members.hear(Report(3, (Record(Kind.TO_EX, "232.1.2.3"),)), 0, 260)
        >>> members.groups
        ('232.1.2.3',)
        """
        return tuple(name for name, _ in self.items())

    def __contains__(self, group: str) -> bool:
        return self.find(group) is not None
