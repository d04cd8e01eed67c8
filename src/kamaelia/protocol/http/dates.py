"""The dates of HTTP (RFC 9110, 5.6.7): three ways to write one are read, and the first of them is written.

    Sun, 06 Nov 1994 08:49:37 GMT       as it is to be
    Sunday, 06-Nov-94 08:49:37 GMT      RFC 850, without the century
    Sun Nov  6 08:49:37 1994            asctime() of C

All are seconds since 1970, in UTC. What time it is now is an argument, as nothing here has a clock.
"""

from __future__ import annotations

import re
from datetime import date

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

_DAY = "|".join(DAYS)
_LONG_DAY = "Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday"
_MONTH = f"(?P<month>{'|'.join(MONTHS)})"
_TIME = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_FORMS = [
    re.compile(rf"(?:{_DAY}), (?P<day>[0-9]{{2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_TIME} GMT"),
    re.compile(rf"(?:{_LONG_DAY}), (?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_TIME} GMT"),
    re.compile(rf"(?:{_DAY}) {_MONTH} (?P<day>[0-9 ][0-9]) {_TIME} (?P<year>[0-9]{{4}})"),
]
_EPOCH = date(1970, 1, 1).toordinal()
_FIRST = (1 - _EPOCH) * 86400
_LAST = (date.max.toordinal() - _EPOCH + 1) * 86400 - 1


def parse_date(text: str, now: float) -> int | None:
    """Return what a date says, in seconds since 1970; None if it is no date of HTTP.

    Arguments:
        text: as a header has it
        now: seconds since 1970; decides which century a year of two digits means: never one that is more than
            50 years from now

    >>> parse_date("Sun, 06 Nov 1994 08:49:37 GMT", now=0)
    784111777
    """
    for form in _FORMS:
        found = form.fullmatch(text)
        if found is not None:
            break
    else:
        return None
    hour, minute, second = int(found["hour"]), int(found["minute"]), int(found["second"])
    if hour > 23 or minute > 59 or second > 60:  # the sixtieth is a leap second
        return None
    year = int(found["year"])
    try:
        if len(found["year"]) == 2:
            year = _with_century(year, now)
        days = date(year, MONTHS.index(found["month"]) + 1, int(found["day"])).toordinal() - _EPOCH
    except ValueError:
        return None
    return days * 86400 + hour * 3600 + minute * 60 + second


def _with_century(year: int, now: float) -> int:
    this_year = date.fromordinal(_EPOCH + int(now // 86400)).year
    year += this_year - this_year % 100
    if year > this_year + 50:
        return year - 100
    if year <= this_year - 50:
        return year + 100
    return year


def format_date(seconds: float) -> str:
    """Return a date as headers have it.

    >>> format_date(784111777.9)
    'Sun, 06 Nov 1994 08:49:37 GMT'
    """
    days, rest = divmod(int(min(max(seconds, _FIRST), _LAST)), 86400)
    day = date.fromordinal(_EPOCH + days)
    hours, rest = divmod(rest, 3600)
    return (
        f"{DAYS[day.weekday()]}, {day.day:02} {MONTHS[day.month - 1]} {day.year:04} "
        f"{hours:02}:{rest // 60:02}:{rest % 60:02} GMT"
    )


__all__ = ["format_date", "parse_date"]
