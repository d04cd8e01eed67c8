"""Who has a port of a host, where several sockets may want it."""

from __future__ import annotations

import errno
from typing import Any, TypeVar

from .addresses import ANY, ANY6, is_group, is_ipv6, unmapped

T = TypeVar("T")


def in_use(name: str, port: int) -> OSError:
    """Make the error that says that a port is taken."""
    return OSError(errno.EADDRINUSE, f"address already in use: port {port} of {name}")


def collide(host: str, only6: bool, other: str, other_only6: bool) -> bool:
    """Say whether two sockets cannot both have a port."""
    if is_group(host) or is_group(other):
        return host == other or ANY in (host, other) or ANY6 in (host, other)
    if is_ipv6(host) != is_ipv6(other):  # a socket of IPv6 may be one of IPv4 as well
        six, its_only6, four = (host, only6, other) if is_ipv6(host) else (other, other_only6, host)
        return not its_only6 and (six == ANY6 or unmapped(six) == four)
    return True


def choose(candidates: list[T], source: Any) -> T:
    """Choose among sockets that share a port, always the same one for the same sender."""
    number: int = sum(source[0].encode()) + source[1]
    return candidates[number % len(candidates)]
