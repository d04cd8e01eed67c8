"""Certificates for tests, of an authority that only they believe."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import trustme

from kamaelia.net import ClientTLS, ServerTLS


class Certificates:
    """An authority, and what it has vouched for. Files are written into a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._authority = trustme.CA()
        self.authorities = str(folder / "authorities.pem")
        self._authority.cert_pem.write_to_path(self.authorities)

    def issue(self, name: str, *, file: str | None = None) -> str:
        """Return a file with a key, and the certificate of a name."""
        path = self.folder / f"{file or name}.pem"
        self._authority.issue_cert(name).private_key_and_cert_chain_pem.write_to_path(str(path))
        return str(path)

    @cached_property
    def local(self) -> str:
        """The certificate of the loopback's addresses."""
        path = self.folder / "local.pem"
        certificate = self._authority.issue_cert("127.0.0.1", "::1", "localhost", "server")
        certificate.private_key_and_cert_chain_pem.write_to_path(str(path))
        return str(path)

    @cached_property
    def server(self) -> ServerTLS:
        """What a server on the loopback needs."""
        return ServerTLS(self.local)

    @cached_property
    def client(self) -> ClientTLS:
        """A client that believes this authority."""
        return ClientTLS(authorities=self.authorities)
