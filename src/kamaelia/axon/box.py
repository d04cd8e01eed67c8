"""Boxes: all that a component knows of the world.

A component receives from its inboxes (`inbox`) and sends to its outboxes (`outbox`); here is what they have
in common. In a class they are declared::

    class Shout(Component):
        inbox = Inbox[str]("what to shout")
        outbox = Outbox[str]("the same in capitals")

and each component gets boxes of its own, made from these declarations. What `Inbox.receive`, `Outbox.send`
and `select` return is awaited in a coroutine and yielded in a generator; in a script, which has a thread
of its own, the same calls block and return the value itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from . import core, postman, typecheck
from .errors import shorten
from .link import Link, Links

if TYPE_CHECKING:
    from .component import Component
    from .process import Process
    from .system import System
    from .tap import Tap

T = TypeVar("T")


class Declare:
    """``Inbox[bytes]``: calling it declares a box for messages of that type."""

    __slots__ = ("kind", "type")

    def __init__(self, kind: Any, message_type: Any) -> None:
        self.kind = kind
        self.type = message_type

    def __call__(self, doc: str = "", **options: Any) -> Any:
        return self.kind(doc, type=self.type, **options)

    def __repr__(self) -> str:
        return f"{self.kind.__name__}[{typecheck.name_of(self.type)}]"

    def __or__(self, other: Any) -> Any:  # so that "Inbox[str] | None" may be written in an annotation
        return object

    __ror__ = __or__


class Box(Generic[T]):
    """What inboxes and outboxes have in common: their place in the graph that the postman keeps.

    In a class body stands a *declaration*; each component gets a box made from it, by the form of the core
    that is in use (`core`).
    """

    __slots__ = core.NO_SLOTS

    is_inbox: bool
    doc: str
    type: Any  # of the messages
    name: str
    owner: Process  # None while it is only declared
    incoming: Links
    outgoing: Links
    sources: int  # open links that come in
    holds: int  # holds from inside the system
    outside: int  # holds from outside, each of which is a link as well
    settled: bool  # the component has taken its first step: from now on, no source is an end
    ended: bool  # nothing more will come in (or, of an outbox, go out)
    failure: BaseException | None  # why it ended, if that was a failure
    linked: bool  # something has been linked to it that takes messages from here
    lost: bool  # all readers that it had have gone
    taps: tuple[Tap, ...]
    wired: bool  # an inbox boundary: messages go on to boxes inside
    # The component's own code uses this box. Of an outbox: is a source, open until the code closes it.
    # Axon sends the failures of a chassis's children for it, so that box is never a mere wire.
    own: bool

    if not TYPE_CHECKING:

        def __class_getitem__(cls, message_type: Any) -> Any:
            if isinstance(message_type, TypeVar):
                return super().__class_getitem__(message_type)
            return Declare(cls, message_type)

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<{self.kind()} {self}>"

    def __str__(self) -> str:
        if self.owner is None:
            return f"{self.kind()}({self.doc!r})"
        path = self.owner.path
        return f"{path}.{self.name}" if path else self.name  # what stands around a system has no path

    def kind(self) -> str:
        """Return ``"Inbox"`` or ``"Outbox"``, whichever form of the core has made it."""
        return "Inbox" if self.is_inbox else "Outbox"

    def __rshift__(self, other: Any) -> Any:
        """Write down a link: ``a.outbox >> b.inbox``, or one to many with a list."""
        if isinstance(other, (list, tuple)):
            return [self >> one for one in other]
        if isinstance(other, (Box, str)):
            return Link(self, other)
        raise TypeError(
            f"{self} >> {shorten(other)}: link box to box, as in a.outbox >> b.inbox; whole components "
            "are joined with |"
        )

    def __rrshift__(self, other: Any) -> Any:
        if isinstance(other, (list, tuple)):
            return [one >> self for one in other]
        if isinstance(other, str):
            return Link(other, self)
        return NotImplemented

    def __reduce__(self) -> Any:
        """Pickle a component's box as that box of a component like it (see `Component.__reduce__`)."""
        if self.owner is None:
            raise TypeError(f"{self} is a mere declaration, and belongs to its class: it cannot be pickled")
        return _box_of, (self.owner.component, self.name)

    def prepare(self, system: System) -> None:
        """Take part in a system that runs."""
        if self.is_inbox:
            queue = self.queue  # type: ignore[attr-defined]
            queue.thread = system.scheduler.thread
            if system.debug:
                queue.check()

    def settle(self) -> None:
        """The component takes its first step: what has no source by now never will have one."""
        self.settled = True
        for wire in self.incoming:
            if wire.feedback:
                self.watch_loop()
                break
        if self.sources == 0 and self.holds == 0 and (self.is_inbox or (not self.own and self.incoming)):
            postman.end(self)

    def become_boundary(self) -> None:
        """This outbox passes on what boxes inside send, and its component's own code does not use it."""
        self.own = False

    def count_outside(self, change: int) -> None:
        """Count who may put something in from outside; while there is anybody, rest is no deadlock."""
        self.outside += change
        if self.settled and not (self.is_inbox and self.gone):  # type: ignore[attr-defined]
            self.owner.scheduler.outside += change  # type: ignore[union-attr]

    def watch_loop(self) -> None:
        """A feedback link leads here: let the scheduler see whether its loop has come to rest."""
        scheduler = self.owner.scheduler
        if scheduler is not None and self.settled:
            scheduler.loops = {**(scheduler.loops or {}), self: None}


def _box_of(component: Component, name: str) -> Box[Any]:
    """Return a component's box, as it was pickled."""
    return component._axon.boxes[name]


class PlainBox(Box[T]):
    """A component's own box, as the plain form of the core has it."""

    __slots__ = (
        "__weakref__",
        "doc",
        "ended",
        "failure",
        "holds",
        "incoming",
        "linked",
        "lost",
        "name",
        "outgoing",
        "outside",
        "own",
        "owner",
        "settled",
        "sources",
        "taps",
        "type",
        "wired",
    )

    def __init__(self, declaration: Box[Any], owner: Process, name: str) -> None:
        self.doc = declaration.doc
        self.type = declaration.type
        self.owner = owner
        self.name = name
        self.incoming = ()
        self.outgoing = ()
        self.sources = 0
        self.holds = 0
        self.outside = 0
        self.settled = False
        self.ended = False
        self.failure = None
        self.linked = False
        self.lost = False
        self.taps = ()
        self.wired = False
        self.own = owner.has_body or (name == "failures" and not self.is_inbox)
