"""What waits in a queue: the messages that have been sent and that nobody has received yet.

A tap shows what passes from now on. In a system that has come to a stop nothing does, and then the question
is what has been left lying. It is answered beside the system, also while its own thread does not answer: the
queue is copied, which it does not notice, and the messages are shown from the copy. Their reader may change
them meanwhile. No code of theirs is run, and of what cannot be read that is said.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..snapshot import target_of
from .looking import again
from .shown import show

if TYPE_CHECKING:
    from kamaelia.axon.box import Box
    from kamaelia.axon.link import Link

LAST = 20  # messages that are shown, at most


def waiting_at(place: Box[Any] | Link, last: int, most: int) -> dict[str, Any]:
    """Return the messages that wait at the end of a link or behind a box, the next to be received first.

    Where several queues are there, it is the fullest. ``box`` is whose queue it is, None where nothing is
    linked; ``waiting`` is how many messages wait; ``messages`` shows the newest of them.

    Arguments:
        place: a link, or a box: of an inbox it is its own queue, of an outbox those that it sends to
        last: messages that are shown, at most
        most: bytes, or characters, that are shown of each
    """
    found = again(lambda: list(queues_of(place)))
    if not found:
        return {"box": None, "waiting": 0, "messages": []}
    box, queue = max(found, key=lambda one: one[1].waiting() / one[1].size)
    waiting = again(lambda: list(queue))
    newest = deque(waiting, last)
    return {"box": str(box), "waiting": len(waiting), "messages": [show(one, most) for one in newest]}


def queues_of(place: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the queues to which messages go from a link or box, each with its inbox."""
    if not hasattr(place, "is_inbox"):
        wires = [place]
    else:
        wires = list(place.outgoing)
        if place.is_inbox and not (place.wired and wires):
            yield place, place.queue
            return
    for wire in wires:
        if wire.lends_to is not None:  # who sits there reads from the seat's own queue
            yield wire.lends_to, wire.lends_to.queue
        else:
            for route in list(wire.routes):
                yield target_of(route), route.queue
