"""All pairs of a server and a client that take part."""

from __future__ import annotations

from . import with_aiohttp, with_aioquic, with_httpx, with_kamaelia, with_websockets
from .cases import Pair

PAIRS = {
    pair.name: pair
    for pair in (
        Pair("aiohttp to aiohttp", with_aiohttp.serve, with_aiohttp.client),
        Pair("aiohttp to ours", with_kamaelia.serve, with_aiohttp.client),
        Pair("httpx to aiohttp", with_aiohttp.serve, with_httpx.client),
        Pair("httpx to ours", with_kamaelia.serve, with_httpx.client),
        # A connection for each request.
        Pair("websockets", with_websockets.serve, with_websockets.client, connections=110),
        # None of TCP.
        Pair("aioquic", with_aioquic.serve, with_aioquic.client, always_tls=True, connections=0),
        Pair("ours to ours", with_kamaelia.serve, with_kamaelia.client, with_kamaelia.beside),
        Pair("ours to aiohttp", with_aiohttp.serve, with_kamaelia.client, with_kamaelia.beside),
    )
}


def of(name: str) -> list[Pair]:
    """Return the pairs whose client, or whole, has a name."""
    return [pair for pair in PAIRS.values() if pair.name.split()[0] == name]
