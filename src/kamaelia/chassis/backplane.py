"""Rooms: many speak, many listen, and come and go as they like.

Theory
------
A room is one component, a `Backplane`: what arrives in its inbox it sends on, and everybody who
listens is linked to its outbox. So *n* speakers and *m* listeners take *n + m* links, and not *n* times *m*.

`PublishTo` and `SubscribeTo` find the room by its name, when they start, and are linked to it by the
postman; when they end, their links go. A room to which nobody has written a `Backplane` is opened by the
first who asks for it. Names belong to one system: two runs, or two simulated hosts, have different rooms of
the same name.

**Who comes a little late.** When a system starts, a speaker may have its turn before the listener beside it
has. So what is said in the first second of a room, while nobody has listened yet, is kept for the first who
comes. After that second a room without listeners forgets; `Backplane` with ``keep`` remembers the last
messages for everybody, or with ``key`` the last ones about each subject: so who comes late is told how things
stand.

**Ends.** A room that was opened by itself closes a second after the last one has left it; one that somebody
has written lasts as long as the system. Both are held open from inside only. At a stop it ends when its
speakers have. At rest, when everybody waits for somebody else, it ends too, and so do those who listen.
Where what is heard in a room comes back into it (a robot in a chat), that link closes a loop, and is made
as such (``feedback=True``).
"""

from __future__ import annotations

import contextvars
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from numbers import Integral
from operator import itemgetter
from typing import Any

from kamaelia.axon import Component, Inbox, Outbox, Pipeline, UsageError, WhenFull, clock, postman, select
from kamaelia.axon.arguments import check_name
from kamaelia.axon.errors import shorten

EARLY = 1.0  # seconds of a new room in which what is said is kept, until somebody listens
EARLY_LIMIT = 1000  # messages that are kept in that time
SUBJECTS = 1000  # of which the last messages are kept


