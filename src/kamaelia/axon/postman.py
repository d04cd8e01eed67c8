"""The postman: who makes links, changes them, and tells both sides when the other has gone.

Theory
------
Components know only their own boxes. The postman knows which box leads where, and nobody else does.
Links form a graph; three things travel along it, and all of them are *pushed* at the moment something
changes, so that sending a message never has to ask:

* **Routes.** A chassis's boundary box is a wire, not a stop. For every outbox that a component sends
  through, the postman keeps the list of queues its messages end up in. Making or cutting one link adds
  or removes just the routes that lead through it.
* **Ends and failures go downstream.** An inbox is open while one of its sources is: an open link or a hold.
  When the last goes, it ends; a boundary box that ends closes the links behind it, and so on. A failure
  travels the same way: it is an end with a cause.
* **"Nobody listens" goes upstream.** When an inbox's component goes, the links into it are cut. A boundary
  box behind which nobody is left passes that on, and keeps the links into it: another reader may be linked
  behind it. An outbox that has lost all its readers is *lost*, and its component is told
  (`Process.reader_lost`).

What does not belong here: messages (`queue`), when components run (`scheduler`), who is whose child and
what happens at a failure (`lifecycle`).

Example:
    >>> from kamaelia import component
    >>> from kamaelia.axon import postman
    >>> @component
    ... async def copy(inbox, outbox):
    ...     async for message in inbox:
    ...         await outbox.send(message)
    >>> a, b = copy(), copy()
    >>> wire = postman.link(a.outbox, b.inbox)
    >>> postman.unlink(wire)
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Iterator
from types import MemberDescriptorType
from typing import TYPE_CHECKING, Any

from . import core, typecheck
from .errors import LinkError
from .link import Link, Route, WhenFull, added, removed
from .queue import parse_size
from .tap import Tap, Tapped

if TYPE_CHECKING:
    from .box import Box
    from .component import Component
    from .inbox import Inbox
    from .outbox import Outbox
    from .process import Process
    from .queue import Queue

Path = tuple[Link, ...]


def link(source: Box[Any], target: Box[Any], *, when_full: WhenFull = "wait", feedback: bool = False) -> Link:
    """Make a link, before or while the system runs.

    Arguments are those of `Link`. Raises `LinkError` when the two ends do not fit: wrong directions, wrong
    message types, an inbox that has ended.
    """
    if type(source) is core.Outbox and when_full == "wait" and not feedback:
        wire = source.link_simply(target)
        if wire is not None:
            return wire
    return make(Link(source, target, when_full=when_full, feedback=feedback))


def make(wire: Link) -> Link:
    """Make a link that has been written down as ``a.outbox >> b.inbox``."""
    source, target = wire.source, wire.target
    if type(source) is core.Outbox and source.link_simply(target, wire) is not None:
        return wire
    _check(wire)
    routes: list[Route] = [
        core.Route(outbox, queue, (*before, wire, *after))
        for outbox, before in _ways_up(source)
        for queue, after in _ways_down(target)
    ]
    _check_alone(wire, routes)
    wire.made = True
    waiting: tuple[Any, ...] = ()
    if source.is_inbox and not source.wired:
        inner = _only_inbox_behind(target) if source.keeps_queue else None
        if inner is not None:
            _lend_queue(wire, source, inner)
            _tell("linked", wire)
            return wire
        waiting = _become_wire(source)
    if not target.is_inbox:
        target.become_boundary()
    source.outgoing = added(source.outgoing, wire)
    source.linked = True
    source.lost = False
    target.incoming = added(target.incoming, wire)
    if not source.ended:
        wire.open = True
        target.sources += 1
    if wire.feedback:
        target.watch_loop()
    for route in routes:
        _add_route(route)
    if waiting:
        ways = list(_ways_down(target))
        for queue, after in ways:
            _pass_on(waiting, queue, (wire, *after))
        for one in dict.fromkeys([wire, *(one for _, after in ways for one in after)]):
            one.carried += len(waiting)
    if source.ended:
        if source.failure is not None and not target.holds and not target.outside:
            target.failure = target.failure or source.failure
        end_if_unfed(target)
    _tell("linked", wire)
    return wire


def unlink(wire: Link) -> None:
    """Take a link away. For the inbox that is the end of a source; the outbox forgets the link."""
    if wire.made:
        _cut(wire)
        wire.source.linked = bool(wire.source.outgoing)
        lose_source(wire)


def relink(wire: Link, *, source: Box[Any] | None = None, target: Box[Any] | None = None) -> Link:
    """Move one or both ends of a link; an inbox that keeps a source this way sees no end.

    Returns the link that takes the old one's place.
    """
    new = Link(source or wire.source, target or wire.target, when_full=wire.when_full, feedback=wire.feedback)
    if not wire.made:
        return make(new)
    _check(new, instead_of=wire)
    # A hold on the old target keeps it from ending in the instant in which it may have no source.
    kept = wire.target
    kept.holds += 1
    lost = wire.source.lost
    _cut(wire)
    try:
        make(new)
    finally:
        wire.source.linked = bool(wire.source.outgoing)
        wire.source.lost = lost and not wire.source.outgoing
        lose_source(wire)
        kept.holds -= 1
        end_if_unfed(kept)
    return new


def tap(
    place: Box[Any] | Link,
    *,
    size: int | None = 1000,
    callback: Callable[[Tapped], object] | None = None,
    on_end: Callable[[BaseException | None], object] | None = None,
) -> Tap:
    """Look at what passes a link or a box from now on; arguments are those of `Tap`."""
    new = Tap(place, size, callback, on_end)
    place.taps = (*place.taps, new)
    box = place.source if isinstance(place, Link) else place
    for outbox, _ in _ways_up(box):
        outbox.find_taps()
    return new


def untap(old: Tap) -> None:
    """Take a tap away."""
    place = old.place
    place.taps = tuple(one for one in place.taps if one is not old)
    old.finish(None)
    box = place.source if isinstance(place, Link) else place
    for outbox, _ in _ways_up(box):
        outbox.find_taps()


def end_feedback(wire: Link) -> None:
    """End a feedback link: what is on its way round still arrives, and what is sent from now on is discarded.

    A sender that waits for room at its end goes on waiting: if nobody reads there, that is a deadlock.
    """
    for route in list(wire.routes):
        _remove_route(route, wake=False)
    _cut(wire)  # nor does the end of its reader concern the sender any more
    wire.source.linked = bool(wire.source.outgoing)
    lose_source(wire)


# -- ends and failures: downstream ------------------------------------------------------------------


def close_source(box: Box[Any], failure: BaseException | None = None) -> None:
    """Nothing more comes out of this box: tell everything that it feeds."""
    box.ended = True
    box.failure = failure
    for one in box.taps:
        one.finish(failure)
    if not box.is_inbox:
        _drop_own_routes(box)
    for wire in list(box.outgoing):
        lose_source(wire, failure)
        # An inbox that lives on, such as that of a room, forgets the sources that it has outlived.
        if wire.target.settled and not wire.target.ended and wire.lends_to is None:
            wire.target.incoming = removed(wire.target.incoming, wire)


def lose_source(wire: Link, failure: BaseException | None = None) -> None:
    """A link's source has closed or failed, or the link is gone: its target has one source less."""
    if not wire.open:
        return
    wire.open = False
    for one in wire.taps:
        one.finish(failure)
    target = wire.target
    target.sources -= 1
    if wire.outside:
        target.count_outside(-1)
    # While an inbox is held, a failed source counts as one that ended.
    if failure is not None and not target.holds and not target.outside and target.failure is None:
        target.failure = failure
    end_if_unfed(target)


