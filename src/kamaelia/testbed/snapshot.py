"""Snapshots of a simulated network: hosts, links, and what is under way between them, at one moment.

`kamaelia.observe.snapshot` says what a snapshot is; this one is of a network. It is plain and frozen, and
JSON with a version. What runs on a host is in a snapshot of that host's own system.

Everything is read from counts that a simulation keeps in any case, so nothing is added to a run that nobody
looks at, and looking changes nothing in one. In the thread of the simulation, between two turns of its clock,
what is read is of one instant, and exact: that is in a script or a step at a time (`Network.at`), and through
`Remote.snapshot`. From another thread it is not of one instant: packets go on meanwhile.

What a direction of a link was given adds up: ``sent + duplicated`` is ``delivered``, what is in ``losses``,
``queued``, ``held`` and ``in_flight``.

Rates are over virtual time. They are known from the second look on, when at least `RATE_SPAN` has passed.
"""

from __future__ import annotations

import functools
import json
import os
import threading
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from ..axon import core
from ..axon.errors import shorten
from ..observe.snapshot import VERSION, from_dict, processes_of
from .protocols import REASONS

if TYPE_CHECKING:
    from .channel import Channel
    from .network import NetworkLink
    from .settings import LinkSettings
    from .simulation import Simulation
    from .stack import Stack

RATE_SPAN = 250_000_000  # nanoseconds of virtual time that a rate is about, at least


@dataclass(frozen=True, slots=True)
class LinkParameters:
    """What one direction of a link is like, as people wrote it; None is for nothing.

    What is neither text nor a number, such as a model or a function, is shown as Python writes it.
    """

    delay: str | None
    """How long a packet is under way."""
    jitter: str | None
    """How much shorter or longer than that."""
    reordering: bool
    """Whether jitter may change the order of packets."""
    loss: str | None
    """How many packets are lost."""
    rate: str | None
    """How much it carries."""
    queue: str | None
    """How much may wait."""
    mtu: str | None
    """Bytes in the largest packet."""
    duplicate: str | None
    """How many packets arrive twice."""
    corrupt: str | None
    """How many packets are changed on the way."""
    reorder: str | None
    """How many packets arrive out of their order."""


@dataclass(frozen=True, slots=True)
class LossSnapshot:
    """Packets that a direction of a link, or a host, has not delivered, for one reason."""

    why: str
    """Of a link: ``queue full``, ``random loss``, ``loss model``, ``active queue``, ``link down`` or ``too
    large``. Of a host: ``no way`` (where no link leads to the target, nothing leaves), ``nobody listens``,
    ``listener full``, ``not for it``, ``partition``, ``host down``, ``rule``, ``no mapping``, ``wrong
    checksum`` or ``expired``."""
    packets: int
    """How many."""


@dataclass(frozen=True, slots=True)
class DirectionSnapshot:
    """One direction of a link."""

    name: str
    """Such as ``server > phone-3``."""
    source: str
    """The host that it comes from."""
    target: str
    """The host that it leads to."""
    parameters: LinkParameters
    """What it is like."""
    sent: int
    """Packets that were to go over it."""
    bytes: int
    """Bytes in them, with all headers."""
    delivered: int
    """Packets that came out at the other end."""
    losses: tuple[LossSnapshot, ...]
    """Packets that did not, by reason."""
    marked: int
    """Packets that an active queue has marked."""
    duplicated: int
    """Packets that became two on the way."""
    corrupted: int
    """Packets that were changed on the way."""
    queued: int
    """Packets that wait in its queue."""
    held: int
    """Packets that a fault keeps (`Network.hold` keeps them at the host)."""
    in_flight: int
    """Packets that are being sent, or are on their way."""
    packet_rate: float | None
    """Packets a second that were to go over it of late; None at the first look."""
    byte_rate: float | None
    """Bytes a second of late."""
    loss_rate: float | None
    """Packets a second that were lost or dropped of late."""

    @property
    def lost(self) -> int:
        """How many packets were lost or dropped, for whatever reason."""
        return sum(one.packets for one in self.losses)