class Backplane(Component):
    """A room: sends what anybody publishes to everybody who listens.

    It is needed only to say how a room is to be; without one, the first `PublishTo` or `SubscribeTo` makes
    the room. One that comes after that takes the room over. Two of the same name are `NameTaken`.

    Inbox: ``inbox``, from every `PublishTo`. Outbox: ``outbox``, to every `SubscribeTo`. Both may be linked
    by hand, too.

    Ending: with the system: at a stop, when those who speak have ended, or when all else is at rest. Failure:
    one who speaks and fails is one who has left. Stop: what was said is passed on. Back-pressure:
    ``when_full`` says who waits for whom. It holds open the way into the room.

    Arguments:
        name: of the room
        keep: who comes later first gets the last so many messages
        key: of what a message is about: a function that returns something hashable. Then the last ``keep``
            messages (1 if that is not given) are kept of each subject, of the last 1000 subjects that
            somebody has said something about.
        when_full: what happens when somebody who listens does not keep up and has not said otherwise:
            ``"wait"`` (everybody waits), ``"drop-oldest"`` or ``"drop-newest"`` (that one misses messages)

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.chassis import Backplane, PublishTo, SubscribeTo
        >>> from kamaelia.flow import Collect, Source
        >>> run(
        ...     Backplane("news", keep=10),
        ...     Source(["rain"]) | PublishTo("news"),
        ...     SubscribeTo("news") | Collect(),
        ... )
        [None, None, ['rain']]

        The last word on each subject, for who comes later:

        >>> board = Backplane("scores", key=lambda score: score[0])
    """

    inbox = Inbox[Any]("what is published in the room", held=True)
    outbox = Outbox[Any]("the same, to all who listen", optional=True)

    def __init__(
        self,
        name: str,
        *,
        keep: int = 0,
        key: Callable[[Any], Hashable] | None = None,
        when_full: WhenFull = "wait",
    ) -> None:
        check_name("Backplane", name, "room")
        if key is not None and not callable(key):
            raise TypeError(f"Backplane({name!r}, key={shorten(key)}): give a function of a message")
        given: Any = keep
        if not isinstance(given, Integral):
            raise TypeError(
                f"Backplane({name!r}, keep={shorten(keep)}): give how many messages to keep, a whole number"
            )
        if keep < 0:
            raise ValueError(f"Backplane({name!r}, keep={keep!r}): it can keep 0 messages or more")
        if key is not None and not keep:
            keep = 1
        _check_when_full(f"Backplane({name!r}", when_full)
        self.name = name
        self.keep = keep
        self.key = key
        self.when_full: WhenFull = when_full
        self._by_itself = False  # nobody has written it: it was made by the first who asked
        # What is kept of each subject, the one that was spoken of last at the end; with the number of each.
        self._kept: OrderedDict[Hashable, deque[tuple[int, Any]]] = OrderedDict()
        self._said = 0
        self._early: deque[Any] | None = deque(maxlen=EARLY_LIMIT)  # None as soon as somebody has listened
        self._opened_at: float | None = None
        self._people = 0  # who speak and listen now

    async def main(self) -> None:
        if not self._by_itself:
            self._open()
        async for message in self.inbox:
            if self._early is not None:
                self._keep_early(message)
            if self.keep:
                self._keep(message)
            await self.outbox.send(message)

    def join(self, feed: Inbox[Any], when_full: WhenFull | None = None) -> list[Any]:
        """Link an inbox to the room; return the messages that were kept for who comes now, oldest first."""
        numbered = sorted((pair for kept in self._kept.values() for pair in kept), key=itemgetter(0))
        kept = list(self._early or map(itemgetter(1), numbered))
        self._early = None
        postman.link(self.outbox, feed, when_full=when_full or self.when_full)
        return kept

    def enter(self) -> None:
        """Count one more who speaks or listens."""
        self._people += 1

    def leave(self) -> None:
        """Count one less. A room that nobody has written closes a second after the last has gone."""
        self._people -= 1
        if self._people == 0 and self._by_itself:
            self.system.loop.call_later(EARLY, self._close_if_empty, context=contextvars.Context())

    def _close_if_empty(self) -> None:
        names = self.system.names
        if self._people == 0 and names.find(self.name) is self:
            names.withdraw(self.name)  # now, and not when it has ended: who asks from here on opens another
            self.inbox.release()

    def _keep(self, message: Any) -> None:
        subject = None if self.key is None else self.key(message)
        if subject not in self._kept:
            self._kept[subject] = deque(maxlen=self.keep)
            if len(self._kept) > SUBJECTS:
                self._kept.popitem(last=False)
        self._kept.move_to_end(subject)
        self._kept[subject].append((self._said, message))
        self._said += 1

    def _keep_early(self, message: Any) -> None:
        assert self._early is not None
        if self._opened_at is None:
            self._opened_at = clock()
        if clock() - self._opened_at > EARLY:
            self._early = None
        else:
            self._early.append(message)

    def _open(self) -> None:
        """Offer the room under its name; a room that was made by itself hands over."""
        names = self.system.names
        other = names.find(self.name)
        if not (isinstance(other, Backplane) and other._by_itself):
            names.offer(self.name, self, self)
            return
        names.withdraw(self.name)
        names.offer(self.name, self, self)
        # Who listened there listens here. Who spoke there still does, and the old room passes it on: so each
        # speaker's messages keep their order.
        for wire in list(other.outbox.outgoing):
            postman.relink(wire, source=self.outbox)
        self._early, other._early = other._early, None
        self._opened_at = other._opened_at
        postman.link(other.outbox, self.inbox)
        other.inbox.release()


