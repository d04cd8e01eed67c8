"""TLS without a socket: bytes of the wire go in, bytes of the application come out, and the other way.

Theory
------
The two directions of a TLS connection end separately, as those of TCP do: each side says "close notify" when
it will send nothing more, and may go on reading (RFC 8446, 6.1). So `TLSMachine` has an end in each
direction: `send_end` says it for us, and `received_end` tells that the peer has said it. A wire that ends
without it has been cut: somebody between may have done that to make a part look like the whole. That is
`RemoteProtocolError`, like everything else that the peer does wrong.

OpenSSL refuses to say "close notify" while there is something that it has decrypted and nobody has read, so
`send_end` reads that first and keeps it for the next `receive`; that is no more than was fed last.

States
------
::

    HANDSHAKE --> OPEN --> ENDED (both directions have)
        |           |
        +-----------+----> ERROR, and stays there
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from enum import Enum
from typing import Any

from kamaelia.axon.errors import LocalProtocolError, RemoteProtocolError

PIECE = 64 * 1024  # bytes: what is given out at a time is not much more than this
RECORD = 16 * 1024  # bytes: the most that a record carries (RFC 8446, 5.1)


class State(Enum):
    """What a `TLSMachine` is about."""

    HANDSHAKE = "handshake"
    OPEN = "open"
    ENDED = "ended"
    ERROR = "error"


@dataclass(frozen=True)
class TLSInfo:
    """What two sides have agreed on."""

    version: str
    """``"TLSv1.3"`` or ``"TLSv1.2"``."""
    cipher: str
    """Its name, as OpenSSL has it."""
    alpn: str | None
    """The protocol that both want to speak (RFC 7301); None if none was agreed."""
    server_name: str | None
    """The name of the server that the client has asked for; None if it has not said."""
    certificate: dict[str, Any] | None
    """The peer's certificate, as `ssl.SSLSocket.getpeercert` has it; None if it has shown none."""


