"""Ways to put components together that a pipeline and a graphline do not cover.

| chassis | what it does |
| --- | --- |
| `Parallel`, `Sequential` | parts side by side; one after another |
| `Pool` | copies of a part share the work |
| `Carousel`, `Chooser` | a place whose part is replaced on request; which one it is to be |
| `Dispatch`, `Selector` | a message picks its outbox; a message picks which inbox is passed on |
| `PublishTo`, `SubscribeTo`, `Join`, `Backplane` | rooms: what one says in a room, all who are in it hear |
| `Calls`, `Ask` | a service that answers, and who asks it |
| `Supervisor`, `Retry` | start parts again that have failed: to keep a system up; to get one thing done |
| `Timeout` | gives a part up that takes too long |
"""

from .backplane import Backplane, Join, PublishTo, SubscribeTo
from .calls import Ask, Calls, CallStatistics, NoAnswer, Reply
from .carousel import Carousel
from .chooser import Chooser
from .dispatch import Dispatch
from .parallel import Parallel
from .pool import Pool
from .restart import Backoff, MemberStatistics, RestartsExceeded, RestartStatistics
from .retry import Retry
from .selector import Selector
from .sequential import Sequential
from .supervisor import Supervisor
from .timeout import Timeout

__all__ = [
    "Ask",
    "Backoff",
    "Backplane",
    "CallStatistics",
    "Calls",
    "Carousel",
    "Chooser",
    "Dispatch",
    "Join",
    "MemberStatistics",
    "NoAnswer",
    "Parallel",
    "Pool",
    "PublishTo",
    "Reply",
    "RestartStatistics",
    "RestartsExceeded",
    "Retry",
    "Selector",
    "Sequential",
    "SubscribeTo",
    "Supervisor",
    "Timeout",
]