def end_if_unfed(box: Box[Any]) -> None:
    """End a box that has neither a source nor a hold left, unless its component has yet to start."""
    if box.sources == 0 and box.holds == 0 and box.settled:
        end(box)


def end(box: Box[Any]) -> None:
    """Nothing more comes into this box."""
    if box.ended:
        return
    if box.is_inbox and not box.wired:
        box.ended = True
        box.queue.wake_readers()  # type: ignore[attr-defined]
        for one in box.taps:
            one.finish(box.failure)
    elif box.is_inbox or not box.own:
        close_source(box, box.failure)


# -- nobody listens: upstream -----------------------------------------------------------------------


def close_reader(box: Inbox[Any]) -> None:
    """Nobody will read this inbox any more."""
    box.gone = True
    for one in box.taps:
        one.finish(None)
    for wire in list(box.incoming):
        _cut(wire)
        wire.open = False
        for one in wire.taps:
            one.finish(None)
        _reader_left(wire.source)


def has_reader(box: Box[Any]) -> bool:
    """Say whether somebody would read what is sent through this box."""
    if box.is_inbox and not box.wired:
        return not box.gone  # type: ignore[attr-defined]
    return any(has_reader(wire.target) for wire in box.outgoing)


def _reader_left(box: Box[Any]) -> None:
    """A reader of what is sent through this box has gone: if it was the last, say so upstream."""
    if box.lost or has_reader(box):
        return
    if box.is_inbox and box.keeps_queue:  # type: ignore[attr-defined]
        for wire in list(box.outgoing):  # the seat's inbox is there for the next occupant
            _cut(wire)
            lose_source(wire)
        return
    if any(not (wire.target.is_inbox or wire.target.lost) for wire in box.outgoing):
        return  # what is left leads into a boundary that nobody has linked yet
    box.lost = True
    if not box.is_inbox and box.own:
        box.owner.reader_lost(box)  # type: ignore[arg-type]
        return
    for wire in list(box.incoming):
        _reader_left(wire.source)


