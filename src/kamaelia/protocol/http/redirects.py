"""Where a client goes on when it is sent elsewhere (RFC 9110, 15.4; WHATWG Fetch, 4.4).

303 says: GET it there. 301 and 302 mean the same of a POST, by old custom, and otherwise what 307 and 308 do:
ask the same there. What is for one server only does not go to another: passwords and cookies stay behind as
soon as scheme, host or port is another one.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

from kamaelia.axon import RemoteProtocolError
from kamaelia.axon.errors import shorten

from .headers import Headers
from .url import URL

STATUSES = frozenset({301, 302, 303, 307, 308})

_OF_THE_BODY = (
    "content-digest", "content-encoding", "content-language", "content-length", "content-location",
    "content-type", "digest", "expect", "last-modified", "transfer-encoding", "trailer",
)  # fmt: skip
_OF_THE_SERVER = ("authorization", "cookie", "cookie2", "host", "proxy-authorization", "www-authenticate")
_SAFE = "%/:=&?~#+!$,;'@()*[]"


@dataclass(frozen=True)
class Next:
    """What a client asks next."""

    method: str
    url: URL
    headers: Headers
    keeps_body: bool
    """The body of the request goes with it once more."""


def next_request(
    method: str,
    url: URL,
    headers: Headers,
    status: int,
    location: str | None,
    *,
    count: int = 0,
    most: int,
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

    >>> here, headers = URL.parse("http://a.b/c?d"), Headers({"Cookie": "e=f"})
    >>> after = next_request("POST", here, headers, 302, "//g.h/i", most=10)
    >>> after.method, str(after.url), after.headers.pairs, after.keeps_body
    ('GET', 'http://g.h/i', [], False)
    """
    if status not in STATUSES or location is None:
        return None
    if count >= most:
        raise RemoteProtocolError(
            f"{url} is the end of {most} redirects, and sends on to {shorten(location)}"
        )
    target = _joined(url, location)
    if url.is_secure and not target.is_secure and not may_become_insecure:
        raise RemoteProtocolError(f"{url} sends on to {shorten(str(target))}, which is not secure")
    new, keeps_body = method, True
    if (status == 303 and method not in ("GET", "HEAD")) or (status in (301, 302) and method == "POST"):
        new, keeps_body = "GET", False
        headers = headers.without(*_OF_THE_BODY)
    if url.origin != target.origin:
        headers = headers.without(*_OF_THE_SERVER)
    return Next(new, target, headers, keeps_body)


def _joined(url: URL, location: str) -> URL:
    # Servers that write letters beyond ASCII mean them in UTF-8, and were read as Latin-1.
    try:
        location = location.encode("latin-1").decode("utf-8")
    except UnicodeError:
        pass
    try:
        parts = urlsplit(urljoin(str(url), location.strip(" \t")))
        cleaned = urlunsplit(
            parts._replace(
                # A name and a password are nobody's but the user's to give.
                netloc=parts.netloc.rpartition("@")[2],
                path=quote(parts.path, _SAFE),
                query=quote(parts.query, _SAFE),
                fragment="",  # of which no server hears
            )
        )
        return URL.parse(cleaned)
    except ValueError as error:
        raise RemoteProtocolError(
            f"{url} sends on to {shorten(location)}, which is no place of HTTP: {error}"
        ) from None


__all__ = ["STATUSES", "Next", "next_request"]
