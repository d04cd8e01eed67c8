"""What may be given to servers and clients, and what to say about the rest.

A wrong kind of thing is a `TypeError`, a wrong value a `ValueError`, both when the component is made: whoever
wrote it sees the line. ``where`` is the name of the argument, such as ``"TCPServer(port=...)"``.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from typing import Any

from kamaelia.axon import Component, ComponentFunction
from kamaelia.axon.component import refuse_bare_body
from kamaelia.axon.errors import shorten
from kamaelia.axon.queue import parse_size


def check_whole(value: Any, where: str, least: int, most: float, give: str) -> None:
    """Refuse what is no whole number in a range.

    >>> check_whole(70000, "TCPServer(port=...)", 0, 65535, "a port from 0 to 65535")
    Traceback (most recent call last):
    ValueError: TCPServer(port=70000): give a port from 0 to 65535
    """
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(_refusal(value, where, give))
    if not least <= value <= most:
        raise ValueError(_refusal(value, where, give))


def check_number(value: Any, where: str, fits: Callable[[float], bool], give: str) -> None:
    """Refuse what is no finite number, or does not fit.

    >>> check_number(-1, "TCPServer(linger=...)", lambda seconds: seconds >= 0, "seconds, 0 or more")
    Traceback (most recent call last):
    ValueError: TCPServer(linger=-1): give seconds, 0 or more
    """
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(_refusal(value, where, give))
    if not (math.isfinite(value) and fits(value)):
        raise ValueError(_refusal(value, where, give))


def check_limit(value: Any, where: str, otherwise: str = "") -> None:
    """Refuse what is no time limit: a finite number of seconds, more than 0."""
    check_number(value, where, lambda seconds: seconds > 0, f"seconds, more than 0{otherwise}")


def check_time_outs(where: str, idle_timeout: Any, stall_timeout: Any, linger: Any) -> None:
    """Refuse what cannot be meant by these arguments, which servers and clients share."""
    for name, value in (("idle_timeout", idle_timeout), ("stall_timeout", stall_timeout)):
        if value is not None:
            check_limit(value, f"{where}({name}=...)", ", or None for never")
    check_number(linger, f"{where}(linger=...)", lambda seconds: seconds >= 0, "seconds, 0 or more")


KEEPALIVE = 60.0  # seconds of silence after which a peer is asked whether it is there


def check_keepalive(seconds: Any, where: str) -> None:
    """Refuse what is no time, in whole seconds, after which a peer can be asked whether it is there."""
    if seconds is not None:
        give = "seconds, from 1 to 32767, or None for never"
        check_number(seconds, f"{where}(keepalive=...)", lambda number: 1 <= number <= 32767, give)


def check_size(size: Any, where: str) -> None:
    """Refuse what is no number of bytes."""
    give = "bytes, as a number (1 or more) or like '256 KiB'"
    if not isinstance(size, (int, str)) or isinstance(size, bool):
        raise TypeError(_refusal(size, where, give))
    try:
        parse_size(size, where)
    except ValueError:
        raise ValueError(_refusal(size, where, give)) from None


def check_protocol_is_one(protocol: Any, where: str) -> None:
    """Refuse what no component can be made of."""
    if not isinstance(protocol, (Component, ComponentFunction)) and not callable(protocol):
        raise TypeError(
            f"{where}({shorten(protocol)}): give what serves a visitor: a component, its class, or a "
            "function that makes one"
        )
    refuse_bare_body(protocol)


def check_server_host(host: Any, where: str) -> None:
    """Refuse what is no host to listen on."""
    give = "a name or address, several in a list, or None for all of this machine"
    if host is None:
        return
    if not isinstance(host, (str, Sequence)) or isinstance(host, (bytes, bytearray, memoryview)):
        raise TypeError(_refusal(host, where, give))
    hosts = [host] if isinstance(host, str) else list(host)
    if not all(isinstance(one, str) for one in hosts):
        raise TypeError(_refusal(host, where, give))
    if not hosts or any("\0" in one for one in hosts):
        raise ValueError(_refusal(host, where, give))


def check_client_host(host: Any, where: str) -> None:
    """Refuse what is no host to connect to."""
    give = "the name or address of the server"
    if not isinstance(host, str):
        raise TypeError(_refusal(host, where, give))
    if not host or "\0" in host:
        raise ValueError(_refusal(host, where, give))


def check_unix_path(path: Any, where: str) -> str:
    """Refuse what is no path of a Unix socket."""
    give = "the path of the socket"
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(_refusal(path, where, give))
    path = os.fspath(path)
    if not isinstance(path, str):
        raise TypeError(_refusal(path, where, f"{give} as text"))
    # What sockaddr_un takes on Linux; some systems have a few bytes less.
    if path in ("", "\0") or "\0" in path[1:] or len(os.fsencode(path)) > 107:
        raise ValueError(_refusal(path, where, f"{give}, 107 bytes at most"))
    return path


def _refusal(value: Any, where: str, give: str) -> str:
    return f"{where.replace('...', shorten(value))}: give {give}"
