"""Messages that are no bytes, but tell a connection to do something, in their place among the bytes.

A protocol sends them through its outbox like everything else: what it has sent before goes before, what it
sends after comes after. How they are carried out is the business of `stream`.
"""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING, Any, BinaryIO

from kamaelia.axon.errors import shorten

from .tls.settings import ClientTLS, ServerTLS, check_server_tls, checked_client_tls

if TYPE_CHECKING:
    from .stream import Stream


class Instruction:
    """What a connection is told to do; made by nobody outside this module."""

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
        >>> _ = file.write(b"0123456789")
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

    What was sent before goes unprotected. A peer that has sent something behind its last unprotected words
    is refused: somebody between could have put that there, to have it taken for protected.

    Arguments:
        tls: a server gives its `ServerTLS`, a client `ClientTLS` or True; or an `ssl.SSLContext`

    After it has been sent, what arrives was protected; `peer` says what was agreed. A handshake that fails
    breaks the connection.

    Example:
        >>> StartTLS(ClientTLS(authorities="ours.pem"))
        StartTLS(ClientTLS(authorities='ours.pem'))
    """

    __slots__ = ("tls",)

    def __init__(self, tls: ServerTLS | ClientTLS | ssl.SSLContext | bool) -> None:
        self.tls: Any = tls
        if not isinstance(tls, ServerTLS):
            self.tls = checked_client_tls(tls, "StartTLS")
            if self.tls is None:
                raise TypeError(f"StartTLS({shorten(tls)}): give ServerTLS(...), ClientTLS(...) or True")

    async def carry_out(self, stream: Stream) -> None:
        """See `Instruction`."""
        await stream.start_tls(self.tls)

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
