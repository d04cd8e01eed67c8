"""IP addresses of simulated hosts, as text in the one form that Python's `ipaddress` gives them.

Text it is because sockets of Python have it so. Each host has a number, counted from 1, and by that two
addresses, unless it was given others: IPv4 from 10.0.0.0/8 and IPv6 from fd00::/64, which nobody routes to
outside. The address of the host 1 is 10.0.0.1, and fd00::1.
"""

from __future__ import annotations

import socket
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

LOOPBACK, ANY = "127.0.0.1", "0.0.0.0"
LOOPBACK6, ANY6 = "::1", "::"
ALL_HOSTS = "255.255.255.255"
MOST_HOSTS = 2**24 - 2

Address = tuple[str, int] | tuple[str, int, int, int]
"""The address of a socket: a host's and a port; with IPv6 a flow and a scope, too."""


def ipv4_of(number: int) -> str:
    """Return the IPv4 address of a host by its number.

    >>> ipv4_of(1), ipv4_of(300)
    ('10.0.0.1', '10.0.1.44')
    """
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def ipv6_of(number: int) -> str:
    """Return the IPv6 address of a host by its number.

    >>> ipv6_of(1), ipv6_of(70_000)
    ('fd00::1', 'fd00::1:1170')
    """
    return f"fd00::{number >> 16:x}:{number & 0xFFFF:x}" if number >> 16 else f"fd00::{number:x}"


def number_of(address: str) -> int:
    """Return the number of the host that may have an address by its number; 0 for an address of others.

    >>> number_of("10.0.1.44"), number_of("fd00::1:1170"), number_of("192.0.2.1")
    (300, 70000, 0)
    """
    if address.startswith("10."):
        _, high, middle, low = address.split(".")
        return int(high) << 16 | int(middle) << 8 | int(low)
    if address.startswith("fd00::"):
        high, _, low = address[6:].rpartition(":")
        number = int(high or "0", 16) << 16 | int(low or "0", 16) if ":" not in high else 0
        return number if number <= MOST_HOSTS else 0
    return 0


@lru_cache(maxsize=65536)
def parsed(text: str) -> IPv4Address | IPv6Address:
    """Return an address as an object. Raises `ValueError` for what is none."""
    return ip_address(text)


@lru_cache(maxsize=65536)
def canonical(text: str) -> str | None:
    """Return an address in the form in which it is compared; None for what is no address.

    What follows a ``%`` is the name of an interface, and no part of it.

    >>> canonical("FE80:0::1%eth0"), canonical("::ffff:10.0.0.1"), canonical("server")
    ('fe80::1', '::ffff:10.0.0.1', None)
    """
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return f"::ffff:{mapped}" if mapped is not None else str(address)


def is_ipv6(address: str) -> bool:
    """Say whether an address is one of IPv6."""
    return ":" in address


def family_of(address: str) -> socket.AddressFamily:
    """Return the family of sockets that an address belongs to."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


@lru_cache(maxsize=65536)
def is_group(address: str) -> bool:
    """Say whether an address is that of a group.

    >>> is_group("239.1.2.3"), is_group("ff02::1"), is_group("10.0.0.1"), is_group("server")
    (True, True, False, False)
    """
    if ":" in address:
        return address[:2].lower() == "ff"
    first = address.partition(".")[0]
    return first.isdigit() and 224 <= int(first) <= 239 and canonical(address) is not None


def is_loopback(address: str) -> bool:
    """Say whether an address is the own host's for itself."""
    return address.startswith("127.") or address == LOOPBACK6


def common_prefix(one: str, other: str) -> int:
    """Return how many of their first bits two addresses of IPv6 have in common; not more than 64 count.

    >>> common_prefix("fd00::1", "fd00::2"), common_prefix("fd00::1", "2001:db8::1")
    (64, 0)
    """
    different = (int(parsed(one)) ^ int(parsed(other))) >> 64
    return 64 - different.bit_length()


def is_any(address: str) -> bool:
    """Say whether an address stands for all of a host."""
    return address in (ANY, ANY6)


def unmapped(address: str) -> str:
    """Return the IPv4 address that one of IPv6 stands for, on sockets that speak both; else the same.

    >>> unmapped("::ffff:10.0.0.1"), unmapped("fd00::1")
    ('10.0.0.1', 'fd00::1')
    """
    return address[7:] if address.startswith("::ffff:") and "." in address else address


@lru_cache(maxsize=1024, typed=True)  # one for all who listen at the same port of all addresses
def socket_address(host: str, port: int, family: int) -> Address:
    """Return an address as sockets of a family tell it.

    >>> socket_address("10.0.0.1", 80, socket.AF_INET6)
    ('::ffff:10.0.0.1', 80, 0, 0)
    """
    if family != socket.AF_INET6:
        return host, port
    return (host if ":" in host else f"::ffff:{host}"), port, 0, 0
