"""TUN devices: what the kernel sends over one is read from a file, and what is written there it receives.

Each emulated host has one, and nothing else, so that every packet to or from it passes the box. Packets are
whole, with the IP header first: no offloads were asked for, so the kernel has cut and summed them as it does
for a plain wire (``linux/Documentation/networking/tuntap.rst``).
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Sequence

from ..addresses import is_ipv6
from .netlink import Netlink
from .sysctls import RouteMetrics

DEVICE = "/dev/net/tun"
NAME = "eth0"
"""What the device is called in each host, as programs expect it."""
QUEUE = 50_000
"""Packets that may wait to be read: none is to be lost before the box has seen it."""
SMALLEST_MTU6 = 1280
"""Bytes; on a device with less the kernel has no IPv6 (RFC 8200)."""

_TUNSETIFF, _TUNSETPERSIST = 0x400454CA, 0x400454CB
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000


def open_tun(addresses: Sequence[str], *, mtu: int, number: int, metrics: RouteMetrics) -> int:
    """Make the device of a host in the network namespace of this process, and return its descriptor.

    It is not blocking. The device goes with its namespace; to take it away when the descriptor is closed, the
    kernel would need some 25 ms for each, one after the other.

    Arguments:
        addresses: of the host; that of each family which comes first is where packets come from
        mtu: bytes of the longest packet
        number: of the host; it gives its link-local address
        metrics: of its routes

    Raises `OSError`.
    """
    import fcntl  # which only Unix has: all modules can be imported everywhere

    descriptor = os.open(DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", NAME.encode(), _IFF_TUN | _IFF_NO_PI))
        fcntl.ioctl(descriptor, _TUNSETPERSIST, 1)
        with Netlink() as netlink:
            index = socket.if_nametoindex(NAME)
            netlink.set_link(socket.if_nametoindex("lo"))
            netlink.set_link(index, mtu=mtu, queue=QUEUE)
            ipv4 = [one for one in addresses if not is_ipv6(one)]
            for address in ipv4:
                netlink.add_address(index, address)
            netlink.add_default_route(index, socket.AF_INET, metrics, ipv4[0])
            if mtu >= SMALLEST_MTU6:
                for address in (f"fe80::{number:x}", *(one for one in addresses if is_ipv6(one))):
                    netlink.add_address(index, address)
                netlink.add_default_route(index, socket.AF_INET6, metrics)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


__all__ = ["DEVICE", "NAME", "QUEUE", "open_tun"]
