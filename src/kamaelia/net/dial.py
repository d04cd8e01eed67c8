"""How a client gets through to a server that has several addresses: "happy eyeballs" (RFC 8305).

The addresses of a name are tried in turn, one family after the other alternately, and the next begins when
the last has failed or has not answered for a quarter of a second. The first that answers is taken, and the
others are given up. So a server whose IPv6 is broken costs that quarter, and not a minute. Event loops have
this only in part (uvloop has not), and it should be the same on all, hence it is here.
"""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import Callable
from typing import Any, TypeVar, cast

DELAY = 0.25  # seconds until the next address is tried (RFC 8305, 5)
MOST = 10  # addresses of a name that are tried

P = TypeVar("P", bound=asyncio.BaseProtocol)
Target = tuple[int, Any]  # a family of addresses, and one of them


async def dial(make: Callable[[], P], host: str, port: int) -> P:
    """Connect to a host; return the protocol that has the connection.

    Arguments:
        make: makes the protocol for an attempt; some of those that lose have had a connection for a moment
        host: name or address
        port: of the server

    Raises `OSError`: that of the first attempt when all fail, or `socket.gaierror`.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    targets = alternate(list(dict.fromkeys((family, address) for family, _, _, _, address in found)))
    return await _race(make, targets[:MOST])


def alternate(targets: list[Target]) -> list[Target]:
    """Return addresses with the families taking turns, that of the first first (RFC 8305, 4).

    >>> alternate([(10, "a"), (10, "b"), (10, "c"), (2, "d")])
    [(10, 'a'), (2, 'd'), (10, 'b'), (10, 'c')]
    """
    families: dict[int, list[Target]] = {}
    for target in targets:
        families.setdefault(target[0], []).append(target)
    rounds = itertools.zip_longest(*families.values())
    return [target for row in rounds for target in row if target is not None]


async def _race(make: Callable[[], P], targets: list[Target]) -> P:
    loop = asyncio.get_running_loop()
    running: list[asyncio.Task[tuple[asyncio.BaseTransport, P]]] = []
    errors: list[OSError] = []
    waiting = targets[::-1]
    try:
        while waiting or running:
            if waiting:
                family, address = waiting.pop()
                running.append(loop.create_task(loop.create_connection(make, *address[:2], family=family)))
            await asyncio.wait(
                running, timeout=DELAY if waiting else None, return_when=asyncio.FIRST_COMPLETED
            )
            for task in [task for task in running if task.done()]:
                try:
                    _, protocol = task.result()
                except OSError as error:
                    errors.append(error)
                    running.remove(task)
                else:
                    running.remove(task)
                    return protocol
        raise errors[0] if errors else OSError("the name has no address")
    finally:
        for task in running:
            task.cancel()
        for outcome in await asyncio.gather(*running, return_exceptions=True):
            if isinstance(outcome, tuple):  # it has won too, a moment too late
                cast(asyncio.Transport, outcome[0]).abort()