# -- looking along links ----------------------------------------------------------------------------


def is_linked(box: Box[Any]) -> bool:
    """Say whether something has been linked to an inbox, also through boundaries that lead to it.

    A component may ask at its first step, if it has another use for an inbox that nobody feeds than one
    that has ended.
    """
    return bool(box.holds) or any(not wire.source.is_inbox or is_linked(wire.source) for wire in box.incoming)


def inboxes_behind(box: Box[Any]) -> Iterator[Inbox[Any]]:
    """Yield the inboxes in which messages for an inbox arrive: itself, or those it is wired to inside."""
    if box.wired:
        for wire in box.outgoing:
            yield from inboxes_behind(wire.target)
    else:
        yield box  # type: ignore[misc]


def size_behind(box: Inbox[Any]) -> int | str:
    """Return the mark of the inbox behind an inbox, where there is just one, or else its own, as a size."""
    behind = list(inboxes_behind(box))
    marked = behind[0] if len(behind) == 1 else box
    return f"{marked.size} B" if marked.in_bytes else marked.size


def hears(component: Component, outbox: Outbox[Any]) -> bool:
    """Say whether something of what is sent through an outbox may come to a component, also by way of
    others that pass it on."""
    todo: list[Box[Any]] = list(component._axon.inboxes)
    seen = set(todo)
    while todo:
        for wire in todo.pop().incoming:
            source = wire.source
            if source is outbox:
                return True
            # A boundary passes on what comes to it; a component may pass on what comes to any of its inboxes.
            further = source.owner.inboxes if source.own and not source.is_inbox else [source]
            todo.extend(box for box in further if box not in seen)
            seen.update(further)
    return False


def links_from(component: Component, inbox: Inbox[Any]) -> Iterator[Link]:
    """Yield the links into an inbox through which something of what a component sends may come, also by way
    of others that pass it on."""
    todo: list[Box[Any]] = list(component._axon.outboxes)
    seen = set(todo)
    while todo:
        for wire in todo.pop().outgoing:
            target = wire.target
            if target is inbox:
                yield wire
                continue
            further = target.owner.outboxes if target.is_inbox and not target.wired else [target]
            todo.extend(box for box in further if box not in seen)
            seen.update(further)


def waits_beyond(box: Box[Any], ends: Collection[Process]) -> bool:
    """Say whether a message waits that has come through a box, also if somebody has passed it on since.

    Of those in ``ends`` no box is looked at but this.
    """
    todo, seen = [box], {box}
    while todo:
        here = todo.pop()
        if here.is_inbox and not here.wired:
            if len(here.queue):  # type: ignore[attr-defined]
                return True
            further: Iterable[Box[Any]] = () if here.owner in ends else here.owner.outboxes
        else:
            further = [wire.target for wire in here.outgoing if wire.target.owner not in ends]
        todo.extend(box for box in further if box not in seen)
        seen.update(further)
    return False


# -- routes -----------------------------------------------------------------------------------------


