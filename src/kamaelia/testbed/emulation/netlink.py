"""The little of rtnetlink that sets up a network device: link, addresses, routes (rtnetlink(7)).

A message is a header, a fixed part, and attributes, each with its length and type, filled up to 4 bytes. The
kernel answers each with an error number, 0 if it has done what was asked.
"""

from __future__ import annotations

import os
import socket
import struct
from ipaddress import ip_address
from types import TracebackType

from .sysctls import RouteMetrics

_NLMSG_ERROR = 2
_REQUEST_ACK, _CREATE_EXCLUSIVELY = 0x5, 0x600
_NEWLINK, _NEWADDR, _NEWROUTE = 16, 20, 24
_IFF_UP = 1
_IFLA_MTU, _IFLA_TXQLEN = 4, 13
_IFA_ADDRESS, _IFA_LOCAL, _IFA_FLAGS = 1, 2, 8
_IFA_F_NODAD = 2
_RTA_OIF, _RTA_PREFSRC, _RTA_METRICS = 4, 7, 8
_RTAX_LOCK, _RTAX_INITCWND, _RTAX_RTO_MIN, _RTAX_CC_ALGO = 1, 11, 13, 16
_MAIN_TABLE, _STATIC, _UNICAST = 254, 4, 1
_LINK_SCOPE = 253

_HEADER = struct.Struct("=IHHII")


class Netlink:
    """A connection to the kernel, in the network namespace of the process that opens it."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
        self._socket.bind((0, 0))
        self._number = 0

    def set_link(self, index: int, *, mtu: int | None = None, queue: int | None = None) -> None:
        """Bring a device up.

        Arguments:
            index: its number
            mtu: bytes of its longest packet
            queue: packets that may wait in it
        """
        body = struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, _IFF_UP, _IFF_UP)
        if mtu is not None:
            body += _attribute(_IFLA_MTU, struct.pack("=I", mtu))
        if queue is not None:
            body += _attribute(_IFLA_TXQLEN, struct.pack("=I", queue))
        self._ask(_NEWLINK, 0, body)

    def add_address(self, index: int, address: str) -> None:
        """Give a device an address of its own, with no network behind it; of IPv6 it is used at once."""
        packed = ip_address(address).packed
        family = socket.AF_INET if len(packed) == 4 else socket.AF_INET6
        scope = _LINK_SCOPE if address.startswith("fe80:") else 0
        prefix = 64 if scope else 8 * len(packed)
        body = struct.pack("=BBBBI", family, prefix, 0, scope, index)
        body += _attribute(_IFA_LOCAL, packed) + _attribute(_IFA_ADDRESS, packed)
        if family == socket.AF_INET6:
            body += _attribute(_IFA_FLAGS, struct.pack("=I", _IFA_F_NODAD))
        self._ask(_NEWADDR, _CREATE_EXCLUSIVELY, body)

    def add_default_route(
        self, index: int, family: int, metrics: RouteMetrics, source: str | None = None
    ) -> None:
        """Send everything of a family over a device, from an address unless the sender chooses another."""
        scope = _LINK_SCOPE if family == socket.AF_INET else 0
        body = struct.pack("=BBBBBBBBI", family, 0, 0, 0, _MAIN_TABLE, _STATIC, scope, _UNICAST, 0)
        body += _attribute(_RTA_OIF, struct.pack("=I", index))
        if source is not None:
            body += _attribute(_RTA_PREFSRC, ip_address(source).packed)
        told = b""
        if metrics.initial_window is not None:
            told += _attribute(_RTAX_INITCWND, struct.pack("=I", metrics.initial_window))
        if metrics.least_timeout is not None:  # which counts only if it is locked
            told += _attribute(_RTAX_LOCK, struct.pack("=I", 1 << _RTAX_RTO_MIN))
            told += _attribute(_RTAX_RTO_MIN, struct.pack("=I", metrics.least_timeout))
        if metrics.congestion is not None:
            told += _attribute(_RTAX_CC_ALGO, metrics.congestion.encode() + b"\0")
        if told:
            body += _attribute(_RTA_METRICS, told)
        self._ask(_NEWROUTE, _CREATE_EXCLUSIVELY, body)

    def _ask(self, kind: int, flags: int, body: bytes) -> None:
        self._number += 1
        head = _HEADER.pack(_HEADER.size + len(body), kind, flags | _REQUEST_ACK, self._number, 0)
        self._socket.send(head + body)
        answer = self._socket.recv(65536)
        _, kind, _, number, _ = _HEADER.unpack_from(answer)
        if kind != _NLMSG_ERROR or number != self._number:
            raise OSError(f"netlink: the kernel has answered message {self._number} with {answer[:32]!r}")
        error = -struct.unpack_from("=i", answer, _HEADER.size)[0]
        if error:
            raise OSError(error, f"netlink: {os.strerror(error)}")

    def __enter__(self) -> Netlink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()


def _attribute(kind: int, value: bytes) -> bytes:
    length = 4 + len(value)
    return struct.pack("=HH", length, kind) + value + bytes(-length % 4)


__all__ = ["Netlink"]
