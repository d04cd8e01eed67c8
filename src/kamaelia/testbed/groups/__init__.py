"""Group management on simulated links: hosts say which groups they want, routers and switches hear it.

IGMP of IPv4 and MLD of IPv6 are one protocol, and one set of machines here. A machine is told the time in
whole nanoseconds and what it hears; it returns what it has to say, and when it is to be woken. It has no
clock, and sends nothing itself::

    host = Host(stream)
    sends = host.set_filter("239.1.2.3", "exclude", [], now)  # join
    sends = host.receive(query, now)
    if host.next_time() <= now:
        sends = host.wake(now)

Wake a machine at its `next_time` before it is told anything that happens later. Read in this order; each of
these opens with its theory:

| module | what is in it |
| --- | --- |
| `messages` | what is said, and how it looks in bytes: IGMP v1 to v3, MLD v1 and v2 |
| `timing` | the constants, and what follows from them: leave latency, ageing |
| `host` | what sockets want, and what a host says of it |
| `members` | what one who hears that knows: the tables of the RFCs (`alarms` for its timers) |
| `router` | who asks, and what goes to the link: `Router.wants` |
| `snooping` | a switch that listens: `Snooping.ports` |
"""

from .host import Host, Stream, merged
from .members import GroupState, Members
from .messages import IGMP, MLD, Family, Kind, Leave, Message, Mode, Query, Record, Report, Send, from_bytes
from .router import Changed, Router
from .snooping import Relay, Snooping
from .timing import Timing

__all__ = [
    "IGMP",
    "MLD",
    "Changed",
    "Family",
    "GroupState",
    "Host",
    "Kind",
    "Leave",
    "Members",
    "Message",
    "Mode",
    "Query",
    "Record",
    "Relay",
    "Report",
    "Router",
    "Send",
    "Snooping",
    "Stream",
    "Timing",
    "from_bytes",
    "merged",
]