def _ways_up(box: Box[Any]) -> Iterator[tuple[Outbox[Any], Path]]:
    """Yield every outbox whose messages come to this box, with the links between."""
    if not box.is_inbox and box.own and not box.ended:
        yield box, ()  # type: ignore[misc]
    for wire in box.incoming:
        for outbox, path in _ways_up(wire.source):
            yield outbox, (*path, wire)


def _ways_down(box: Box[Any]) -> Iterator[tuple[Queue, Path]]:
    """Yield every queue that messages in this box end up in, with the links between."""
    if box.is_inbox and not box.wired:
        if not box.gone:  # type: ignore[attr-defined]
            yield box.queue, ()  # type: ignore[attr-defined]
    else:
        for wire in box.outgoing:
            if wire.lends_to is not None:  # the occupant of a seat reads from the seat's own queue
                yield box.queue, ()  # type: ignore[attr-defined]
                continue
            for queue, path in _ways_down(wire.target):
                yield queue, (wire, *path)


def taps_of(route: Route) -> Iterator[Tap]:
    """Yield the taps on a route and, where it ends in a seat, on the way to the occupant that reads there."""
    for wire in (*route.links, *_lent_to(route.links[-1].target)):
        yield from wire.source.taps
        yield from wire.taps
        yield from wire.target.taps


def _lent_to(box: Any) -> Iterator[Link]:
    """Yield the links from a seat's inbox to the occupant's inbox that reads from its queue."""
    while box.is_inbox and box.wired and len(box.outgoing) == 1:
        (wire,) = box.outgoing
        if wire.lends_to is None and not wire.target.is_inbox:
            return
        yield wire
        box = wire.target


def _add_route(route: Route) -> None:
    queue = route.queue
    queue.feeders += 1
    queue.set_brake()
    for wire in route.links:
        wire.routes = added(wire.routes, route)
        wire.source.lost = False
    queue.drops_oldest = queue.drops_oldest or route.when_full == "drop-oldest"
    route.outbox.routes = added(route.outbox.routes, route)
    route.outbox.owner.reader_gained(route.outbox)
    if next(taps_of(route), None) is not None:
        route.outbox.find_taps()
    route.outbox.set_fast_route()


def _remove_route(route: Route, *, wake: bool = True) -> None:
    for wire in route.links:
        wire.routes = removed(wire.routes, route)
        wire.count_off(route)
    outbox = route.outbox
    if route in outbox.routes:
        outbox.routes = removed(outbox.routes, route)
        outbox.dropped += route.dropped
        passed = route.passed
        if passed:
            outbox.carried += passed
        if outbox.tapped_by:
            outbox.find_taps()
        outbox.set_fast_route()
        route.queue.forget_route(route, wake)


def _drop_own_routes(outbox: Any) -> None:
    for route in list(outbox.routes):
        _remove_route(route)


def _cut(wire: Link) -> None:
    wire.made = False
    if wire.lends_to is not None:
        _return_queue(wire)
    for route in list(wire.routes):
        _remove_route(route)
    source = wire.source
    source.outgoing = removed(source.outgoing, wire)
    wire.target.incoming = removed(wire.target.incoming, wire)
    _tell("unlinked", wire)
    if source.is_inbox and source.keeps_queue and source.wired and not source.outgoing:
        _become_queue(source)


def _tell(what: str, wire: Link) -> None:
    """Tell who looks at the system that a link was made or cut."""
    scheduler = wire.source.owner.scheduler
    if scheduler is not None and scheduler.observer is not None:
        scheduler.observer(what, wire)


def _become_wire(box: Any) -> tuple[Any, ...]:
    """Turn an inbox that has kept its messages so far into a boundary; return those messages."""
    lender = box.lender
    if lender is not None:  # an occupant that is wired now: so is its seat
        _return_queue(lender)
        box.wired = True
        return _become_wire(lender.source)
    for upstream in box.incoming:
        for route in list(upstream.routes):
            _remove_route(route)
    box.wired = True
    box.own = False
    waiting: tuple[Any, ...] = box.queue.drain()
    return waiting


def _become_queue(seat: Any) -> None:
    """Turn the inbox of a seat from a wire into a queue again: its occupant reads no more."""
    seat.wired = False
    for outbox, path in _ways_up(seat):
        _add_route(core.Route(outbox, seat.queue, path))


