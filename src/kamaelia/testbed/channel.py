"""One direction of a link: what it may do beside the usual way of a packet, which is in `wire`.

A channel has `settings`, which can be changed at any time. From them it sets what the wire looks at: rate,
delay, the plainest queue, and losses that are drawn for each packet by itself. Whatever else there is has
its state in `Specials`, which most channels have not.

In order: faults and sizes (`enter`); an active queue, or a rate that changes; losses, duplicates, corruption,
jitter and reordering (`leave`).
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..axon import core
from .links import DropTail, RandomStream
from .measures_queue import QueueWatch, WatchedQueue
from .protocols import (
    ACTIVE_QUEUE,
    CORRUPT,
    DUPLICATE,
    LOST_AT_RANDOM,
    LOST_BY_MODEL,
    QUEUE_FULL,
    TCP,
    TOO_LARGE,
)

if TYPE_CHECKING:
    from .multicast import RouterSide
    from .settings import LinkSettings
    from .stack import Stack
    from .wire import Channel as Base
    from .wire import Packet
else:
    Base = object


class Specials:
    """The states of all that only some channels do."""

    __slots__ = (
        "corrupted",
        "corruptions",
        "delay",
        "discipline",
        "duplicated",
        "duplicates",
        "held",
        "jitter",
        "jitter_reorders",
        "losses",
        "marked",
        "rate",
        "reasons",
        "reorders",
        "serving",
        "sticks",
        "why_closed",
    )

    def __init__(self) -> None:
        self.losses: Any = None
        self.sticks: str | None = None  # what users of TCP have still to be told of the losses
        self.duplicates: Any = None
        self.corruptions: Any = None
        self.reorders: Any = None
        self.jitter: Any = None
        self.jitter_reorders = False
        self.delay: Any = None  # a function of time
        self.rate: Any = None  # a rate that changes by itself
        self.discipline: Any = None  # an active queue
        self.serving = -1  # when the discipline is asked for the next packet; -1 for not at all
        self.held: list[Packet] | None = None  # packets that are to wait for `release`
        self.why_closed = 0  # nothing enters; the reason
        self.duplicated = self.corrupted = 0  # packets
        self.marked = 0  # packets, by queues that the link had before this one
        self.reasons: dict[int, int] | None = None  # packets that were dropped, but for full queues


class Channel(Base):
    """One direction of a link, with all that it may do."""

    __slots__ = core.NO_SLOTS

    near: Stack
    """The node at this end."""
    far: Stack
    """The node at the other."""
    number = 1
    """Which it is of those between the same two, from 1."""
    metric: int
    """Its delay, when ways are looked for."""
    interface: int
    """Which it is of those that lead away from its host, from 0."""
    back: Channel | None
    """The other direction; None if the link leads one way."""
    is_open = True
    """It is on a way; a link that was cut is not."""
    specials: Specials | None
    settings: LinkSettings
    group_side: RouterSide | None
    """Of a router that groups are asked for over this link: what it knows of that."""
    loss_is_model = False
    """What is lost now is lost by a model, and not at random."""
    lost_at_random = lost_by_model = 0
    """How many were, when the losses were set for the last time."""
    watch: QueueWatch | None = None
    """What looks at the queue; None where nobody wants to know."""

    def __init__(self, near: Stack, far: Stack, settings: LinkSettings, seed: int | str) -> None:
        super().__init__(near.fabric)
        self.near, self.far = near, far
        few = near.channels if len(near.channels) < len(far.channels_in) else far.channels_in
        others = sum(one.near is near and one.far is far for one in few)
        if others:
            self.number = 1 + others
        self.metric = settings.delay
        self.interface = len(near.channels)
        self.back = None
        self.specials = None
        self.settings = settings
        self.group_side = None
        near.channels = _with(near.channels, self)
        far.channels_in = _with(far.channels_in, self)
        self.adjust(settings, seed, first=True)

    @property
    def name(self) -> str:
        """``server > phone-3``; with a number if it is not the first between the two."""
        number = f" ({self.number})" if self.number > 1 else ""
        return f"{self.near.name} > {self.far.name}{number}"

    # -- settings -----------------------------------------------------------------------------------

    def adjust(self, settings: LinkSettings, seed: int | str, *, first: bool = False) -> None:
        """Be a link with these settings from now on; what has not changed keeps its state."""
        before = None if first else self.settings
        self.settings = settings
        specials = self.specials
        needed = settings.is_special or specials is not None
        if needed and specials is None:
            specials = self.specials = Specials()
        self.mtu = settings.mtu
        self.delay = settings.delay
        self._set_rate(settings, before)
        if before is None or before.loss is not settings.loss:
            self._set_loss(settings, seed)
        if settings.queue_limits is not None:
            self.most_packets, self.most_bytes = settings.queue_limits
        if specials is None:
            return
        if before is None or before.queue is not settings.queue:
            self._set_discipline(settings, seed)
        if before is None or before.delay_function is not settings.delay_function:
            specials.delay = settings.delay_function
        for name in ("jitter", "duplicate", "corrupt", "reorder"):
            model = getattr(settings, name)
            if before is None or getattr(before, name) is not model:
                stream = RandomStream(seed, f"{self.name}/{name}")
                setattr(specials, _STATES[name], None if model is None else model.begin(stream))
        specials.jitter_reorders = settings.jitter_reorders
        self.mark_specials()

    def _set_rate(self, settings: LinkSettings, before: LinkSettings | None) -> None:
        byte_time = 0.0 if settings.rate is None else 8e9 / settings.rate
        specials = self.specials
        if specials is not None and (before is None or before.rate_model is not settings.rate_model):
            specials.rate = None if settings.rate_model is None else settings.rate_model.begin()
        if byte_time != self.byte_time:
            self.byte_time = byte_time
            self.reschedule()

    def _set_loss(self, settings: LinkSettings, seed: int | str) -> None:
        if self.lost:  # by what it had before
            losses = self.losses
            self.lost_at_random = losses.get(LOST_AT_RANDOM, 0)
            self.lost_by_model = losses.get(LOST_BY_MODEL, 0)
        if self.loss_is_model != (settings.loss is not None and not settings.uniform_loss):
            self.loss_is_model = not self.loss_is_model
        self.loss = settings.uniform_loss
        if settings.loss is None:
            if self.specials is not None:
                self.specials.losses = None
            return
        stream = RandomStream(seed, f"{self.name}/loss")
        self.loss_state, self.loss_gamma = stream.state, stream.gamma
        if self.specials is not None:
            plain = bool(settings.uniform_loss)
            self.specials.losses = None if plain else settings.loss.begin(stream, self.fabric.clock.now)
            self.specials.sticks = settings.loss.warning

    def _set_discipline(self, settings: LinkSettings, seed: int | str) -> None:
        specials = self.specials
        assert specials is not None
        before, specials.discipline = specials.discipline, None
        if not isinstance(settings.queue, DropTail):
            stream = RandomStream(seed, f"{self.name}/queue")
            specials.discipline = settings.queue.begin(stream, settings.rate)
            specials.discipline.dropped = self._dropped_later
            if self.watch is not None:
                specials.discipline = WatchedQueue(specials.discipline, self.watch)
        now = self.fabric.clock.now
        if before is not None:
            specials.marked += before.marked
        while before is not None and (packet := before.dequeue(now)) is not None:
            self.enter(packet)

    def watch_queue(self) -> None:
        """Find out how full its queue is from now on."""
        self.watch = QueueWatch(self)
        if self.specials is not None and self.specials.discipline is not None:
            self.specials.discipline = WatchedQueue(self.specials.discipline, self.watch)

    def mark_specials(self) -> None:
        """Have the wire ask, or not, after something in `specials` has changed."""
        specials = self.specials
        if specials is None:
            return
        self.enters_specially = (
            specials.why_closed != 0
            or specials.held is not None
            or specials.discipline is not None
            or specials.rate is not None
        )
        self.leaves_specially = any(
            one is not None
            for one in (
                specials.losses,
                specials.duplicates,
                specials.corruptions,
                specials.reorders,
                specials.jitter,
                specials.delay,
            )
        )

    # -- on the way in ------------------------------------------------------------------------------

    def enter(self, packet: Packet) -> None:
        """A packet comes to a channel that looks at each."""
        specials = self.specials
        if packet.size > self.mtu:
            self._note_reason(TOO_LARGE)
            self.near.too_large(packet, self)
        elif specials is None:
            self.send(packet)
        elif specials.why_closed:
            self._note_reason(specials.why_closed)
            self.drop(packet, specials.why_closed)
        elif specials.held is not None:
            specials.held.append(packet)
        elif specials.discipline is not None:
            self._queue(packet, specials)
        elif specials.rate is not None:
            self._send_at_changing_rate(packet, specials)
        else:
            self.send(packet)

    def _send_at_changing_rate(self, packet: Packet, specials: Specials) -> None:
        """As `send`, but how long it takes depends on when it begins."""
        now = self.fabric.clock.now
        packet.starts = now
        if self.free_at > now:
            self.begin_those_due(now)
            if not packet.waits and (
                self.waiting >= self.most_packets or self.waiting_bytes + packet.size > self.most_bytes
            ):
                self.drop(packet, QUEUE_FULL)
                return
            self.waiting += 1
            self.waiting_bytes += packet.size
            packet.starts = self.free_at
        packet.leaves = self.free_at = specials.rate.send(packet.starts, packet.size * 8)
        self.depart(packet)

    def _queue(self, packet: Packet, specials: Specials) -> None:
        now = self.fabric.clock.now
        if packet.flow is None:
            packet.flow = (packet.source, packet.target, packet.port, packet.protocol)
        if not specials.discipline.enqueue(packet, now):
            self.drop(packet, QUEUE_FULL)
        else:
            self._serve(specials, now)

    def _dropped_later(self, packet: Packet, now: int, why: Any) -> None:
        self._note_reason(ACTIVE_QUEUE)
        self.drop(packet, ACTIVE_QUEUE)

    def _note_reason(self, why: int) -> None:
        """Count a packet that is dropped. Those for which the queue was full are the rest: the wire drops
        these, and does nothing more for each."""
        specials = self.specials = self.specials or Specials()
        reasons = specials.reasons = specials.reasons or {}
        reasons[why] = reasons.get(why, 0) + 1

    @property
    def losses(self) -> dict[int, int]:
        """How many packets were lost or dropped, by reason."""
        losses = {} if self.specials is None else dict(self.specials.reasons or ())
        full = self.dropped - sum(losses.values())
        model = self.lost_by_model
        if self.loss_is_model:
            model = self.lost - self.lost_at_random
        found = {QUEUE_FULL: full, LOST_AT_RANDOM: self.lost - model, LOST_BY_MODEL: model, **losses}
        return {why: packets for why, packets in found.items() if packets}

    def _serve(self, specials: Specials, now: int) -> None:
        """Send what the active queue has for us now, and ask again when that is sent."""
        discipline = specials.discipline
        while discipline is not None and self.free_at <= now:
            packet = discipline.dequeue(now)
            if packet is None:
                when = discipline.ready(now)
                if when is not None and len(discipline):
                    self._serve_at(specials, max(when, now + 1))
                return
            packet.starts = now
            if specials.rate is not None:
                packet.leaves = specials.rate.send(now, packet.size * 8)
            else:
                exact = packet.size * self.byte_time + self.remainder
                whole = int(exact)
                self.remainder = exact - whole
                packet.leaves = now + whole
            self.free_at = packet.leaves
            self.depart(packet)
        if discipline is not None:  # also if it holds nothing: some notice that then
            self._serve_at(specials, self.free_at)

    def _serve_at(self, specials: Specials, when: int) -> None:
        if specials.serving != when:
            specials.serving = when
            self.near.simulation.call_at(when, self._serve_again, when)

    def _serve_again(self, when: int) -> None:
        specials = self.specials
        assert specials is not None
        if specials.serving == when:
            specials.serving = -1
            self._serve(specials, when)

    # -- on the way out -----------------------------------------------------------------------------

    def leave(self, packet: Packet) -> None:
        """A packet leaves this end of a channel that does something special to some."""
        specials = self.specials
        assert specials is not None
        leaves = packet.leaves
        if specials.losses is not None:
            if specials.losses.loses(leaves):
                if specials.sticks is not None and packet.protocol == TCP:
                    warnings.warn(f"{self.name} carries connections: {specials.sticks}", stacklevel=1)
                    specials.sticks = None
                self.lose(packet, LOST_BY_MODEL)
                return
        elif self.loss and self.draw() < self.loss:
            self.lose(packet, LOST_AT_RANDOM)
            return
        if specials.duplicates is not None and specials.duplicates.duplicates():
            twin = packet.copy()
            twin.leaves = leaves
            twin.waits, twin.tells = True, False
            specials.duplicated += 1
            self._note(DUPLICATE, packet)
            self._on_its_way(twin, specials)
        self._on_its_way(packet, specials)

    def _on_its_way(self, packet: Packet, specials: Specials) -> None:
        if specials.corruptions is not None and specials.corruptions.corrupts():
            self._corrupt(packet, specials)
        delay = self.delay if specials.delay is None else specials.delay(packet.leaves)
        early_or_late = specials.jitter_reorders
        if specials.jitter is not None:
            delay = max(0, delay + specials.jitter.draw())
        if specials.reorders is not None:
            other = specials.reorders.delay(delay)
            if other is not None:
                delay, early_or_late = other, True
        arrives = packet.leaves + delay
        if early_or_late:
            packet.arrives = arrives
            packet.place = self
            self.fabric.clock.add_timer(arrives, packet)
        else:
            self.launch(packet, arrives)

    def _corrupt(self, packet: Packet, specials: Specials) -> None:
        specials.corrupted += 1
        self._note(CORRUPT, packet)
        if isinstance(packet.data, bytes):
            data = specials.corruptions.receive(packet.data)
            if data is not None:
                packet.data = data
                return
        packet.spoiled = True

    def _note(self, what: int, packet: Packet) -> None:
        if self.fabric.recorder is not None:
            self.fabric.recorder.record(what, packet, self, 0)

    # -- faults -------------------------------------------------------------------------------------

    def close_for(self, why: int) -> None:
        """Let nothing in any more, for a reason; 0 opens it again. What is under way arrives."""
        specials = self.specials or Specials()
        self.specials = specials
        specials.why_closed = why
        self.mark_specials()

    def hold(self) -> None:
        """Keep what comes from now on, until `release`."""
        specials = self.specials or Specials()
        self.specials = specials
        if specials.held is None:
            specials.held = []
            self.mark_specials()

    def release(self) -> None:
        """Let go what was held, in order."""
        specials = self.specials
        if specials is not None and specials.held is not None:
            held, specials.held = specials.held, None
            self.mark_specials()
            for packet in held:
                if self.enters_specially:
                    self.enter(packet)
                else:
                    self.send(packet)

    # -- changes ------------------------------------------------------------------------------------

    def reschedule(self) -> None:
        """The rate has changed: those that wait are sent at the new one, the one being sent is not."""
        now = self.fabric.clock.now
        self.begin_those_due(now)
        if not self.waiting:
            return
        row = list(self.row)
        waiting = row[len(row) - self.waiting :]
        free, self.remainder = waiting[0].starts, 0.0
        arrived = max((packet.arrives for packet in row[: len(row) - self.waiting]), default=0)
        for packet in waiting:
            packet.starts = free
            free += round(packet.size * self.byte_time)
            arrived = max(arrived, packet.arrives - packet.leaves + free)
            packet.leaves, packet.arrives = free, arrived
        self.free_at, self.last_arrival = free, arrived
        self.expect_next()

    def __repr__(self) -> str:
        return f"<channel {self.name}>"


_STATES = {
    "jitter": "jitter",
    "duplicate": "duplicates",
    "corrupt": "corruptions",
    "reorder": "reorders",
}


def _with(channels: Sequence[Channel], one: Channel) -> Sequence[Channel]:
    """Return links of a node with one more: most nodes are hosts with one, and keep that in a tuple."""
    if isinstance(channels, list):
        channels.append(one)
        return channels
    return [*channels, one] if channels else (one,)


SLOTS = (
    "__dict__",  # made for what few links have
    "back",
    "group_side",
    "interface",
    "metric",
    "near",
    "settings",
    "specials",
)
