"""A switch that listens to group management, to send packets to groups only where they are wanted (RFC 4541).

A plain switch floods: what goes to a group goes to all ports. A snooping one looks into reports and queries:

- a port where a query came in, from an address that is not zero, leads to a **router**, for the other
  querier present interval (255 s; RFC 4541 gives no time). Zero is the address of a querier that is no
  router (2.1.1);
- a port where a report came in has **members**: per port it keeps the records of
  `kamaelia.testbed.groups.members`, so it knows sources as well. They go after GMI, or LMQT after the
  querier has asked for that group in vain: the switch lowers its timers as routers do that hear that;
- reports and leaves go on to ports of routers only, so hosts of older versions do not suppress one
  another's reports across ports, which would hide members; queries go to all ports;
- a packet to a group that anybody wants goes to the ports where it is wanted, and to those of routers. One
  to a group that nobody wants is **unknown**: it goes to all ports (``unknown="flood"``, the default, as
  RFC 4541 2.1.2 allows) or only to those of routers (``unknown="drop"``). 224.0.0.0/24 and, in IPv6,
  ff02::1 and what stays in a host always go to all ports: many that use them do not report them.

**The trap.** Reports keep coming only because somebody asks. Without any querier, such as a LAN with a
switch and no multicast router, each member is heard once, when it joins. For GMI, 260 s, all is well; then
its port is taken out, and the stream **stops** (``unknown="drop"``, or somebody else has joined since), or
it is **flooded** to all ports (``unknown="flood"``, when no member is left). A leave is heard, but as
nobody asks it changes nothing before those 260 s are over. Of real switches some do this; others, such as
Linux's bridge, flood everything as long as there is no querier, which is not modelled here. The cure is in
every better switch: ``querier=True`` makes it ask itself, for as long as no router does. Its queries come
from ``address``, or without one from zero: then hosts answer all the same, but other switches do not take
its port for a router's.

**Fast leave**: with ``fast_leave`` a port is taken out when the first host behind it leaves, without
asking: right if there is one host behind each port.

Not modelled: routers that are known by PIM or by multicast router discovery, reports that the switch
answers or merges itself, limits on its tables, and links that go down (their members leave by their
timers).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from kamaelia.axon import UsageError

from .alarms import Alarms
from .members import Members
from .messages import IGMP, MLD, Family, Message, Query, Send, check_version, packed
from .router import Router
from .timing import DEFAULT, Timing


@dataclass(frozen=True, slots=True)
class Relay:
    """The message just received is to go on at these ports.

    >>> Relay((1, 2)).ports
    (1, 2)
    """

    ports: tuple[int, ...]


SwitchEvent: TypeAlias = Relay | Send
"""What a switch has to say: the message goes on there; or one of its own goes out at all ports."""


class Snooping:
    """A snooping switch with these ports. It has one family; a switch for both has two of these.

    ``version`` is that of its own queries. What it has to say is returned: `Relay` for the message
    received, and with ``querier=True`` `Send` for queries of its own, which go out at all ports. Raises
    `UsageError` for what cannot be.

    >>> from kamaelia.testbed.groups import Kind, Record, Report
    >>> switch = Snooping(range(1, 5))
    >>> switch.receive(Query(3), "10.0.0.254", port=1, now=0)
    [Relay(ports=(2, 3, 4))]
    >>> switch.receive(Report(3, (Record(Kind.TO_EX, "239.1.2.3"),)), "10.0.0.7", port=3, now=5)
    [Relay(ports=(1,))]
    >>> switch.ports("239.1.2.3", "192.0.2.1", arrived=1)
    (3,)
    """

    __slots__ = (
        "_alarms",
        "_all",
        "_answers",
        "_configured",
        "_fast_leave",
        "_members",
        "_querier",
        "_routers",
        "_timing",
        "_unknown",
        "address",
        "family",
    )

    def __init__(
        self,
        ports: Iterable[int],
        *,
        family: Family = IGMP,
        version: int | None = None,
        unknown: Literal["flood", "drop"] = "flood",
        timing: Timing = DEFAULT,
        querier: bool = False,
        address: str | None = None,
        fast_leave: bool = False,
    ) -> None:
        self._all = tuple(ports)
        if len(set(self._all)) < len(self._all):
            raise UsageError(f"ports={self._all!r}: give each port a number of its own")
        if unknown not in ("flood", "drop"):
            raise UsageError(f"unknown={unknown!r}: say 'flood' or 'drop'")
        if family is MLD and querier and address is None:
            raise UsageError("querier=True: hosts answer no query of MLD from zero; give address='fe80::1'")
        self.family = family
        self.address = family.unspecified if address is None else address
        """Of its own queries."""
        check_version(version, family)
        self._unknown = unknown
        self._configured = self._timing = timing
        self._fast_leave = fast_leave
        self._querier = (
            Router(self.address, family=family, version=version, timing=timing) if querier else None
        )
        self._members: dict[int, Members] = {}
        self._routers: dict[int, int] = {}  # ports, and until when
        self._alarms: Alarms[int] = Alarms()  # when timers of members run out, by port
        self._answers: dict[str, dict[str, tuple[int, ...]]] = {}

    def start(self, now: int) -> list[SwitchEvent]:
        """Begin: with ``querier=True`` to ask, else there is nothing to do.

        >>> Snooping([1, 2]).start(0)
        []
        """
        return self._asked(self._querier.start(now), now) if self._querier is not None else []

    @property
    def is_querier(self) -> bool:
        """It is the switch itself who asks.

        >>> Snooping([1, 2]).is_querier
        False
        """
        return self._querier is not None and self._querier.is_querier

    @property
    def router_ports(self) -> tuple[int, ...]:
        """The ports that lead to routers.

        >>> Snooping([1, 2]).router_ports
        ()
        """
        return tuple(port for port in self._all if port in self._routers)

    def ports(self, group: str, source: str, arrived: int | None = None) -> tuple[int, ...]:
        """Return where a packet of this source to this group goes on; not where it arrived.

        >>> Snooping([1, 2, 3], unknown="drop").ports("239.1.2.3", "10.0.0.1")
        ()
        """
        answers = self._answers.setdefault(group, {})
        ports = answers.get(source)
        if ports is None:
            ports = answers[source] = self._find_ports(group, source)
        return tuple(port for port in ports if port != arrived) if arrived in ports else ports

    def receive(self, message: Message, source: str, port: int, now: int) -> list[SwitchEvent]:
        """A message of this source came in at a port. Returns where it goes on, and what the switch asks.

        Raises `UsageError` for a port that it does not have.

        >>> Snooping([1, 2, 3]).receive(Query(3), "10.0.0.254", port=1, now=0)
        [Relay(ports=(2, 3))]
        """
        if port not in self._all:
            raise UsageError(f"port={port!r} is none of this switch: it has {self._all!r}")
        if isinstance(message, Query):
            if source != self.family.unspecified:
                self._timing = self._configured.adopted(message)
                if port not in self._routers:
                    self._answers.clear()
                self._routers[port] = now + self._timing.other_querier_present_interval
            self._lower(message, now)
            onward = self._all
        else:
            members = self._members.get(port)
            if members is None:
                members = self._members[port] = Members(self.family)
            for group, changed, ask, ask_group in members.hear(
                message, now, self._timing.group_membership_interval
            ):
                if changed:
                    self._answers.pop(group, None)
                if self._fast_leave and (ask or ask_group):
                    members.lower_sources(group, ask, now)
                    if ask_group:
                        members.lower_group(group, now)
                    self._expire(port, now)
            self._alarms.set(port, members.next_time())
            onward = self.router_ports
        onward = tuple(one for one in onward if one != port)
        events: list[SwitchEvent] = [Relay(onward)] if onward else []
        if self._querier is not None:
            events += self._asked(self._querier.receive(message, source, now), now)
        return events

    def next_time(self) -> int | None:
        """Return when to `wake` it, in nanoseconds; None for not at all.

        >>> Snooping([1, 2]).next_time() is None
        True
        """
        times = [self._alarms.next_time(), min(self._routers.values(), default=None)]
        if self._querier is not None:
            times.append(self._querier.next_time())
        return min((time for time in times if time is not None), default=None)

    def wake(self, now: int) -> list[SwitchEvent]:
        """The time has come: somebody is forgotten, or the switch asks. Returns what it asks.

        >>> Snooping([1, 2]).wake(0)
        []
        """
        for port in self._alarms.due(now):
            self._expire(port, now)
            self._alarms.set(port, self._members[port].next_time())
        for port in [port for port, until in self._routers.items() if until <= now]:
            del self._routers[port]
            self._answers.clear()
        return self._asked(self._querier.wake(now), now) if self._querier is not None else []

    def _find_ports(self, group: str, source: str) -> tuple[int, ...]:
        if _is_always_flooded(group):
            return self._all
        if self._unknown == "flood" and not any(group in one for one in self._members.values()):
            return self._all
        members, routers = self._members, self._routers
        return tuple(
            port
            for port in self._all
            if port in routers or (port in members and members[port].wants(group, source))
        )

    def _lower(self, query: Query, now: int) -> None:
        """What nobody answers is to end at the same time as for the querier."""
        if query.group is None or query.suppress:
            return
        until = now + self._timing.last_member_query_count * query.max_response
        for port, members in self._members.items():
            if query.sources:
                members.lower_sources(query.group, query.sources, until)
            else:
                members.lower_group(query.group, until)
            self._alarms.set(port, members.next_time())

    def _expire(self, port: int, now: int) -> None:
        for group in self._members[port].expire(now):
            self._answers.pop(group, None)

    def _asked(self, events: Iterable[object], now: int) -> list[SwitchEvent]:
        """Of what its own querier says only the queries matter; the switch hears them too."""
        sends = [event for event in events if isinstance(event, Send)]
        for send in sends:
            if isinstance(send.message, Query):
                self._lower(send.message, now)
        return list(sends)


def _is_always_flooded(group: str) -> bool:
    """RFC 4541 sections 2.1.2 (2) and 3."""
    octets = packed(group)
    if len(octets) == 4:
        return octets[:3] == b"\xe0\x00\x00"
    return group == MLD.all_hosts or octets[1] & 15 <= 1
