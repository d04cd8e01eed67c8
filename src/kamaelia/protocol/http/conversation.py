"""What a client does besides asking: headers, redirects, cookies, decompression, proxies.

`Manners` are what somebody wants of all that, and `Conversation` a `Caller` that has them. The rules are
those of `redirects`, `cookies` and `compression`; what is here is their order. A body that came as a stream
has gone when a server wants it elsewhere, so that is refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

from kamaelia.axon import Inbox, RemoteProtocolError
from kamaelia.axon.arguments import check_whole
from kamaelia.axon.errors import shorten
from kamaelia.axon.here import calendar

from .caller import BodyTooLong, Caller, RedirectRefused, TimeLimits
from .compression import Decompressor, codings_of
from .cookies import CookieJar
from .headers import Headers
from .incoming import BODILESS
from .messages import Request, Response
from .redirects import next_request
from .url import URL

AGENT: Final = "kamaelia/2.0"
REDIRECTS: Final = 10  # in a row
REST: Final = 64 * 1024  # bytes of a body that nobody wants, and that are read to keep the connection


@dataclass(frozen=True)
class Manners:
    """How a client behaves. Not to be made but by clients, of their arguments."""

    redirects: int = REDIRECTS
    allow_downgrade: bool = False
    decompress: bool = True
    cookies: CookieJar | None = None
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
        check_whole(
            f"{who}(follow_redirects={shorten(follow_redirects)})", redirects, "how many to follow", 0
        )
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
    url = URL.parse(proxy, f"{who}(proxy=...):")
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
        self,
        request: Request,
        url: URL,
        body: Inbox[Any] | None = None,
        first: bytes = b"",
        length: int | None = None,
    ) -> Response:
        """Ask for something, wherever that leads; return the head of the answer."""
        self.begin(self.manners.limits)
        self._coded: Decompressor | None = None
        self._pieces: Iterator[bytes] = iter(())
        manners, followed = self.manners, 0
        # From here on they are the request's: what is for one server only does not go to another.
        headers = manners.headers.with_(request.headers.pairs)
        request = Request(request.method, request.target, headers, request.body)
        while True:
            proxy = proxy_for(url, manners.proxy)
            head = await self.ask(self._dressed(request, url, proxy), url, proxy, body, first, length)
            if manners.cookies is not None:
                manners.cookies.store(str(url), head.headers.all("set-cookie"), now=calendar())
            if not manners.redirects:
                break
            try:
                after = next_request(
                    request.method,
                    url,
                    request.headers,
                    head.status,
                    head.headers.get("location"),
                    count=followed,
                    most=manners.redirects,
                    may_become_insecure=manners.allow_downgrade,
                )
                if after is None:
                    break
                there = after.url
                if after.keeps_body and body is not None:
                    raise ValueError(
                        f"{shorten(str(there))} wants the body, which came as a stream and has gone"
                    )
            except (RemoteProtocolError, ValueError) as error:
                self.close()
                raise self.failure(f"redirected: {error}", RedirectRefused) from error
            if there.origin == url.origin:
                there = replace(there, userinfo=url.userinfo)
            url, followed = there, followed + 1
            request = Request(
                after.method, str(there), after.headers, request.body if after.keeps_body else b""
            )
            body = None
            await self.skip()
        if self.manners.decompress and head.status not in BODILESS and request.method != "HEAD":
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

    async def whole(self, limit: int) -> bytes:
        """Return the whole body, if it has no more than so many bytes."""
        parts, size = [], 0
        while (part := await self.part()) is not None:
            size += len(part)
            if size > limit:
                self.close()
                raise self.failure(
                    f"the body of the answer has more than body_limit={limit} bytes: allow more, or take it "
                    "as it comes, with Fetch",
                    BodyTooLong,
                )
            parts.append(part)
        return b"".join(parts)

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
        usual("User-Agent", AGENT)
        usual("Accept", "*/*")
        if self.manners.decompress:
            usual("Accept-Encoding", "gzip, deflate")
        usual("Authorization", url.authorization)
        if self.manners.cookies is not None:
            usual("Cookie", self.manners.cookies.header(str(url), now=calendar()))
        target = url.target
        if proxy is not None and not url.is_secure:
            target = str(url)
            usual("Proxy-Authorization", proxy.authorization)
        return Request(request.method, target, headers.with_(more), request.body)


__all__ = ["Conversation", "Manners", "proxy_for"]
