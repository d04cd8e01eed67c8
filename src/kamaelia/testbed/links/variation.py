"""Jitter: how much longer, or shorter, than usual a packet is under way.

A **jitter model** is a description that any number of links may share; `JitterModel.begin` makes what one
direction of a link draws from. A draw is added to the link's delay. It may be negative, when packets can be
early: the link takes a sum that is less than nothing for nothing. The link also says what happens when a
packet would overtake another one: whether packets are put in order again is no matter of the distribution.

A distribution is given by its **quantile function** Q: the extra delay that is not exceeded with the chance
u. A draw is Q(u), with u anywhere between 0 and 1. That takes one number from the stream for each packet,
whatever the distribution, and a larger number is a larger delay.

| distribution | Q(u) | mean | deviation |
| --- | --- | --- | --- |
| `Uniform` | (2 u - 1) range | 0 | range / sqrt(3) |
| `Normal` | deviation * z, where u of the standard normal distribution is below z | 0 | deviation |
| `Exponential` | -mean ln(1 - u) | mean | mean |
| `Pareto` | mean (a - 1) ((1 - u)**(-1 / a) - 1), a = shape | mean | mean sqrt(a / (a - 2)), if a > 2 |
| `Empirical` | the sample below which the share u of the others are | of the samples | of the samples |

**Correlation.** In a network a packet is late when the one before it was. With ``correlation=c`` the packets'
numbers u hang together: each is the share below z of the standard normal distribution, and::

    z = c * (z of the packet before) + sqrt(1 - c**2) * (a new, normally distributed number)

This first-order autoregressive series remains normally distributed, so u remains uniform and the extra delays
have exactly the distribution that they would have without. The correlation of a packet's z with that of the
k-th after it is c**k. That of normally distributed delays is the same; for `Uniform` it is 6 / pi * asin(c**k
/ 2), a little less. With 1 a link keeps what it has drawn first. (netem averages u itself, which would make
extreme delays rare. But it goes on with what is left of the average modulo the width of the jitter, in
nanoseconds: unless that is seconds, no correlation is seen at all. ``python -m tools.qdiscs`` shows it.)

Not modelled: jitter that depends on how much is sent. That comes from queues.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from numbers import Real
from os import PathLike

from ...axon import UsageError, units
from .elementary import exp, log, normal_quantile, normal_share
from .quantities import columns, nanoseconds, settle
from .random_stream import RandomStream


class Jitter(ABC):
    """The extra delays of one direction of a link, in one run. Made by `JitterModel.begin`."""

    __slots__ = ()

    @abstractmethod
    def draw(self) -> int:
        """Return the next packet's extra delay in nanoseconds, which may be negative."""


class JitterModel(ABC):
    """A description of extra delays. Most are a `Distribution`; subclass this for one that is none.

    Example:
        >>> from kamaelia.testbed.links import Jitter, JitterModel, RandomStream
        >>> class Growing(JitterModel):
        ...     def begin(self, stream):
        ...         return Longer()
        >>> class Longer(Jitter):
        ...     delay = 0
        ...
        ...     def draw(self):
        ...         self.delay += 1000
        ...         return self.delay
        >>> jitter = Growing().begin(RandomStream(7, "example"))
        >>> jitter.draw(), jitter.draw()
        (1000, 2000)
    """

    __slots__ = ()

    @abstractmethod
    def begin(self, stream: RandomStream) -> Jitter:
        """Return what one direction of a link draws from.

        Arguments:
            stream: the chance that decides; nobody else may use it from then on
        """


class Distribution(JitterModel):
    """Extra delays of one distribution, possibly correlated. Subclass it for one that is not here.

    Example:
        >>> from kamaelia.testbed.links import Distribution, RandomStream
        >>> class LateOrNot(Distribution):
        ...     correlation = 0.0
        ...
        ...     def quantile(self, u):
        ...         return 5e6 if u > 0.9 else 0.0
        >>> jitter = LateOrNot().begin(RandomStream(7, "example"))
        >>> sum(jitter.draw() == 5_000_000 for _ in range(1000))
        118
    """

    __slots__ = ()

    correlation: float
    """How much a packet's extra delay is like that of the packet before, from 0 to 1."""

    @abstractmethod
    def quantile(self, u: float) -> float:
        """Return the extra delay, in nanoseconds, that is not exceeded with the chance u, between 0 and 1."""

    def begin(self, stream: RandomStream) -> Jitter:
        """See `JitterModel.begin`."""
        return _Correlated(self, stream) if self.correlation else _Independent(self, stream)


