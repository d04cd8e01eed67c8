"""Cookies: what a server asks a client to say again (RFC 6265bis).

A server writes them with `set_cookie` and reads them with `cookies_of`. A client that keeps them has a
`CookieJar`, which decides what may be kept, and to whom it is told:

* A cookie goes back to the host from which it came; or also to hosts below a domain that it names, which must
  be that host or above it, and no public suffix, such as ``com``.
* It goes to paths below its own, and never over an insecure connection if it is ``Secure``.
* It goes until its time is over. Times are arguments, in seconds since 1970, as nothing here has a clock.

All that is kept is bounded; what has not been used for the longest time goes first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from urllib.parse import urlsplit

from kamaelia.axon import LocalProtocolError
from kamaelia.axon.errors import shorten

from .dates import MONTHS, format_date
from .headers import TOKEN
from .messages import Request

MOST_READ = 200  # cookies of one request that are read
MOST_SIZE = 4096  # bytes of a name and its value together (5.6)
MOST_ATTRIBUTE = 1024  # bytes of the value of an attribute (5.6)
LONGEST = 400 * 86400.0  # seconds for which one is kept (5.5)

_VALUE = re.compile(
    r'"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*"|[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*'
)
_ATTRIBUTE = re.compile(r"[\x20-\x3a\x3c-\x7e]+")
_DOMAIN = re.compile(r"[0-9a-z_]([0-9a-z_-]*[0-9a-z_])?(\.[0-9a-z_]([0-9a-z_-]*[0-9a-z_])?)*", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_ADDRESS = re.compile(r"[0-9.]+|.*:.*")


# --- the server's side ---------------------------------------------------------------------------------


def cookies_of(request: Request, *, most: int = MOST_READ) -> dict[str, str]:
    """Return the cookies that a client has sent; of a name that occurs twice, the first: it is the closest.

    What has no name is passed over, and so are more than ``most``.

    >>> from kamaelia.protocol.http import Headers, Request
    >>> cookies_of(Request("GET", "/", Headers({"Cookie": 'a=1; b="x y"; a=2; c'})))
    {'a': '1', 'b': '"x y"'}
    """
    found: dict[str, str] = {}
    for value in request.headers.all("cookie"):
        for pair in value.split(";", most)[:most]:
            name, equals, said = pair.partition("=")
            name = name.strip(" \t")
            if equals and name and len(found) < most:
                found.setdefault(name, said.strip(" \t"))
    return found


def set_cookie(
    name: str,
    value: str,
    *,
    max_age: float | None = None,
    expires: float | None = None,
    path: str | None = "/",
    domain: str | None = None,
    secure: bool = False,
    http_only: bool = True,
    same_site: str | None = "Lax",
) -> str:
    """Return the value of a ``Set-Cookie`` header, of which a response may have several.

    Arguments:
        name: letters, digits and a few signs; one that begins with ``__Host-`` can be set by no other host
        value: letters, digits and most signs; for anything else use ``urllib.parse.quote``
        max_age: seconds for which it is kept; without it and ``expires``, until the client is closed
        expires: until when it is kept, in seconds since 1970
        path: below which it is sent; None for below that of the request
        domain: whose hosts get it as well; without it, only the one that sets it
        secure: it is sent over secure connections only
        http_only: scripts in pages do not get it
        same_site: ``"Strict"``, ``"Lax"`` or ``"None"``: whether requests that other sites cause have it

    Raises `LocalProtocolError` for what a client would refuse.

    >>> set_cookie("__Host-session", "31d4d96e", max_age=3600, secure=True)
    '__Host-session=31d4d96e; Max-Age=3600; Path=/; Secure; HttpOnly; SameSite=Lax'
    """
    what = f"the cookie {shorten(name)}"
    given: Any = name
    if not isinstance(given, str) or not TOKEN.fullmatch(given):
        raise LocalProtocolError(f"{what}: its name has letters, digits and some signs, such as - and _")
    given = value
    if not isinstance(given, str) or not _VALUE.fullmatch(given):
        raise LocalProtocolError(
            f"{what} cannot have the value {shorten(value)}: escape what is no letter, digit or sign, "
            "with urllib.parse.quote"
        )
    if len(name) + len(value) > MOST_SIZE:
        raise LocalProtocolError(f"{what} has more than {MOST_SIZE} bytes: clients do not keep it")
    said = [f"{name}={value}"]
    if max_age is not None:
        said.append(f"Max-Age={int(max_age)}")
    if expires is not None:
        said.append(f"Expires={format_date(expires)}")
    if path is not None:
        if not path.startswith("/") or not _ATTRIBUTE.fullmatch(path):
            raise LocalProtocolError(f"{what}: {shorten(path)} is no path: it begins with / and has no ;")
        said.append(f"Path={path}")
    if domain is not None:
        if not _DOMAIN.fullmatch(domain.removeprefix(".")):
            raise LocalProtocolError(f"{what}: {shorten(domain)} is no domain")
        said.append(f"Domain={domain.removeprefix('.')}")
    given = same_site
    if given not in (None, "Strict", "Lax", "None"):
        raise LocalProtocolError(f"{what}: same_site={shorten(given)} is not 'Strict', 'Lax' or 'None'")
    if same_site == "None" and not secure:
        raise LocalProtocolError(f"{what}: same_site='None' needs secure=True")
    if name.lower().startswith("__secure-") and not secure:
        raise LocalProtocolError(f"{what}: a name with __Secure- needs secure=True")
    if name.lower().startswith("__host-") and not (secure and path == "/" and domain is None):
        raise LocalProtocolError(f"{what}: a name with __Host- needs secure=True, path='/' and no domain")
    if secure:
        said.append("Secure")
    if http_only:
        said.append("HttpOnly")
    if same_site is not None:
        said.append(f"SameSite={same_site}")
    return "; ".join(said)


def delete_cookie(
    name: str, *, path: str | None = "/", domain: str | None = None, secure: bool = False
) -> str:
    """Return the value of a ``Set-Cookie`` header after which a client has a cookie no more.

    Path and domain have to be those with which it was set.

    >>> delete_cookie("session")
    'session=; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Path=/; HttpOnly; SameSite=Lax'
    """
    return set_cookie(name, "", max_age=0, expires=0, path=path, domain=domain, secure=secure)


# --- the client's side ---------------------------------------------------------------------------------


@dataclass
class Cookie:
    """One that a `CookieJar` keeps."""

    name: str
    value: str
    domain: str
    """The host from which it came, or the domain that it has named."""
    path: str
    host_only: bool
    """It goes to this very host, and to none below it."""
    secure: bool
    http_only: bool
    expires: float | None
    """When its time is over, in seconds since 1970; None if it is kept as long as the jar."""
    serial: int = field(default=0, compare=False)  # in which order they came
    used: int = field(default=0, compare=False)  # and in which they were used

    @property
    def key(self) -> tuple[str, str, bool]:
        """What tells it from others of its domain: a new one replaces the one with the same key."""
        return self.name, self.path, self.host_only


class CookieJar:
    """Keeps the cookies of a client.

    Arguments:
        most: cookies that are kept
        most_per_domain: cookies that are kept for a domain
        is_public_suffix: asked whether nobody may set cookies for a whole domain, such as ``co.uk``; by
            default only of one label, such as ``com``

    Example:
        >>> jar = CookieJar()
        >>> jar.store("https://shop.example.com/", ["a=1; Domain=example.com", "b=2; Max-Age=60"], now=0)
        >>> jar.header("https://www.example.com/x", now=0), jar.header("https://shop.example.com/", now=0)
        ('a=1', 'a=1; b=2')
        >>> jar.header("https://shop.example.com/", now=60)
        'a=1'
    """

    def __init__(
        self,
        *,
        most: int = 3000,
        most_per_domain: int = 100,
        is_public_suffix: Callable[[str], bool] = lambda domain: "." not in domain,
    ) -> None:
        self._most = most
        self._most_per_domain = most_per_domain
        self._is_public_suffix = is_public_suffix
        self._domains: dict[str, dict[tuple[str, str, bool], Cookie]] = {}
        self._count = 0
        self._serial = 0

    def __iter__(self) -> Iterator[Cookie]:
        for cookies in self._domains.values():
            yield from cookies.values()

    def __len__(self) -> int:
        return self._count

    def clear(self) -> None:
        """Forget all of them."""
        self._domains.clear()
        self._count = 0

    def store(self, url: str, values: Iterable[str], *, now: float) -> None:
        """Take what a response has in its ``Set-Cookie`` headers. What may not be kept is passed over.

        Arguments:
            url: of the request
            values: of these headers, one by one: ``response.headers.all("set-cookie")``
            now: seconds since 1970
        """
        host, path, secure = _asked(url)
        for value in values:
            cookie = self._allowed(value, host, path, secure, now) if host else None
            if cookie is not None:
                self._put(cookie, now)

    def header(self, url: str, *, now: float) -> str | None:
        """Return what to say in the ``Cookie`` header of a request; None for no such header (5.8.3).

        Arguments:
            url: of the request
            now: seconds since 1970
        """
        host, path, secure = _asked(url)
        domains = [domain for domain in _and_above(host) if domain in self._domains]
        self._drop_old(now, [cookie for domain in domains for cookie in self._domains[domain].values()])
        found = [
            cookie
            for domain in domains
            for cookie in self._domains.get(domain, {}).values()
            if (domain == host or not cookie.host_only)
            and _is_below(path, cookie.path)
            and (secure or not cookie.secure)
        ]
        for cookie in found:
            self._serial += 1
            cookie.used = self._serial
        found.sort(key=lambda cookie: (-len(cookie.path), cookie.serial))
        return "; ".join(f"{one.name}={one.value}" if one.name else one.value for one in found) or None

    # -- what may be kept ---------------------------------------------------------------------------

    def _allowed(self, said: str, host: str, path: str, secure: bool, now: float) -> Cookie | None:
        """Return the cookie that a header sets; None if it must not (5.6, 5.7)."""
        if _CONTROL.search(said):
            return None
        pair, *attributes = said.split(";")
        name, equals, value = pair.partition("=")
        if not equals:
            name, value = "", name
        name, value = name.strip(" \t"), value.strip(" \t")
        if not (name or value) or len(name.encode()) + len(value.encode()) > MOST_SIZE:
            return None
        known = _attributes(attributes)
        domain = known.get("domain", "").removeprefix(".").lower()
        host_only = not domain
        if domain and domain != host:
            if not domain.isascii() or self._is_public_suffix(domain) or domain not in _and_above(host):
                return None
        elif domain and (self._is_public_suffix(domain) or _ADDRESS.fullmatch(host)):
            host_only = True
        own_path = known.get("path", "")
        cookie = Cookie(
            name,
            value,
            domain or host,
            own_path if own_path.startswith("/") else _folder(path),
            host_only,
            "secure" in known,
            "httponly" in known,
            _expiry(known, now),
        )
        if not secure and (cookie.secure or self._would_hide_a_secure_one(cookie)):
            return None
        marks = (name or value).lower()  # without a name, the value would be taken for one by the server
        if marks.startswith("__secure-") and not (name and cookie.secure):
            return None
        if marks.startswith("__host-") and not (
            name and cookie.secure and "domain" not in known and own_path == "/"
        ):
            return None
        return cookie

    def _would_hide_a_secure_one(self, cookie: Cookie) -> bool:
        return any(
            other.secure
            and other.name == cookie.name
            and (cookie.domain in _and_above(other.domain) or other.domain in _and_above(cookie.domain))
            and _is_below(cookie.path, other.path)
            for other in self
        )

    # -- what is kept -------------------------------------------------------------------------------

    def _put(self, cookie: Cookie, now: float) -> None:
        self._serial += 1
        cookie.serial = cookie.used = self._serial
        before = self._domains.get(cookie.domain, {}).get(cookie.key)
        if before is not None:
            self._drop(before)
            cookie.serial = before.serial
        if cookie.expires is not None and cookie.expires <= now:
            return
        cookies = self._domains.setdefault(cookie.domain, {})
        cookies[cookie.key] = cookie
        self._count += 1
        if len(cookies) > self._most_per_domain or self._count > self._most:
            self._drop_old(now, list(self))
        while len(cookies) > self._most_per_domain:
            # Secure ones are kept longer: or else whoever sits on the way could have them dropped.
            self._drop(min(cookies.values(), key=lambda one: (one.secure, one.used)))
        while self._count > self._most:
            self._drop(min(self, key=lambda one: one.used))

    def _drop_old(self, now: float, among: list[Cookie]) -> None:
        for cookie in among:
            if cookie.expires is not None and cookie.expires <= now:
                self._drop(cookie)

    def _drop(self, cookie: Cookie) -> None:
        cookies = self._domains[cookie.domain]
        del cookies[cookie.key]
        if not cookies:
            del self._domains[cookie.domain]
        self._count -= 1


def _asked(url: str) -> tuple[str, str, bool]:
    """Return host and path of a request, and whether it is secure."""
    parts = urlsplit(url)
    return (parts.hostname or "").removesuffix("."), parts.path or "/", parts.scheme in ("https", "wss")


def _and_above(host: str) -> list[str]:
    """Return a host and all domains that it is in: those that it matches (5.1.3)."""
    if _ADDRESS.fullmatch(host):
        return [host]
    labels = host.split(".")
    return [".".join(labels[n:]) for n in range(len(labels))]


def _is_below(path: str, other: str) -> bool:
    """Say whether a path is another one, or below it (5.1.4)."""
    return path == other or (path.startswith(other) and (other.endswith("/") or path[len(other)] == "/"))


def _folder(path: str) -> str:
    """Return the path that a cookie has which names none (5.1.4)."""
    return path[: path.rfind("/")] or "/" if path.startswith("/") else "/"


def _attributes(given: list[str]) -> dict[str, str]:
    """Return the attributes of a cookie, of each name the last (5.6)."""
    found = {}
    for attribute in given:
        name, _, value = attribute.partition("=")
        value = value.strip(" \t")
        if len(value.encode()) <= MOST_ATTRIBUTE:
            found[name.strip(" \t").lower()] = value
    return found


def _expiry(known: dict[str, str], now: float) -> float | None:
    if re.fullmatch(r"-?[0-9]{1,30}", known.get("max-age", "")):
        return now + min(max(int(known["max-age"]), 0), LONGEST)
    until = parse_cookie_date(known.get("expires", ""))
    return None if until is None else min(until, now + LONGEST)


_NO_PART_OF_DATES = re.compile(r"[\t\x20-\x2f\x3b-\x40\x5b-\x60\x7b-\x7e]+")
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?![0-9])")
_DAY = re.compile(r"([0-9]{1,2})(?![0-9])")
_YEAR = re.compile(r"([0-9]{2,4})(?![0-9])")


def parse_cookie_date(text: str) -> int | None:
    """Return what a date of a cookie says, in seconds since 1970; None if it is none (5.1.1).

    Servers write them in any way that there is, so this takes what looks like parts of a date, in any order.

    >>> parse_cookie_date("Sun, 06-Nov-94 08:49:37 GMT"), parse_cookie_date("1994 Nov 6 8:49:37")
    (784111777, 784111777)
    """
    time = day = month = year = None
    for token in _NO_PART_OF_DATES.split(text):
        if time is None and (found := _TIME.match(token)):
            time = [int(number) for number in found.groups()]
        elif day is None and (found := _DAY.match(token)):
            day = int(found[1])
        elif month is None and token[:3].capitalize() in MONTHS:
            month = MONTHS.index(token[:3].capitalize()) + 1
        elif year is None and (found := _YEAR.match(token)):
            year = int(found[1])
    if time is None or day is None or month is None or year is None:
        return None
    if year < 100:
        year += 1900 if year >= 70 else 2000
    hour, minute, second = time
    if year < 1601 or hour > 23 or minute > 59 or second > 59:
        return None
    try:
        days = date(year, month, day).toordinal() - date(1970, 1, 1).toordinal()
    except ValueError:
        return None
    return days * 86400 + hour * 3600 + minute * 60 + second


__all__ = ["Cookie", "CookieJar", "cookies_of", "delete_cookie", "parse_cookie_date", "set_cookie"]
