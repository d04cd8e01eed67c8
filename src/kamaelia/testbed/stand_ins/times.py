"""Time in simulated code: `time` and `datetime`.

The calendar begins with `kamaelia.axon.clock.EPOCH` in each run; all other clocks begin with 0, and are one
and the same: computing takes no time, so the processor's clock runs only when virtual time does. A host
whose clock is wrong, by skew or drift, has that in its loop's time.

``time.sleep`` is refused. It would hold up all hosts in real time, and no virtual time would pass.

Local time is virtual time in the machine's time zone.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

from ...axon.clock import EPOCH, calendar
from ..errors import SimulationError
from .places import InClass, StandIn
from .where import simulated_loop

BILLION = 1_000_000_000
CALENDARS = [getattr(time, name) for name in ("CLOCK_REALTIME", "CLOCK_TAI") if hasattr(time, name)]

_gmtime, _localtime, _ctime, _asctime, _strftime = (
    time.gmtime,
    time.localtime,
    time.ctime,
    time.asctime,
    time.strftime,
)


def host_time(loop: Any) -> float:
    """Return what a host's clock shows, in seconds since it was started."""
    return loop.time()  # type: ignore[no-any-return]


def host_time_ns(loop: Any) -> int:
    """Return the same in nanoseconds, exact for the first 26 days."""
    seconds: float = loop.time()
    return round(seconds * BILLION)


def host_calendar(loop: Any) -> float:
    """Return a host's calendar time, in seconds since 1970."""
    return calendar(loop)


def host_calendar_ns(loop: Any) -> int:
    """Return the same in nanoseconds; as seconds it is exact to 100 only."""
    skew: float = getattr(loop, "skew", 0.0)
    return int(EPOCH) * BILLION + host_time_ns(loop) + round(skew * BILLION)


def _clock_gettime(loop: Any, number: int) -> float:
    return host_calendar(loop) if number in CALENDARS else host_time(loop)


def _clock_gettime_ns(loop: Any, number: int) -> int:
    return host_calendar_ns(loop) if number in CALENDARS else host_time_ns(loop)


def _gmtime_of(loop: Any, seconds: float | None = None) -> time.struct_time:
    return _gmtime(host_calendar(loop) if seconds is None else seconds)


def _localtime_of(loop: Any, seconds: float | None = None) -> time.struct_time:
    return _localtime(host_calendar(loop) if seconds is None else seconds)


def _ctime_of(loop: Any, seconds: float | None = None) -> str:
    return _ctime(host_calendar(loop) if seconds is None else seconds)


def _asctime_of(loop: Any, *parts: Any) -> str:
    return _asctime(*parts or [_localtime_of(loop)])


def _strftime_of(loop: Any, form: str, *parts: Any) -> str:
    return _strftime(form, *parts or [_localtime_of(loop)])


def _sleep(loop: Any, seconds: float) -> None:
    raise no_sleep(loop, seconds)


def no_sleep(loop: Any, seconds: float) -> SimulationError:
    """Make the error that says what to write in place of ``time.sleep``."""
    return SimulationError(
        f"time.sleep({seconds!r}) on simulated host {loop.stack.name}: it would hold up all hosts, and no "
        f"virtual time would pass. Write `await kamaelia.sleep({seconds!r})` or "
        f"`await asyncio.sleep({seconds!r})`, in a script `kamaelia.sleep({seconds!r})`"
    )


_SIMULATED: dict[str, Callable[..., Any]] = {
    "asctime": _asctime_of,
    "clock_gettime": _clock_gettime,
    "clock_gettime_ns": _clock_gettime_ns,
    "ctime": _ctime_of,
    "gmtime": _gmtime_of,
    "localtime": _localtime_of,
    "monotonic": host_time,
    "monotonic_ns": host_time_ns,
    "perf_counter": host_time,
    "perf_counter_ns": host_time_ns,
    "process_time": host_time,
    "process_time_ns": host_time_ns,
    "sleep": _sleep,
    "strftime": _strftime_of,
    "thread_time": host_time,
    "thread_time_ns": host_time_ns,
    "time": host_calendar,
    "time_ns": host_calendar_ns,
}


def of_time() -> list[Any]:
    """Return the stand-ins of `time`."""
    return [
        StandIn("time", name, getattr(time, name), simulated)
        for name, simulated in _SIMULATED.items()
        if hasattr(time, name)  # not all systems have all clocks
    ]


def of_datetime() -> list[Any]:
    """Return the stand-ins of `datetime`.

    Only these two ask the machine: `datetime.date.today` and ``datetime.datetime.today`` call `time.time`.
    """
    import datetime  # here, because most programs never need it and it takes a millisecond

    kind = datetime.datetime
    real_now, real_utcnow = kind.__dict__["now"], kind.__dict__["utcnow"]

    def moment(cls: Any, loop: Any, zone: Any) -> Any:
        seconds, nanoseconds = divmod(host_calendar_ns(loop), BILLION)
        return cls.fromtimestamp(seconds, zone).replace(microsecond=nanoseconds // 1000)

    def now(cls: Any, tz: Any = None) -> Any:
        """Return new datetime object local to tz."""
        loop = simulated_loop()
        return real_now.__get__(None, cls)(tz) if loop is None else moment(cls, loop, tz)

    def utcnow(cls: Any) -> Any:
        """Return a new datetime representing UTC day and time."""
        loop = simulated_loop()
        if sys.version_info >= (3, 12):
            warnings.warn(
                "datetime.datetime.utcnow() is deprecated: use datetime.datetime.now(datetime.UTC)",
                DeprecationWarning,
                stacklevel=2,
            )
        if loop is not None:
            return moment(cls, loop, datetime.UTC).replace(tzinfo=None)
        if sys.version_info < (3, 12):
            return real_utcnow.__get__(None, cls)()
        return real_now.__get__(None, cls)(datetime.UTC).replace(tzinfo=None)

    return [InClass(kind, "now", classmethod(now)), InClass(kind, "utcnow", classmethod(utcnow))]


__all__ = [
    "host_calendar",
    "host_calendar_ns",
    "host_time",
    "host_time_ns",
    "no_sleep",
    "of_datetime",
    "of_time",
]