class _Independent(Jitter):
    __slots__ = ("_inside", "_quantile")

    def __init__(self, distribution: Distribution, stream: RandomStream) -> None:
        self._inside = stream.inside
        self._quantile = distribution.quantile

    def draw(self) -> int:
        return round(self._quantile(self._inside()))


_LEAST = 2.0**-53  # what a share is at least, so that a quantile function need not have a value at 0 and 1


class _Correlated(Jitter):
    __slots__ = ("_correlation", "_normal", "_quantile", "_rest", "_z")

    def __init__(self, distribution: Distribution, stream: RandomStream) -> None:
        self._correlation = distribution.correlation
        self._rest = math.sqrt(1 - distribution.correlation**2)
        self._normal = stream.normal
        self._quantile = distribution.quantile
        self._z = stream.normal()

    def draw(self) -> int:
        self._z = self._correlation * self._z + self._rest * self._normal()
        u = normal_share(self._z)
        return round(self._quantile(min(max(u, _LEAST), 1.0 - _LEAST)))


@dataclass(frozen=True, init=False, slots=True)
class Uniform(Distribution):
    """Earlier or later by at most so much, all equally likely.

    Arguments:
        range: the most, such as ``"2 ms"``, or seconds
        correlation: see the module

    Raises `UsageError` for what is no time or no share.

    Example:
        >>> from kamaelia.testbed.links import RandomStream, Uniform
        >>> jitter = Uniform("2 ms").begin(RandomStream(7, "example"))
        >>> jitter.draw(), jitter.draw()
        (1282340, -3611)
    """

    range: int
    """In nanoseconds."""
    correlation: float
    """See `Distribution`."""

    def __init__(self, range: float | str, correlation: float | str = 0.0) -> None:
        settle(self, range=nanoseconds(range, "range"), correlation=units.share(correlation, "correlation"))

    def quantile(self, u: float) -> float:
        """See `Distribution.quantile`."""
        return (2 * u - 1) * self.range


@dataclass(frozen=True, init=False, slots=True)
class Normal(Distribution):
    """Earlier or later, normally distributed: two thirds within one deviation, and 99.7 % within three.

    Where the link's delay is less than some deviations, packets that would arrive before they were sent take
    no time at all.

    Arguments:
        deviation: the standard deviation, such as ``"2 ms"``, or seconds
        correlation: see the module

    Raises `UsageError` for what is no time or no share.

    Example:
        >>> from kamaelia.testbed.links import Normal, RandomStream
        >>> jitter = Normal("2 ms").begin(RandomStream(7, "example"))
        >>> jitter.draw(), jitter.draw()
        (1835193, -4526)
    """

    deviation: int
    """In nanoseconds."""
    correlation: float
    """See `Distribution`."""

    def __init__(self, deviation: float | str, correlation: float | str = 0.0) -> None:
        settle(
            self,
            deviation=nanoseconds(deviation, "deviation"),
            correlation=units.share(correlation, "correlation"),
        )

    def quantile(self, u: float) -> float:
        """See `Distribution.quantile`."""
        return self.deviation * normal_quantile(u)


@dataclass(frozen=True, init=False, slots=True)
class Exponential(Distribution):
    """Later, mostly by a little: 63 % by less than the mean, 5 % by more than three times as much.

    Arguments:
        mean: such as ``"2 ms"``, or seconds
        correlation: see the module

    Raises `UsageError` for what is no time or no share.

    Example:
        >>> from kamaelia.testbed.links import Exponential, RandomStream
        >>> jitter = Exponential("2 ms").begin(RandomStream(7, "example"))
        >>> jitter.draw(), jitter.draw()
        (3436106, 1382686)
    """

    mean: int
    """In nanoseconds."""
    correlation: float
    """See `Distribution`."""

    def __init__(self, mean: float | str, correlation: float | str = 0.0) -> None:
        settle(self, mean=nanoseconds(mean, "mean"), correlation=units.share(correlation, "correlation"))

    def quantile(self, u: float) -> float:
        """See `Distribution.quantile`."""
        return -self.mean * log(1.0 - u)


