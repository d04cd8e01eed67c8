"""Ways to put components together that a pipeline and a graphline do not cover.

`PublishTo`, `SubscribeTo` and `Backplane` make rooms: what one says in a room, all who are in it hear, and
nobody has to know who else is there.
"""

from .backplane import Backplane, PublishTo, SubscribeTo

__all__ = ["Backplane", "PublishTo", "SubscribeTo"]
