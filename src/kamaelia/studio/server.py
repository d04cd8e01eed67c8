"""The Studio's web server: the page, and for each page a way to the inspection socket."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from kamaelia.net.connection import address_text
from kamaelia.net.serving import reachable
from kamaelia.protocol.http import HTTPServer, Limits, StaticFiles
from kamaelia.protocol.websocket import WebSocket

from .guard import HEADERS, Guard, Guarded, fresh_token
from .relay import LONGEST, RATE, Refusals, Relay

log = logging.getLogger("kamaelia")

STATIC = Path(__file__).parent / "static"
MOST = 50  # connections at a time: a page has one, and some for files while it loads
STALL = 30.0  # seconds for which a page may take nothing


class Studio(HTTPServer):
    """Serves a page that shows the system behind an inspection socket.

    It is an `HTTPServer` that refuses whoever does not come from here, or does not know the token: see
    `kamaelia.studio.guard`. A page that takes nothing for ``stall_timeout`` seconds is let go.

    Arguments:
        address: the path of the inspection socket
        port: to listen on; 0 for any that is free
        host: name or address to listen on. On any but a loopback address, whoever on that network sees the
            page's address on its way, which nothing protects, can look at the system
        token: who wants to look has to know; by default a new one of 128 random bits
        stall_timeout: seconds for which a page may take nothing of what it is sent
        request_rate: requests a second that a page may make
        options: of `TCPServer`: ``limit``, ``quiet`` and the others

    Boxes: those of `HTTPServer`. Raises what that raises.

    Example:
        >>> import urllib.request
        >>> from kamaelia import background
        >>> from kamaelia.studio import Studio
        >>> with background(Studio("/run/kamaelia/4711-1.sock", quiet=True)) as studio:
        ...     host, port = studio.receive("listening")
        ...     page = urllib.request.urlopen(f"http://{host}:{port}/").read()
        >>> b"<title>Kamaelia Studio</title>" in page
        True
    """

    def __init__(
        self,
        address: str,
        port: int = 0,
        host: str = "127.0.0.1",
        *,
        token: str | None = None,
        stall_timeout: float = STALL,
        request_rate: float = RATE,
        **options: Any,
    ) -> None:
        self._guard = Guard(fresh_token() if token is None else token, (host,))
        self._refusals = Refusals()
        feed = WebSocket(
            Relay(address, request_rate, refusals=self._refusals),
            compression=False,  # it goes no further than this machine, as a rule
            message_limit=LONGEST,
            ping_interval=stall_timeout / 2,
            ping_timeout=stall_timeout / 2,
        )
        files = StaticFiles(STATIC, headers=HEADERS, small="2 MiB")
        routes = {
            "/feed": Guarded(self._guard, feed, token=True),
            "/*": Guarded(self._guard, files),
        }
        options.setdefault("limit", MOST)
        super().__init__(routes, port, host, limits=Limits(body=0), stall_timeout=stall_timeout, **options)

    @property
    def url(self) -> str:
        """Where the page is, with the token; once it listens."""
        host, port = self.addresses[0]
        return f"http://{address_text((reachable(host), port))}/#{self._guard.token}"

    @property
    def refused(self) -> dict[str, int]:
        """How often something was refused, by why."""
        counts = dict(self._refusals.counts)
        if self._guard.refused:
            counts["not let in"] = self._guard.refused
        return counts

    def _announce(self) -> None:
        # The address has the token in it, so it goes to whoever has started this, and into no log.
        log.info("%s listens on %s", self.path, " and ".join(map(address_text, self.addresses)))
        if not self._quiet:
            self.system.announce(f"the Studio is at {self.url} (Ctrl-C ends)")


__all__ = ["STATIC", "Studio"]