@dataclass(frozen=True, init=False, slots=True)
class Pareto(Distribution):
    """Later, mostly by very little, and now and then by very much.

    It is the Pareto distribution of the second kind, which begins at 0 (Lomax). More than x has the chance
    (1 + x / ((shape - 1) mean))**-shape. The smaller the shape, the more of the mean is due to few packets.

    Arguments:
        mean: such as ``"2 ms"``, or seconds
        shape: more than 1; up to 2 the deviation is infinite
        correlation: see the module

    Raises `UsageError` for what is no time or no share, and for a shape that is 1 or less.

    Example:
        >>> from kamaelia.testbed.links import Pareto, RandomStream
        >>> jitter = Pareto("2 ms", shape=2.5).begin(RandomStream(7, "example"))
        >>> jitter.draw(), jitter.draw()
        (2964550, 955668)
    """

    mean: int
    """In nanoseconds."""
    shape: float
    """How fast large delays become rare."""
    correlation: float
    """See `Distribution`."""

    def __init__(self, mean: float | str, shape: float = 3.0, correlation: float | str = 0.0) -> None:
        if not isinstance(shape, Real) or not 1 < shape < math.inf:
            raise UsageError(f"Pareto: shape={shape!r}: give a number above 1; with less there is no mean")
        settle(
            self,
            mean=nanoseconds(mean, "mean"),
            shape=float(shape),
            correlation=units.share(correlation, "correlation"),
        )

    def quantile(self, u: float) -> float:
        """See `Distribution.quantile`."""
        return self.mean * (self.shape - 1) * (exp(-log(1.0 - u) / self.shape) - 1)


@dataclass(frozen=True, init=False, repr=False, slots=True)
class Empirical(Distribution):
    """One of the delays that were recorded, all equally likely, in no order.

    When whole delays were recorded, and not only what was more than usual, give the link no delay of its own.

    Arguments:
        samples: in seconds, or text such as ``"2 ms"``; seconds may be negative
        correlation: see the module

    Raises `UsageError` for what is no time or no share, and when there are no samples.

    Example:
        >>> from kamaelia.testbed.links import Empirical, RandomStream
        >>> jitter = Empirical(["1 ms", "1 ms", "20 ms"]).begin(RandomStream(7, "example"))
        >>> [jitter.draw() for _ in range(5)]
        [20000000, 1000000, 20000000, 1000000, 1000000]
    """

    samples: tuple[int, ...]
    """In nanoseconds, from the smallest to the largest."""
    correlation: float
    """See `Distribution`."""

    def __init__(self, samples: Iterable[float | str], correlation: float | str = 0.0) -> None:
        if isinstance(samples, str) or not isinstance(samples, Iterable):
            raise UsageError(f"Empirical({samples!r}): give a list of delays, such as ['1 ms', '1.2 ms']")
        times = sorted(_signed_nanoseconds(sample) for sample in samples)
        if not times:
            raise UsageError("Empirical([]): give at least one delay")
        settle(self, samples=tuple(times), correlation=units.share(correlation, "correlation"))

    @staticmethod
    def read(path: str | PathLike[str], correlation: float | str = 0.0) -> Empirical:
        """Read samples from a text file: one on each line, in seconds; ``#`` begins a comment.

        Raises `OSError` when the file can't be read, and `UsageError` as making it does.
        """
        return Empirical([float(sample) for _, (sample,) in columns(path, "a delay in seconds")], correlation)

    def quantile(self, u: float) -> float:
        """See `Distribution.quantile`."""
        return self.samples[int(u * len(self.samples))]

    def __repr__(self) -> str:
        return f"<{len(self.samples)} samples of {self.samples[0]} ns to {self.samples[-1]} ns>"


def _signed_nanoseconds(value: float | str) -> int:
    if isinstance(value, Real) and not isinstance(value, bool) and -math.inf < value < 0:
        return -nanoseconds(-value, "sample")
    return nanoseconds(value, "sample")


def jitter_model(value: object) -> JitterModel | None:
    """Return the model that a user means by the argument ``jitter``; None when there is none.

    Arguments:
        value: the most by which packets are earlier or later (`Uniform`), such as ``"2 ms"``, or seconds;
            a model; or None

    Raises `UsageError` for anything else.

    >>> from kamaelia.testbed.links import jitter_model
    >>> jitter_model("2 ms"), jitter_model(0)
    (Uniform(range=2000000, correlation=0.0), None)
    """
    if value is None or isinstance(value, JitterModel):
        return value
    if isinstance(value, type) and issubclass(value, JitterModel):
        raise UsageError(f"jitter={value.__name__} is a kind of model: make one, {value.__name__}(...)")
    if isinstance(value, str) or (isinstance(value, Real) and not isinstance(value, bool)):
        time = units.seconds(value, "jitter")  # type: ignore[arg-type]  # a real number will do
        return Uniform(time) if time else None
    raise UsageError(f"jitter={value!r}: give a time such as '2 ms', or a model such as Normal('2 ms')")