@dataclass(frozen=True, slots=True)
class NetworkLinkSnapshot:
    """One link."""

    name: str
    """``server - phone-3``; of one that leads one way only it is that of its direction."""
    ends: tuple[str, ...]
    """The two hosts."""
    state: str
    """``up`` or ``cut``."""
    directions: tuple[DirectionSnapshot, ...]
    """There, and, unless it leads one way only, back."""


@dataclass(frozen=True, slots=True)
class HostSnapshot:
    """One host."""

    name: str
    """By which others reach it."""
    kind: str
    """``host``, ``router`` or ``switch``."""
    addresses: tuple[str, ...]
    """Those that its name stands for."""
    state: str
    """``running``, ``paused``, ``stopping``, ``over`` (what it ran has ended), ``down`` (it has crashed), or
    ``idle`` (it runs nothing of its own)."""
    components: int
    """How many components are on it."""
    starts: int
    """How often it has been started: more than once when it has crashed."""
    sent: int
    """Packets sent, and sent again."""
    received: int
    """Packets that have arrived here."""
    bytes_sent: int
    """Bytes in those sent, with all headers."""
    bytes_received: int
    """Bytes in those received."""
    losses: tuple[LossSnapshot, ...]
    """Packets that went no further, by reason."""

    @property
    def lost(self) -> int:
        """How many packets went no further, for whatever reason."""
        return sum(one.packets for one in self.losses)


