"""Ways to put components together that a pipeline and a graphline do not cover.

`PublishTo`, `SubscribeTo` and `Backplane` make rooms: what one says in a room, all who are in it hear, and
nobody has to know who else is there.

`Supervisor` and `Retry` start parts again that have failed: one keeps a system up, the other gets one thing
done.
"""

from .backplane import Backplane, PublishTo, SubscribeTo
from .restart import Backoff, MemberStatistics, RestartsExceeded, RestartStatistics
from .retry import Retry
from .supervisor import Supervisor

__all__ = [
    "Backoff",
    "Backplane",
    "MemberStatistics",
    "PublishTo",
    "RestartStatistics",
    "RestartsExceeded",
    "Retry",
    "SubscribeTo",
    "Supervisor",
]
