"""The options of simulated sockets: which there are, and what they do.

An option that is not here is refused, by its name: nobody is to believe in an effect that is none. Those with
an effect are marked in the table; of the others it can be said that they make no difference in a simulated
network, or none that is modelled, and what was set is told again.

| option | effect |
| --- | --- |
| ``SO_REUSEPORT`` | several sockets may share a port; the same sender always comes to the same one |
| ``SO_REUSEADDR`` | several sockets of UDP may share a port for groups |
| ``SO_BROADCAST`` | datagrams to all on a link are allowed |
| ``SO_LINGER`` with a time of 0 | closing is a reset |
| ``SO_RCVBUF`` | bytes that may wait to be read; of TCP the window, which does not grow by itself then |
| ``SO_SNDBUF`` | bytes that may be under way |
| ``SO_ERROR``, ``SO_ACCEPTCONN``, ``SO_TYPE``, ``SO_DOMAIN``, ``SO_PROTOCOL`` | can be asked for |
| ``SO_NWRITE`` | says how many bytes have not arrived yet, as on macOS |
| ``SO_PEERCRED`` | of Unix sockets, the process at the other end: always 1, of root |
| ``TCP_NODELAY`` | without it a small segment waits until all before it are acknowledged (Nagle) |
| ``TCP_MAXSEG`` | can be asked for |
| ``SO_KEEPALIVE``, ``TCP_KEEPIDLE``, ``_KEEPINTVL``, ``_KEEPCNT`` | of packets: who is silent is asked |
| ``TCP_SYNCNT`` | how often a syn is sent again that is not answered |
| ``TCP_USER_TIMEOUT`` | of packets: for how many milliseconds anything is sent again |
| ``TCP_QUICKACK`` | of packets: acknowledgements are sent at once for a while, or not |
| ``TCP_CONGESTION``, ``TCP_INFO`` | of packets: the congestion control; what the kernel knows |
| ``IP_TOS``, ``IPV6_TCLASS`` | the class of service, and ECN: queues may mark packets instead of dropping |
| ``IP_TTL``, ``IPV6_UNICAST_HOPS`` | routers that packets may pass |
| ``IPV6_V6ONLY`` | a socket of IPv6 does not speak IPv4 as well |
| those of multicast | see `memberships` |
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import Any, NamedTuple

# What other systems than Linux may lack; simulated hosts are like Linux everywhere.
AF_UNIX: Any = getattr(socket, "AF_UNIX", -1)
TYPE_FLAGS = getattr(socket, "SOCK_NONBLOCK", 0) | getattr(socket, "SOCK_CLOEXEC", 0)
MSG_NOSIGNAL = getattr(socket, "MSG_NOSIGNAL", 0)

# The bits of select.poll, which other systems than Linux may lack or number otherwise.
POLLIN, POLLPRI, POLLOUT, POLLERR, POLLHUP, POLLNVAL = 1, 2, 4, 8, 16, 32

FIRST_NUMBER = 2**30  # of a simulated socket: there are not so many files

SO_NWRITE = 0x1024
SO_PEERCRED = 17
SO_REUSEPORT = 15
IPV6_TCLASS = 67
TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT = 4, 5, 6
TCP_SYNCNT = 7
TCP_INFO = 11
TCP_QUICKACK = 12
TCP_CONGESTION = 13
TCP_USER_TIMEOUT = 18
RANGES = {
    TCP_KEEPIDLE: range(1, 32768),
    TCP_KEEPINTVL: range(1, 32768),
    TCP_KEEPCNT: range(1, 128),
    TCP_SYNCNT: range(1, 128),
    TCP_USER_TIMEOUT: range(2**31),
}
"""What options of TCP may be set to, as on Linux."""

DEFAULT_BUFFER = 212_992  # bytes, as on Linux
SMALLEST_RECEIVE, SMALLEST_SEND, LARGEST_BUFFER = 2304, 4608, 2 * 8_388_608


class Option(NamedTuple):
    """What there is to know of an option."""

    name: str
    default: int | bytes = 0
    read_only: bool = False
    is_kept: bool = True
    """It can be asked for what it was set to."""


_SOCKET = {
    socket.SO_REUSEADDR: Option("SO_REUSEADDR"),
    SO_REUSEPORT: Option("SO_REUSEPORT"),
    socket.SO_BROADCAST: Option("SO_BROADCAST"),
    socket.SO_KEEPALIVE: Option("SO_KEEPALIVE"),
    socket.SO_LINGER: Option("SO_LINGER", struct.pack("ii", 0, 0)),
    socket.SO_RCVBUF: Option("SO_RCVBUF", DEFAULT_BUFFER),
    socket.SO_SNDBUF: Option("SO_SNDBUF", DEFAULT_BUFFER),
    socket.SO_RCVLOWAT: Option("SO_RCVLOWAT", 1),
    socket.SO_OOBINLINE: Option("SO_OOBINLINE"),
    socket.SO_DONTROUTE: Option("SO_DONTROUTE"),
    socket.SO_ERROR: Option("SO_ERROR", 0, True),
    socket.SO_TYPE: Option("SO_TYPE", 0, True),
    socket.SO_ACCEPTCONN: Option("SO_ACCEPTCONN", 0, True),
    39: Option("SO_DOMAIN", 0, True),
    38: Option("SO_PROTOCOL", 0, True),
    12: Option("SO_PRIORITY"),
    SO_NWRITE: Option("SO_NWRITE", 0, True),
    SO_PEERCRED: Option("SO_PEERCRED", struct.pack("3i", 1, 0, 0), True),
}
_TCP = {
    socket.TCP_NODELAY: Option("TCP_NODELAY"),
    2: Option("TCP_MAXSEG"),
    3: Option("TCP_CORK"),
    TCP_KEEPIDLE: Option("TCP_KEEPIDLE", 7200),
    TCP_KEEPINTVL: Option("TCP_KEEPINTVL", 75),
    TCP_KEEPCNT: Option("TCP_KEEPCNT", 9),
    TCP_SYNCNT: Option("TCP_SYNCNT", 6),
    9: Option("TCP_DEFER_ACCEPT"),
    TCP_QUICKACK: Option("TCP_QUICKACK", 1),
    TCP_INFO: Option("TCP_INFO", b"", True),
    TCP_CONGESTION: Option("TCP_CONGESTION", b"reno"),
    TCP_USER_TIMEOUT: Option("TCP_USER_TIMEOUT"),
    23: Option("TCP_FASTOPEN"),
    25: Option("TCP_NOTSENT_LOWAT"),
}
_IP = {
    1: Option("IP_TOS"),
    2: Option("IP_TTL", 64),
    10: Option("IP_MTU_DISCOVER", 1),
    11: Option("IP_RECVERR"),
    12: Option("IP_RECVTTL"),
    13: Option("IP_RECVTOS"),
    14: Option("IP_MTU", 1500, True),
    15: Option("IP_FREEBIND"),
    24: Option("IP_BIND_ADDRESS_NO_PORT"),
    32: Option("IP_MULTICAST_IF"),
    33: Option("IP_MULTICAST_TTL", 1),
    34: Option("IP_MULTICAST_LOOP", 1),
    35: Option("IP_ADD_MEMBERSHIP", is_kept=False),
    36: Option("IP_DROP_MEMBERSHIP", is_kept=False),
    39: Option("IP_ADD_SOURCE_MEMBERSHIP", is_kept=False),
    40: Option("IP_DROP_SOURCE_MEMBERSHIP", is_kept=False),
    46: Option("MCAST_JOIN_SOURCE_GROUP", is_kept=False),
    47: Option("MCAST_LEAVE_SOURCE_GROUP", is_kept=False),
    49: Option("IP_MULTICAST_ALL", 1),
}
_IPV6 = {
    16: Option("IPV6_UNICAST_HOPS", 64),
    17: Option("IPV6_MULTICAST_IF"),
    18: Option("IPV6_MULTICAST_HOPS", 1),
    19: Option("IPV6_MULTICAST_LOOP", 1),
    20: Option("IPV6_JOIN_GROUP", is_kept=False),
    21: Option("IPV6_LEAVE_GROUP", is_kept=False),
    23: Option("IPV6_MTU_DISCOVER", 1),
    24: Option("IPV6_MTU", 1500, True),
    25: Option("IPV6_RECVERR"),
    26: Option("IPV6_V6ONLY"),
    29: Option("IPV6_MULTICAST_ALL", 1),
    46: Option("MCAST_JOIN_SOURCE_GROUP", is_kept=False),
    47: Option("MCAST_LEAVE_SOURCE_GROUP", is_kept=False),
    49: Option("IPV6_RECVPKTINFO"),
    51: Option("IPV6_RECVHOPLIMIT"),
    62: Option("IPV6_DONTFRAG"),
    66: Option("IPV6_RECVTCLASS"),
    IPV6_TCLASS: Option("IPV6_TCLASS"),
}
OPTIONS: dict[int, dict[int, Option]] = {
    socket.SOL_SOCKET: _SOCKET,
    socket.IPPROTO_TCP: _TCP,
    socket.IPPROTO_IP: _IP,
    socket.IPPROTO_IPV6: _IPV6,
}
TTL = {(socket.IPPROTO_IP, socket.IP_TTL), (socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS)}
"""The options that say how many routers a packet passes."""
TOS = {(socket.IPPROTO_IP, socket.IP_TOS), (socket.IPPROTO_IPV6, IPV6_TCLASS)}
"""The options that say of which class it is."""
LEVELS = {
    socket.SOL_SOCKET: "SOL_SOCKET",
    socket.IPPROTO_TCP: "IPPROTO_TCP",
    socket.IPPROTO_UDP: "IPPROTO_UDP",
    socket.IPPROTO_IP: "IPPROTO_IP",
    socket.IPPROTO_IPV6: "IPPROTO_IPV6",
}


def option_of(level: int, option: int) -> Option:
    """Return what there is to know of an option. Raises `OSError` for one that is not modelled."""
    found = OPTIONS.get(level, {}).get(option)
    if found is None:
        raise OSError(
            errno.ENOPROTOOPT,
            f"{os.strerror(errno.ENOPROTOOPT)}: simulated sockets have no option {option} of "
            f"{LEVELS.get(level, f'level {level}')}; kamaelia.testbed.options says which there are",
        )
    return found


def number_in(value: Any) -> int:
    """Return the number that an option is set to, as an int or as the bytes of one."""
    if isinstance(value, int):
        return int(value)
    data = bytes(value[:4])
    return int.from_bytes(data.ljust(4, b"\0"), "little", signed=True) if data else 0


def congestion_name(value: Any) -> str:
    """Return the name of a congestion control. Raises `OSError` for one that there is not."""
    name = value.rstrip(b"\0").decode("ascii", "replace") if isinstance(value, bytes) else str(value)
    if name not in ("cubic", "reno"):
        raise FileNotFoundError(errno.ENOENT, f"no congestion control {name!r}: there are 'cubic' and 'reno'")
    return name


def buffer_size(asked: int, smallest: int) -> int:
    """Return how large a buffer gets for which a size is asked: twice that, within limits, as on Linux."""
    return max(smallest, min(2 * asked, LARGEST_BUFFER))
