"""A link in virtual time, for the machines of group management: a list of what is under way, and no clock.

All hear all, each message after the link's delay; or they are at the ports of a snooping switch, and then
there is the delay before it and behind it. Messages travel as bytes, so what could not be said on the wire
fails here.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any, TypeAlias

from kamaelia.testbed.groups import (
    IGMP,
    Changed,
    Family,
    Host,
    Message,
    Query,
    Relay,
    Router,
    Send,
    Snooping,
    from_bytes,
)

SECOND = 10**9
MS = 10**6

Machine: TypeAlias = Host | Router | Snooping


class Values:
    """Random numbers that are known: these, and then the last for ever."""

    def __init__(self, *values: float) -> None:
        self.values = list(values)

    def random(self) -> float:
        return self.values.pop(0) if len(self.values) > 1 else self.values[0]


class Link:
    def __init__(
        self, family: Family = IGMP, *, delay: int = MS, switch: Callable[..., Snooping] | None = None
    ) -> None:
        self.family = family
        self.delay = delay
        self.now = 0
        self.machines: dict[str, Machine] = {}  # by address; the switch by ""
        self.log: list[tuple[int, str, Message]] = []
        """When who said what."""
        self.changes: list[tuple[int, str, str]] = []
        """When which router said that which group is wanted from other sources."""
        self.lost: Callable[[int, str, str, Message], bool] = lambda time, sender, receiver, message: False
        self._under_way: list[tuple[int, int, str, str, bytes, str, int]] = []
        self._serial = 0
        self._make_switch = switch
        self.switch: Snooping | None = None

    def add(self, address: str, machine: Any) -> Any:
        self.machines[address] = machine
        return machine

    def start(self) -> None:
        """All are there: make the switch, whose port n is that of the n-th, and start it and the routers."""
        if self._make_switch is not None:
            self.switch = self._make_switch(range(1, len(self.machines) + 1))
            self.machines[""] = self.switch
        for address, machine in self.machines.items():
            if isinstance(machine, (Router, Snooping)):
                self.do(address, machine.start(self.now))

    def port(self, address: str) -> int:
        return list(self.machines).index(address) + 1

    def do(self, address: str, events: list[Any], relayed: tuple[str, str, bytes] | None = None) -> None:
        """Carry out what a machine wants."""
        for event in events:
            if isinstance(event, Changed):
                self.changes.append((self.now, address, event.group))
            elif isinstance(event, Relay):
                assert relayed is not None
                for port in event.ports:
                    self._carry(relayed[0], list(self.machines)[port - 1], relayed[1], relayed[2])
            else:
                assert isinstance(event, Send)
                machine = self.machines[address]
                source = machine.address if isinstance(machine, Snooping) else address
                data = event.message.to_bytes(source, event.destination)
                self.log.append((self.now, address, from_bytes(data, source, event.destination)))
                others = [other for other in self.machines if other not in (address, "")]
                if self.switch is not None and address:
                    others = [""]
                for other in others:
                    self._carry(source, other, event.destination, data)

    def _carry(self, source: str, receiver: str, destination: str, data: bytes) -> None:
        message = from_bytes(data, source, destination)
        if self.lost(self.now, source, receiver, message):
            return
        self._serial += 1
        arrived = self.port(source) if source in self.machines else 0
        entry = (self.now + self.delay, self._serial, source, receiver, data, destination, arrived)
        heapq.heappush(self._under_way, entry)

    def next_time(self) -> int | None:
        times = [machine.next_time() for machine in self.machines.values()]
        times.append(self._under_way[0][0] if self._under_way else None)
        return min((time for time in times if time is not None), default=None)

    def run(self, until: float) -> None:
        """Go on until a time, in seconds, that included."""
        end = round(until * SECOND)
        while (time := self.next_time()) is not None and time <= end:
            assert time >= self.now, (time, self.now)
            self.now = time
            for address, machine in list(self.machines.items()):
                at = machine.next_time()
                if at is not None and at <= time:
                    self.do(address, list(machine.wake(time)))
            while self._under_way and self._under_way[0][0] <= time:
                _, _, source, receiver, data, destination, arrived = heapq.heappop(self._under_way)
                machine = self.machines.get(receiver)
                message = from_bytes(data, source, destination)
                if isinstance(machine, Snooping):
                    self.do("", machine.receive(message, source, arrived, time), (source, destination, data))
                elif isinstance(machine, Router):
                    self.do(receiver, machine.receive(message, source, time))
                elif isinstance(machine, Host):
                    self.do(receiver, list(machine.receive(message, time)))
        self.now = end

    def join(self, address: str, group: str, mode: str = "exclude", *sources: str) -> None:
        """A host wants a group from these sources, or from all but these, now."""
        self.do(address, self.machines[address].set_filter(group, mode, sources, self.now))

    def leave(self, address: str, group: str) -> None:
        self.join(address, group, "include")

    def said(self, address: str, kind: type[Any] = object) -> list[tuple[float, Message]]:
        """What one has said so far, with the seconds."""
        return [
            (time / SECOND, message)
            for time, sender, message in self.log
            if sender == address and isinstance(message, kind)
        ]

    def queries(self) -> list[tuple[float, str]]:
        """When who asked generally, in seconds."""
        return [
            (time / SECOND, sender)
            for time, sender, message in self.log
            if isinstance(message, Query) and message.group is None
        ]
