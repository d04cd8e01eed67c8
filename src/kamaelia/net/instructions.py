"""Messages that are no bytes, but tell a connection to do something, in their place among the bytes.

A protocol sends them through its outbox like everything else: what it has sent before goes before, what it
sends after comes after. How they are carried out is the business of `stream`.
"""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING, Any, BinaryIO

from kamaelia.axon import Signal, SourceFailed, current_component
from kamaelia.axon.errors import shorten

from .tls.machine import TLSInfo
from .tls.settings import ClientTLS, ServerTLS, check_server_tls, checked_client_tls

if TYPE_CHECKING:
    from .stream import Stream


class Instruction:
    """What a connection is told to do; made by nobody outside this module."""

    def prepare(self, stream: Stream) -> None:
        """Its turn has come, although what was sent before may not have been written."""

    async def carry_out(self, stream: Stream) -> None:
        """Do it. What was sent before has been written; nothing else is, until this returns."""
        raise NotImplementedError

    def __len__(self) -> int:
        """What it counts in an inbox that counts bytes."""
        return 1


class SendFile(Instruction):
    """Send a part of a file, as if its bytes had been sent.

    Arguments:
        file: opened to read in binary; it belongs to this message from then on, which closes it
        offset: of the first byte to send
        count: bytes to send; None for all there are

    Where the operating system can copy from a file to a connection it does, and the bytes never pass through
    Python. A file that has become shorter breaks the connection, since the peer must not take what it gets
    for the whole.

    Example:
        >>> import tempfile
        >>> file = tempfile.TemporaryFile()
        >>> _ = file.write(b"0123456789"), file.flush()
        >>> SendFile(file, offset=4)
        SendFile(6 bytes from 4)
    """

    __slots__ = ("count", "file", "offset")

    def __init__(self, file: BinaryIO, offset: int = 0, count: int | None = None) -> None:
        self.file = file
        self.offset = offset
        """Of the first byte."""
        there = os.fstat(file.fileno()).st_size - offset
        self.count = there if count is None else count
        """Of bytes."""
        if offset < 0 or self.count < 0 or self.count > there:
            raise ValueError(
                f"SendFile(offset={offset}, count={count}): this is no part of the file, which has "
                f"{there + offset} bytes"
            )

    def close(self) -> None:
        """Close the file. Twice is harmless."""
        self.file.close()

    async def carry_out(self, stream: Stream) -> None:
        """See `Instruction`."""
        try:
            await stream.send_file(self.file.fileno(), self.offset, self.count)
        finally:
            self.close()

    def __len__(self) -> int:
        return self.count

    def __bool__(self) -> bool:
        return True

    def __del__(self) -> None:
        file = getattr(self, "file", None)
        if file is not None:
            file.close()  # whoever was to get it has gone

    def __repr__(self) -> str:
        return f"SendFile({self.count} bytes from {self.offset})"


class StartTLS(Instruction):
    """Protect a connection from here on (the STARTTLS of mail, and others).

    What was sent before goes unprotected. Whoever sends it waits for `done` before he reads again, and knows
    then that what comes was protected. A peer that has sent something behind its last unprotected words is
    refused: somebody between could have put that there, to have it taken for protected. That is seen where
    it waits in an inbox, also in one behind a part that passed it on; but not what such a part keeps for
    itself, such as the half line of `Lines`: have it end what it has, or look at the bytes yourself, before
    you ask for protection. A handshake that fails breaks the connection.

    Arguments:
        tls: a server gives its `ServerTLS`, a client `ClientTLS` or True; or an `ssl.SSLContext`

    Example:
        >>> StartTLS(ClientTLS(authorities="ours.pem"))
        StartTLS(ClientTLS(authorities='ours.pem'))

    In a component that serves mail, or asks for it::

        await self.outbox.send(b"220 go ahead\r\n")
        protection = StartTLS(ServerTLS("server.pem"))
        await self.outbox.send(protection)
        info = await protection.done()
    """

    __slots__ = ("_changed", "_failure", "_info", "_over", "tls")

    def __init__(self, tls: ServerTLS | ClientTLS | ssl.SSLContext | bool) -> None:
        self.tls: Any = tls
        self._changed = Signal("hear that its connection is protected")
        self._info: TLSInfo | None = None
        self._failure: Exception | None = None
        self._over = False
        if not isinstance(tls, ServerTLS):
            self.tls = checked_client_tls(tls, "StartTLS")
            if self.tls is None:
                raise TypeError(f"StartTLS({shorten(tls)}): give ServerTLS(...), ClientTLS(...) or True")

    def prepare(self, stream: Stream) -> None:
        """See `Instruction`. What the peer says from now on is for TLS, and no plain words."""
        stream.read_no_more()

    async def carry_out(self, stream: Stream) -> None:
        """See `Instruction`."""
        try:
            await stream.start_tls(self.tls)
            if stream.connected:
                self._info = stream.transport.get_extra_info("tls")
            self._failure = stream.failure
        finally:
            self._over = True
            self._changed.set()

    async def done(self) -> TLSInfo:
        """Wait until the connection is protected; return what was agreed on.

        Raises `SourceFailed` if it never will be: there is nobody any more to talk to.
        """
        while not self._over:
            await self._changed
        if self._info is None:
            lost = SourceFailed("the connection broke before it was protected")
            lost.owner = current_component()._axon  # for whom this is an end, and no failure of his
            raise lost from self._failure
        return self._info

    def check(self, *, server: bool) -> None:
        """Raise `TypeError` if this is the other side's."""
        if server:
            check_server_tls(self.tls, "StartTLS")
        elif isinstance(self.tls, ServerTLS):
            raise TypeError("StartTLS(ServerTLS(...)): this side is the client: give ClientTLS(...) or True")

    def __repr__(self) -> str:
        return f"StartTLS({self.tls!r})"


Wire = bytes | Instruction
"""What may be sent to a peer."""

__all__ = ["Instruction", "SendFile", "StartTLS", "Wire"]
