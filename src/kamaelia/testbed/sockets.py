"""What ``transport.get_extra_info("socket")`` gives in a simulation: what is used of a socket."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Callable
from typing import Any

from .addresses import Address

SO_NWRITE = 0x1024
SO_PEERCRED = 17

INTERFACE = 1  # the number of the one interface that a host has
INTERFACES = ("eth0", "lo")  # what it is called: it leads to the others, and to the host itself


class SimulatedSocket:
    """A socket that is none: it knows its addresses and remembers its options.

    Options with an effect are ``SO_LINGER`` with a time of 0, so that closing is a reset, as on real hosts,
    and those of multicast (`multicast`). ``SO_NWRITE`` says how many bytes have not arrived yet, as on macOS.
    """

    proto = 0

    def __init__(
        self,
        kind: socket.SocketKind,
        local: Address,
        remote: Address | None = None,
        family: socket.AddressFamily = socket.AF_INET,
        *,
        only6: bool = False,
    ) -> None:
        self.type = kind
        self.family = family
        self.only6 = only6
        """Of IPv6, it does not speak IPv4 as well."""
        self.local = local
        self.remote = remote
        self.options: dict[tuple[int, int], Any] = {}
        self.not_arrived: Callable[[], int] = lambda: 0
        self.on_option: Callable[[int, int, Any], None] | None = None

    def attach(self, transport: Any) -> None:
        """Its options are to have their effects on a transport of UDP."""
        self.on_option = transport.memberships_set

    def be_unix(self, local: str, remote: str | None) -> None:
        """Be a Unix socket, which has paths for addresses, knows the peer's process, and never resets."""
        self.family = socket.AF_UNIX
        self.options[socket.SOL_SOCKET, SO_PEERCRED] = struct.pack("3i", 1, 0, 0)
        self.local, self.remote = local, remote  # type: ignore[assignment]

    def getsockname(self) -> Address:
        """Return the own address."""
        return self.local

    def getpeername(self) -> Address:
        """Return the address of the other side. Raises `OSError` when there is none."""
        if self.remote is None:
            raise OSError(107, "Transport endpoint is not connected")
        return self.remote

    def setsockopt(self, level: int, option: int, value: Any, length: int | None = None) -> None:
        """Set an option. Raises `OSError` for some that mean nothing here."""
        if self.on_option is not None:
            self.on_option(level, option, value)
        self.options[level, option] = value

    def getsockopt(self, level: int, option: int, length: int = 0) -> Any:
        """Return an option that was set, or 0."""
        if (level, option) == (socket.SOL_SOCKET, SO_NWRITE):
            return self.not_arrived()
        return self.options.get((level, option), 0)

    def if_nametoindex(self, name: str) -> int:
        """Return the number of an interface of this host. Raises `OSError` for a name that it has not."""
        if name not in INTERFACES:
            raise OSError(
                errno.ENODEV, f"no interface is called {name!r}: a simulated host has one, {INTERFACES[0]!r}"
            )
        return INTERFACE

    @property
    def resets(self) -> bool:
        """Closing it is a reset."""
        value = self.options.get((socket.SOL_SOCKET, socket.SO_LINGER))
        if self.family == socket.AF_UNIX or not isinstance(value, (bytes, bytearray)) or len(value) < 8:
            return False
        on, seconds = struct.unpack_from("ii", value)
        return bool(on) and seconds == 0

    def setblocking(self, flag: bool) -> None:
        """Do nothing: nothing here blocks."""

    def gettimeout(self) -> float:
        """Return 0: nothing here blocks."""
        return 0.0

    def fileno(self) -> int:
        """Return -1: there is no file behind it."""
        return -1

    def __repr__(self) -> str:
        kind = "TCP" if self.type == socket.SOCK_STREAM else "UDP"
        return f"<simulated {kind} socket {self.local}{f' to {self.remote}' if self.remote else ''}>"
