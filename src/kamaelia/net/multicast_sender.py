"""Sending to a group."""

from __future__ import annotations

from . import options
from .arguments import check_whole
from .datagram import Port
from .multicast import check_group, check_interface
from .udp_sender import UDPSender


def check_sending(name: str, ttl: int, loop: bool, interface: str | int | None) -> None:
    """Refuse what cannot be meant by the arguments of a sender."""
    give = "over how many routers less one it may go, from 0 (this machine) and 1 (this network) to 255"
    check_whole(ttl, f"{name}(ttl=...)", 0, 255, give)
    if not isinstance(loop, bool):
        raise TypeError(f"{name}(loop={loop!r}): give True or False")
    check_interface(interface, f"{name}(interface=...)")


class MulticastSender(UDPSender):
    """Sends each message as a datagram to a group.

    Inboxes: ``inbox``, bytes for the group that was given; ``datagrams``, each a `Datagram` of bytes and an
    address; ``target``, another ``(group, port)`` for what comes to ``inbox`` from then on. It ends, waits
    and counts as `UDPSender` does, of which it is a kind. Nobody tells whether anybody listens.

    Arguments:
        group: address of the group, IPv4 or IPv6
        port: to send to
        ttl: over how many links it may go: 1 stays in this network, each router on the way needs 1 more; 0
            stays on this machine (on Linux only if somebody here has joined the group)
        loop: receivers on this machine hear it too
        interface: where to send: its name, number or IPv4 address; None leaves it to the system's routes
        local: our own address ``(host, port)``; None for any
        buffer: bytes that the operating system may keep of what comes back; None for what is usual

    Raises what `UDPSender` does.

    Example:
        >>> from kamaelia import run
        >>> from kamaelia.flow import Source
        >>> from kamaelia.net import MulticastSender
        >>> sender = MulticastSender("239.255.7.7", 50047, interface="127.0.0.1")
        >>> run(Source([b"one", b"two"]) | sender)
        >>> sender.statistics().sent
        2
    """

    _connects = False  # the route would be chosen before the options are set

    def __init__(
        self,
        group: str,
        port: int,
        *,
        ttl: int = 1,
        loop: bool = True,
        interface: str | int | None = None,
        local: tuple[str, int] | None = None,
        buffer: int | str | None = None,
    ) -> None:
        check_group(group, "MulticastSender(group=...)")
        check_sending("MulticastSender", ttl, loop, interface)
        super().__init__(group, port, local=local, buffer=buffer)
        self._way_out = (ttl, loop, interface)

    def _prepare(self, port: Port, family: int) -> None:
        for option in options.sending(family, *self._way_out, port.socket):
            port.set(option)