class PublishTo(Component):
    """Say everything that arrives in a room.

    It ends when its inbox does, and closes its outbox.

    Inbox: ``inbox``, anything. Outbox: ``outbox``, nothing; or with ``forward``, the same as into the room.
    It is optional: the work of this component lies elsewhere.

    Ending: with its inbox. Failure: when what feeds it fails, it has left the room, and what it forwards is
    broken. Stop: what it was sent is said. Back-pressure: it waits for the room, and so for those who
    listen there, unless they say otherwise. It holds nothing open; a room that nobody has written stays open
    for a second after it.

    Arguments:
        name: of the room
        forward: pass the messages on, too

    Example:
        A chat, in which everybody hears everybody:

        >>> from kamaelia.chassis import PublishTo, SubscribeTo
        >>> from kamaelia.flow import Encode, Lines
        >>> visitor = Lines() | PublishTo("room") | SubscribeTo("room") | Encode(end="\\n")
    """

    inbox = Inbox[Any]("what to say in the room")
    outbox = Outbox[Any]("the same, if it is to be passed on", optional=True)

    def __init__(self, name: str, *, forward: bool = False) -> None:
        self.name = check_name("PublishTo", name, "room")
        self.forward = forward
        self._own: deque[Any] | None = None  # what was said, and not heard yet by who does not want to

    async def main(self) -> None:
        room = room_for(self, self.name)
        to_room: Outbox[Any] = self.add_box("_room", Outbox(f"to the room {self.name!r}"))
        wire = postman.link(to_room, room.inbox)
        wire.feedback = postman.hears(self, room.outbox)
        room.enter()
        try:
            async for message in self.inbox:
                if self._own is not None:
                    self._own.append(message)
                await to_room.send(message)
                if self.forward:
                    await self.outbox.send(message)
        finally:
            room.leave()


class SubscribeTo(Component):
    """Hear everything that is said in a room.

    It ends when its own inbox does, if that is linked. So in a visitor's pipeline the end of what the visitor
    sends ends this visitor's connection, and nobody else's. What the visitor sends before that is not for the
    room (`PublishTo` is): it is counted in `ignored`, or with ``forward`` passed on.

    Inboxes: ``inbox``, whose end is the end; ``feed``, to which the room is linked.
    Outbox: ``outbox``, what is said in the room, and with ``forward`` what comes to ``inbox``.

    Ending: with its inbox, if that is linked, or with the room. Failure: when what feeds its inbox fails, so
    has what it sends. Stop: what the room had said by then is passed on. Back-pressure: see ``when_full``. It
    holds nothing open; a room that nobody has written stays open for a second after it.

    Arguments:
        name: of the room
        forward: pass on what comes to ``inbox`` too, before what the room says
        when_full: what happens when this one does not keep up with the room. With ``"wait"`` everybody
            waits for it; with ``"drop-oldest"`` or ``"drop-newest"`` it misses messages, which are counted.
            Without it, what the `Backplane` says.

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.chassis import PublishTo, SubscribeTo
        >>> from kamaelia.flow import Collect, Source
        >>> run(
        ...     Source("ab") | PublishTo("talk"),
        ...     SubscribeTo("talk") | Collect(),
        ...     SubscribeTo("talk") | Collect(),
        ... )
        [None, ['a', 'b'], ['a', 'b']]
    """

    inbox = Inbox[Any]("its end is the end; with forward, messages to pass on")
    feed = Inbox[Any]("what is said in the room", held=True)
    outbox = Outbox[Any]("what is said in the room, and with forward what comes to inbox")

    def __init__(self, name: str, *, forward: bool = False, when_full: WhenFull | None = None) -> None:
        self.name = check_name("SubscribeTo", name, "room")
        if when_full is not None:
            _check_when_full(f"SubscribeTo({name!r}", when_full)
        self.forward = forward
        self.when_full = when_full
        self._own: deque[Any] | None = None
        self.ignored = 0
        """Messages that came to ``inbox`` and were not to be passed on."""

    async def main(self) -> None:
        own_inbox_is_linked = postman.is_linked(self.inbox)
        room = room_for(self, self.name)
        room.enter()
        try:
            await self._listen(room, own_inbox_is_linked)
        finally:
            room.leave()

    async def _listen(self, room: Backplane, own_inbox_is_linked: bool) -> None:
        if self.feed.ended:
            return  # the system was stopped before this had begun
        kept = room.join(self.feed, self.when_full)
        for wire in postman.links_from(self, room.inbox):
            wire.feedback = True
        # From here on only the room keeps the feed open: it ends when the room does.
        self.feed.release()
        for message in kept:
            await self._hear(message)
        if own_inbox_is_linked:
            async for box, message in select(self.inbox, self.feed, until=self.inbox):
                if box is self.feed:
                    await self._hear(message)
                elif self.forward:
                    await self.outbox.send(message)
                else:
                    self.ignored += 1
            # What the room had said by then is passed on, too: at a stop a talk's last lines arrive.
            while self.feed.statistics().waiting:
                await self._hear(await self.feed.receive())
        else:
            async for message in self.feed:
                await self._hear(message)

    async def _hear(self, message: Any) -> None:
        if self._own is None or not self._is_own(message):
            await self.outbox.send(message)

    def _is_own(self, message: Any) -> bool:
        """Say whether a message is the next of our own that comes back.

        They come back in order, but for those that were dropped on the way. Somebody else may have said the
        very same object; then that is left out, and ours is passed on, which nobody can tell apart.
        """
        own = self._own
        assert own is not None
        if not any(one is message for one in own):
            return False
        while own.popleft() is not message:
            pass
        return True


