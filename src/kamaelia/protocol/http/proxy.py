"""A reverse proxy: requests go on to other servers, and their answers back (RFC 9110, 3.7 and 7.6).

Theory
------
`ReverseProxy` is a handler. For each request it chooses an *upstream*, a server behind it, and lets a
component answer, `_Forward`, which is a client of that server. The body of the request goes there as it
comes, and the answer comes back as it comes; who is slow, on either side, makes the other wait. Connections
to upstreams are kept in one pool for the whole system.

What is for this connection only stays behind, in both directions: what ``Connection`` names, and the headers
that are always so. What clients say about who has passed a request on is believed only if ``trust`` says so,
since anybody may say anything.

An upstream that cannot be reached, or breaks a connection without a byte of an answer, is *left out* for a
while, unless all are. The request goes to another one if that does no harm: if it can be repeated (GET, PUT,
...) and has no body. One answer that is slow, or breaks the rules, says little about all others: it is an
error for who has asked, and the upstream stays. Nor is a slow request asked of the next upstream: all would
have the same work with it, one after the other.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import unquote
from weakref import WeakKeyDictionary

from kamaelia.axon import (
    Component,
    Inbox,
    LocalProtocolError,
    Outbox,
    RemoteProtocolError,
    SourceFailed,
    System,
    clock,
    current_component,
)
from kamaelia.axon.arguments import check_positive, check_whole
from kamaelia.axon.errors import shorten

from .caller import IDEMPOTENT, Caller, Interrupted, RequestFailed, Stale, TimedOut, TimeLimits
from .client_machine import Informational, Unanswered
from .exchange import Exchange, Part, PartFailed, Trailers
from .headers import TOKEN, Headers
from .messages import Request, Response
from .pool import ConnectionPool, PoolFull
from .url import URL

log = logging.getLogger("kamaelia")

LEFT_OUT = 10.0  # seconds for which an upstream is left out that could not be reached
MOST_FORWARDS = 1000  # more often nothing is passed on
CONNECT = 10.0  # seconds to make a connection to an upstream
OF_THE_CONNECTION = (
    "connection", "keep-alive", "proxy-authenticate", "proxy-authentication-info", "proxy-authorization",
    "proxy-connection", "te", "transfer-encoding", "upgrade",
)  # fmt: skip
"""Headers that are for one connection, always (RFC 9110, 7.6.1)."""
NOT_BEHIND = ("content-length", "host", "trailer")
"""Headers that mean nothing behind a body, or what they must not (RFC 9110, 6.5.1)."""
FORWARDED = frozenset({
    "cf-connecting-ip", "client-ip", "fastly-client-ip", "forwarded", "forwarded-for", "true-client-ip",
    "x-client-ip", "x-cluster-client-ip", "x-forwarded", "x-original-forwarded-for", "x-real-ip",
})  # fmt: skip
"""Headers that say whom a request comes from, with all that begin with ``X-Forwarded-``."""


@dataclass(frozen=True)
class UpstreamStatistics:
    """What one server behind a proxy has done so far."""

    address: str
    open: int
    """Requests that it answers now."""
    answered: int
    """Requests that it has begun to answer."""
    failed: int
    """Requests that it has not answered, or not to the end."""
    is_left_out: bool
    """It could not be reached just now, and gets no requests if there is another."""


class Upstream:
    """A server behind a proxy."""

    def __init__(self, url: URL) -> None:
        self.url = url
        self.address = f"{url.scheme}://{url.authority}"
        self.open = self.answered = self.failed = 0
        self.out_until = float("-inf")


Choose = Callable[[list[Upstream], Request], list[Upstream]]


class ReverseProxy:
    """Has other servers answer: a route, as in ``{"/*": ReverseProxy(["10.0.0.1:9001", "10.0.0.2:9001"])}``.

    Host and path are passed on as they came; who names no host asks that of the upstream. Added are ``Via``,
    ``X-Forwarded-For``, ``X-Forwarded-Host``, ``X-Forwarded-Proto`` and ``Forwarded`` (RFC 7239), in place of
    what a client says there and in headers of this kind (``X-Real-IP``, ``X-Forwarded-Prefix``, ...).
    ``Max-Forwards`` is counted down for OPTIONS and TRACE. An upstream that cannot be reached, or breaks the
    rules, is answered 502; one that is too slow, 504; when too many requests wait for connections, 503. When
    an answer breaks off, so does the connection to the client.

    A client and an upstream may agree on another protocol (``Upgrade``), WebSocket if no others are named:
    then bytes pass both ways, as long as both keep the connection; ``timeout`` means nothing to it, only the
    ``idle_timeout`` of servers. A half that ends is ended on the other side.

    At a stop, answers that upstreams have not completed are broken off.

    Arguments:
        upstreams: addresses, ``"host:port"``, or ``"https://host:port"``
        balance: ``"round-robin"``, one after the other; ``"least-open"``, whoever has least to do;
            ``"by-client"``, always the same for the same client's address
        strip: pass on only what is behind the route's path: for ``"/api/*"``, ``/users`` of ``/api/users``
        trust: believe what clients say of whom they pass on; for a proxy behind a proxy
        left_out: seconds for which an upstream gets no requests after it could not be reached
        timeout: how long upstreams may take, seconds or `TimeLimits`; half of that to connect
        per_upstream: connections to each at a time
        upgrades: names of other protocols that clients may speak with upstreams; none with ``()``
        tunnels: connections to each upstream that speak one of these at a time; who wants more is answered
            503
        via: how ``Via`` names this proxy

    Raises `ValueError` and `TypeError` for addresses that are none.

    Example:
        >>> import urllib.request
        >>> from kamaelia import background
        >>> from kamaelia.protocol.http import HTTPServer
        >>> with background(HTTPServer({"/": "tea"}, port=0, quiet=True)) as behind:
        ...     proxy = ReverseProxy(["{}:{}".format(*behind.receive("listening"))])
        ...     with background(HTTPServer({"/*": proxy}, port=0, quiet=True)) as server:
        ...         host, port = server.receive("listening")
        ...         urllib.request.urlopen(f"http://{host}:{port}/").read()
        b'tea'
    """

    def __init__(
        self,
        upstreams: Sequence[str],
        *,
        balance: Literal["round-robin", "least-open", "by-client"] = "round-robin",
        strip: bool = False,
        trust: bool = False,
        left_out: float = LEFT_OUT,
        timeout: float | TimeLimits | None = None,
        per_upstream: int = 100,
        upgrades: Sequence[str] = ("websocket",),
        tunnels: int = 1000,
        via: str = "kamaelia",
    ) -> None:
        if isinstance(upstreams, str) or not upstreams:
            raise TypeError(f"ReverseProxy({shorten(upstreams)}): give a list of addresses, 'host:port'")
        if balance not in _CHOICES:
            known = ", ".join(map(repr, _CHOICES))
            raise ValueError(f"ReverseProxy(balance={balance!r}): it is one of {known}")
        check_positive(
            f"ReverseProxy(left_out={shorten(left_out)})", left_out, "the seconds to leave one out"
        )
        what = f"ReverseProxy(per_upstream={shorten(per_upstream)})"
        check_whole(what, per_upstream, "how many connections to each", 1)
        what = f"ReverseProxy(tunnels={shorten(tunnels)})"
        check_whole(what, tunnels, "how many connections of other protocols to each", 1)
        if isinstance(upgrades, str) or not all(TOKEN.fullmatch(one) for one in upgrades):
            raise TypeError(f"ReverseProxy(upgrades={shorten(upgrades)}): give a list such as ['websocket']")
        if not TOKEN.fullmatch(via):
            raise ValueError(f"ReverseProxy(via={via!r}): give a name of letters and digits")
        self.upstreams = [Upstream(_parsed(address)) for address in upstreams]
        """Those behind it, in the order in which they were given."""
        self.strip = strip
        self.trust = trust
        self.left_out = left_out
        self.limits = timeout if isinstance(timeout, TimeLimits) else TimeLimits(total=timeout)
        self.via = via
        self._order: Choose = _CHOICES[balance]()
        self._upgrades = frozenset(one.lower() for one in upgrades)
        self._per_upstream, self._tunnels = per_upstream, tunnels
        self._pools: WeakKeyDictionary[System, ConnectionPool] = WeakKeyDictionary()
        self._pools_of_tunnels: WeakKeyDictionary[System, ConnectionPool] = WeakKeyDictionary()

    def statistics(self) -> list[UpstreamStatistics]:
        """Return what each upstream has done so far. To be called in a component, as it asks for the time."""
        now = clock()
        return [
            UpstreamStatistics(one.address, one.open, one.answered, one.failed, one.out_until > now)
            for one in self.upstreams
        ]

    async def answer(self, exchange: Exchange) -> None:
        """See `Handler`."""
        request = exchange.request
        if request.method in ("OPTIONS", "TRACE") and _forwards(request.headers) == 0:
            # It is we who are asked (RFC 9110, 7.6.2); what others sent is for nobody to be read here.
            await exchange.answer(Response(b"", 204) if request.method == "OPTIONS" else Response.error(501))
            return
        upgrade = self._upgrade_of(request)
        if not upgrade:
            pool = self._pool(self._pools, self._per_upstream)
            await exchange.run(lambda: _Forward(self, pool, exchange))
            return
        pool = self._pool(self._pools_of_tunnels, self._tunnels, idle=0, waiting=0)
        part = Part(exchange, lambda: _Forward(self, pool, exchange, upgrade), with_body=True)
        try:
            await self._switch(exchange, part)
        finally:
            part.leave()

    def _pool(
        self, pools: WeakKeyDictionary[System, ConnectionPool], count: int, **options: Any
    ) -> ConnectionPool:
        """Return the pool of this system; make it if there is none."""
        system = current_component().system
        pool = pools.get(system)
        if pool is None:
            limit, timeout = count * len(self.upstreams), self._connect_timeout()
            pool = ConnectionPool(per_host=count, limit=limit, connect_timeout=timeout, **options)
            pools[system] = pool
            system.start(pool)
        return pool

    def _upgrade_of(self, request: Request) -> str:
        """Return which other protocols a request wants to speak, of those that are passed on."""
        headers = request.headers
        if "upgrade" not in headers or "upgrade" not in headers.tokens("connection"):
            return ""
        if request.version != "1.1" or _body_of(headers)[0]:
            return ""  # RFC 9110, 7.8; and who has a body is answered without
        return ", ".join(one for one in headers.tokens("upgrade") if one in self._upgrades)

    async def _switch(self, exchange: Exchange, part: Part) -> None:
        """Have an upstream speak another protocol with a client, if it agrees."""
        answers = part.answers
        assert answers is not None
        try:
            while isinstance(head := await answers.receive(), Informational):
                await exchange.inform(head.status, head.headers)
            if head.status == 101:
                await exchange.relay(part, await exchange.switch(head))
                return
            await exchange.begin(head)
            trailers = Headers()
            async for message in answers:
                if isinstance(message, Trailers):
                    trailers = message.headers
                else:
                    await exchange.send(message)
        except SourceFailed as error:
            if answers.failure is None:
                raise
            raise PartFailed(part.path) from error.__cause__  # which has been logged
        await exchange.finish(trailers)

    def _connect_timeout(self) -> float:
        """Return the seconds for a connection: that there is none is to be told from a slow answer."""
        total = self.limits.total
        return CONNECT if total is None else min(CONNECT, total / 2)

    def candidates(self, request: Request) -> Iterator[Upstream]:
        """Give the upstreams to try, the best first; those that are left out only if there is no other."""
        now = clock()
        there = [one for one in self.upstreams if one.out_until <= now]
        if there:
            yield from self._order(there, request)
        else:
            yield min(self.upstreams, key=lambda one: one.out_until)


class _RoundRobin:
    """One after the other."""

    def __init__(self) -> None:
        self._serial: dict[Upstream, int] = {}
        self._count = 0

    def __call__(self, there: list[Upstream], request: Request) -> list[Upstream]:
        ordered = sorted(there, key=lambda one: self._serial.get(one, 0))  # the longest not asked first
        self._count += 1
        self._serial[ordered[0]] = self._count
        return ordered


class _LeastOpen(_RoundRobin):
    """Whoever has least to do; of several, one after the other."""

    def __call__(self, there: list[Upstream], request: Request) -> list[Upstream]:
        least = min(one.open for one in there)
        first, *others = super().__call__([one for one in there if one.open == least], request)
        rest = sorted((one for one in there if one.open > least), key=lambda one: one.open)
        return [first, *others, *rest]


class _ByClient:
    """Always the same for a client; when one is left out, only its clients go elsewhere."""

    def __call__(self, there: list[Upstream], request: Request) -> list[Upstream]:
        import hashlib  # here, as others do without

        client = _host_of(request.peer)
        return sorted(there, key=lambda one: hashlib.sha256(f"{client} {one.address}".encode()).digest())


_CHOICES: dict[str, Callable[[], Choose]] = {
    "round-robin": _RoundRobin,
    "least-open": _LeastOpen,
    "by-client": _ByClient,
}


class _Forward(Component):
    """Passes one request on, and the answer back."""

    inbox = Inbox[bytes]("the body of the request", size="64 KiB")
    outbox = Outbox[Any]("the response, its body, and trailers")

    def __init__(
        self, proxy: ReverseProxy, pool: ConnectionPool, exchange: Exchange, upgrade: str = ""
    ) -> None:
        self._proxy = proxy
        self._exchange = exchange
        self._request = exchange.request
        self._upgrade = upgrade
        self._caller = Caller(self)
        self._caller.on_information = self._inform
        self._caller.use(pool)

    async def main(self) -> None:
        try:
            await self._pass_on()
        finally:
            self._caller.close()

    async def _pass_on(self) -> None:
        proxy, request = self._proxy, self._request
        has_body, length = _body_of(request.headers)
        if length is None:
            self._caller.end_of_body = lambda: onward_trailers(self._exchange.trailers)
        target, headers = _target(request, strip=proxy.strip), onward_headers(request, proxy)
        if self._upgrade:
            headers = headers.with_({"Connection": "upgrade", "Upgrade": self._upgrade})
        self._caller.begin(proxy.limits)
        status = 502
        for upstream in proxy.candidates(request):
            named = headers if "host" in headers else headers.with_({"Host": upstream.url.authority})
            onward = Request(request.method, target, named)
            upstream.open += 1
            try:
                if has_body:
                    head = await self._caller.ask(onward, upstream.url, None, self.inbox, b"", length)
                else:
                    head = await self._caller.ask(onward, upstream.url)
                upstream.answered += 1
                await self._pass_back(head)
                return
            except RequestFailed as error:
                status = _status_of(error)
                if status in (502, 504):
                    upstream.failed += 1
                    log.warning("%s", error)
                if self._begun:
                    raise
                if _is_down(error):
                    upstream.out_until = clock() + proxy.left_out
                if status != 502 or has_body or request.method not in IDEMPOTENT:
                    break
            finally:
                upstream.open -= 1
        await self.outbox.send(Response.error(status))

    _begun = False  # some of the answer has gone back

    async def _inform(self, ahead: Informational) -> None:
        """Pass on what an upstream says ahead of its answer (RFC 9110, 15.2), but that it wants the body."""
        if ahead.status != 100:
            await self.outbox.send(Informational(ahead.status, without_connection(ahead.headers)))

    async def _pass_back(self, head: Response) -> None:
        headers = without_connection(head.headers)
        via = ", ".join([*headers.all("via"), f"1.1 {self._proxy.via}"])
        headers = headers.with_({"Via": via})
        if head.status == 101:
            agreed = head.headers.get("upgrade", "")
            if agreed.lower() not in self._upgrade.split(", "):
                raise self._caller.failure(f"the server wants to speak {shorten(agreed)}, and was not asked")
            headers = headers.with_({"Connection": "upgrade", "Upgrade": agreed})
        self._begun = True
        await self.outbox.send(Response(b"", head.status, headers))
        if head.status == 101:
            await self._caller.relay(self.inbox, self.outbox)
            return
        while (part := await self._caller.read()) is not None:
            await self.outbox.send(part)
        trailers = onward_trailers(self._caller.trailers)
        if trailers:
            await self.outbox.send(Trailers(trailers))


def _status_of(error: RequestFailed) -> int:
    """Return with which status to say that a request has failed."""
    if isinstance(error, Interrupted) or isinstance(error.__cause__, PoolFull):
        return 503
    if isinstance(error, TimedOut):
        return 504
    return 400 if isinstance(error.__cause__, LocalProtocolError) else 502


def _is_down(error: RequestFailed) -> bool:
    """Say whether a failure is one of the whole upstream: of its connection, and not of one answer."""
    cause = error.__cause__
    if isinstance(error, Stale):
        return False
    return isinstance(cause, Unanswered) or not isinstance(
        cause, (LocalProtocolError, RemoteProtocolError, PoolFull, type(None))
    )


def onward_headers(request: Request, proxy: ReverseProxy) -> Headers:
    """Return the headers with which a request goes on."""
    headers = without_connection(request.headers).without("content-length", "expect")
    if not proxy.trust:
        headers = headers.without(*(name for name in headers if _says_whom(name)))
    forwards = _forwards(headers) if request.method in ("OPTIONS", "TRACE") else None
    if forwards is not None:
        headers = headers.with_({"Max-Forwards": forwards - 1})
    client = _host_of(request.peer)
    added = {
        "X-Forwarded-For": [*headers.all("x-forwarded-for"), *([client] if client else [])],
        "X-Forwarded-Host": headers.all("x-forwarded-host") or [request.host],
        "X-Forwarded-Proto": headers.all("x-forwarded-proto") or [request.scheme],
        "Forwarded": [*headers.all("forwarded"), _forwarded(client, request)],
        "Via": [*headers.all("via"), f"{request.version} {proxy.via}"],
    }
    return headers.with_({name: ", ".join(values) for name, values in added.items() if any(values)})


def without_connection(headers: Headers) -> Headers:
    """Return headers without those that are for one connection only (RFC 9110, 7.6.1)."""
    named = set(headers.tokens("connection")) - {"host"}  # without which a request is none
    return headers.without(*OF_THE_CONNECTION, *named)


def onward_trailers(headers: Headers | None) -> Headers:
    """Return trailers without what is for one connection only, or must not stand there."""
    return without_connection(headers or Headers()).without(*NOT_BEHIND)


def _says_whom(name: str) -> bool:
    """Say whether a header says whom a request comes from. Many read ``_`` as ``-``."""
    name = name.lower().replace("_", "-")
    return name in FORWARDED or name.startswith("x-forwarded-")


def _forwards(headers: Headers) -> int | None:
    """Return how often a request may be passed on; None if that is not said (RFC 9110, 7.6.2)."""
    said = headers.get("max-forwards", "")
    if not (said.isascii() and said.isdigit()):
        return None
    digits = said.lstrip("0") or "0"
    return min(int(digits[:9]), MOST_FORWARDS)


def _forwarded(client: str, request: Request) -> str:
    """Return an element of ``Forwarded`` (RFC 7239)."""
    source = f'"[{client}]"' if ":" in client else client or "unknown"
    host = f';host="{request.host}"' if request.host and '"' not in request.host else ""
    return f"for={source};proto={request.scheme}{host}"


def _host_of(peer: Any) -> str:
    return str(peer[0]) if isinstance(peer, (tuple, list)) and peer else ""


def _body_of(headers: Headers) -> tuple[bool, int | None]:
    """Return whether a request has a body, and how long it is if that is known."""
    if "transfer-encoding" in headers:
        return True, None
    said = headers.get("content-length", "0")
    return said.strip("0") != "", int(said)


def _target(request: Request, *, strip: bool) -> str:
    """Return what is asked of an upstream."""
    path = request.raw_path
    rest = request.arguments.get("rest")
    if strip and rest is not None:
        starts = [at for at, letter in enumerate(path) if letter == "/"]
        path = next((path[at:] for at in starts if unquote(path[at + 1 :]) == rest), path)
    return f"{path}?{request.query_string}" if request.query_string else path


def _parsed(address: Any) -> URL:
    given = address if not isinstance(address, str) or "://" in address else f"http://{address}"
    url = URL.parse(given, "ReverseProxy: the address")
    if url.target != "/" or url.userinfo is not None:
        raise ValueError(f"ReverseProxy: {shorten(address)} is more than 'host:port' or 'https://host:port'")
    return url


__all__ = ["ReverseProxy", "Upstream", "UpstreamStatistics"]
