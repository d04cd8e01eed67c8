"""Side by side."""

from __future__ import annotations

from typing import Any

from kamaelia.axon import UsageError, as_part, lifecycle
from kamaelia.axon.graph import Chassis


class Parallel(Chassis):
    """Parts side by side: each gets what comes, and what they send comes out together.

    It has every box that one of the parts has. A message for an inbox goes to all parts that have an inbox of
    that name, what parts send through outboxes of one name comes out of one, in the order of sending. (To
    have each message worked on by one of several, take a `Pool`.)

    Ending: it ends when all parts have; one that ends earlier leaves the others what comes. Failure: that of
    a part is one of the whole, as in a pipeline. Stop: each part finishes what it was sent. Back-pressure:
    the slowest part sets the pace, as everywhere where one box is linked to many. It holds nothing open.

    Arguments:
        parts: the parts, one or more

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.chassis import Parallel
        >>> from kamaelia.flow import Collect, Map, Source
        >>> run(Source("ab") | Parallel(Map(str.upper), Map(ord)) | Collect())
        ['A', 97, 'B', 98]
    """

    def __init__(self, *parts: Any) -> None:
        if not parts:
            raise UsageError("Parallel() needs at least one part")
        components = [as_part(part) for part in parts]
        for component in components:
            lifecycle.add_child(self._axon, component._axon)
        self._mirror(*components)


__all__ = ["Parallel"]
