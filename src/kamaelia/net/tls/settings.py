"""What a server or client is to know for TLS: its certificate, its name, and whom it believes.

Both are recipes: the files are read when the first connection needs them, and anew when they have changed.
Whoever has an `ssl.SSLContext` of his own gives that instead.
"""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

from kamaelia.axon import KamaeliaError
from kamaelia.axon.errors import shorten

log = logging.getLogger("kamaelia")

RELOAD_CHECK = 1.0  # seconds: how often at most a server looks whether its files have changed

Path = str | os.PathLike[str]
M = TypeVar("M")


class BadCertificate(KamaeliaError, ValueError):
    """A certificate or key cannot be used; the message says which, and why."""


class _MadeOfFiles(Generic[M]):
    """What is made when it is first needed, and made anew when its files have changed."""

    _made: M | None = None
    _seen: Sequence[Any] = ()  # what the files were like then

    def _renew(self) -> M:
        """Return it, anew if that is due. Raises `BadCertificate` if there is none yet."""
        seen = self._look()
        if self._made is None:
            self._made, self._seen = self._load(), seen
        elif seen != self._seen:
            self._seen = seen
            try:
                self._made = self._load()
                log.info("%r: the certificates have been read anew", self)
            except BadCertificate as error:
                log.error("%s; connections go on with the old certificates", error)
        return self._made

    def _look(self) -> Sequence[Any]:
        """Return what the files are like."""
        raise NotImplementedError

    def _load(self) -> M:
        """Make it of the files. Raises `BadCertificate`."""
        raise NotImplementedError