def _pass_on(messages: tuple[Any, ...], queue: Queue, path: Path) -> None:
    """Put messages that have waited at a boundary into a queue behind it."""
    scheduler = path[0].source.owner.scheduler
    taps = [one for wire in path for one in (*wire.taps, *wire.target.taps)]
    for message in messages:
        for one in taps:
            one.record(message, scheduler.loop.time() if scheduler is not None else 0.0)
        queue.shared += 1  # of no route: whoever sent it could not know this one
        queue.put(message)


# -- the queue of a seat ----------------------------------------------------------------------------


def _only_inbox_behind(box: Any) -> Any:
    """Return the innermost inbox that a box leads to, where that is one and nothing else feeds it.

    That of a seat in there is one: it lends on what it is lent, to whoever sits there.
    """
    if not box.is_inbox or box.incoming:
        return None
    while box.wired:
        if len(box.outgoing) != 1:
            return None
        (wire,) = box.outgoing
        if wire.lends_to is not None:
            return box
        box = wire.target
        if not box.is_inbox or len(box.incoming) != 1:
            return None
    return box


def _lend_queue(wire: Link, seat: Any, inner: Any) -> None:
    """Let an occupant's inbox read from the queue of its seat: who sends to the seat notices nothing."""
    wire.made = True
    wire.lends_to = inner
    wire.carried -= seat.queue.put_in() - len(seat.queue)  # what others have taken has not come to this one
    if inner.queue.hand is not None:
        seat.queue.hand = inner.queue.hand  # of the innermost seat, which knows who works on what is taken
    if inner.in_bytes is seat.in_bytes:
        seat.queue.resize(inner.size)
    else:
        inner.in_bytes, inner.size = seat.in_bytes, seat.size
    _refer(inner, seat.queue)
    seat.wired = True
    seat.outgoing = added(seat.outgoing, wire)
    seat.linked = True
    wire.target.incoming = added(wire.target.incoming, wire)
    if not seat.ended:
        wire.open = True
        wire.target.sources += 1
    elif seat.failure is not None and not wire.target.holds:
        wire.target.failure = seat.failure  # who comes after it reads what is left, and then is told as well
    for outbox, _ in _ways_up(seat):
        outbox.find_taps()


def _return_queue(wire: Link) -> None:
    """The occupant has gone: what it has not read stays in the seat."""
    inner, seat = wire.lends_to, wire.source
    assert inner is not None
    wire.carried, wire.lends_to = wire.passed, None
    inner.queue.wake_readers()
    inner.replace_queue()
    _refer(inner, inner.queue)
    seat.wired = False
    seat.queue.resize(seat.size)


def _refer(box: Any, queue: Queue) -> None:
    """Have an inbox read from a queue, and whoever it has lent its own to."""
    box.queue = queue
    for wire in box.outgoing:
        if wire.lends_to is not None:
            _refer(wire.lends_to, queue)


def count_anew(box: Inbox[Any], size: int | str) -> None:
    """Move an inbox's mark, from messages to bytes or back as well; with it go the seats it reads from.

    Only while nothing has been linked to it, see `Inbox.resize`.
    """
    lenders: list[Inbox[Any]] = []
    outermost = box
    while (wire := outermost.lender) is not None:
        outermost = wire.source
        lenders.append(outermost)
    if not lenders:
        box.resize(size)
        return
    hand = outermost.queue.hand
    outermost.size, outermost.in_bytes = parse_size(size, str(box))
    for one in (box, *lenders):
        one.size, one.in_bytes = outermost.size, outermost.in_bytes
    outermost.replace_queue()
    outermost.queue.hand = hand
    _refer(outermost, outermost.queue)


# -- what may be linked -----------------------------------------------------------------------------


