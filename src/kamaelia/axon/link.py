"""A link, and the routes that links add up to.

A `Link` is one wire, from an outbox to an inbox or through the boundary of a chassis. A `Route` is what a
sender sees: the whole way from its outbox to one queue, however many boundaries lie between. Routes are
worked out by the postman when links change, so that a chain of links costs one delivery.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from . import core
from .errors import LinkError, suggestion

if TYPE_CHECKING:
    from .box import Box
    from .inbox import Inbox
    from .outbox import Outbox
    from .queue import Queue, Wait
    from .scheduler import Scheduler
    from .tap import Tap

WhenFull = Literal["wait", "drop-oldest", "drop-newest"]
PAST_LIMIT = 1000  # messages past the mark through one outbox whose sends nobody awaits


# Links of a box, routes of an outbox or link: most have none or one, and a million components have millions
# of them. So it is a tuple, and only from two on a dict, for a quick way to remove one of thousands.
Links: TypeAlias = "tuple[Link, ...] | dict[Link, None]"
Routes: TypeAlias = "tuple[Route, ...] | dict[Route, None]"


def added(kept: tuple[Any, ...] | dict[Any, None], one: Any) -> tuple[Any, ...] | dict[Any, None]:
    """Return a collection such as `Links` with one more in it; what was given is not used any more."""
    if not kept:
        return (one,)
    if isinstance(kept, tuple):
        kept = dict.fromkeys(kept)
    kept[one] = None
    return kept


def removed(kept: tuple[Any, ...] | dict[Any, None], one: Any) -> tuple[Any, ...] | dict[Any, None]:
    """Return a collection such as `Links` without one, if that was in it."""
    if isinstance(kept, dict):
        kept.pop(one, None)
        return kept
    return () if kept and kept[0] is one else kept


class Link:
    """A wire between two boxes; ``a.outbox >> b.inbox`` writes one down, the postman makes it.

    Arguments:
        source: the box that messages come from
        target: the box they go to
        when_full: what happens at the mark of the inbox: ``"wait"`` (the sender waits),
            ``"drop-oldest"`` or ``"drop-newest"`` (counted)
        feedback: this link closes a loop on purpose; it ends when nothing else can feed the loop

    Example:
        >>> from kamaelia import Graphline, component
        >>> @component
        ... async def echo(inbox, outbox):
        ...     async for message in inbox:
        ...         await outbox.send(message)
        >>> first, second = echo(), echo()
        >>> first.outbox >> second.inbox
        <Link echo.outbox >> echo.inbox>
    """

    __slots__ = core.NO_SLOTS

    source: Any  # a text such as "self.inbox" until a Graphline has looked it up
    target: Any
    when_full: WhenFull
    feedback: bool
    outside: bool  # the source is not a component's box but a hold
    made: bool
    open: bool  # the source may still send
    lends_to: Inbox[Any] | None  # an occupant's inbox that reads from the seat's queue
    taps: tuple[Tap, ...]
    carried: int  # messages that have passed it on routes that are gone, see `count_off` ...
    dropped: int  # ... and that were dropped on it then
    routed: Any  # what `routes` shows; the usual single one without a tuple around it

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        return core.Link.__new__(core.Link) if cls is Link else object.__new__(cls)

    def __init__(
        self,
        source: Box[Any] | str,
        target: Box[Any] | str,
        *,
        when_full: WhenFull = "wait",
        feedback: bool = False,
    ) -> None:
        if when_full not in ("wait", "drop-oldest", "drop-newest"):
            raise LinkError(
                f"when_full={when_full!r} for the link from {source} to {target}: "
                + suggestion(str(when_full), ["wait", "drop-oldest", "drop-newest"])
            )
        self.source = source
        self.target = target
        self.when_full = when_full
        self.feedback = feedback
        self.outside = False
        self.made = False
        self.open = False
        self.lends_to = None
        self.taps = ()
        self.carried = 0
        self.dropped = 0
        self.routed = None

    @property
    def routes(self) -> Routes:
        """The routes that lead through this link."""
        routed = self.routed
        if routed is None:
            return ()
        return routed if isinstance(routed, (tuple, dict)) else (routed,)

    @routes.setter
    def routes(self, routes: Routes) -> None:
        self.routed = routes if isinstance(routes, dict) else routes[0] if routes else None

    @property
    def passed(self) -> int:
        """How many messages have arrived on it."""
        lent = self.lends_to
        if lent is not None:
            return self.carried + lent.queue.put_in()
        routed = self.routed
        if routed is None:
            return self.carried
        if not isinstance(routed, (tuple, dict)):
            return self.carried + self._seen(routed)
        # What has come from one outbox came on all its routes at once; who came later has seen fewer.
        most: dict[Any, int] = {}
        for route in list(routed):
            most[route.outbox] = max(most.get(route.outbox, 0), self._seen(route))
        return self.carried + sum(most.values())

    def count_off(self, route: Route) -> None:
        """A route that led through this link is gone: keep what is known of it alone."""
        passed = self._seen(route)
        if passed and self.routed is not None:
            # Of the routes of this link and those of its outbox, look through the fewer.
            ours, others = self.routes, route.outbox.routes
            if len(ours) <= len(others):
                left = [self._seen(one) for one in ours if one.outbox is route.outbox]
            else:
                left = [self._seen(one) for one in others if one is not route and self in one.links]
            passed = max(0, passed - max(left, default=0))
        if passed:
            self.carried += passed
        if route.dropped and self.when_full != "wait":
            self.dropped += route.dropped

    def _seen(self, route: Route) -> int:
        """Return how many messages have come here of those that were sent on a route."""
        passed = route.passed
        if route.dropped and route.when_full == "drop-newest" and self.when_full == "wait":
            for link in route.links:
                if link is self:
                    return passed + route.dropped  # which came so far, and were dropped behind it
                if link.when_full != "wait":
                    break
        return passed

    def __reduce__(self) -> Any:
        """Pickle the link as it was written down: one between boxes of components like those it names."""
        return _written_again, (self.source, self.target, self.when_full, self.feedback)

    def __repr__(self) -> str:
        return f"<Link {self.source} >> {self.target}>"


def _written_again(source: Any, target: Any, when_full: WhenFull, feedback: bool) -> Link:
    """Return a link as it was pickled."""
    return Link(source, target, when_full=when_full, feedback=feedback)


class PlainLink(Link):
    """A link, as the plain form of the core has it."""

    __slots__ = (
        "carried",
        "dropped",
        "feedback",
        "lends_to",
        "made",
        "open",
        "outside",
        "routed",
        "source",
        "taps",
        "target",
        "when_full",
    )


class Route:
    """The way from one outbox to one queue, with what the two have agreed on."""

    __slots__ = core.NO_SLOTS

    outbox: Outbox[Any]
    queue: Queue
    links: tuple[Link, ...]
    when_full: WhenFull
    dropped: int
    past: int  # messages sent past the mark, none of them awaited
    # How many messages went this way is not counted where a sender has a queue to itself: the queue knows how
    # many have been put in. So these are the messages that were put in beside those of others ...
    shared: int
    base: int  # ... and how many others had been put in alone before this route was made.

    if TYPE_CHECKING:

        def count_past(self) -> bool: ...
        def count_shared(self) -> None: ...

    @property
    def passed(self) -> int:
        """How many messages have arrived on this way."""
        return self.shared + self.queue.put_alone() - self.base

    @property
    def scheduler(self) -> Scheduler:
        """The scheduler on which both ends run."""
        scheduler = self.outbox.owner.scheduler
        assert scheduler is not None  # a box of a component that does not run refuses to send
        return scheduler


class PlainRoute(Route):
    """A route, as the plain form of the core has it."""

    __slots__ = (
        "base",
        "dropped",
        "epoch",
        "links",
        "outbox",
        "past",
        "queue",
        "shared",
        "turns",
        "waits",
        "when_full",
    )

    def __init__(self, outbox: Outbox[Any], queue: Queue, links: tuple[Link, ...]) -> None:
        self.outbox = outbox
        self.queue = queue
        self.links = links
        self.when_full: WhenFull = "wait"
        for link in links:
            if link.when_full != "wait":
                self.when_full = link.when_full
        self.turns = 0  # messages that may be sent with room that is granted
        self.past = 0  # messages sent past the mark, none of them awaited
        self.epoch = 0  # the queue's, when `past` was counted
        self.dropped = 0
        self.shared = 0
        self.base = queue.put_alone()
        self.waits: dict[Wait, None] = {}  # who waits for room at the end of this route

    def count_shared(self) -> None:
        """Count a message where others may have put theirs into the queue."""
        queue = self.queue
        if queue.feeders > 1:
            self.shared += 1
            queue.shared += 1

    def count_past(self) -> bool:
        """Count a message that is about to go past the mark; False when it is one too many."""
        queue = self.queue
        if queue.level() >= queue.size and self.turns <= 0:
            if self.epoch != queue.epoch:
                self.epoch = queue.epoch
                self.past = 0
            if self.past >= PAST_LIMIT:
                return False
            self.past += 1
        return True
