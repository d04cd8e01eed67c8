"""Addresses on the web: ``http://user:word@example.org:8080/path?query``, taken apart, or refused.

A name of a host is what DNS knows: IDNA, by Python's own codec. What stands in a path or a query beyond ASCII
is escaped as UTF-8, as browsers do; blanks and control characters are refused, since nobody means them, and
who puts text from elsewhere into an address is to escape it (`urllib.parse.quote`).
"""

from __future__ import annotations

import base64
import ipaddress
import re
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, unquote_to_bytes, urlsplit

from kamaelia.axon.errors import shorten

PORTS: Final = {"http": 80, "https": 443}
LONGEST: Final = 64 * 1024  # characters
_NAME: Final = re.compile(r"[A-Za-z0-9._~-]+")


@dataclass(frozen=True)
class URL:
    """An address, taken apart. Made by `URL.parse`.

    Example:
        >>> url = URL.parse("http://bücher.example:8080/a b".replace(" ", "%20") + "?q=1#top")
        >>> url.host, url.port, url.target
        ('xn--bcher-kva.example', 8080, '/a%20b?q=1')
        >>> str(url), url.authority
        ('http://xn--bcher-kva.example:8080/a%20b?q=1', 'xn--bcher-kva.example:8080')
    """

    scheme: str
    """``"http"`` or ``"https"``."""
    host: str
    """Name or address, without the brackets of IPv6."""
    port: int
    """The port, also where it is the usual one."""
    target: str
    """The path and the query, as they stand in a request."""
    userinfo: bytes | None = None
    """Name and password, unescaped, with a colon between."""

    @classmethod
    def parse(cls, text: Any, what: str = "the address") -> URL:
        """Take an address apart. Raises `TypeError` and `ValueError` for what is none, with the reason."""
        if isinstance(text, URL):
            return text
        if not isinstance(text, str):
            raise TypeError(f"{what} {shorten(text)}: give text such as 'http://example.org/'")
        if len(text) > LONGEST:
            raise ValueError(f"{what} {shorten(text)} has {len(text)} characters; {LONGEST} are enough")
        if not text.isprintable() or " " in text or "\\" in text:
            raise ValueError(
                f"{what} {shorten(text)}: blanks, backslashes, line ends and control characters cannot stand "
                "in it: escape them (urllib.parse.quote)"
            )
        try:
            parts = urlsplit(text)
            port = parts.port
        except ValueError as error:
            raise ValueError(f"{what} {shorten(text)}: {error}") from None
        if parts.scheme not in PORTS:
            hint = (
                "http:// or https:// comes first" if not parts.scheme or "//" not in text else "not this one"
            )
            raise ValueError(f"{what} {shorten(text)}: only http and https are spoken here, {hint}")
        if not parts.hostname:
            raise ValueError(f"{what} {shorten(text)} names no host: write {parts.scheme}://example.org/")
        if port == 0:
            raise ValueError(f"{what} {shorten(text)}: there is no port 0")
        userinfo = None
        if "@" in parts.netloc:
            userinfo = unquote_to_bytes(parts.netloc.rpartition("@")[0])
            if b":" not in userinfo:
                userinfo += b":"
        target = _escaped(parts.path or "/") + (f"?{_escaped(parts.query)}" if parts.query else "")
        host = _host(parts.hostname, "[" in parts.netloc.rpartition("@")[2], f"{what} {shorten(text)}")
        return cls(parts.scheme, host, port or PORTS[parts.scheme], target, userinfo)

    @property
    def authority(self) -> str:
        """Host and port, as ``Host`` has them: without the port where it is the usual one.

        >>> URL.parse("http://[::1]:80/").authority
        '[::1]'
        """
        return self._host_text + ("" if self.port == PORTS[self.scheme] else f":{self.port}")

    @property
    def address(self) -> str:
        """Host and port, as ``CONNECT`` has them: always with the port."""
        return f"{self._host_text}:{self.port}"

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port: what is equal for all that belongs together."""
        return self.scheme, self.host, self.port

    @property
    def is_secure(self) -> bool:
        """Whether it is https."""
        return self.scheme == "https"

    @property
    def authorization(self) -> str | None:
        """What the header ``Authorization`` says for the name and password; None if there are none.

        >>> URL.parse("http://Aladdin:open%20sesame@example.org/").authorization
        'Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=='
        """
        if self.userinfo is None:
            return None
        return "Basic " + base64.b64encode(self.userinfo).decode("ascii")

    @property
    def _host_text(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host

    def __str__(self) -> str:
        """The address as text, without name and password: it is for logs and errors too."""
        return f"{self.scheme}://{self.authority}{self.target}"


def _host(name: str, bracketed: bool, what: str) -> str:
    if bracketed:
        try:
            return str(ipaddress.IPv6Address(name.replace("%25", "%")))
        except ValueError:
            raise ValueError(f"{what}: [{name}] is no IPv6 address") from None
    try:
        ascii_name = name.encode("idna").decode("ascii") if not name.isascii() else name
        if any(not 0 < len(label) <= 63 for label in ascii_name.removesuffix(".").split(".")):
            raise ValueError("a part of the name is empty, or longer than 63 characters")
        if not _NAME.fullmatch(ascii_name):
            raise ValueError("names of hosts have letters, digits, '-' and '.'")
    except UnicodeError as error:
        raise ValueError(f"{what}: {shorten(name)} is no name of a host: {error}") from None
    except ValueError as error:
        raise ValueError(f"{what}: {shorten(name)} is no name of a host: {error}") from None
    return ascii_name.lower()


def _escaped(text: str) -> str:
    """Escape what is not ASCII, and what must not stand there as it is; leave escapes alone."""
    return quote(text, safe="%/:?#[]@!$&'()*+,;=-._~|")


__all__ = ["URL"]
