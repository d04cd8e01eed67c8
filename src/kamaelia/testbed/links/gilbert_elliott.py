"""Losses that come in bursts: a link that is now good, now bad, after Gilbert (1960) and Elliott (1963).

The link is in one of two states. In the good one it loses a packet with the chance ``loss_good``, in the bad
one with ``loss_bad``. With 0 and 1 this is the simple Gilbert model: the bad state is the burst.

**Clocked by packets** (`GilbertElliott`): after each packet the state changes, from good to bad with the
chance p, from bad to good with the chance r. It begins in either state as often as it is in it::

    share of bad     B = p / (p + r),  share of good  G = r / (p + r)
    rate             G g + B b                                   g = loss_good, b = loss_bad
    mean burst       (G g + B b) / (G g ((1 - p)(1 - g) + p (1 - b)) + B b (r (1 - g) + (1 - r)(1 - b)))

The mean burst is that of any such model (see `loss`): P(lost) / P(lost, and the next delivered). The latter
is summed over the state of the packet that is lost, and the state of the next one. With g = 0 it is 1 / (1 -
b (1 - r)), because a burst goes on when the link remains bad and the next packet is lost too; and with b = 1
as well it is 1 / r. So with b < 1 the bad state lasts for 1 / r packets, but a burst is shorter than that.
From a rate and a mean burst of the simple model: r = 1 / burst and p = r rate / (1 - rate).

**Clocked by time** (`GilbertElliott.by_time`): the link remains in each state for a time that is
exponentially distributed, with the means ``good`` and ``bad``, whatever is sent over it::

    share of bad     B = bad / (good + bad)
    rate             (1 - B) g + B b, for packets whose times have nothing to do with the link's
    mean burst       depends on how often packets are sent

Packets that are sent every d seconds see a packet-clocked chain (`TimedGilbertElliott.sampled`), with::

    x = 1 - exp(-d / good - d / bad)
    p = B x,  r = (1 - B) x

When the state changes is drawn from a stream of its own. So it does not depend on what is sent: two protocols
meet the same bad times when the seed is the same.

Not modelled: more than two states, stays of other distributions, and a bad time that both directions of a
link share.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real

from ...axon import UsageError, units
from .elementary import exp
from .loss import STICKS, Losses, LossModel, mean_run
from .quantities import as_text, settle, some_nanoseconds
from .random_stream import RandomStream


@dataclass(frozen=True, init=False, slots=True)
class GilbertElliott(LossModel):
    """Losses in bursts, clocked by packets: after each, the link may become bad, or good again.

    For connections, and any other sender that backs off when packets are lost, use `by_time`: see `warning`.

    Arguments:
        p: the chance, after each packet, of a good link to become bad; a share of 1, or text
        r: the chance, after each packet, of a bad link to become good
        loss_good: how many packets are lost while it is good
        loss_bad: how many packets are lost while it is bad

    Raises `UsageError` for what is no share, and when both p and r are 0.

    Example:
        >>> from kamaelia.testbed.links import GilbertElliott
        >>> model = GilbertElliott(p=0.01, r=0.25)
        >>> round(model.rate, 6), model.mean_burst
        (0.038462, 4.0)
        >>> round(GilbertElliott(p=0.01, r=0.25, loss_bad=0.5).mean_burst, 6)
        1.6
    """

    p: float
    """From good to bad."""
    r: float
    """From bad to good."""
    loss_good: float
    """The share lost while good."""
    loss_bad: float
    """The share lost while bad."""

    def __init__(
        self,
        p: float | str,
        r: float | str,
        loss_good: float | str = 0.0,
        loss_bad: float | str = 1.0,
    ) -> None:
        settle(
            self,
            p=units.share(p, "p"),
            r=units.share(r, "r"),
            loss_good=units.share(loss_good, "loss_good"),
            loss_bad=units.share(loss_bad, "loss_bad"),
        )
        if self.p == self.r == 0:
            raise UsageError("GilbertElliott(p=0, r=0) would never change: say UniformLoss(share) instead")

    @staticmethod
    def from_rate(rate: float | str, burst: float = 4.0) -> GilbertElliott:
        """Return the simple model (nothing is lost while good, all while bad) that has this rate and mean
        burst.

        Independent losses have a mean burst of 1 / (1 - rate); with a smaller one they avoid each other.

        Arguments:
            rate: the share of packets lost, such as ``"1 %"`` or 0.01
            burst: the mean number of packets lost one after the other, at least 1

        Raises `UsageError` when there is none: with bursts of this length, separated by one packet each, more
        than ``burst / (burst + 1)`` can't be lost.

        >>> from kamaelia.testbed.links import GilbertElliott
        >>> model = GilbertElliott.from_rate("1 %", burst=5)
        >>> round(model.rate, 12), model.mean_burst
        (0.01, 5.0)
        """
        share = units.share(rate, "rate")
        if not isinstance(burst, Real) or isinstance(burst, bool) or not 1 <= burst < float("inf"):
            raise UsageError(f"burst={burst!r}: give the mean number of packets in a burst, from 1 on")
        if share > burst / (burst + 1):
            raise UsageError(
                f"rate={rate!r} can't be had with burst={burst!r}: with one packet delivered between two "
                f"bursts, {burst / (burst + 1):.4g} is lost; give a longer burst"
            )
        return GilbertElliott(p=min(1.0, share / (burst * (1 - share))), r=1 / burst)

    @staticmethod
    def by_time(
        good: float | str,
        bad: float | str,
        loss_good: float | str = 0.0,
        loss_bad: float | str = 1.0,
    ) -> TimedGilbertElliott:
        """Return a model that is clocked by time: see `TimedGilbertElliott`.

        >>> from kamaelia.testbed.links import GilbertElliott
        >>> GilbertElliott.by_time(good="1.95 s", bad="50 ms").rate
        0.025
        """
        return TimedGilbertElliott(good, bad, loss_good, loss_bad)

    def begin(self, stream: RandomStream, now: int = 0) -> Losses:
        """See `LossModel.begin`."""
        return _PacketClocked(self, stream)

    @property
    def share_bad(self) -> float:
        """How many packets find the link bad."""
        return self.p / (self.p + self.r)

    @property
    def rate(self) -> float:
        """The share of packets lost: the formula is above, in the module."""
        return (1 - self.share_bad) * self.loss_good + self.share_bad * self.loss_bad

    @property
    def mean_burst(self) -> float | None:
        """The mean number of packets lost one after the other: the formula is above, in the module."""
        p, r, g, b = self.p, self.r, self.loss_good, self.loss_bad
        after_good = (1 - p) * (1 - g) + p * (1 - b)  # P(next delivered), when this one found the link good
        after_bad = r * (1 - g) + (1 - r) * (1 - b)
        # G and B without their common denominator: they are only compared with each other
        return mean_run(r * g + p * b, r * g * after_good + p * b * after_bad)

    @property
    def warning(self) -> str | None:
        """Shown when the link may remain bad for longer than one packet."""
        return f"{self!r} {STICKS}" if self.p > 0 and self.r < 1 else None


class _PacketClocked(Losses):
    """Two numbers are drawn for each packet: whether it is lost, and whether the state changes after it."""

    __slots__ = ("_bad", "_model", "_random")

    def __init__(self, model: GilbertElliott, stream: RandomStream) -> None:
        self._model = model
        self._random: Callable[[], float] = stream.random
        self._bad = self._random() < model.share_bad

    def loses(self, now: int) -> bool:
        model, random = self._model, self._random
        if self._bad:
            lost = random() < model.loss_bad
            self._bad = random() >= model.r
        else:
            lost = random() < model.loss_good
            self._bad = random() < model.p
        return lost


@dataclass(frozen=True, init=False, repr=False, slots=True)
class TimedGilbertElliott(LossModel):
    """Losses in bursts, clocked by time. Made by `GilbertElliott.by_time`.

    Each change of state costs a little time of the computer, also while nothing is sent. With stays of
    microseconds on a link that is hardly used that adds up.

    Arguments:
        good: how long it is good, on average: seconds, or text such as ``"2 s"``
        bad: how long it is bad, on average, such as ``"50 ms"``
        loss_good: how many packets are lost while it is good; a share of 1, or text
        loss_bad: how many packets are lost while it is bad

    Raises `UsageError` for what are no times or no shares.

    Example:
        >>> from kamaelia.testbed.links import GilbertElliott
        >>> model = GilbertElliott.by_time(good="1.95 s", bad="50 ms")
        >>> model
        <good for 1.95 s losing 0 %, bad for 50 ms losing 100 %>
        >>> model.rate, round(model.sampled("10 ms").mean_burst, 2)
        (0.025, 5.53)
    """

    good: int
    """The mean stay in the good state, in nanoseconds."""
    bad: int
    """The mean stay in the bad state, in nanoseconds."""
    loss_good: float
    """The share lost while good."""
    loss_bad: float
    """The share lost while bad."""

    def __init__(
        self,
        good: float | str,
        bad: float | str,
        loss_good: float | str = 0.0,
        loss_bad: float | str = 1.0,
    ) -> None:
        settle(
            self,
            good=some_nanoseconds(good, "good"),
            bad=some_nanoseconds(bad, "bad"),
            loss_good=units.share(loss_good, "loss_good"),
            loss_bad=units.share(loss_bad, "loss_bad"),
        )

    def begin(self, stream: RandomStream, now: int = 0) -> Losses:
        """See `LossModel.begin`."""
        return _TimeClocked(self, stream, now)

    @property
    def share_bad(self) -> float:
        """How much of the time it is bad."""
        return self.bad / (self.good + self.bad)

    @property
    def rate(self) -> float:
        """The share of packets lost of those that are sent at times that have nothing to do with the
        link's."""
        return (1 - self.share_bad) * self.loss_good + self.share_bad * self.loss_bad

    def sampled(self, interval: float | str) -> GilbertElliott:
        """Return the packet-clocked chain that packets see when one is sent every so often.

        Its `GilbertElliott.mean_burst` is that of these packets.

        Arguments:
            interval: between two packets: seconds, or text such as ``"10 ms"``

        >>> from kamaelia.testbed.links import GilbertElliott
        >>> model = GilbertElliott.by_time(good="2 s", bad="50 ms").sampled("10 ms")
        >>> round(model.p, 4), round(model.r, 4)
        (0.0045, 0.1808)
        """
        time = some_nanoseconds(interval, "interval")
        change = 1 - exp(-time / self.good - time / self.bad)
        return GilbertElliott(
            p=self.share_bad * change,
            r=(1 - self.share_bad) * change,
            loss_good=self.loss_good,
            loss_bad=self.loss_bad,
        )

    def __repr__(self) -> str:
        good = f"good for {as_text(self.good)} losing {self.loss_good * 100:g} %"
        return f"<{good}, bad for {as_text(self.bad)} losing {self.loss_bad * 100:g} %>"


class _TimeClocked(Losses):
    """The stays have a stream of their own, so that they do not depend on the packets."""

    __slots__ = ("_bad", "_model", "_random", "_stays", "_until")

    def __init__(self, model: TimedGilbertElliott, stream: RandomStream, now: int) -> None:
        self._model = model
        self._stays = stream.split()
        self._random: Callable[[], float] = stream.random
        self._bad = self._stays.random() < model.share_bad
        self._until = now + self._stay()  # what is left of a stay is as long as a whole one

    def _stay(self) -> int:
        model = self._model
        return round(self._stays.exponential(model.bad if self._bad else model.good))

    def loses(self, now: int) -> bool:
        while now >= self._until:
            self._bad = not self._bad
            self._until += self._stay()
        return self._random() < (self._model.loss_bad if self._bad else self._model.loss_good)