class Join(Pipeline):
    """Be in a room: say there what comes in, and hear what is said.

    ``Join("room")`` is ``PublishTo("room") | SubscribeTo("room")``, and with ``echo=False`` does not hear
    what it has said itself.

    Inbox: ``inbox``, what to say. Outbox: ``outbox``, what is said in the room.

    Ending: with its inbox, or with the room. Failure: when what feeds it fails, so has what it sends. Stop:
    what it was sent is said, and what the room had said by then is passed on. Back-pressure: as for
    `PublishTo` and `SubscribeTo`. It holds nothing open.

    Arguments:
        name: of the room
        echo: hear also what came from here
        when_full: what happens when this one does not keep up with the room, as for `SubscribeTo`

    Example:
        A chat, in which everybody hears the others:

        >>> from kamaelia.chassis import Join
        >>> from kamaelia.flow import Encode, Lines
        >>> visitor = Lines() | Join("room", echo=False) | Encode(end="\\n")
    """

    def __init__(self, name: str, *, echo: bool = True, when_full: WhenFull | None = None) -> None:
        check_name("Join", name, "room")
        speaker = PublishTo(name)
        listener = SubscribeTo(name) if when_full is None else SubscribeTo(name, when_full=when_full)
        if not echo:
            speaker._own = listener._own = deque()
        super().__init__(speaker, listener)


# -- finding the room -------------------------------------------------------------------------------


def room_for(asker: Component, name: str) -> Backplane:
    """Return the room of a name in the asker's system; make it if there is none yet."""
    system = asker.system
    room = system.names.find(name)
    if room is None:
        room = Backplane(name).named("Backplane " + name.replace("/", ":"))
        room._by_itself = True
        # A child of the whole system, because it belongs to nobody who comes and goes; so the context of
        # who happens to come first is not for it either.
        contextvars.Context().run(system.root.component.add, room)
        system.names.offer(name, room, room)
        if system.stopping:
            room.inbox.release()
    elif not isinstance(room, Backplane):
        raise UsageError(f"{asker.path}: {name!r} is no room in this system, but the name of {shorten(room)}")
    return room


def _check_when_full(what: str, when_full: Any) -> None:
    if when_full not in ("wait", "drop-oldest", "drop-newest"):
        raise ValueError(
            f"{what}, when_full={shorten(when_full)}): say 'wait', 'drop-oldest' or 'drop-newest'"
        )


__all__ = ["Backplane", "Join", "PublishTo", "SubscribeTo", "room_for"]