@dataclass(frozen=True, slots=True)
class NetworkSnapshot:
    """A simulated network at one moment.

    Example:
        >>> from kamaelia import sleep, component
        >>> from kamaelia.testbed import Network
        >>> @component
        ... async def nap(inbox, outbox):
        ...     await sleep(5)
        >>> network = Network()
        >>> server, phone = network.host("server").run(nap), network.host("phone")
        >>> _ = network.link(server, phone, delay="80 ms", loss="5 %")
        >>> seen = []
        >>> network.at("2 s", lambda: seen.append(network.snapshot()))
        >>> _ = network.simulate()
        >>> shot = seen[0]
        >>> shot.time, shot.host("server").state, shot.link("server - phone").state
        (2.0, 'running', 'up')
        >>> shot.link("server - phone").directions[0].parameters.delay
        '80 ms'
        >>> NetworkSnapshot.from_json(shot.to_json()) == shot
        True
    """

    version: int
    """Of this form of a snapshot: 1."""
    pid: int
    """The process that it is simulated in."""
    seed: str
    """Of the run."""
    core: str
    """Which form of the core simulates it: ``compiled`` or ``plain``."""
    state: str
    """``running``, ``paused`` (`Remote.pause`), ``stopping`` (its time is over, and hosts finish what they
    were sent) or ``over``."""
    time: float
    """Virtual time, in seconds."""
    seconds: float
    """How many it is to take."""
    speed: float | None
    """Virtual seconds in a real one, at most; None for as many as possible."""
    packets: int
    """How many packets there have been."""
    hosts: tuple[HostSnapshot, ...]
    """All hosts, in the order of their making."""
    links: tuple[NetworkLinkSnapshot, ...]
    """All links, in the order of their making."""
    index: Mapping[str, Any] = field(init=False, repr=False, compare=False, hash=False)

    def __post_init__(self) -> None:
        parts: list[HostSnapshot | NetworkLinkSnapshot] = [*self.hosts, *self.links]
        object.__setattr__(self, "index", {one.name: one for one in parts})

    def host(self, name: str) -> HostSnapshot:
        """Return a host by its name; raises `KeyError` if there is none."""
        found = self.index[name]
        if not isinstance(found, HostSnapshot):
            raise KeyError(name)
        return found

    def link(self, name: str) -> NetworkLinkSnapshot:
        """Return a link by its name; raises `KeyError` if there is none."""
        found = self.index[name]
        if not isinstance(found, NetworkLinkSnapshot):
            raise KeyError(name)
        return found

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, for JSON."""
        values: dict[str, Any] = _plain(self)
        return values

    def to_json(self) -> str:
        """Return it as JSON text, on one line."""
        return json.dumps(self.as_dict(), separators=(",", ":"), ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> NetworkSnapshot:
        """Read what `to_json` has written.

        Raises `ValueError` for what is no snapshot, or one of another version.
        """
        return from_dict(cls, json.loads(text))


# -- taking one -----------------------------------------------------------------------------------------


def name_of_link(channels: Sequence[Channel]) -> str:
    """Return the name of a link, given its directions: ``server - phone-3``, with a number if needed."""
    there = channels[0]
    return there.name if len(channels) == 1 else there.name.replace(" > ", " - ", 1)


class NetworkWatch:
    """Looks at a simulation again and again, and so knows rates. Made by `Simulation.watch`."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._lock = threading.RLock()  # one looks at a time
        self._rates: dict[Channel, tuple[int, int, int, int, _Rates]] = {}
        self._parameters: dict[LinkSettings, LinkParameters] = {}
        self._links: list[tuple[str, NetworkLink, tuple[Channel, ...]]] = []

    def snapshot(self) -> NetworkSnapshot:
        """Take a snapshot. May be called from any thread."""
        with self._lock:
            simulation = self._simulation
            remote = simulation.remote
            now = simulation.clock.now
            return NetworkSnapshot(
                version=VERSION,
                pid=os.getpid(),
                seed=str(simulation.seed),
                core=core.form,
                state=state_of(simulation),
                time=now / 1e9,
                seconds=simulation.seconds,
                speed=remote.speed,
                packets=simulation.fabric.packets,
                hosts=tuple(map(host_snapshot, simulation.present.values())),
                links=tuple(
                    NetworkLinkSnapshot(
                        name,
                        (link.a.name, link.b.name),
                        "up" if channels[0].is_open else "cut",
                        tuple(self.direction(channel, now) for channel in channels),
                    )
                    for name, link, channels in self.links
                ),
            )

    @property
    def links(self) -> Sequence[tuple[str, NetworkLink, tuple[Channel, ...]]]:
        """All links, with their names and directions."""
        if not self._links:
            directions = ((link, self._simulation.channels_of(link)) for link in self._simulation.links)
            self._links = [(name_of_link(channels), link, channels) for link, channels in directions]
        return self._links

    def direction(self, channel: Channel, now: int) -> DirectionSnapshot:
        """Read one direction of a link."""
        figures = figures_of(channel, now)
        specials = channel.specials
        waiting = 0 if specials is None or specials.discipline is None else specials.discipline.marked
        packet_rate, byte_rate, loss_rate = self.rates_of(channel, now)
        return DirectionSnapshot(
            name=channel.name,
            source=channel.near.name,
            target=channel.far.name,
            parameters=self.parameters_of(channel.settings),
            sent=figures.sent,
            bytes=figures.bytes,
            delivered=figures.delivered,
            losses=tuple(LossSnapshot(REASONS[why], count) for why, count in channel.losses.items()),
            marked=0 if specials is None else specials.marked + waiting,
            duplicated=figures.duplicated,
            corrupted=0 if specials is None else specials.corrupted,
            queued=figures.queued,
            held=figures.held,
            in_flight=figures.in_flight,
            packet_rate=packet_rate,
            byte_rate=byte_rate,
            loss_rate=loss_rate,
        )

    def parameters_of(self, settings: LinkSettings) -> LinkParameters:
        """Return what a direction is like, as people wrote it."""
        known = self._parameters.get(settings)
        if known is None:
            given = {name: as_written(value) for name, value in settings.given.items()}
            given["reordering"] = settings.jitter_reorders  # type: ignore[assignment]
            known = self._parameters[settings] = LinkParameters(**given)  # type: ignore[arg-type]
        return known

    def rates_of(self, channel: Channel, now: int) -> _Rates:
        """Return how many packets and bytes a second came to a channel of late, and how many were lost."""
        sent, size, lost = channel.packets, channel.bytes, channel.lost + channel.dropped
        kept = self._rates.get(channel)
        if kept is None:
            self._rates[channel] = (now, sent, size, lost, _UNKNOWN)
            return _UNKNOWN
        then, *before, rates = kept
        passed = now - then
        if passed < RATE_SPAN:
            return rates
        rates = tuple(
            round((count - was) * 1e9 / passed, 3)
            for count, was in zip((sent, size, lost), before, strict=True)
        )  # type: ignore[assignment]
        self._rates[channel] = (now, sent, size, lost, rates)
        return rates


