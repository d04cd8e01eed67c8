"""Starting parts again that have failed: what `Supervisor` and `Retry` have in common.

Theory
------
Each member sits on a seat of its own (`kamaelia.axon.seat`). Links, queues and outboxes belong to the seats,
so they outlast the members: what is sent to a member that has failed waits for its successor, and who reads
from it sees no end in between. The occupants of a seat are called ``life-1``, ``life-2``, ...; so each has a
path, and with it a random stream, of its own.

**A restart is a component too**, `_Restart`, a child beside the seats. It cancels the members that restart
because of another, the last first, waits out the back-off, drops what is on its way between them, and
fills their seats, the first first. That it has a body is why nothing else needs to know about back-offs: it
sleeps, so the system is not at rest; nothing feeds it, so a stop cancels it, and so does whatever cancels the
supervisor; it stands for the members at their outboxes, so it is told when nobody listens to them any more.
Told to hurry in one of these ways, it fills the seats at once. Those with nothing left to do end.

**What is between members.** Where members restart together, a message from one to another belongs to a
conversation that none of the new ones has heard the beginning of. In a queue fed by one member all messages
are that member's. Where several sources feed one inbox, `_Origins` keeps who sent which, by its number.

**Giving up.** When there were too many failures the whole chassis fails, with their history. Around it that
is a failure like any other; so a supervisor outside starts the inner one again as a whole.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Awaitable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from kamaelia.axon import (
    BrokenLink,
    Cancelled,
    Component,
    Failure,
    Graphline,
    Inbox,
    KamaeliaError,
    Link,
    LinkError,
    Outbox,
    Seat,
    Signal,
    UsageError,
    lifecycle,
    make,
    postman,
    report,
    sleep,
)
from kamaelia.axon.box import Box
from kamaelia.axon.clock import calendar
from kamaelia.axon.errors import shorten, text_of
from kamaelia.axon.here import stream_of

if TYPE_CHECKING:
    from random import Random

log = logging.getLogger("kamaelia")


class RestartsExceeded(KamaeliaError):
    """A supervisor has given up: the message has the history, and ``__cause__`` is the last failure."""


@dataclass(frozen=True)
class Backoff:
    """How long to wait before a restart: a little at first, longer with each failure in a row.

    The delay before the *n*-th restart in a row is ``first * factor ** (n - 1)`` seconds, at most
    ``maximum``. Of that up to the share ``jitter`` is taken off at random, so that many who have failed
    together do not come back together. ``Backoff(first=0)`` does not wait.

    Example:
        >>> import random
        >>> backoff = Backoff(first=0.5, maximum=3, jitter=0)
        >>> [backoff.delay(n, random.Random(7)) for n in (1, 2, 3, 4)]
        [0.5, 1.0, 2.0, 3]
    """

    first: float = 0.1
    """Seconds before the first restart in a row."""
    factor: float = 2.0
    """How many times longer each wait is than the one before, 1 or more."""
    maximum: float = 30.0
    """Seconds that no wait exceeds."""
    jitter: float = 0.25
    """The share of the wait, from 0 to 1, that chance may take off."""

    def __post_init__(self) -> None:
        check_number("Backoff(first=...)", self.first, 0, "seconds")
        check_number("Backoff(factor=...)", self.factor, 1, "how many times longer each wait is")
        check_number("Backoff(maximum=...)", self.maximum, 0, "seconds")
        check_number("Backoff(jitter=...)", self.jitter, 0, "a share from 0 to 1", most=1)

    def delay(self, attempt: int, chance: Random) -> float:
        """Return the seconds to wait before a restart: 1 is the first in a row."""
        try:
            seconds = min(self.first * self.factor ** (attempt - 1), self.maximum)
        except OverflowError:
            seconds = self.maximum
        return seconds * (1 - self.jitter * chance.random()) if self.jitter else seconds


@dataclass(frozen=True)
class MemberStatistics:
    """What became of one member; see `RestartStatistics`."""

    restarts: int
    """How often it was started again."""
    failures: int
    """How often it failed, or was cancelled by somebody."""
    dropped: int
    """Messages for it that were dropped because whoever had sent them was restarted together with it."""
    last_failure: Failure | None
    """Its last failure, with the message that it was working on."""


@dataclass(frozen=True)
class RestartStatistics:
    """What a `Supervisor` or `Retry` has done so far."""

    restarts: int
    """How often a member was started again, all together."""
    failures: int
    """How often one failed, or was cancelled by somebody."""
    dropped: int
    """Messages dropped between members that were restarted together."""
    last_failure: Failure | None
    """The last failure."""
    members: dict[str, MemberStatistics]
    """The same for each member, by its name."""


@dataclass(frozen=True)
class _End:
    """One end of a member that called for a restart."""

    time: float
    line: str


class Restarting(Graphline):
    """Members on seats, which are started again when they have failed.

    Arguments:
        parts: patterns and links, as for `Graphline`
        linkages: links by name, as for `Graphline`
        members: more patterns, with names
        backoff: how long to wait before a restart
    """

    failures = Outbox[Failure]("members that have failed", optional=True)

    def __init__(
        self, parts: Iterable[Any], linkages: dict[Any, Any] | None, members: dict[str, Any], backoff: Backoff
    ) -> None:
        super().__init__()
        if not isinstance(backoff, Backoff):
            raise TypeError(
                f"{self._kind}(backoff={shorten(backoff)}): give a Backoff(first=..., maximum=...)"
            )
        self._backoff = backoff
        self._members: list[_Member] = []
        self._by_pattern: dict[int, _Member] = {}
        self._under_way: dict[_Member, _Restart] = {}
        self._waited = 0.0  # seconds in which members waited for their restarts
        self._waiting_since: float | None = None
        self._origins: list[_Origins] = []
        self._last_failure: Failure | None = None
        links: list[Link] = []
        for one in _flatten(parts):
            if isinstance(one, Link):
                links.append(one)
            else:
                self._enrol(one)
        for name, pattern in members.items():
            if name == "self":
                raise UsageError(
                    f"{self._kind}(self={shorten(pattern)}): in its links, self is the {self._kind} itself: "
                    "give the member another name"
                )
            self.parts[name] = self._enrol(pattern, name)
        for source, targets in (linkages or {}).items():
            for target in targets if isinstance(targets, list) else [targets]:
                links.append(Link(self._by_name(source), self._by_name(target)))
        for wire in links:
            self._make(
                Link(
                    self._on_seat(wire.source),
                    self._on_seat(wire.target),
                    when_full=wire.when_full,
                    feedback=wire.feedback,
                )
            )
        if not self._members:
            raise UsageError(f"{self._kind}() needs at least one part to start again when it fails")
        if len(self._members) == 1 and not links:
            self._axon.result_from = self._members[0]._axon
            self._mirror(self._members[0])

    @property
    def _kind(self) -> str:
        return type(self).__name__

    def _enrol(self, pattern: Any, name: str | None = None) -> _Member:
        """Make a member of a pattern, and a seat for it."""
        member = self._by_pattern.get(id(pattern))
        if member is None or not isinstance(pattern, Component):
            member = _Member(pattern, name)
            self._by_pattern[id(pattern)] = member
            self._members.append(member)
            lifecycle.add_child(self._axon, member._axon)
        return member

    def _on_seat(self, end: Any) -> Any:
        """Return, for a box of a pattern, the box of its seat."""
        owner: Any = end.owner if isinstance(end, Box) else None
        if owner is None or owner is self._axon or isinstance(owner.component, _Member):
            return end
        pattern = end.owner.component
        if end.owner.parent is not None and id(pattern) not in self._by_pattern:
            raise LinkError(
                f"{end} cannot be linked here: {pattern._axon.name} is a part of {end.owner.parent.path}. "
                f"Link boxes of the members themselves"
            )
        boxes = self._enrol(pattern)._axon.boxes
        if end.name not in boxes:
            raise LinkError(
                f"{end} cannot be linked here: what fails comes out of the failures outbox of the "
                f"{self._kind} itself"
            )
        return boxes[end.name]

    def statistics(self) -> RestartStatistics:
        """Return what has been done so far; may be called from any thread."""
        members = {member._axon.name: member._statistics() for member in self._members}
        return RestartStatistics(
            restarts=sum(one.restarts for one in members.values()),
            failures=sum(one.failures for one in members.values()),
            dropped=sum(one.dropped for one in members.values()),
            last_failure=self._last_failure,
            members=members,
        )

    # -- to decide on -----------------------------------------------------------------------------

    def _why_not(self, member: _Member, failure: Failure | None) -> str | None:
        """Say why a member is not started again after a failure (or its normal end); None if it is."""
        raise NotImplementedError

    def _too_many(self, member: _Member, end: _End) -> str | None:
        """Count an end, and say why it was one too many; None if it was not."""
        raise NotImplementedError

    def _group(self, member: _Member) -> list[_Member]:
        """Return who is started again when a member has failed, in order."""
        return [member]

    def _refused(
        self, member: _Member, failure: Failure, why_not: str, failures: Iterable[Exception]
    ) -> None:
        """A member has failed and is not started again; ``failures`` are all that were in it."""
        self._report(member, failure, f"it is not started again: {why_not}")

    def _begun(self, member: _Member) -> None:
        """A member has been started again."""

    # -- what becomes of members ------------------------------------------------------------------

    def _member_over(self, member: _Member, occupant: Component, failure: Failure | None) -> None:
        """A member is over, with something left to do. Keep its seat for the next, or let it end."""
        restart = self._under_way.get(member)
        if restart is not None:  # it was cancelled because of another, or has failed at the same time
            if failure is not None and isinstance(failure.error, Exception):
                self._report(member, failure, "it is being started again already")
            if member._policy != "temporary":
                member.keep()
            restart.member_over(member)
            return
        why_not = self._why_not(member, failure)
        if why_not is None:
            self._start_again(member, failure, f"{occupant._axon.path} has ended")
        elif failure is not None:
            self._refused(member, failure, why_not, occupant._axon.failures)

    def _not_made(self, member: _Member, failure: Failure, error: Exception) -> None:
        """The pattern of a member could not be made again; that counts as if it had failed at once."""
        error.add_note(f"in {failure.path}")
        why_not = self._why_not(member, failure)
        if why_not is None:
            self._start_again(member, failure)
        else:
            self._refused(member, failure, why_not, [error])
            member.vacate(error)

    def _start_again(self, member: _Member, failure: Failure | None, ended: str = "") -> None:
        """Have a member, and those that go with it, started again; or give up."""
        system = self._axon.system
        assert system is not None
        now = system.loop.time()
        line = ended if failure is None else f"{_origin(failure)}: {_first_line(failure.error)}"
        too_many = self._too_many(member, _End(now, f"{_calendar_text(calendar(system.loop))} {line}"))
        if too_many is not None:
            if failure is not None:
                self._report(member, failure, "that was once too often")
            error = RestartsExceeded(f"{self._axon.path}: {too_many}")
            error.__cause__ = None if failure is None else failure.error
            lifecycle.fail(self._axon, error)
            self._let_go(error)
            return
        delay = 0.0 if member.has_to_hurry() else self._backoff.delay(member._row, stream_of(self._axon))
        group = [one for one in self._group(member) if one._axon.state != "ended"]
        others = ", ".join(one._axon.name for one in group if one is not member)
        what = f"it is started again in {delay:.3g} s" + (f", together with {others}" if others else "")
        if failure is None:
            log.info("%s; %s", ended, what)
        else:
            self._report(member, failure, what)
        member.keep()
        for one in group:
            if one in self._under_way:
                self._under_way[one].give_way()
        restart = _Restart(self, group, now + delay)
        self._under_way.update(dict.fromkeys(group, restart))
        if self._waiting_since is None:
            self._waiting_since = now
        self.add(restart, name=f"restart of {member._axon.name}")
        for one in group:
            if one._axon.vacant:
                restart.member_over(one)

    def _restarted(self, member: _Member) -> None:
        """A restart is over, as far as this member is concerned."""
        del self._under_way[member]
        if not self._under_way and self._waiting_since is not None:
            system = self._axon.system
            assert system is not None
            self._waited += system.loop.time() - self._waiting_since
            self._waiting_since = None

    def _awake(self, now: float) -> float:
        """Return a time that stands still while members wait for their restarts."""
        return (now if self._waiting_since is None else self._waiting_since) - self._waited

    def _let_go(self, error: Exception) -> None:
        """Giving up: cancel the members, the last first."""
        for one in reversed(self._members):
            if one._axon.children:
                lifecycle.cancel_all(one._axon, "failure", error, finally_=False)
            else:
                one.vacate(error)

    def _report(self, member: _Member, failure: Failure, what: str) -> None:
        """Tell of a failure, and what is done about it: in the log, and through ``failures``."""
        member._failures += 1
        member._last_failure = self._last_failure = failure
        log.warning("%s failed: %s; %s", failure.path, report.one_line(failure.error), what)
        lifecycle.send_failure(self._axon, failure)

    def _child_over(self, child: Component, failure: Any) -> None:
        """A restart is over. Where it was cancelled, for good or before it began, the seats are left: they
        end."""
        if isinstance(child, _Restart):
            for member in child.group:
                if self._under_way.get(member) is child:
                    self._restarted(member)
                    if member._axon.vacant:
                        member.vacate(child._axon.cause)

    # -- messages between members -----------------------------------------------------------------

    def _keep_origins(self) -> None:
        """From now on, know who has sent what is in the queues of members."""
        for member in self._members:
            for box in member._axon.inboxes:
                sources = {wire: wire.source.owner.component for wire in box.incoming}
                if any(isinstance(one, _Member) for one in sources.values()):
                    self._origins.append(_Origins(member, box, sources))

    def _drop_between(self, group: list[_Member]) -> None:
        for origins in self._origins:
            if origins.member in group:
                origins.member._dropped += origins.drop(group)


class _Member(Seat):
    """The seat of one member, with what is known about those who sat there."""

    def __init__(self, pattern: Any, name: str | None) -> None:
        first = make(pattern)
        name = name or first._axon.given_name
        self._pattern = pattern
        self._policy = "transient"
        self._life = 1
        self._row = 0  # failures in a row
        self._since: float | None = None  # when the present occupant was started, if it is not the first
        self._restarts = self._failures = self._dropped = 0
        self._last_failure: Failure | None = None
        self._news: Failure | None = None  # what has become of the last occupant, until that is told
        super().__init__(first.named("life-1"), on_vacant=self._decide)
        self.named(name)

    @property
    def _chassis(self) -> Restarting:
        parent = self._axon.parent
        assert parent is not None
        return parent.component  # type: ignore[return-value]

    def _statistics(self) -> MemberStatistics:
        return MemberStatistics(self._restarts, self._failures, self._dropped, self._last_failure)

    def _tell(self, failure: Failure) -> None:
        """Wait with that: the chassis tells of a failure together with what it does about it."""

    def _child_over(self, child: Component, failure: Failure | None) -> None:
        self._news = failure or self._killed(child)
        if self._news is not None and not self._means_the_seat(child) and not self.has_work():
            news, self._news = self._news, None
            self._chassis._refused(self, news, "nothing is left for it to do", child._axon.failures)
        super()._child_over(child, failure)
        restart = self._chassis._under_way.get(self)
        if restart is not None:
            restart.changed.set()
        if self._news is not None:  # Axon has cancelled it, and at that it has failed
            self._chassis._report(self, self._news, "it is not started again: it was to end")

    def _killed(self, child: Component) -> Failure | None:
        """Return as a failure that somebody has cancelled who sat here, and not the seat."""
        process = child._axon
        killed = process.outcome == "stopped" or (not process.has_body and process.cancels)
        if not killed or process.reason is not None or self._axon.cancels:
            return None
        if self in self._chassis._under_way:
            return None  # it was us
        error = Cancelled("somebody has cancelled it")
        return Failure(process.path, error, child, lifecycle.in_hand(self._axon))

    def _decide(self, occupant: Component, failure: Failure | None) -> None:
        news, self._news = self._news, None
        self._chassis._member_over(self, occupant, news)

    def _begin_again(self) -> None:
        """Let the next occupant take the seat."""
        if not self.has_work():
            self.vacate()
            return
        self._life += 1
        system = self._axon.system
        assert system is not None
        self._since = system.loop.time()
        name = f"life-{self._life}"
        try:
            occupant = make(self._pattern).named(name)
        except Exception as error:  # of the pattern's own code
            failure = Failure(f"{self._axon.path}/{name}", error, self._pattern)
            self._chassis._not_made(self, failure, error)
            return
        self._restarts += 1
        self._sit(occupant)
        self._chassis._begun(self)


class _Restart(Component):
    """Starts a group of members again, after some time.

    Arguments:
        chassis: whose members they are
        group: those that restart together, in order
        due: when they are to be started
    """

    inbox = None
    outbox = None

    def __init__(self, chassis: Restarting, group: list[_Member], due: float) -> None:
        self.group = group
        self._restarting = chassis
        self._due = due
        self._hurry = False  # it has been told to
        self._given_way = False  # another restart has taken over
        self.changed = Signal("see the end of a member")
        self._wires: dict[_Member, list[Link]] = {}  # by which it stands for a member at its outboxes

    async def main(self) -> None:
        for member in reversed(self.group):
            for occupant in list(member._axon.children):
                occupant.cancel()
                lifecycle.insist_later(occupant, still=partial(self._is_restarting, member))
            while member._axon.children:
                await self._pause(self.changed)
        now = self.system.loop.time
        while not self._hurry and now() < self._due:
            await self._pause(sleep(self._due - now()))
        self._fill()

    async def _pause(self, waiting: Awaitable[None]) -> None:
        """Wait for something; who is told to hurry does not wait for time to pass any more."""
        try:
            await waiting
        except BrokenLink:  # nobody listens any more to whom it stands for
            self._hurry = True
        except Cancelled:
            # Of a stop, or because something around has failed: what was accepted is to be finished now.
            if self._hurry or self._given_way or self._restarting._axon.failing or self._axon.reason is None:
                raise
            if self._axon.reason == "grace":
                raise
            self._hurry = True

    def member_over(self, member: _Member) -> None:
        """A member of the group has ended, and its seat is kept: stand for it until the next one comes."""
        if member in self._wires:
            return
        wires = self._wires[member] = []
        for box in member._axon.outboxes:
            # Only what leads out of the group says whether anybody needs it.
            outward = any(wire.target.owner.component not in self.group for wire in box.outgoing)
            if outward and not box.ended:
                name = f"{member._axon.name} {box.name}"
                own: Outbox[Any] = self.add_box(name, Outbox(box.doc, optional=box.optional))
                wires.append(postman.link(own, box))

    def give_way(self) -> None:
        """Another restart has taken over the members of this one."""
        self._given_way = True
        self._leave_boxes()
        self.cancel()

    def _leave_boxes(self) -> None:
        for wires in self._wires.values():
            for wire in wires:
                postman.unlink(wire)
        self._wires.clear()

    def _fill(self) -> None:
        self._leave_boxes()
        chassis = self._restarting
        chassis._drop_between(self.group)
        for member in self.group:
            if self._is_restarting(member):  # else one before it has failed to start
                chassis._restarted(member)
                if member._axon.vacant:
                    member._begin_again()

    def _is_restarting(self, member: _Member) -> bool:
        return self._restarting._under_way.get(member) is self


class _Origins:
    """Who has sent the messages in a queue.

    Where only one box feeds it there is no question. Otherwise taps on the links from members note, for each
    message, the number that it is going to have in the queue.
    """

    def __init__(self, member: _Member, box: Inbox[Any], sources: dict[Link, Component]) -> None:
        self.member = member
        self._box = box
        self._only: Component | None = None
        self._notes: deque[tuple[int, _Member]] = deque()
        if len(sources) == 1:
            (self._only,) = sources.values()
            return
        for wire, source in sources.items():
            if isinstance(source, _Member):
                self._watch(wire, source)

    def _watch(self, wire: Link, source: _Member) -> None:
        postman.tap(wire, callback=lambda _: self._note(wire, source))

    def _first(self) -> int:
        """Return the number of the first message in the queue."""
        queue = self._box.queue
        return queue.received + queue.dropped

    def _note(self, wire: Link, source: _Member) -> None:
        """Note the sender of a message that is about to be put into the queue."""
        queue = self._box.queue
        if self._box.wired and not any(one.lends_to for one in self._box.outgoing):
            return  # it goes to queues inside of the occupant, and with them
        if wire.when_full == "drop-newest" and queue.level() >= queue.size:
            return  # it does not get in
        first = self._first()
        while self._notes and self._notes[0][0] < first:
            self._notes.popleft()
        self._notes.append((first + len(queue), source))

    def drop(self, group: list[_Member]) -> int:
        """Drop what members of a group have sent; return how many messages that were."""
        queue = self._box.queue
        senders = dict(self._notes)
        kept: list[tuple[Any, Component | None]] = []
        dropped = 0
        for number, message in enumerate(queue.drain(), self._first()):
            sender = self._only or senders.get(number)
            if sender in group:
                dropped += 1
            else:
                kept.append((message, sender))
        queue.dropped += dropped
        self._notes.clear()
        for number, (message, sender) in enumerate(kept, self._first()):
            queue.put(message)
            if isinstance(sender, _Member):
                self._notes.append((number, sender))
        queue.on_alarm()  # there may be senders from outside to free
        return dropped


def check_number(what: str, value: Any, least: float, meaning: str, *, most: float = math.inf) -> None:
    """Raise TypeError unless something is a number, and ValueError unless it is in a range and finite."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"{what}: {shorten(value)} is no number: give {meaning}")
    if not (least <= value <= most and math.isfinite(value)):
        raise ValueError(f"{what}: {value!r} cannot be: give {meaning}, {least:g} or more")


def _flatten(values: Any) -> Iterator[Any]:
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from _flatten(value)
        else:
            yield value


def _origin(failure: Failure) -> str:
    """Return which component, perhaps deep in a member, a failure came from."""
    return report.paths_of([failure.error])[0] or failure.path


def _first_line(error: BaseException) -> str:
    text = text_of(error).partition("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _calendar_text(seconds: float) -> str:
    import datetime  # here, because most programs never need it and it takes a millisecond

    when = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    return when.isoformat(" ", "milliseconds").removesuffix("+00:00")


BACKOFF = Backoff()

__all__ = ["Backoff", "MemberStatistics", "RestartStatistics", "Restarting", "RestartsExceeded"]
