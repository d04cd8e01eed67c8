"""One after another."""

from __future__ import annotations

from collections import deque
from typing import Any

from kamaelia.axon import Component, Failure, Seat, UsageError, as_part, lifecycle


class Sequential(Seat):
    """Parts one after another: each begins when the one before it has ended.

    It has every box that one of the parts has. What comes to an inbox is for the part whose turn it is, and
    what that leaves unread is for the next; a part without such an inbox leaves it all. Who reads what they
    send sees one stream, with no end in between. Its result is that of the last part.

    Ending: it ends when the last part has, or when nobody listens any more. Failure: when a part fails, or
    ends because what feeds it has failed, no other begins, and what it sends is broken. Stop: the part whose
    turn it is finishes what it was sent, and another begins only if there is something left to read.
    Back-pressure: messages wait for the next part in the queue of this place, under the mark of the first
    part that has such an inbox. It holds nothing open but its outboxes between two parts.

    Arguments:
        parts: the parts, in order, one or more

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.chassis import Sequential
        >>> from kamaelia.flow import Collect, Map, Source
        >>> page = Sequential(Source(["<ul>"]), Map("<li>{}</li>".format), Source(["</ul>"]))
        >>> run(Source(["one", "two"]) | page | Collect())
        ['<ul>', '<li>one</li>', '<li>two</li>', '</ul>']
    """

    def __init__(self, *parts: Any) -> None:
        if not parts:
            raise UsageError("Sequential() needs at least one part")
        components = [as_part(part) for part in parts]
        for component in components:
            lifecycle.refuse_used(component._axon)
        self._left = deque(components[1:])
        super().__init__(components[0], self._decide, like=components, isolated=False)

    def _decide(self, occupant: Component, failure: Failure | None) -> None:
        if self._left and occupant._axon.cause is None:
            self._sit(self._left.popleft())

    def _means_the_seat(self, child: Component) -> bool:
        # A stop cancels a part that nothing feeds; what has been sent to this place is for the next one.
        return super()._means_the_seat(child) and child._axon.reason != "stop"

    def _is_fed(self) -> bool:
        # The next part may be one that needs no inbox. Only at a stop it has to be asked for.
        return super()._is_fed() if self.has_to_hurry() else True


__all__ = ["Sequential"]
