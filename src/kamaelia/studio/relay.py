"""What one page may ask the inspection socket, and how it gets there.

Theory
------
The page and the socket speak the same protocol: each message of the WebSocket is one line. The relay adds
nothing but a look at what goes in: a message has to be one JSON object with a known ``do``, and there may be
only so many of them a second. What is wrong is answered here, in the words of the protocol, and never reaches
the system. What comes out goes to the page as it is.

A page that does not read makes the relay wait, and the relay the socket: which then leaves frames out, and
says so (``missed``). Nothing is kept here beyond a box and the buffers of two sockets. A page that reads
nothing for a minute does not answer the WebSocket's ping either, and is let go.

When the system ends, so does the socket, and the page is told: ``{"studio": "gone", "why": ...}``.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from typing import Any

from kamaelia.axon import Component, Inbox, Outbox

ALLOWED = frozenset(
    {
        *("snapshot", "diagnose", "draw", "details", "watch", "tap", "waiting", "log", "cancel"),
        *("network", "watch_network", "set_link", "cut", "mend", "crash", "restart"),
        *("pause", "go", "step", "run_until"),
    }
)
"""What a page may ask for. (Not ``stop``: a look is no reason to end a system.)"""

LONGEST = 64 * 1024  # bytes of a request, as the socket has it
LONGEST_ANSWER = 16 * 1024 * 1024  # bytes of a line from the socket
RATE = 50.0  # requests a second
BURST = 100  # requests at once
ID_LENGTH = 64  # characters of an id
PIECE = 256 * 1024  # bytes that are read ahead


class Refusals:
    """How often something was refused, by why; shared by all relays of a Studio."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        """``malformed``, ``not allowed`` and ``too many``."""


class Relay(Component):
    """Carries the requests of one page to an inspection socket, and what comes from there to the page.

    Inbox: ``inbox``, requests, each a text. Outbox: ``outbox``, answers and lines of streams, each a text. It
    ends when either side does.

    Arguments:
        address: the path of the socket
        rate: requests a second that a page may make
        burst: how many of them at once
        refusals: where to count what was refused

    Example:
        ``WebSocket(Relay("/run/user/1000/kamaelia/4711-1.sock"))`` is a route of an `HTTPServer`.
    """

    inbox = Inbox[str]("requests of the page", size="64 KiB")
    outbox = Outbox[str]("what the socket says", optional=True)

    def __init__(
        self, address: str, rate: float = RATE, burst: int = BURST, refusals: Refusals | None = None
    ) -> None:
        self._address = address
        self._rate = rate
        self._burst = burst
        self._refusals = refusals or Refusals()
        self._credit = float(burst)
        self._credit_at = 0.0
        self._is_gone = False  # and the page has been told

    async def main(self) -> None:
        """Carry both ways until one side has ended."""
        try:
            reader, writer = await asyncio.open_unix_connection(self._address, limit=LONGEST_ANSWER)
        except OSError as error:
            await self._tell_gone(f"nothing answers at {self._address}: {error.strerror or error}")
            return
        try:
            ways = [
                asyncio.ensure_future(self._carry_requests(writer)),
                asyncio.ensure_future(self._carry_answers(reader)),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                ended = await asyncio.gather(*ways, return_exceptions=True)
            for outcome in ended:
                if isinstance(outcome, Exception) and not isinstance(outcome, OSError):
                    raise outcome
        finally:
            writer.close()

    async def _carry_requests(self, writer: asyncio.StreamWriter) -> None:
        self._credit_at = asyncio.get_running_loop().time()
        async for text in self.inbox:
            request, refusal = self._read(text)
            if refusal is not None:
                await self.outbox.send(json.dumps({"id": request, "error": refusal}))
                continue
            writer.write(json.dumps(request, separators=(",", ":")).encode() + b"\n")
            try:
                await writer.drain()
            except OSError as error:
                await self._tell_gone(f"the connection to the system broke: {error.strerror or error}")
                return

    async def _carry_answers(self, reader: asyncio.StreamReader) -> None:
        why = "the system has ended"
        try:
            while line := await reader.readline():
                await self.outbox.send(line.decode(errors="replace").rstrip("\n"))
        except ValueError:  # so asyncio says that a line was longer than the limit
            why = f"a line of more than {LONGEST_ANSWER} bytes came from the system"
        except OSError as error:
            why = f"the connection to the system broke: {error.strerror or error}"
        await self._tell_gone(why)

    async def _tell_gone(self, why: str) -> None:
        if self._is_gone:
            return
        self._is_gone = True
        await self.outbox.send(json.dumps({"studio": "gone", "why": why}))

    def _read(self, text: str) -> tuple[Any, str | None]:
        """Return a request to pass on, and None; or an id (None where it has none), and why it is refused."""
        counts = self._refusals.counts
        try:
            request = json.loads(text)
        except (ValueError, RecursionError):
            counts["malformed"] += 1
            return None, "this is no JSON"
        if not isinstance(request, dict):
            counts["malformed"] += 1
            return None, "a request is a JSON object"
        number = request.get("id")
        is_whole = isinstance(number, int) and not isinstance(number, bool)
        if not (is_whole or (isinstance(number, str) and len(number) <= ID_LENGTH)):
            counts["malformed"] += 1
            return None, f"a request has an id: a whole number, or at most {ID_LENGTH} characters"
        do = request.get("do")
        if not isinstance(do, str) or do not in ALLOWED:
            counts["not allowed"] += 1
            return number, f"a page may not ask for {str(do)[:40]!r}"
        now = asyncio.get_running_loop().time()
        self._credit = min(self._burst, self._credit + (now - self._credit_at) * self._rate)
        self._credit_at = now
        if self._credit < 1:
            counts["too many"] += 1
            return number, f"more than {self._rate:g} requests a second: wait a little"
        self._credit -= 1
        return request, None


__all__ = ["ALLOWED", "Refusals", "Relay"]
