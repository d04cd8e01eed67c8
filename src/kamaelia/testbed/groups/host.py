"""The host's side of one interface: which groups it reports, and when.

**What is wanted.** Each socket says from which sources it wants a group: those listed ("include"), or all
but those ("exclude"). `merged` makes one wish of the interface out of them (RFC 3376 section 3.2, RFC 3810
section 4.2): if one socket excludes, the interface excludes what all such sockets exclude, less what others
include; else it includes what any includes. To include nothing is not to want the group.

**What is said when that changes** (RFC 3376 section 5.1, RFC 3810 section 6.1), at once::

    from          to            records                     without sources a record is left out,
    include (A)   include (B)   ALLOW (B-A), BLOCK (A-B)    but not TO_IN and TO_EX
    exclude (A)   exclude (B)   ALLOW (A-B), BLOCK (B-A)
    include (A)   exclude (B)   TO_EX (B)
    exclude (A)   include (B)   TO_IN (B)

and RV - 1 times again, each after a random part of the unsolicited report interval. If it changes anew
meanwhile, both are merged: each source that has changed is spoken of until RV reports have been sent since,
as ALLOW or BLOCK by what is wanted then; and a change of mode makes the next RV reports TO_IN or TO_EX,
which tell all.

**What is answered** (section 5.2, RFC 3810 section 6.2). An answer waits a random part of the time that the
query leaves. One to a general query speaks of all groups, and is sent once, at the earliest time drawn. One
to a specific query speaks of its group: IS_IN or IS_EX; if sources were asked for, of those that are
wanted, IS_IN::

    include (A)   asked for B   IS_IN (A*B)      nothing, if it is empty
    exclude (A)   asked for B   IS_IN (B-A)

**Older versions.** A host of version 2 (MLDv1), or one of the newest that has heard an older querier within
the older version present interval (section 7.2.1, RFC 3810 section 8.2.1), knows groups only (RFC 2236, RFC
2710). It reports a group when it is joined and RV - 1 times again; a query makes it draw a delay for each
group, unless its report is due sooner. If somebody else's report is heard before, its own is
**suppressed**. When it leaves it says so only if it was the last to report, because otherwise somebody else
has; with ``always_leaves`` it says so every time. Both are allowed by RFC 2236 section 3, the first is the
default there and here. What was pending is forgotten when the version spoken changes, and nothing is
reported then; the next query will ask.

As on Linux, a host takes over the robustness that queries tell. Not modelled: the host of IGMPv1 (a query
of version 1 counts as one of version 2 that leaves 10 s), and reports that are suppressed by older ones on
a host of the newest version (section 7.2.2 allows it, nothing requires it).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import lru_cache
from typing import Protocol

from kamaelia.axon import UsageError

from .by_group import ByGroup
from .members import NOTHING, Sources
from .messages import (
    IGMP,
    Family,
    Kind,
    Leave,
    Message,
    Mode,
    Query,
    Record,
    Report,
    Send,
    check_group,
    check_version,
    family_of,
    is_reported,
    normal,
    ordered,
    split,
)
from .timing import DEFAULT, Timing

NO_CHANGES: dict[str, int] = {}  # never written to


class Stream(Protocol):
    """Where random delays come from, such as a `random.Random`.

    >>> import random
    >>> stream: Stream = random.Random("7/viewer-3/groups")
    """

    def random(self) -> float:
        """Return a number from 0 up to, not including, 1."""
        raise NotImplementedError


def merged(wishes: Collection[tuple[Mode, Sources]]) -> tuple[Mode, Sources]:
    """Return what an interface wants of a group, of what each socket wants.

    Nothing is ``("include", frozenset())``.

    >>> merged([("include", frozenset({"10.0.0.1"})), ("exclude", frozenset({"10.0.0.1", "10.0.0.2"}))])
    ('exclude', frozenset({'10.0.0.2'}))
    """
    excluding = [sources for mode, sources in wishes if mode == "exclude"]
    included = NOTHING.union(*(sources for mode, sources in wishes if mode == "include"))
    if not excluding:
        return "include", included
    return "exclude", excluding[0].intersection(*excluding[1:]) - included


class _Wish:
    """One group: what is wanted, and what is still to be said of it."""

    __slots__ = (
        "asked",
        "changes",
        "mode",
        "mode_left",
        "repeat_at",
        "respond_at",
        "sources",
        "was_last",
    )

    def __init__(self) -> None:
        self.mode: Mode = "include"
        self.sources: Sources = NOTHING
        self.was_last = False
        """It was this host that reported last; older versions only."""
        self.forget()

    def forget(self) -> None:
        """Nothing is to be said any more."""
        self.respond_at: int | None = None
        self.asked: Sources = NOTHING
        """Of these sources only; the newest version only."""
        self.repeat_at: int | None = None
        self.mode_left = 0
        """In so many reports more the mode is told; for older versions: so many reports more."""
        self.changes = NO_CHANGES
        """In how many reports more each source is told."""

    @property
    def is_wanted(self) -> bool:
        return self.mode == "exclude" or bool(self.sources)

    @property
    def is_over(self) -> bool:
        return not self.is_wanted and self.repeat_at is None


class Host(ByGroup[_Wish]):
    """The host's side of group management on one interface.

    ``stream`` gives the random numbers of its delays. Without a ``version`` it speaks the newest of its
    family, and older ones to older routers. What it has to say is returned, for its user to send.
    `UsageError` is raised for a version that the family does not have.

    >>> import random
    >>> host = Host(random.Random(7))
    >>> host.set_filter("239.1.2.3", "exclude", [], now=0)
    [Send(destination='224.0.0.22', message=Report(version=3, records=(Record(kind=<Kind.TO_EX: 4>, ...
    >>> [send.message.records[0].kind.name for send in host.wake(host.next_time())]  # again, for robustness
    ['TO_EX']
    """

    __slots__ = (
        "_always_leaves",
        "_configured",
        "_mtu",
        "_older_until",
        "_respond_at",
        "_stream",
        "family",
        "timing",
        "version",
    )

    version: int
    """The version that is spoken at present."""
    timing: Timing
    """The constants, those that queries tell among them."""

    def __init__(
        self,
        stream: Stream,
        *,
        family: Family = IGMP,
        version: int | None = None,
        timing: Timing = DEFAULT,
        always_leaves: bool = False,
        mtu: int = 1500,
    ) -> None:
        super().__init__()
        self.family = family
        self.version = self._configured = check_version(version, family)
        self.timing = timing
        self._stream = stream
        self._always_leaves = always_leaves
        self._mtu = mtu
        self._respond_at: int | None = None  # to a general query, in the newest version
        self._older_until = 0

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups that are wanted, in the order in which they were joined.

        >>> import random
        >>> Host(random.Random(7)).groups
        ()
        """
        return tuple(group for group, wish in self.items() if wish.is_wanted)

    def set_filter(self, group: str, mode: Mode, sources: Iterable[str], now: int) -> list[Send]:
        """The interface wants a group from these sources now, or from all but these; see `merged`.

        Returns what is to be sent; of a group that is never reported, such as 224.0.0.1, nothing. Raises
        `UsageError` for what is no group, mode or source.

        >>> import random
        >>> host = Host(random.Random(7), version=2)
        >>> host.set_filter("239.1.2.3", "exclude", [], now=0)[0].destination
        '239.1.2.3'
        >>> host.set_filter("239.1.2.3", "include", [], now=5)
        [Send(destination='224.0.0.2', message=Leave(version=2, group='239.1.2.3'))]
        """
        group = check_group(group, self.family)
        mode, after = _wish(mode, sources, self.family)
        self._settle(now)
        if not is_reported(group):
            return []
        wish = self.find(group)
        if wish is None:
            wish = _Wish()
            self.put(group, wish)
        was_wanted, mode_before, before = wish.is_wanted, wish.mode, wish.sources
        wish.mode, wish.sources = mode, after
        if self.version < self.family.newest:
            sends = self._say_older(group, wish, was_wanted, now)
        else:
            if mode != mode_before:
                wish.mode_left = self.timing.robustness
            elif before != after:
                times = self.timing.robustness
                wish.changes = {**wish.changes, **{source: times for source in ordered(before ^ after)}}
            sends = [] if (mode, after) == (mode_before, before) else self._say_change(group, wish, now)
        self._drop_if_over(group, wish)
        return sends

    def receive(self, message: Message, now: int) -> list[Send]:
        """A message was heard on the link. Returns what is to be sent at once, which is nothing.

        Only queries matter, and in older versions others' reports.

        >>> import random
        >>> host = Host(random.Random(7))
        >>> _ = host.set_filter("239.1.2.3", "exclude", [], now=0)
        >>> host.receive(Query(3, max_response=10**9), now=10**12), host.next_time() < 10**12 + 10**9
        ([], True)
        """
        if isinstance(message, Query):
            self._hear_query(message, now)
        elif isinstance(message, Report) and message.version < self.family.newest:
            self._settle(now)
            if self.version < self.family.newest:
                for record in message.records:
                    wish = self.find(record.group)
                    if wish is not None and wish.respond_at is not None:
                        wish.respond_at = None
                        wish.mode_left = 0
                        wish.was_last = False
        return []

    def next_time(self) -> int | None:
        """Return when to `wake` it, in nanoseconds; None for not at all.

        >>> import random
        >>> Host(random.Random(7)).next_time() is None
        True
        """
        soonest = self._respond_at
        for _, wish in self.items():
            for time in (wish.respond_at, wish.repeat_at):
                if time is not None and (soonest is None or time < soonest):
                    soonest = time
        return soonest

    def wake(self, now: int) -> list[Send]:
        """The time has come. Returns what is to be sent.

        >>> import random
        >>> Host(random.Random(7)).wake(0)
        []
        """
        self._settle(now)
        if self.version < self.family.newest:
            return self._wake_older(now)
        records: list[Record] = []
        if self._respond_at is not None and self._respond_at <= now:
            self._respond_at = None
            records = [_state_of(group, wish) for group, wish in self.items() if wish.is_wanted]
        sends = self._reports(records)
        for group, wish in self.items():
            if wish.respond_at is not None and wish.respond_at <= now:
                answer = _answer_of(group, wish)
                wish.respond_at, wish.asked = None, NOTHING
                if answer is not None:
                    sends += self._reports([answer])
            if wish.repeat_at is not None and wish.repeat_at <= now:
                sends += self._say_change(group, wish, now)
            self._drop_if_over(group, wish)
        return sends

    # --- the newest version ---

    def _say_change(self, group: str, wish: _Wish, now: int) -> list[Send]:
        """Report what has changed, and arrange for that to be repeated."""
        if wish.mode_left:
            wish.mode_left -= 1
            kind = Kind.TO_EX if wish.mode == "exclude" else Kind.TO_IN
            records = [_record(kind, group, wish.sources)]
        else:
            changed = frozenset(wish.changes)
            wanted = changed & wish.sources if wish.mode == "include" else changed - wish.sources
            records = [
                _record(kind, group, sources)
                for kind, sources in ((Kind.ALLOW, wanted), (Kind.BLOCK, changed - wanted))
                if sources
            ]
        if wish.changes:
            wish.changes = {source: left - 1 for source, left in wish.changes.items() if left > 1}
        more = wish.mode_left or wish.changes
        wish.repeat_at = now + self._draw(self._unsolicited) if more else None
        return self._reports(records)

    def _reports(self, records: list[Record]) -> list[Send]:
        if len(records) == 1 and not records[0].sources:
            return [_send_alone(records[0], self.family)]
        return [Send(self.family.all_reports, report) for report in split(records, self.family, self._mtu)]

    def _hear_query(self, query: Query, now: int) -> None:
        if query.version < self._configured:
            self._older_until = now + self.timing.older_version_present_interval
        elif query.version == self._configured == self.family.newest:
            self.timing = self.timing.adopted(query)
        self._settle(now)
        if self.version < self.family.newest:
            self._hear_query_older(query, now)
            return
        if query.group is None:
            if self.items():
                at = now + self._draw(query.max_response)
                if self._respond_at is None or at < self._respond_at:
                    self._respond_at = at
            return
        wish = self.find(query.group)
        if wish is None or not wish.is_wanted:
            return
        at = now + self._draw(query.max_response)
        if self._respond_at is not None and self._respond_at <= at:
            return  # that answer will tell it all
        if wish.respond_at is None:
            wish.respond_at, wish.asked = at, frozenset(query.sources)
        else:
            wish.respond_at = min(wish.respond_at, at)
            both = query.sources and wish.asked
            wish.asked = wish.asked.union(query.sources) if both else NOTHING

    # --- older versions ---

    def _say_older(self, group: str, wish: _Wish, was_wanted: bool, now: int) -> list[Send]:
        """A group has been joined, or left, or neither."""
        if wish.is_wanted and not was_wanted:
            wish.mode_left = self.timing.robustness
            return self._report_older(group, wish, now)
        if was_wanted and not wish.is_wanted:
            says_so = wish.was_last or self._always_leaves
            wish.forget()
            if says_so:
                return [Send(self.family.all_routers, Leave(self.family.older, group))]
        return []

    def _report_older(self, group: str, wish: _Wish, now: int) -> list[Send]:
        wish.was_last = True
        wish.mode_left = max(wish.mode_left - 1, 0)
        wish.respond_at = now + self._draw(self._unsolicited) if wish.mode_left else None
        return [_send_older(group, self.family)]

    def _hear_query_older(self, query: Query, now: int) -> None:
        for group, wish in self.items():
            if query.group not in (None, group) or not wish.is_wanted:
                continue
            if wish.respond_at is None or wish.respond_at > now + query.max_response:
                wish.respond_at = now + self._draw(query.max_response)

    def _wake_older(self, now: int) -> list[Send]:
        sends = []
        for group, wish in self.items():
            if wish.respond_at is not None and wish.respond_at <= now:
                sends += self._report_older(group, wish, now)
        return sends

    # --- both ---

    @property
    def _unsolicited(self) -> int:
        return self.timing.unsolicited_report_interval(older=self.version < self.family.newest)

    def _draw(self, longest: int) -> int:
        return int(self._stream.random() * longest)

    def _settle(self, now: int) -> None:
        """See which version to speak; when it is another, forget what was to be said (section 7.2.1)."""
        version = self.family.older if now < self._older_until else self._configured
        if version == self.version:
            return
        self.version = version
        self._respond_at = None
        for group, wish in self.items():
            wish.forget()
            self._drop_if_over(group, wish)

    def _drop_if_over(self, group: str, wish: _Wish) -> None:
        if wish.is_over:
            self.drop(group)


def _wish(mode: Mode, sources: Iterable[str], family: Family) -> tuple[Mode, Sources]:
    """Return a mode and its sources as they are kept. Raises `UsageError` for what is none."""
    if mode not in ("include", "exclude"):
        raise UsageError(f"mode={mode!r}: say 'include' or 'exclude'")
    if isinstance(sources, str):
        raise UsageError(f"sources={sources!r}: give a list of addresses, such as [{sources!r}]")
    kept = []
    for source in sources:
        if family_of(source) is not family:
            raise UsageError(f"sources: {source!r} is no address of {family}")
        kept.append(normal(source))
    return mode, frozenset(kept) or NOTHING


def _state_of(group: str, wish: _Wish) -> Record:
    return _record(Kind.IS_EX if wish.mode == "exclude" else Kind.IS_IN, group, wish.sources)


def _answer_of(group: str, wish: _Wish) -> Record | None:
    """Return the answer to a specific query; None for no answer."""
    if not wish.is_wanted:
        return None
    if not wish.asked:
        return _state_of(group, wish)
    both = wish.mode == "include"
    sources = wish.asked & wish.sources if both else wish.asked - wish.sources
    return _record(Kind.IS_IN, group, sources) if sources else None


# What many hosts say is one object: there may be a million hosts.


@lru_cache(maxsize=1024)
def _record(kind: Kind, group: str, sources: Sources) -> Record:
    return Record(kind, group, ordered(sources))


@lru_cache(maxsize=1024)
def _send_alone(record: Record, family: Family) -> Send:
    return Send(family.all_reports, Report(family.newest, (record,)))


@lru_cache(maxsize=1024)
def _send_older(group: str, family: Family) -> Send:
    return Send(group, Report(family.older, (Record(Kind.IS_EX, group),)))
