"""Sockets and names in simulated code: `socket`.

``socket.socket`` itself is replaced, by a class that makes simulated sockets and for which those are
instances of it. What is written in Python on top of that works through it, and does what these sockets do:
``socket.create_connection``, ``socket.create_server``, ``socket.getfqdn``.

Names are looked up as by the loop, which answers for the simulated network.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from ..errors import SimulationError
from .places import StandIn
from .where import simulated_loop

T = TypeVar("T")

INSTEAD = "Write `socket.socket(...)`, which makes a simulated one, or `asyncio.open_connection(...)`"

RealSocket = socket.socket


class _Kind(type):
    """What sort of class stands in the place of ``socket.socket``."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls is not SocketStandIn:  # somebody has made a subclass meanwhile
            return super().__call__(*args, **kwargs)
        loop = simulated_loop()
        return RealSocket(*args, **kwargs) if loop is None else _make_socket(loop, *args, **kwargs)

    def __instancecheck__(cls, one: Any) -> bool:
        if cls is not SocketStandIn:
            return super().__instancecheck__(one)
        return isinstance(one, RealSocket) or getattr(type(one), "is_simulated_socket", False)

    def __subclasscheck__(cls, other: Any) -> bool:
        if cls is not SocketStandIn:
            return super().__subclasscheck__(other)
        return issubclass(other, RealSocket) or getattr(other, "is_simulated_socket", False)


class SocketStandIn(RealSocket, metaclass=_Kind):
    __doc__ = RealSocket.__doc__
    __slots__ = ()

    real = RealSocket
    everywhere = False


SocketStandIn.__module__, SocketStandIn.__name__, SocketStandIn.__qualname__ = "socket", "socket", "socket"


def _make_socket(
    loop: Any, family: int = -1, type: int = -1, proto: int = -1, fileno: int | None = None
) -> Any:
    return loop.make_socket(family, type, proto, fileno)


def _pair(loop: Any, family: Any = None, type: int = socket.SOCK_STREAM, proto: int = 0) -> Any:
    if family not in (None, getattr(socket, "AF_UNIX", None)) or type != socket.SOCK_STREAM or proto:
        raise SimulationError(
            f"socket.socketpair({family!r}, {type!r}) on simulated host {loop.stack.name}: there are pairs "
            "of Unix sockets. Write `socket.socketpair()`"
        )
    return loop.make_socket_pair()


def _no_pair(loop: Any, *args: Any) -> Any:
    raise SimulationError(
        f"a real socket.socketpair() on simulated host {loop.stack.name}: its ends would be the machine's. "
        "Write `socket.socketpair()` where it is called, which makes simulated ones"
    )


def _no_file(loop: Any, *args: Any) -> Any:
    raise SimulationError(
        f"socket.fromfd() on simulated host {loop.stack.name}: there is no file behind a simulated socket. "
        f"{INSTEAD}"
    )


# -- names ----------------------------------------------------------------------------------------------


def _at_once(answer: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine returns that does not wait."""
    try:
        answer.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    answer.close()
    raise SimulationError("names are looked up in time here: write `await loop.getaddrinfo(...)`")


def _getaddrinfo(
    loop: Any, host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0
) -> list[Any]:
    found: list[Any] = _at_once(
        loop.getaddrinfo(host, port, family=family, type=type, proto=proto, flags=flags)
    )
    return found


def _addresses(loop: Any, host: Any, family: int = 0) -> list[str]:
    found = _getaddrinfo(loop, host, None, family, socket.SOCK_STREAM)
    return list(dict.fromkeys(one[4][0] for one in found))


def _gethostbyname(loop: Any, host: Any) -> str:
    special = {"": "0.0.0.0", "<broadcast>": "255.255.255.255"}
    return special[host] if host in special else _addresses(loop, host, socket.AF_INET)[0]


def _gethostbyname_ex(loop: Any, host: Any) -> tuple[str, list[str], list[str]]:
    return str(host), [], _addresses(loop, host, socket.AF_INET)


def _gethostbyaddr(loop: Any, host: Any) -> tuple[str, list[str], list[str]]:
    addresses = _addresses(loop, host)
    try:
        name, _ = _getnameinfo(loop, (addresses[0], 0), socket.NI_NAMEREQD)
    except socket.gaierror as error:
        raise socket.herror(1, f"unknown host: {error.strerror}") from None
    return name, [], addresses


def _getnameinfo(loop: Any, sockaddr: Any, flags: int) -> tuple[str, str]:
    found: tuple[str, str] = _at_once(loop.getnameinfo(sockaddr, flags))
    return found


def _gethostname(loop: Any) -> str:
    return loop.stack.name  # type: ignore[no-any-return]


# -- interfaces -----------------------------------------------------------------------------------------


def _if_nameindex(loop: Any) -> list[tuple[int, str]]:
    from ..sockets import INTERFACE, INTERFACES

    return [(INTERFACE, INTERFACES[0])]


def _if_nametoindex(loop: Any, name: Any) -> int:
    from ..sockets import INTERFACE, INTERFACES

    text = name.decode() if isinstance(name, bytes) else name
    if text not in INTERFACES:
        raise OSError(f"no interface with this name: {text!r}; a simulated host has {INTERFACES[0]!r}")
    return INTERFACE


def _if_indextoname(loop: Any, number: int) -> str:
    for one, name in _if_nameindex(loop):
        if one == number:
            return name
    raise OSError(f"no interface with this index: {number}; a simulated host has {_if_nameindex(loop)[0][0]}")


_SIMULATED: dict[str, Callable[..., Any]] = {
    "getaddrinfo": _getaddrinfo,  # on which the function of that name in `socket` stands
    "gethostbyaddr": _gethostbyaddr,
    "gethostbyname": _gethostbyname,
    "gethostbyname_ex": _gethostbyname_ex,
    "gethostname": _gethostname,
    "getnameinfo": _getnameinfo,
    "if_indextoname": _if_indextoname,
    "if_nameindex": _if_nameindex,
    "if_nametoindex": _if_nametoindex,
    "socketpair": _no_pair,  # for whom has held on to the function in `socket` that asks for it
}


def of_socket() -> list[Any]:
    """Return the stand-ins of `socket`."""
    below = sys.modules["_socket"]
    return [
        SocketStandIn,
        *(
            StandIn("_socket", name, getattr(below, name), one)
            for name, one in _SIMULATED.items()
            if hasattr(below, name)
        ),
        StandIn("socket", "fromfd", socket.fromfd, _no_file),
        StandIn("socket", "socketpair", socket.socketpair, _pair),
    ]


__all__ = ["INSTEAD", "RealSocket", "SocketStandIn", "of_socket"]
