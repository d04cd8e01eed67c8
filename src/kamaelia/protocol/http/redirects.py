"""Where a client goes on when it is sent elsewhere (RFC 9110, 15.4; WHATWG Fetch, 4.4).

303 says: GET it there. 301 and 302 mean the same of a POST, by old custom, and otherwise what 307 and 308 do:
ask the same there. What is for one server only does not go to another: passwords and cookies stay behind as
soon as scheme, host or port is another one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

from kamaelia.axon import RemoteProtocolError
from kamaelia.axon.errors import shorten

from .headers import Headers

REDIRECTS = frozenset({301, 302, 303, 307, 308})
MOST = 20

_OF_THE_BODY = (
    "content-digest", "content-encoding", "content-language", "content-length", "content-location",
    "content-type", "digest", "expect", "last-modified", "transfer-encoding", "trailer",
)  # fmt: skip
_OF_THE_SERVER = ("authorization", "cookie", "cookie2", "host", "proxy-authorization", "www-authenticate")
_HOST = re.compile(r"[0-9A-Za-z._~!$&'()*+,;=%-]+|\[[0-9A-Za-z:.%_-]+\]")
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Next:
    """What a client asks next."""

    method: str
    url: str
    headers: Headers
    keeps_body: bool
    """The body of the request goes with it once more."""


def next_request(
    method: str,
    url: str,
    headers: Headers,
    status: int,
    location: str | None,
    *,
    count: int = 0,
    most: int = MOST,
    may_become_insecure: bool = True,
) -> Next | None:
    """Return what to ask after a response; None if it sends nobody elsewhere.

    Arguments:
        method: of the request
        url: of the request
        headers: of the request
        status: of the response
        location: what it says in ``Location``; None if it has none
        count: how many times this has been sent elsewhere before
        most: how many times that may be
        may_become_insecure: go on from https to http as well

    Raises `RemoteProtocolError` for a place that is none, and when there is no end of it.

    >>> after = next_request("POST", "http://a.b/c?d", Headers({"Cookie": "e=f"}), 302, "//g.h/i")
    >>> after.method, after.url, after.headers.pairs, after.keeps_body
    ('GET', 'http://g.h/i', [], False)
    """
    if status not in REDIRECTS or location is None:
        return None
    if count >= most:
        raise RemoteProtocolError(
            f"{url} is the end of {most} redirects, and sends on to {shorten(location)}"
        )
    target = _joined(url, location)
    if url.startswith("https:") and not target.startswith("https:") and not may_become_insecure:
        raise RemoteProtocolError(f"{url} sends on to {shorten(target)}, which is not secure")
    new, keeps_body = method, True
    if (status == 303 and method not in ("GET", "HEAD")) or (status in (301, 302) and method == "POST"):
        new, keeps_body = "GET", False
        headers = headers.without(*_OF_THE_BODY)
    if origin(url) != origin(target):
        headers = headers.without(*_OF_THE_SERVER)
    return Next(new, target, headers, keeps_body)


def origin(url: str) -> tuple[str, str, int | None]:
    """Return scheme, host and port of a URL: what has to be equal for two to be of one server.

    >>> origin("HTTP://A.b:80/c") == origin("http://a.b")
    True
    """
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    return scheme, parts.hostname or "", parts.port or _PORTS.get(scheme)


def _joined(url: str, location: str) -> str:
    # A fragment that the response does not name is the one of before (RFC 9110, 10.2.2); servers that write
    # letters beyond ASCII mean them in UTF-8, and were read as Latin-1.
    try:
        location = location.encode("latin-1").decode("utf-8")
    except UnicodeError:
        pass
    try:
        parts = urlsplit(urljoin(url, location.strip(" \t")))
        host = parts.hostname or ""
        host = f"[{host}]" if ":" in host else host.encode("idna").decode()
        # A name and a password are nobody's but the user's to give.
        place = host if parts.port is None else f"{host}:{parts.port}"
    except ValueError as error:
        raise RemoteProtocolError(f"{url} sends on to {shorten(location)}: {error}") from None
    if parts.scheme not in ("http", "https") or not host or not _HOST.fullmatch(host):
        raise RemoteProtocolError(f"{url} sends on to {shorten(location)}, which is no place of HTTP")
    safe = "%/:=&?~#+!$,;'@()*[]"
    return urlunsplit(
        parts._replace(
            netloc=place,
            path=quote(parts.path or "/", safe),
            query=quote(parts.query, safe),
            fragment=parts.fragment or urlsplit(url).fragment,
        )
    )


__all__ = ["REDIRECTS", "Next", "next_request", "origin"]
