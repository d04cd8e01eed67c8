"""The daytime protocol, RFC 867."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from kamaelia.axon import Component, Inbox, Outbox
from kamaelia.axon.here import calendar

# Written out, because the names that Python knows are those of the machine's language.
DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
# fmt: off
MONTHS: Final = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)
# fmt: on


def daytime_line(seconds: float) -> bytes:
    r"""Return a calendar time, in seconds since 1970-01-01 00:00 UTC, as RFC 867 likes to see it.

    >>> daytime_line(951_827_696)
    b'Tuesday, February 29, 2000 12:34:56-UTC\r\n'
    """
    time = datetime.fromtimestamp(seconds, UTC)
    date = f"{DAYS[time.weekday()]}, {MONTHS[time.month - 1]} {time.day}, {time.year}"
    return f"{date} {time:%H:%M:%S}-UTC\r\n".encode("ascii")


class Daytime(Component):
    """Send the date and the time once, in words, and end.

    Inbox: ``inbox``, which is not read. Outbox: ``outbox``, bytes, one line. RFC 867. The time is that of
    the system: in virtual time the calendar begins with the year 2000.

    Example:
        >>> from kamaelia.protocol import Daytime
        >>> from kamaelia.testing import drive
        >>> with drive(Daytime()) as daytime:
        ...     daytime.take()
        b'Saturday, January 1, 2000 00:00:00-UTC\\r\\n'
    """

    inbox = Inbox[bytes]("is not read")
    outbox = Outbox[bytes]("one line")

    async def main(self) -> None:
        await self.outbox.send(daytime_line(calendar()))


__all__ = ["Daytime", "daytime_line"]