_Rates = tuple[float | None, float | None, float | None]
_UNKNOWN: _Rates = (None, None, None)


@dataclass(frozen=True, slots=True)
class Figures:
    """How many packets of a direction of a link are where."""

    sent: int
    bytes: int
    delivered: int
    lost: int
    duplicated: int
    queued: int
    held: int
    in_flight: int


def figures_of(channel: Channel, now: int) -> Figures:
    """Count the packets of a direction of a link."""
    specials = channel.specials
    duplicated = held = queued = gone = 0
    if specials is not None:
        duplicated = specials.duplicated
        if specials.held is not None:
            held = len(specials.held)
        if specials.discipline is not None:
            queued = len(specials.discipline)
    if channel.waiting:  # at least when the last packet came: look which have begun to be sent since
        for packet in list(channel.row)[-channel.waiting :]:
            if packet.starts > now:
                queued += 1
                gone += packet.lost  # it takes up the queue, and will not arrive: it counts as lost already
    sent, delivered, lost = channel.packets, channel.delivered, channel.lost + channel.dropped
    under_way = sent + duplicated - delivered - lost
    queued -= gone
    return Figures(
        sent,
        channel.bytes,
        delivered,
        lost,
        duplicated,
        queued,
        held,
        max(0, under_way - queued - held),
    )


def host_snapshot(stack: Stack) -> HostSnapshot:
    """Read a host."""
    return HostSnapshot(
        name=stack.name,
        kind=kind_of(stack),
        addresses=tuple(stack.addresses()),
        state=state_of_host(stack),
        components=components_of(stack),
        starts=0 if stack.run is None else stack.run.start,
        sent=stack.sent,
        received=stack.received,
        bytes_sent=stack.bytes_sent,
        bytes_received=stack.bytes_received,
        losses=tuple(LossSnapshot(*pair) for pair in list((stack.losses or {}).items())),
    )


def kind_of(stack: Stack) -> str:
    """Return what a host is: ``host``, ``router`` or ``switch``."""
    return "switch" if stack.is_switch else "router" if stack.forwards else "host"


def state_of_host(stack: Stack) -> str:
    """Return what a host does, see `HostSnapshot.state`."""
    run = stack.run
    if stack.is_down:
        return "down"
    if run is None:
        return "idle"
    if run.has_left:
        return "over"
    if stack.loop is not None and stack.loop.is_frozen:
        return "paused"
    return "stopping" if run.system.stopping else "running"


def components_of(stack: Stack) -> int:
    """Return how many components are on a host."""
    run = stack.run
    if run is None or run.has_left or run.has_crashed:
        return 0
    return sum(1 for _ in processes_of(run.system))


def state_of(simulation: Simulation) -> str:
    """Return what a simulation does, see `NetworkSnapshot.state`."""
    state = simulation.remote.state
    return "stopping" if state == "running" and simulation.is_stopping else state


@functools.cache
def _names_of(kind: Hashable) -> tuple[str, ...]:
    """Return the names of what is in a dataclass, and in its JSON; none of what is no dataclass."""
    return tuple(one.name for one in fields(kind) if one.init) if is_dataclass(kind) else ()


def _plain(value: Any) -> Any:
    """Return what JSON has for it: `dataclasses.asdict` would copy each text and number, five times as
    slowly."""
    kind: Any = type(value)
    if kind is tuple:
        return [_plain(one) for one in value]
    names = _names_of(kind)
    return {name: _plain(getattr(value, name)) for name in names} if names else value


def as_written(value: Any) -> str | None:
    """Return a quantity as text."""
    if value is None or isinstance(value, str):
        return value
    if callable(value) and hasattr(value, "__qualname__"):  # its repr has an address
        return f"{value.__module__}.{value.__qualname__}"
    return shorten(value)


__all__ = [
    "DirectionSnapshot",
    "Figures",
    "HostSnapshot",
    "LinkParameters",
    "LossSnapshot",
    "NetworkLinkSnapshot",
    "NetworkSnapshot",
    "NetworkWatch",
]