class TLSMachine:
    """One side of a TLS connection.

    Arguments:
        context: with certificates, and who is believed
        server: this is the server's side
        server_name: which server a client wants, for its certificate and for SNI

    After each call, `to_send` has what is to go to the peer; also after an error, which it is told of.

    Example: see tests/net/test_tls_machine.py, where two machines talk.
    """

    __slots__ = (
        "_error",
        "_incoming",
        "_kept",
        "_object",
        "_outgoing",
        "_sent_end",
        "agreed",
        "received_end",
        "server",
        "state",
    )

    def __init__(
        self, context: ssl.SSLContext, *, server: bool = False, server_name: str | None = None
    ) -> None:
        self.server = server
        self.state = State.HANDSHAKE
        self.agreed = False
        """The handshake has succeeded, so there is `info`, whatever has become of the connection since."""
        self.received_end = False
        """The peer has said that it will send nothing more."""
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server, server_hostname=server_name
        )
        self._sent_end = False
        self._kept: list[bytes] = []  # decrypted, but not given out yet
        self._error: RemoteProtocolError | None = None  # to be raised when that has been given out

    @property
    def object(self) -> ssl.SSLObject:
        """What the standard library knows of the connection."""
        return self._object

    @property
    def info(self) -> TLSInfo:
        """What has been agreed, from the end of the handshake on."""
        if not self.agreed:
            raise LocalProtocolError("TLS: nothing has been agreed before the end of the handshake")
        cipher = self._object.cipher()
        name = getattr(self._object, "asked_name", None) if self.server else self._object.server_hostname
        return TLSInfo(
            self._object.version() or "",
            cipher[0] if cipher else "",
            self._object.selected_alpn_protocol(),
            name,
            self._object.getpeercert() or None,
        )

    def start(self) -> None:
        """Begin the handshake: the client speaks first."""
        self._shake_hands()

    def feed(self, data: bytes) -> None:
        """Take bytes from the wire. Raises `RemoteProtocolError` if the handshake fails by them."""
        self._check_usable()
        self._incoming.write(data)
        if self.state is State.HANDSHAKE:
            self._shake_hands()

    def feed_end(self) -> None:
        """The wire has ended. If it was cut, `receive` raises that, after what came before."""
        self._check_usable()
        self._incoming.write_eof()
        if self.state is State.HANDSHAKE:
            self._shake_hands()

    @property
    def pending(self) -> bool:
        """Whether `receive` may have something to give, or to raise."""
        return bool(self._kept or self._error or self._incoming.pending or self._object.pending())

    def receive(self) -> bytes:
        """Return what has been decrypted, some of it or all; nothing if there is none (more).

        Raises `RemoteProtocolError` for what cannot be decrypted, and when the wire has been cut.
        """
        if self._error is not None and not self._kept:
            self.state = State.ERROR
            error, self._error = self._error, None
            raise error
        if self.state is not State.OPEN and not self._kept:
            return b""
        pieces, self._kept = self._kept, []
        size = sum(map(len, pieces))
        try:
            while size < PIECE and not self.received_end and self._error is None:
                piece = self._read()
                if not piece:
                    break
                pieces.append(piece)
                size += len(piece)
        except RemoteProtocolError as error:
            if not pieces:
                raise
            self._error = error
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def send(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt something for the peer."""
        if self.state is not State.OPEN or self._sent_end:
            raise LocalProtocolError(f"TLS: nothing can be sent: {self._why_not()}")
        view = memoryview(data).cast("B")
        while view:  # no more than a record at a time is written to an endless buffer
            try:
                view = view[self._object.write(view) :]
            except ssl.SSLError as error:
                raise self._failed(_remote(error)) from error

    def send_end(self) -> None:
        """Say that nothing more will be sent. Twice is harmless."""
        if self._sent_end or self.state is not State.OPEN:
            return
        try:
            while not self.received_end and (piece := self._read()):
                self._kept.append(piece)
        except RemoteProtocolError as error:
            self._error = error
            return
        self._sent_end = True
        try:
            self._object.unwrap()
        except ssl.SSLWantReadError:
            pass  # what it wants is the peer's end
        except ssl.SSLError as error:
            raise self._failed(_remote(error)) from error
        self._see_end()

    def to_send(self) -> bytes:
        """Return what is to go to the peer, once."""
        return self._outgoing.read()

    # -- machinery --------------------------------------------------------------------------------

    def _shake_hands(self) -> None:
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return
        except (ssl.SSLError, ssl.CertificateError) as error:
            raise self._failed(_remote(error)) from error
        self.state, self.agreed = State.OPEN, True

    def _read(self) -> bytes:
        try:
            piece = self._object.read(RECORD)
        except ssl.SSLWantReadError:
            return b""
        except ssl.SSLZeroReturnError:
            piece = b""
        except ssl.SSLError as error:
            raise self._failed(_remote(error)) from error
        if not piece:
            self.received_end = True
            self._see_end()
        return piece

    def _see_end(self) -> None:
        if self._sent_end and self.received_end and self.state is State.OPEN:
            self.state = State.ENDED

    def _failed(self, error: RemoteProtocolError) -> RemoteProtocolError:
        self.state = State.ERROR
        return error

    def _check_usable(self) -> None:
        if self.state is State.ERROR:
            raise LocalProtocolError("TLS: the connection has failed, and takes nothing more")

    def _why_not(self) -> str:
        if self.state is State.HANDSHAKE:
            return "the handshake has not ended"
        return "the connection has failed" if self.state is State.ERROR else "our end has been said"


def _remote(error: Exception) -> RemoteProtocolError:
    """Say what the peer has done wrong."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return RemoteProtocolError(f"TLS: the peer's certificate is not accepted: {error.verify_message}")
    if isinstance(error, ssl.SSLEOFError):
        return RemoteProtocolError("TLS: the connection was cut: the peer has not said that it has finished")
    text = getattr(error, "reason", None) or str(error)
    return RemoteProtocolError(f"TLS: {str(text).replace('_', ' ').lower()}")
