"""What servers have in common, whether of streams or of datagrams: whom they let in, and how they make the
component that serves him; and what everybody says who listens somewhere.
"""

from __future__ import annotations

import asyncio
import logging
import math
import sys
from collections import Counter
from collections.abc import Mapping
from typing import Any

from kamaelia.axon import Component, Failure, lifecycle, make
from kamaelia.axon.system import describe_core

from .connection import check_protocol

log = logging.getLogger("kamaelia")

ROUNDING = 1e-9  # of somebody who may be let in
HERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # where on this machine one reaches who listens at any address


class Admission:
    """Says who may come in, counts the rest by reason, and logs the first for each.

    Reasons: ``"limit"`` (there are too many), ``"address"`` (of one host), ``"rate"`` (in a second),
    ``"stop"``, which is not logged, and what its server adds.

    Arguments:
        server: for whom
        refuses: what it does then, for the log, such as "refuses connections"
        why: what to say of each reason
        limit: how many there may be
        limit_per_address: how many from one host; None for any number
        rate: how many in a second; None for any number
    """

    def __init__(
        self,
        server: Component,
        refuses: str,
        why: Mapping[str, str],
        *,
        limit: int,
        limit_per_address: int | None,
        rate: float | None,
    ) -> None:
        self.reasons: Counter[str] = Counter()
        """How many were refused for what."""
        self._server = server
        self._refuses = refuses
        self._why = why
        self._most = limit
        self._most_of_one = limit_per_address
        self._of_one: Counter[str] = Counter()  # by host, if it matters
        self._rate = rate
        self._allowance = 0.0  # how many may be let in now, as of
        self._allowed_at = -math.inf
        self._logged: set[str] = set()

    def why_not(self, count: int, address: Any) -> str | None:
        """Return why nobody may come in when so many are there, or not from this address."""
        if count >= self._most:
            return "limit"
        return "address" if self.too_many_from(address) else None

    def too_many_from(self, address: Any) -> bool:
        """Say whether there are as many from the host of an address as there may be."""
        host = self._host_of(address)
        return bool(host) and self._of_one[host] >= (self._most_of_one or math.inf)

    def too_fast(self, now: float) -> bool:
        """Say whether too many come in a second; if not, one has come. To be asked last."""
        rate = self._rate
        if rate is not None:
            more = (now - self._allowed_at) * rate
            self._allowance = min(max(1.0, rate), self._allowance + more)
            self._allowed_at = now
            if self._allowance < 1 - ROUNDING:
                return True
            self._allowance -= 1
        return False

    def admit(self) -> None:
        """Somebody has been let in: what is refused after this is logged again."""
        self._logged.clear()

    def refuse(self, reason: str, number: int = 1) -> None:
        """Count who is refused, and log the first for each reason."""
        self.reasons[reason] += number
        if reason not in self._logged and reason != "stop":
            self._logged.add(reason)
            log.warning("%s %s: %s", self._server.path, self._refuses, self._why[reason])

    def count(self, address: Any, change: int) -> None:
        """There is one more from the host of an address, or one less."""
        host = self._host_of(address)
        if host:
            self._of_one[host] += change
            if not self._of_one[host]:
                del self._of_one[host]

    def _host_of(self, address: Any) -> str:
        """Return what is counted as one host, if that matters."""
        counts = self._most_of_one is not None and isinstance(address, tuple) and len(address) >= 2
        return str(address[0]) if counts else ""


def make_protocol(pattern: Any, path: str) -> Component:
    """Make the component that serves somebody. Raises `LinkError`, and whatever a factory may raise."""
    protocol = make(pattern)
    if not isinstance(pattern, Component):  # else that has been done
        check_protocol(protocol, path)
        lifecycle.refuse_used(protocol._axon)
    return protocol


def start_protocol(server: Component, protocol: Component, number: int, *, isolated: bool) -> None:
    """Start the component that serves somebody, as a child of the server.

    Ten thousand names would take half a megabyte: so it is "client", and a number. But the number 1 is never
    shown, and the first has it in its name.
    """
    process = protocol.named("client" if number > 1 else "client-1")._axon
    lifecycle.add_child(server._axon, process, isolated=isolated, number=number if number > 1 else 0)


def report_not_made(server: Component, path: str, error: Exception, pattern: Any) -> None:
    """The component that was to serve somebody could not be made."""
    log.error("%s could not be made: %s: %s", path, type(error).__name__, error, exc_info=error)
    lifecycle.send_failure(server._axon, Failure(path, error, pattern))


def report_unwritable(server: Component, protocol: Component, error: Exception, *, isolated: bool) -> None:
    """A component has sent what cannot be sent to whom it serves: that is its failure."""
    error.add_note(f"in {protocol.path}")
    if isolated:
        lifecycle.report_isolated(server._axon, Failure(protocol.path, error, protocol))
    else:
        lifecycle.fail(server._axon, error, [error])


def reachable(host: str) -> str:
    """Return where on this machine one reaches who listens at an address.

    >>> reachable("0.0.0.0"), reachable("192.0.2.1")
    ('127.0.0.1', '192.0.2.1')
    """
    return HERE.get(host, host)


def announce(component: Component, doing: str, hint: str, *, quiet: bool) -> None:
    """Say where a component listens: log it, and unless quiet tell whoever is at the terminal.

    Arguments:
        component: who listens
        doing: what it does, such as "listens on 127.0.0.1:1500"
        hint: what a person may type to try it; empty if there is nothing
        quiet: tell nobody
    """
    text = f"{component.path} {doing}"
    log.info("%s", text)
    if not quiet:
        form = describe_core(asyncio.get_running_loop())
        version = ".".join(sys.modules["kamaelia"].__version__.split(".")[:2])
        tries = f"Try: {hint}. " if hint else ""
        component.system.announce(f"kamaelia {version} ({form}): {text}. {tries}Ctrl-C ends.")
