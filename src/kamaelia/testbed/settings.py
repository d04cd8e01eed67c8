"""What a link is like: quantities as people write them, made into what a channel computes with.

Settings do not change; a link that is changed gets others. Many links have the same, so each combination is
made once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from ..axon import UsageError, units
from ..axon.clock import nanoseconds
from .links import (
    Corruption,
    DropTail,
    Duplication,
    RateFunction,
    Reordering,
    Uniform,
    UniformLoss,
    jitter_model,
    loss_model,
    queue_discipline,
)
from .wire import NO_LIMIT

DEFAULT_QUEUE = "150 kB"  # a hundred full packets
MTU = 1500  # bytes
SMALLEST_MTU = 68  # bytes, of IPv4; for IPv6 it is 1280

NAMES = ("delay", "jitter", "reordering", "loss", "rate", "queue", "mtu", "duplicate", "corrupt", "reorder")


class LinkSettings:
    """Settings of one direction of a link; made by `make_settings`, which says what they mean."""

    __slots__ = (
        "corrupt",
        "delay",
        "delay_function",
        "duplicate",
        "given",
        "is_special",
        "jitter",
        "jitter_reorders",
        "loss",
        "mtu",
        "queue",
        "queue_limits",
        "rate",
        "rate_model",
        "reorder",
        "uniform_loss",
    )

    given: dict[str, Any]
    """As they were written."""
    delay: int
    """In nanoseconds; where it is a function of time, what that is at the beginning."""
    delay_function: Callable[[int], int] | None
    rate: float | None
    """In bits a second; None for no limit."""
    rate_model: Any
    """A rate that changes by itself, or None."""
    jitter: Any
    jitter_reorders: bool
    duplicate: Any
    corrupt: Any
    reorder: Any
    mtu: int
    loss: Any
    """A `LossModel`, or None."""
    uniform_loss: float
    """The share lost, if each packet is lost by itself; else 0."""
    queue: Any
    """A description of a queue."""
    queue_limits: tuple[int, int] | None
    """Packets and bytes that may wait in a plain queue; None if it is an active one."""
    is_special: bool
    """There is more to it than the wire does by itself."""


def make_settings(**given: Any) -> LinkSettings:
    """Return the settings that are described.

    Arguments are those of `Network.link`; those left out have its defaults. Raises `UsageError` for
    quantities that are none, and for combinations that mean nothing.
    """
    try:
        return _made_once(*(given.get(name, DEFAULTS[name]) for name in NAMES))
    except TypeError:  # something that cannot be kept in a table
        return _make(*(given.get(name, DEFAULTS[name]) for name in NAMES))


def changed(settings: LinkSettings, changes: dict[str, Any]) -> LinkSettings:
    """Return settings of which some are others. Raises `UsageError`, as `make_settings` does."""
    return make_settings(**{**settings.given, **changes})


DEFAULTS: dict[str, Any] = {
    "delay": 0.0,
    "jitter": None,
    "reordering": False,
    "loss": 0.0,
    "rate": None,
    "queue": DEFAULT_QUEUE,
    "mtu": MTU,
    "duplicate": 0.0,
    "corrupt": 0.0,
    "reorder": 0.0,
}


def _make(
    delay: Any,
    jitter: Any,
    reordering: Any,
    loss: Any,
    rate: Any,
    queue: Any,
    mtu: Any,
    duplicate: Any,
    corrupt: Any,
    reorder: Any,
) -> LinkSettings:
    made = LinkSettings()
    given = (delay, jitter, reordering, loss, rate, queue, mtu, duplicate, corrupt, reorder)
    made.given = dict(zip(NAMES, given, strict=True))
    made.delay_function = None
    if callable(delay):
        made.delay_function = _delay_function(delay)
        made.delay = made.delay_function(0)
    else:
        made.delay = nanoseconds(units.seconds(delay, "delay"))
    made.jitter = jitter_model(jitter)
    made.jitter_reorders = bool(reordering)
    if isinstance(made.jitter, Uniform) and made.jitter.range > made.delay:
        raise UsageError(
            f"jitter={jitter!r} is more than delay={delay!r}: packets would arrive too early; let the "
            "delay be at least as long"
        )
    made.loss = loss_model(loss)
    made.uniform_loss = made.loss.share if isinstance(made.loss, UniformLoss) else 0.0
    made.rate, made.rate_model = _rate(rate)
    made.queue = queue_discipline(queue)
    made.queue_limits = None
    if isinstance(made.queue, DropTail):
        packets, size = made.queue.limits
        made.queue_limits = (
            NO_LIMIT if packets is None else packets,
            NO_LIMIT if size is None else size,
        )
    made.mtu = units.size(mtu, "mtu")
    if made.mtu < SMALLEST_MTU:
        raise UsageError(f"mtu={mtu!r}: a link of IP carries packets of at least {SMALLEST_MTU} bytes")
    made.duplicate = _model(duplicate, Duplication)
    made.corrupt = _model(corrupt, Corruption)
    made.reorder = _model(reorder, Reordering)
    made.is_special = (
        any(
            one is not None
            for one in (
                made.delay_function,
                made.jitter,
                made.rate_model,
                made.duplicate,
                made.corrupt,
                made.reorder,
            )
        )
        or made.queue_limits is None
        or (made.loss is not None and not made.uniform_loss)
    )
    return made


_made_once = lru_cache(maxsize=4096, typed=True)(_make)  # True is no 1 here


def _delay_function(delay: Callable[[float], Any]) -> Callable[[int], int]:
    def at(now: int) -> int:
        return nanoseconds(units.seconds(delay(now / 1e9), "delay"))

    return at


def _rate(rate: Any) -> tuple[float | None, Any]:
    if rate is None:
        return None, None
    if hasattr(rate, "finish"):
        return None, rate
    if callable(rate):
        return None, RateFunction(rate)
    bits = units.bits_per_second(rate, "rate")
    if bits == 0:
        raise UsageError(f"rate={rate!r} carries nothing: leave the link out; rate=None is for no limit")
    return bits, None


def _model(value: Any, kind: type[Any]) -> Any:
    if value is None or isinstance(value, kind):
        return value
    share = units.share(value, kind.__name__.lower())
    return kind(share) if share else None
