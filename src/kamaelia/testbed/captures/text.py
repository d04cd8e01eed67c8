"""A trace as text, one line an event, and where two traces part.

The columns do not move: each value has a width, and only one that is longer pushes what follows. So two
traces of the same run are the same text, and `diff`, `grep` and people can read them. Times are whole
nanoseconds, written as seconds with all nine digits.

::

          0.080000000 deliver  udp       server:5004              > phone-3:49152                   12   1344
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import zip_longest

from ...axon import UsageError


def event_line(
    time_ns: int,
    what: str,
    protocol: str,
    source: str,
    target: str = "",
    *,
    number: int = 0,
    size: int = 0,
    where: str = "",
) -> str:
    """Return the line of one event, without a line end.

    Arguments:
        time_ns: nanoseconds of virtual time, from 0 on
        what: what has happened, such as ``"deliver"``
        protocol: such as ``"udp"``
        source: where the packet comes from
        target: where it goes
        number: of the packet; 0 if it is about none
        size: of the packet in bytes
        where: the link or the host at which it has happened, or another remark

    >>> event_line(
    ...     80_000_000, "drop", "udp", "server:5004", "phone:5004", number=12, size=1344, where="edge"
    ... ).split()
    ['0.080000000', 'drop', 'udp', 'server:5004', '>', 'phone:5004', '12', '1344', 'edge']
    """
    if time_ns < 0:
        raise UsageError(f"time_ns={time_ns!r}: virtual time begins at 0")
    seconds, rest = divmod(time_ns, 10**9)
    ends = f"{source:<24} > {target:<24}" if target else f"{source:<51}"
    counted = f"{number:>8} {size:>6}" if number else " " * 15
    text = f"{seconds:>6}.{rest:09} {what:<8} {protocol:<9} {ends} {counted} {where}".rstrip()
    return text if text.isprintable() else "".join(map(_printable, text))


@dataclass(frozen=True, slots=True)
class Divergence:
    """Where two traces part. As text, the lines around that, as `diff` shows them."""

    number: int
    """Of the first line that differs, from 1."""
    first: str | None
    """That line in the first trace; None if the trace has ended before."""
    second: str | None
    """The same in the second."""
    before: tuple[str, ...]
    """Lines before it, which are the same in both."""

    def __str__(self) -> str:
        lines = [f"line {self.number} differs:", *(f"  {same}" for same in self.before)]
        for mark, text in (("-", self.first), ("+", self.second)):
            lines.append(f"{mark} (no more lines)" if text is None else f"{mark} {text}")
        return "\n".join(lines)


def compare(first: Iterable[str], second: Iterable[str], *, context: int = 3) -> Divergence | None:
    """Return where two traces part, or None where they are the same.

    Arguments:
        first: the lines of one, such as an open file; line ends do not matter
        second: the lines of the other
        context: how many lines before it are wanted

    Both are read once, side by side, and no further than needed.

    >>> print(compare(["send 1", "send 2", "lose 2"], ["send 1", "send 2", "deliver 2"], context=1))
    line 3 differs:
      send 2
    - lose 2
    + deliver 2
    """
    if context < 0:
        raise UsageError(f"context={context!r}: give the number of lines wanted, from 0 on")
    before: deque[str] = deque(maxlen=context)
    for number, (one, other) in enumerate(zip_longest(first, second), 1):
        here = None if one is None else one.rstrip("\r\n")
        there = None if other is None else other.rstrip("\r\n")
        if here is None or here != there:
            return Divergence(number, here, there, tuple(before))
        before.append(here)
    return None


def _printable(character: str) -> str:
    """Return a character as it is, or escaped where it would break the line."""
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")


__all__ = ["Divergence", "compare", "event_line"]