def _check(wire: Link, instead_of: Link | None = None) -> None:
    source, target = wire.source, wire.target
    if isinstance(source, MemberDescriptorType) or isinstance(target, MemberDescriptorType):
        raise _refused(
            wire,
            "the boxes of a class belong to no component. Make the component first: "
            "link Echo().outbox, not Echo.outbox",
        )
    for box in (source, target):
        if not hasattr(box, "is_inbox"):
            raise _refused(
                wire,
                f"{box!r} is no box. Link boxes, as in a.outbox >> b.inbox; "
                "a component made with a | b is linked already",
            )
    if wire.made:
        raise _refused(wire, "this link has been made already")
    if source.owner is None or target.owner is None:
        raise _refused(
            wire,
            "the boxes of a class belong to no component. Make the component first: "
            "link Echo().outbox, not Echo.outbox",
        )
    if type(source.owner) is not type(target.owner):
        raise _refused(
            wire,
            "they were made by different forms of the core: call kamaelia.axon.core.use before anything "
            "is made",
        )
    for owner in (source.owner, target.owner):
        if owner.parent is not None and owner not in owner.parent.children and owner.state == "new":
            raise _refused(
                wire,
                f"the parts of {owner.name} were joined with others by |; link the boxes of the "
                "pipeline that came of it",
            )
    if source is target:
        raise _refused(wire, "a box cannot be linked to itself")
    inward = target.owner.parent is source.owner and not getattr(source, "asked", False)
    if source.is_inbox and source.own and not inward:  # a chassis may wire its inbox instead of using it
        raise _refused(
            wire, f"{source} is where {source.owner.name} receives; link what it sends, such as its outbox"
        )
    if source.is_inbox and source.gone:
        raise _refused(wire, f"{source} has been closed by its component")
    if not target.is_inbox and not target.owner.is_chassis:
        raise _refused(wire, f"{target} is where {target.owner.name} sends from; link to its inbox instead")
    if not target.is_inbox and not source.is_inbox and source.owner is target.owner:
        raise _refused(wire, "both are outboxes of the same component")
    if target.ended or (target.is_inbox and target.gone):
        what = "has ended" if target.ended else "has been closed by its component"
        raise _refused(
            wire,
            f"{target} {what}, and an end is final. An inbox that is to be linked later "
            "is declared with Inbox(held=True)",
        )
    if (source.is_inbox or not source.own) and _leads_to(target, source):
        raise _refused(wire, "these boundaries would make a ring with no component in it")
    if not source.is_inbox and source.own and source.ended:
        raise _refused(wire, f"{source} has been closed, so nothing would ever come")
    # Thousands of visitors may be linked to one room: look through the shorter of the two lists.
    if len(source.outgoing) <= len(target.incoming):
        linked = any(other.target is target and other is not instead_of for other in source.outgoing)
    else:
        linked = any(other.source is source and other is not instead_of for other in target.incoming)
    if linked:
        raise _refused(wire, "the two are linked already")
    others = [other for other in itertools.islice(target.incoming, 2) if other is not instead_of]
    if others and "drop-oldest" in (wire.when_full, others[0].when_full):
        raise _refused(
            wire,
            'when_full="drop-oldest" needs the inbox to itself, or one sender would drop another\'s messages',
        )
    if not typecheck.fits(source.type, target.type):
        raise _refused(
            wire,
            f"{typecheck.name_of(source.type)} does not fit into "
            f"{typecheck.name_of(target.type)}: {typecheck.advice(source.type, target.type)}",
        )


def _refused(wire: Link, why: str) -> LinkError:
    """Make the error for a link that may not be made."""
    return LinkError(f"{_describe(wire.source)} cannot be linked to {_describe(wire.target)}: {why}")


def _leads_to(start: Any, box: Any) -> bool:
    """Say whether boundaries alone lead from one box to another."""
    return start is box or any(_leads_to(wire.target, box) for wire in start.outgoing if not start.own)


def _check_alone(wire: Link, routes: list[Route]) -> None:
    """See that who drops the oldest message of an inbox has it to itself, also through boundaries."""
    for route in routes:
        if (route.when_full == "drop-oldest" or route.queue.drops_oldest) and (
            route.queue.feeders or sum(other.queue is route.queue for other in routes) > 1
        ):
            raise LinkError(
                f"{_describe(wire.source)} cannot be linked to {_describe(wire.target)}: "
                'when_full="drop-oldest" needs the inbox to itself, '
                "or one sender would drop another's messages"
            )


def _describe(box: Any) -> str:
    if isinstance(box, MemberDescriptorType):
        return f"{box.__name__} of the class"
    if hasattr(box, "is_inbox"):
        return f"{box} ({typecheck.name_of(box.type)})"
    return repr(box)
