"""Clients of Unix sockets: for programs on the same machine."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from typing import Any, Unpack

from .arguments import check_unix_path
from .client import ClientOptions, StreamClient


class UnixClient(StreamClient):
    """Connects to a Unix socket: what arrives in the inbox goes there, what comes from there goes to the
    outbox.

    Everything is as with `TCPClient`, whose arguments it takes, but that the server is found by a path of
    this machine.

    Arguments:
        path: of the socket; on Linux a path that begins with ``"\\0"`` is a name in no folder, to which
            asyncio's own event loop can connect, and uvloop cannot
        options: of `TCPClient`: ``reconnect``, ``connect_timeout``, ``idle_timeout``, ``stall_timeout``, ...

    Raises `CannotConnect` and `ConnectionLost`. For an example see `UnixServer`.

    Example:
        >>> UnixClient("/run/clock", reconnect=True)
        UnixClient('/run/clock', reconnect=True)
    """

    def __init__(self, path: str, **options: Unpack[ClientOptions]) -> None:
        self._path = check_unix_path(path, "UnixClient(path=...)")
        super().__init__(**options)

    async def _dial(self, make: Callable[[], asyncio.Protocol]) -> asyncio.Protocol:
        try:
            made: Any = await asyncio.get_running_loop().create_unix_connection(make, self._path)
        except OSError as error:
            if error.errno == errno.EINVAL and self._path.startswith("\0"):
                why = "uvloop takes no such name; use run(..., loop_factory=asyncio.new_event_loop)"
                raise OSError(errno.EINVAL, why) from error
            raise
        protocol: asyncio.Protocol = made[1]
        return protocol

    @property
    def _server(self) -> str:
        return self._path