class ServerTLS(_MadeOfFiles["dict[str | None, ssl.SSLContext]"]):
    """How a server proves who it is, and whom it lets in.

    Arguments:
        certificate: file with the certificate and those above it, in PEM
        key: file with its private key; None if it is in the file of the certificate
        password: of the key, if it has one
        names: other certificates, by the name of the server that a client asks for (SNI): pairs of files, or
            one file that has both; ``"*.example.org"`` serves all names of one part more
        alpn: protocols that may be agreed on (RFC 7301), best first
        clients: file with those who vouch for clients; a client must then show a certificate
        clients_optional: a client may do without one, but what it shows must be good

    The files are looked at no more than once a second, when somebody connects: where they have changed, who
    connects from then on gets the new certificate, and nobody else is disturbed. Files that cannot be used
    are logged, and the old ones go on. TLS 1.2 and 1.3 are spoken. Raises `BadCertificate` when the server
    begins to listen.

    Example:
        >>> ServerTLS("cert.pem", "key.pem", alpn=["http/1.1"])
        ServerTLS('cert.pem', 'key.pem', alpn=['http/1.1'])
    """

    def __init__(
        self,
        certificate: Path,
        key: Path | None = None,
        *,
        password: str | None = None,
        names: Mapping[str, Path | tuple[Path, Path]] | None = None,
        alpn: Sequence[str] = (),
        clients: Path | None = None,
        clients_optional: bool = False,
    ) -> None:
        _check_path(certificate, "ServerTLS(certificate=...)")
        self._own = (certificate, key)
        self._password = password
        self._names = {
            name.lower(): (pair if isinstance(pair, tuple) else (pair, None))
            for name, pair in (names or {}).items()
        }
        self._alpn = _checked_alpn(alpn, "ServerTLS")
        self._clients = clients
        self._clients_optional = clients_optional
        if clients_optional and clients is None:
            raise ValueError("ServerTLS(clients_optional=True): give clients=..., the file of who vouches")
        self._looked = 0.0

    def context(self, now: float) -> ssl.SSLContext:
        """Return the context for a connection that is made now (seconds of any clock)."""
        made = self._made
        if made is None or not 0 <= now - self._looked < RELOAD_CHECK:
            self._looked = now
            made = self._renew()
        return made[None]

    def _load(self) -> dict[str | None, ssl.SSLContext]:
        contexts: dict[str | None, ssl.SSLContext] = {None: self._make(*self._own)}
        for name, pair in self._names.items():
            contexts[name] = self._make(*pair)

        def choose(connection: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
            connection.asked_name = name  # type: ignore[attr-defined]  # nothing else keeps it
            if name is not None:
                name = name.lower().rstrip(".")
                found = contexts.get(name) or contexts.get("*." + name.partition(".")[2])
                if found is not None:
                    connection.context = found

        contexts[None].sni_callback = choose
        return contexts

    def _make(self, certificate: Path, key: Path | None) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION
        _load_chain(context, certificate, key, self._password, repr(self))
        if self._alpn:
            context.set_alpn_protocols(self._alpn)
        if self._clients is not None:
            _load_authorities(context, self._clients, repr(self))
            context.verify_mode = ssl.CERT_OPTIONAL if self._clients_optional else ssl.CERT_REQUIRED
        return context

    def _look(self) -> list[Any]:
        files = [file for pair in (self._own, *self._names.values()) for file in pair if file is not None]
        if self._clients is not None:
            files.append(self._clients)
        return [_stamp(file) for file in files]

    def __repr__(self) -> str:
        given = [repr(os.fspath(file)) for file in self._own if file is not None]
        if self._names:
            given.append(f"names={list(self._names)}")
        if self._alpn:
            given.append(f"alpn={self._alpn}")
        if self._clients is not None:
            given.append(f"clients={os.fspath(self._clients)!r}")
        return f"ServerTLS({', '.join(given)})"


class ClientTLS(_MadeOfFiles[ssl.SSLContext]):
    """Whom a client believes, and how it proves who it is itself.

    Arguments:
        authorities: file or folder with those who vouch for servers, in PEM; None for those that the
            operating system believes
        server_name: the name that the server's certificate must have, and that is asked for; None for the
            host to which the client connects
        certificate: file with the client's own certificate, for servers that ask for one
        key: file with its private key; None if it is in the file of the certificate
        password: of the key, if it has one
        alpn: protocols that may be agreed on (RFC 7301), best first
        verify: False believes everybody, so that whoever is between can read and change everything: for
            tests only

    The files are looked at for each connection: where they have changed, also those of the operating system,
    it is made with the new ones. Files that cannot be used any more are logged, and the old ones go on.

    Example:
        >>> ClientTLS(authorities="ours.pem", alpn=["http/1.1"])
        ClientTLS(authorities='ours.pem', alpn=['http/1.1'])
    """

    def __init__(
        self,
        *,
        authorities: Path | None = None,
        server_name: str | None = None,
        certificate: Path | None = None,
        key: Path | None = None,
        password: str | None = None,
        alpn: Sequence[str] = (),
        verify: bool = True,
    ) -> None:
        given: Any = server_name
        if given is not None and (not isinstance(given, str) or not given or "\0" in given):
            raise ValueError(f"ClientTLS(server_name={shorten(given)}): give a name, or None for the host's")
        self.server_name = server_name
        """See the arguments."""
        self._authorities = authorities
        self._chain = (certificate, key, password)
        self._alpn = _checked_alpn(alpn, "ClientTLS")
        self._verify = verify

    def context(self) -> ssl.SSLContext:
        """Return the context for a connection that is made now. Raises `BadCertificate`."""
        return self._renew()

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if not self._verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif self._authorities is not None:
            _load_authorities(context, self._authorities, repr(self))
        else:
            context.load_default_certs()
        certificate, key, password = self._chain
        if certificate is not None:
            _load_chain(context, certificate, key, password, repr(self))
        if self._alpn:
            context.set_alpn_protocols(self._alpn)
        return context

    def _look(self) -> list[Any]:
        files: list[Path | None] = [*self._chain[:2]]
        if self._verify and self._authorities is None:
            usual = ssl.get_default_verify_paths()
            files += [usual.cafile, usual.capath]
        elif self._verify:
            files.append(self._authorities)
        return [_stamp(file) for file in files if file is not None]

    def __repr__(self) -> str:
        given = []
        if self._authorities is not None:
            given.append(f"authorities={os.fspath(self._authorities)!r}")
        if self.server_name is not None:
            given.append(f"server_name={self.server_name!r}")
        if self._chain[0] is not None:
            given.append(f"certificate={os.fspath(self._chain[0])!r}")
        if self._alpn:
            given.append(f"alpn={self._alpn}")
        if not self._verify:
            given.append("verify=False")
        return f"ClientTLS({', '.join(given)})"


def server_context(tls: ServerTLS | ssl.SSLContext, now: float) -> ssl.SSLContext:
    """Return the context of a server's setting."""
    return tls.context(now) if isinstance(tls, ServerTLS) else tls


def client_context(tls: ClientTLS | ssl.SSLContext) -> ssl.SSLContext:
    """Return the context of a client's setting."""
    return tls.context() if isinstance(tls, ClientTLS) else tls


def check_server_tls(tls: Any, where: str) -> None:
    """Refuse what is no setting for a server."""
    if tls is not None and not isinstance(tls, (ServerTLS, ssl.SSLContext)):
        raise TypeError(
            f'{where}(tls={shorten(tls)}): give ServerTLS("certificate.pem", "key.pem"), or an ssl.SSLContext'
        )


def checked_client_tls(tls: Any, where: str) -> ClientTLS | ssl.SSLContext | None:
    """Return a client's setting: True stands for `ClientTLS()`. Refuse what is none."""
    if tls is None or tls is False:
        return None
    if tls is True:
        return ClientTLS()
    if not isinstance(tls, (ClientTLS, ssl.SSLContext)):
        raise TypeError(
            f"{where}(tls={shorten(tls)}): give True (the server's certificate must be one that this machine "
            "believes), ClientTLS(...), or an ssl.SSLContext"
        )
    return tls


def _check_path(path: Any, where: str) -> None:
    if not isinstance(path, (str, os.PathLike)):
        raise TypeError(f"{where.replace('...', shorten(path))}: give the name of a file")


def _checked_alpn(alpn: Any, where: str) -> list[str]:
    if isinstance(alpn, str) or not all(
        isinstance(name, str) and name.isascii() and 1 <= len(name) <= 255 for name in alpn
    ):
        raise ValueError(
            f"{where}(alpn={shorten(alpn)}): give a list of the names of protocols, like ['http/1.1']"
        )
    return list(alpn)


def _load_chain(
    context: ssl.SSLContext, certificate: Path, key: Path | None, password: str | None, what: str
) -> None:
    def no_password() -> str:
        # Without this, OpenSSL would ask at the terminal, and everything would stand still.
        raise BadCertificate(f"{what}: the key has a password, and none was given: password=...")

    given: Any = no_password if password is None else password
    try:
        context.load_cert_chain(certificate, key, given)
    except (OSError, ssl.SSLError) as error:
        raise BadCertificate(f"{what}: the certificate or its key cannot be used: {_why(error)}") from error


def _load_authorities(context: ssl.SSLContext, authorities: Path, what: str) -> None:
    try:
        if os.path.isdir(authorities):
            context.load_verify_locations(capath=authorities)
        else:
            context.load_verify_locations(authorities)
    except (OSError, ssl.SSLError) as error:
        raise BadCertificate(
            f"{what}: {os.fspath(authorities)} cannot be used to tell who is believed: {_why(error)}"
        ) from error


def _why(error: Exception) -> str:
    reason = getattr(error, "reason", None)
    return reason.replace("_", " ").lower() if isinstance(reason, str) else str(error)


def _stamp(file: Path) -> Any:
    try:
        status = os.stat(file)
    except OSError as error:
        return error.errno
    return status.st_mtime_ns, status.st_size, status.st_ino
