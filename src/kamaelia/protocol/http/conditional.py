"""Conditional requests (RFC 9110, 13): only if it has changed, only if it has not.

A client that has a copy of something asks for it only if it is another by now (``If-None-Match``,
``If-Modified-Since``: the answer may be 304, without a body); and one that is about to change something has
it done only if nobody else has changed it meanwhile (``If-Match``, ``If-Unmodified-Since``: the answer may be
412). What is compared are *validators*: an entity tag, which is a text in quotation marks, and the date of
the last change.

Two tags are equal *strongly* if both are strong and say the same, which promises equal bytes; *weakly* if
they say the same, be they ``W/"..."`` or not, which promises the same meaning.

All here are functions of their arguments; dates are seconds since 1970.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from .dates import parse_date
from .headers import Headers

SAFE = frozenset({"GET", "HEAD"})
UNCONDITIONAL = frozenset({"CONNECT", "OPTIONS", "TRACE"})  # 13.2.1: for them conditions mean nothing

KEPT_IN_304 = ("cache-control", "content-location", "date", "etag", "expires", "vary", "last-modified")
"""Headers that a 304 has from the response that it stands for (15.4.5), and the date."""

_ETAG = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\xff]*"')  # 8.8.3
_LIST = re.compile(rf"[ \t]*(?:,[ \t]*)*({_ETAG.pattern})[ \t]*(?=,|$)")


def is_etag(text: str) -> bool:
    """Say whether a text is an entity tag: ``"abc"``, with the marks, or ``W/"abc"``."""
    return _ETAG.fullmatch(text) is not None


def same_strongly(one: str, other: str) -> bool:
    """Say whether two tags are equal and strong (8.8.3.2)."""
    return one == other and not one.startswith("W/")


def same_weakly(one: str, other: str) -> bool:
    """Say whether two tags are equal, be they weak or strong (8.8.3.2)."""
    return one.removeprefix("W/") == other.removeprefix("W/")


def weak(etag: str) -> str:
    """Return a tag as a weak one: for what was compressed, say, and has other bytes by that."""
    return etag if etag.startswith("W/") else f"W/{etag}"


def tags(value: str) -> Iterator[str]:
    """Give the tags of a list, up to where it is none any more.

    >>> list(tags('"a,b", W/"c"'))
    ['"a,b"', 'W/"c"']
    """
    at = 0
    while (found := _LIST.match(value, at)) is not None:
        yield found[1]
        at = found.end()


def check(
    method: str,
    headers: Headers,
    etag: str | None = None,
    modified: float | None = None,
    *,
    now: float,
) -> int | None:
    """Return the status with which a request ends because of its conditions: 304 or 412; None if it goes on.

    To be asked when the answer would be a success (13.2.1).

    Arguments:
        method: of the request
        headers: of the request
        etag: of what is asked for; None if it has none
        modified: when that was changed last, in seconds since 1970; None if nobody knows
        now: seconds since 1970

    >>> check("GET", Headers({"If-None-Match": '"a", "b"'}), '"b"', now=0)
    304
    """
    if method in UNCONDITIONAL:
        return None
    wanted = headers.get("if-match")
    if wanted is not None:
        if wanted != "*" and not _any(same_strongly, wanted, etag):
            return 412
    elif modified is not None:
        since = parse_date(headers.get("if-unmodified-since", ""), now)
        if since is not None and int(modified) > since:
            return 412
    unwanted = headers.get("if-none-match")
    if unwanted is not None:
        if unwanted == "*" or _any(same_weakly, unwanted, etag):
            return 304 if method in SAFE else 412
    elif modified is not None and method in SAFE:
        since = parse_date(headers.get("if-modified-since", ""), now)
        if since is not None and int(modified) <= since:
            return 304
    return None


def if_range_holds(value: str, etag: str | None, modified: float | None, *, now: float) -> bool:
    """Say whether what a client has a part of is still the same, so that it may have another (13.1.5).

    A date is good enough only if it is a second old: within one second something may change twice.
    """
    if is_etag(value):
        return etag is not None and same_strongly(value, etag)
    date = parse_date(value, now)
    return date is not None and modified is not None and date == int(modified) <= now - 1


def _any(same: Callable[[str, str], bool], value: str, etag: str | None) -> bool:
    return etag is not None and any(same(one, etag) for one in tags(value))


__all__ = [
    "KEPT_IN_304",
    "check",
    "if_range_holds",
    "is_etag",
    "same_strongly",
    "same_weakly",
    "tags",
    "weak",
]
