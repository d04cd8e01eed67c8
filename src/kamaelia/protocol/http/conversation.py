"""What a client does besides asking: headers, redirects, cookies, decompression, proxies.

`Manners` are what somebody wants of all that, and `Conversation` a `Caller` that has them.

**Redirects** are followed as RFC 9110, 15.4 has it: 303 is to be got with GET, 301 and 302 turn POST into GET as
all browsers do, 307 and 308 change nothing, so the body has to be there still: what came as a stream has gone.
What tells who we are (``Authorization``, ``Cookie`` and what a `URL` had) goes to nobody but the origin that
it was meant for; and from https nothing leads back to http unless that is allowed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from kamaelia.axon import Inbox, RemoteProtocolError
from kamaelia.axon.arguments import check_whole
from kamaelia.axon.errors import shorten

from .caller import Caller, RedirectRefused, RequestFailed, TimeLimits
from .compression import Decompressor, codings_of
from .headers import Headers
from .messages import Request, Response
from .url import URL

AGENT: Final = "kamaelia/2.0"
REDIRECTS: Final = 10  # in a row
REDIRECTING: Final = {301, 302, 303, 307, 308}
REST: Final = 64 * 1024  # bytes of a body that nobody wants, and that are read to keep the connection
SECRETS: Final = ("authorization", "cookie", "proxy-authorization")


@dataclass(frozen=True)
class Manners:
    """How a client behaves. Not to be made but by clients, of their arguments."""

    redirects: int = REDIRECTS
    allow_downgrade: bool = False
    decompress: bool = True
    cookies: Any = None
    headers: Headers = field(default_factory=Headers)
    proxy: URL | str | None = None
    limits: TimeLimits = field(default_factory=TimeLimits)

    @classmethod
    def of(
        cls,
        who: str,
        *,
        follow_redirects: bool | int,
        allow_downgrade: bool,
        decompress: bool,
        cookies: Any,
        headers: Any,
        proxy: str | None,
        timeout: float | TimeLimits | None,
    ) -> Manners:
        """Check the arguments of a client."""
        redirects = REDIRECTS if follow_redirects is True else int(follow_redirects)
        check_whole(f"{who}(follow_redirects={shorten(follow_redirects)})", redirects, "how many to follow", 0)
        if timeout is None:
            timeout = TimeLimits()
        if not isinstance(timeout, TimeLimits):
            timeout = TimeLimits(total=timeout)
        return cls(
            redirects=redirects,
            allow_downgrade=allow_downgrade,
            decompress=decompress,
            cookies=cookies,
            headers=headers if isinstance(headers, Headers) else Headers(headers),
            proxy=checked_proxy(who, proxy),
            limits=timeout,
        )


def checked_proxy(who: str, proxy: str | None) -> URL | str | None:
    """Return the address of a proxy; or ``"environment"``, for what the variables say."""
    if proxy is None or proxy == "environment":
        return proxy
    url = URL.parse(proxy, f"{who}(proxy=...): the address")
    if url.scheme != "http":
        raise ValueError(f"{who}(proxy={shorten(proxy)}): a proxy is spoken to by http; it carries https too")
    return url


def proxy_for(url: URL, proxy: URL | str | None) -> URL | None:
    """Return the proxy for an address; with ``"environment"`` as ``http_proxy``, ``https_proxy`` and
    ``no_proxy`` have it."""
    if not isinstance(proxy, str):
        return proxy
    import urllib.request

    if urllib.request.proxy_bypass_environment(url.address):  # type: ignore[attr-defined]
        return None
    found = urllib.request.getproxies_environment().get(url.scheme)
    if not found:
        return None
    if "://" not in found:
        found = f"http://{found}"
    checked = checked_proxy(f"{url.scheme}_proxy", found)
    assert isinstance(checked, URL)
    return checked


class Conversation(Caller):
    """A `Caller` with manners: call `fetch`, then `parts` until there are no more."""

    manners = Manners()

    async def fetch(
        self, request: Request, url: URL, body: Inbox[Any] | None = None, length: int | None = None
    ) -> Response:
        """Ask for something, wherever that leads; return the head of the answer."""
        self.begin(self.manners.limits)
        self._coded: Decompressor | None = None
        self._pieces: Iterator[bytes] = iter(())
        followed = 0
        while True:
            proxy = proxy_for(url, self.manners.proxy)
            head = await self.ask(self._dressed(request, url, proxy), url, proxy, body, length)
            if self.manners.cookies is not None:
                self.manners.cookies.update(str(url), head.headers)
            location = head.headers.all("location")
            if head.status not in REDIRECTING or not location or not self.manners.redirects:
                break
            followed += 1
            if followed > self.manners.redirects:
                self.close()
                raise self.failure(
                    f"redirected more than {self.manners.redirects} times, at last to {shorten(location[0])}",
                    RedirectRefused,
                )
            try:
                request, url, body = self._redirected(request, url, head.status, location[0], body)
            except ValueError as error:
                self.close()
                raise self.failure(f"the way to {shorten(location[0])}: {error}", RedirectRefused) from error
            await self.skip()
        if self.manners.decompress and head.status not in (204, 304) and request.method != "HEAD":
            codings = codings_of(head.headers)
            if codings:
                try:
                    self._coded = Decompressor(codings)
                except RemoteProtocolError as error:
                    self.close()
                    raise self.failure(str(error)) from error
        self.url = url
        return head

    async def part(self) -> bytes | None:
        """Return the next part of the body, decompressed; None at its end."""
        if self._coded is None:
            return await self.read()
        try:
            while True:
                piece = next(self._pieces, None)
                if piece is not None:
                    return piece
                data = await self.read()
                if data is None:
                    self._coded.end()
                    return None
                self._pieces = self._coded.feed(data)
        except RemoteProtocolError as error:
            self.close()
            raise self.failure(str(error)) from error

    async def skip(self) -> None:
        """Be done with an answer: read the rest if it is little, so that the connection can be kept."""
        size = 0
        while (part := await self.read()) is not None:
            size += len(part)
            if size > REST:
                self.close()
                return

    def _dressed(self, request: Request, url: URL, proxy: URL | None) -> Request:
        """Return a request as it goes on the wire."""
        headers = request.headers
        more: dict[str, str] = {}

        def usual(name: str, value: str | None) -> None:
            if value is not None and name not in headers:
                more[name] = value

        usual("Host", url.authority)
        for name, value in self.manners.headers.items():
            usual(name, value)
        usual("User-Agent", more.get("user-agent", AGENT))
        usual("Accept", more.get("accept", "*/*"))
        if self.manners.decompress:
            usual("Accept-Encoding", more.get("accept-encoding", "gzip, deflate"))
        usual("Authorization", more.get("authorization", url.authorization))
        if self.manners.cookies is not None:
            usual("Cookie", self.manners.cookies.header(str(url)))
        target = url.target
        if proxy is not None and not url.is_secure:
            target = str(url)
            usual("Proxy-Authorization", proxy.authorization)
        if more:
            headers = headers.with_(more)
        return Request(request.method, target, headers, request.body)

    def _redirected(
        self, request: Request, url: URL, status: int, location: str, body: Inbox[Any] | None
    ) -> tuple[Request, URL, Inbox[Any] | None]:
        """Return what to ask for instead, and where. Raises ValueError if that cannot be."""
        there = url.join(location)
        if url.is_secure and not there.is_secure and not self.manners.allow_downgrade:
            raise ValueError("it leads from https to http, where everybody can read along")
        method, headers, content = request.method, request.headers, request.body
        if (status == 303 and method != "HEAD") or (status in (301, 302) and method == "POST"):
            method, content, body = "GET", b"", None
            headers = headers.without(*(name for name in headers if name.startswith("content-")), "expect")
        elif body is not None:
            raise ValueError("the body has been sent already, and came as a stream: it cannot be sent again")
        if there.origin != url.origin:
            headers = headers.without(*SECRETS, "host")
        return Request(method, str(there), headers, content), there, body


def address_of(request: Request, what: str) -> URL:
    """Return where a request is to be sent: its target is a whole address."""
    target = request.target
    if not urlsplit(target).scheme and request.host:
        target = f"http://{request.host}{target}"
    return URL.parse(target, what)


__all__ = ["Conversation", "Manners", "RequestFailed", "proxy_for"]
