"""Who may look at a system through the Studio.

Theory
------
Whoever can reach the page can read every message of a system, and change a simulated one. It listens on the
loopback interface, but every page of the web that is open in a browser of this machine can reach that, too,
and so can every other user of the machine. Three things are asked of who comes:

- **The token**, 128 random bits, stands in the address that is printed, behind the ``#``: so it is in no
  request for a file, and in no log. The files are the same for everybody; the WebSocket, through which all
  that is about the system comes, is opened with the token or not at all. It is compared in constant time.
- **Host** must be an address of the internet protocol, ``localhost``, or the name that the Studio was told to
  listen on. A page of ``evil.example``, whose name was made to lead to 127.0.0.1 after it was loaded (DNS
  rebinding), says ``Host: evil.example``.
- **Origin**, where a browser says it, must be the same host and port.

Browsers are told to run, load and connect to nothing but what is here, and to let no page embed this one.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable
from ipaddress import ip_address
from typing import Any

from kamaelia.axon.clock import fresh_seed
from kamaelia.protocol.http import Exchange, Request, Response

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",  # data: for pictures among the messages
        "connect-src 'self'",
        "worker-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
"""What every answer says."""


def fresh_token() -> str:
    """Return a token that nobody can guess: 128 bits, as 32 hexadecimal digits.

    >>> len(fresh_token())
    32
    """
    return f"{fresh_seed():016x}{fresh_seed():016x}"


class Guard:
    """Decides who may ask.

    Arguments:
        token: what who wants to see the system has to know
        names: of hosts by which the Studio may be called, besides ``localhost`` and addresses

    Example:
        >>> from kamaelia.protocol.http import Headers, Request
        >>> guard = Guard("secret")
        >>> guard.why_not(Request("GET", "/", Headers({"Host": "evil.example"})))
        (421, 'this is not evil.example: ...
        >>> guard.why_not(Request("GET", "/feed?token=secret", Headers({"Host": "[::1]:80"})), token=True)
    """

    def __init__(self, token: str, names: tuple[str, ...] = ()) -> None:
        self.token = token
        self._names = {"localhost", *(name.lower() for name in names)}
        self.refused = 0
        """How many requests it has refused."""

    def why_not(self, request: Request, *, token: bool = False) -> tuple[int, str] | None:
        """Return with which status a request is refused, and why; None for one that is not."""
        host = request.headers.get("Host", "")
        name = _name_of(host)
        if name not in self._names and not _is_address(name):
            self.refused += 1
            return 421, (
                f"this is not {host or 'a host without a name'}: use the address that the Studio has "
                "printed, or start it with --host"
            )
        origin = request.headers.get("Origin")
        if origin is not None and origin.lower() != f"{request.scheme}://{host.lower()}":
            self.refused += 1
            return 403, "a page of another origin may not ask"
        if token:
            given = request.query_all("token")
            right = len(given) == 1 and hmac.compare_digest(given[0].encode(), self.token.encode())
            if not right:
                self.refused += 1
                return 403, "the token is missing or wrong: open the address that the Studio has printed"
        return None


class Guarded:
    """A route behind a guard: see `kamaelia.protocol.http.Handler`.

    Arguments:
        guard: decides
        handler: answers who is let in
        token: whether they have to know the token
    """

    def __init__(self, guard: Guard, handler: Any, *, token: bool = False) -> None:
        self._guard = guard
        self._handler = handler
        self._token = token

    async def answer(self, exchange: Exchange) -> Any:
        """See `kamaelia.protocol.http.Handler`."""
        refusal = self._guard.why_not(exchange.request, token=self._token)
        if refusal is not None:
            return _hardened(Response.error(*refusal))
        answer = self._handler.answer(exchange)
        if isinstance(answer, Awaitable):
            answer = await answer
        return _hardened(answer) if isinstance(answer, Response) else answer


def _hardened(response: Response) -> Response:
    return response.with_(headers=response.headers.with_(HEADERS))


def _name_of(host: str) -> str:
    """Return the name or address in a Host header, without the port.

    >>> _name_of("Localhost:80"), _name_of("[::1]:80"), _name_of("")
    ('localhost', '::1', '')
    """
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


__all__ = ["HEADERS", "POLICY", "Guard", "Guarded", "fresh_token"]
