"""Servers on Unix sockets: for programs on the same machine."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from collections.abc import Callable
from typing import Any, Unpack

from kamaelia.axon import Outbox

from .arguments import check_unix_path, check_whole
from .errors import CannotListen, why_no_socket_at
from .kernel import file_of
from .server import ServerOptions, StreamServer


class UnixServer(StreamServer):
    """Listens on a Unix socket, and makes a protocol component for each who connects.

    Everything is as with `TCPServer`, whose ``protocol`` and other arguments it takes, but that who connects
    is found by a path of this machine instead of a host and port. `peer` says which process it is
    (``peer().process``), where the system tells.

    A socket that a program has left behind, which is dead, is removed first; the path goes when the server
    ends.

    Arguments:
        protocol: the component for a connection: a class, a component (made again from its recipe), a factory
        path: of the socket; on Linux a path that begins with ``"\\0"`` is a name in no folder
        mode: who may connect, as for files, such as ``0o600``; None for what the process's umask leaves
        options: of `TCPServer`: ``limit``, ``idle_timeout``, ``stall_timeout``, ``total_timeout``,
            ``linger``, ``size``, ``receive_rate``, ``buffers``, ``backlog``, ``tls``, ``on_failure``,
            ``quiet``, ...

    Boxes: ``listening`` sends the path once the server listens, ``failures`` a `Failure` for each component
    that failed. Raises `CannotListen`; `LinkError` for a protocol that does not take and send bytes.

    Example:
        >>> import os, tempfile
        >>> from kamaelia import background, run
        >>> from kamaelia.flow import Collect, Map, Source
        >>> from kamaelia.net import UnixClient, UnixServer
        >>> path = os.path.join(tempfile.mkdtemp(), "echo")
        >>> with background(UnixServer(Map(bytes.upper), path, quiet=True)) as server:
        ...     run(Source([b"hello"]) | UnixClient(server.receive("listening")) | Collect())
        [b'HELLO']
    """

    listening = Outbox[str]("the path, once, when the server listens", optional=True)

    def __init__(
        self, protocol: Any, path: str, *, mode: int | None = None, **options: Unpack[ServerOptions]
    ) -> None:
        super().__init__(protocol, **options)
        self._path = check_unix_path(path, "UnixServer(path=...)")
        if mode is not None:
            check_whole(mode, "UnixServer(mode=...)", 0, 0o777, "who may connect, such as 0o600")
        self._mode = mode
        self._made: tuple[int, int] | None = None  # device and number of the file that is the socket

    async def main(self) -> None:
        """See `StreamServer`."""
        try:
            await super().main()
        finally:
            if self._made is not None:
                with contextlib.suppress(OSError):
                    if self._made == _identity(self._path):
                        os.unlink(self._path)

    async def _listen(self, make: Callable[[], asyncio.BaseProtocol]) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        try:
            await self._refuse_to_replace(loop)
            server = await loop.create_unix_server(
                make, self._path, backlog=self._backlog, start_serving=False
            )
            try:
                if file_of(server.sockets[0]) is not None and not self._path.startswith(
                    "\0"
                ):  # there is a file
                    self._made = _identity(self._path)
                    if self._mode is not None:
                        os.chmod(self._path, self._mode)
                self._set_up(server)
                await server.start_serving()
            except BaseException:
                server.close()
                raise
        except OSError as error:
            why = why_no_socket_at(error, self._path)
            raise CannotListen(f"{self.path}: {why}") from error
        return server

    async def _refuse_to_replace(self, loop: asyncio.AbstractEventLoop) -> None:
        """Raise `OSError` if somebody listens there: event loops would take his place without a word."""
        if self._path.startswith("\0"):
            return  # nobody's place can be taken: there is no file to remove
        try:
            transport, _ = await loop.create_unix_connection(asyncio.Protocol, self._path)
        except (FileNotFoundError, ConnectionRefusedError):
            return
        transport.abort()
        raise OSError(errno.EADDRINUSE, "Address already in use")

    def _addresses_of(self, server: asyncio.Server) -> list[str]:
        return [self._path]

    def _hint(self) -> str:
        return "" if self._path.startswith("\0") else f"nc -U {self._path}"


def _identity(path: str) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino
