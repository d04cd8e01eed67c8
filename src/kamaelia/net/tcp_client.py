"""TCP clients."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import Any

from .arguments import KEEPALIVE, check_client_host, check_keepalive, check_whole
from .client import Reconnect, StreamClient
from .connection import address_text
from .dial import dial
from .kernel import ask_whether_alive
from .proxy import ProxyHeader
from .tls.settings import ClientTLS


class TCPClient(StreamClient):
    """Connects to a TCP server: what arrives in the inbox goes there, what comes from there goes to the
    outbox.

    The end of the inbox ends our half of the connection; the client goes on reading until the server has
    ended its half, which is the end of the outbox. It ends when both have ended, or when nobody reads its
    outbox.

    A client that fails, or whose source does, resets the connection after what was sent before: the server
    sees a break, and no end. Without ``reconnect`` a connection that breaks is a failure of the client. With
    it, the client connects again whenever the connection ends before the inbox has: what is in the inbox
    waits, and the outbox stays open. What had been handed to the operating system when the connection ended
    may or may not have arrived: TCP does not tell. The log says how much was sent; a protocol that must know
    asks its peer to confirm. A connection that breaks when everything has been sent is a failure in any case:
    there is nothing to connect again for, and what was to come back is not whole.

    Of a name with several addresses, the first that answers is taken (RFC 8305). Besides bytes the inbox
    takes `SendFile` and `StartTLS`.

    With ``tls`` the connection is protected, and the server's certificate has to be one for this host by
    somebody who is believed. An end that the server has not said in the protected stream is then a break:
    somebody between may have cut it.

    Arguments:
        host: name or address of the server
        port: of the server
        reconnect: connect again: True, or a `Reconnect` that says how often and how soon
        connect_timeout: seconds for one attempt to connect, the handshake of TLS included
        idle_timeout: seconds without a byte in either direction after which the connection is broken; None
            for never
        stall_timeout: seconds for which the server may take nothing of what is sent, then the connection is
            broken (at the latest a quarter later); None for ever
        least_rate: bytes a second that the server has to take of what waits for it, over that time
        total_timeout: seconds that a connection may last, then it is broken; None for ever
        keepalive: seconds of silence after which the operating system asks whether the server is still there;
            one that does not answer within as long again is given up. None for never
        linger: seconds to wait for the server's end of stream once nobody reads what it sends
        half_close: go on sending when the server has ended its half; False ends the client then (as it always
            does the connection with ``reconnect``)
        receive_rate: what is read a second, such as ``"1 MB/s"``; None for all that comes
        buffers: bytes that the operating system keeps for the connection each way; None for what it wants
        tls: protect the connection: True, or a `ClientTLS`, or an `ssl.SSLContext`
        proxied: for whom this client speaks: a header of the PROXY protocol that is sent first

    Raises `CannotConnect` (nobody listens, the name is unknown, no answer, a certificate that is not
    believed) and `ConnectionLost`. Messages that are not bytes are a `TypeError`, arguments that cannot be
    meant that or a `ValueError`.

    Example:
        >>> from kamaelia import background, run
        >>> from kamaelia.flow import Collect, Map, Source
        >>> from kamaelia.net import TCPClient, TCPServer
        >>> with background(TCPServer(Map(bytes.upper), port=0, quiet=True)) as server:
        ...     run(Source([b"anybody there?"]) | TCPClient(*server.receive("listening")) | Collect())
        [b'ANYBODY THERE?']
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        reconnect: bool | Reconnect | None = None,
        connect_timeout: float = 10.0,
        idle_timeout: float | None = None,
        stall_timeout: float | None = 60.0,
        least_rate: float | str | None = None,
        total_timeout: float | None = None,
        keepalive: float | None = KEEPALIVE,
        linger: float = 1.0,
        half_close: bool = True,
        receive_rate: float | str | None = None,
        buffers: int | str | None = None,
        tls: ClientTLS | ssl.SSLContext | bool | None = None,
        proxied: ProxyHeader | None = None,
    ) -> None:
        check_client_host(host, "TCPClient(host=...)")
        check_whole(port, "TCPClient(port=...)", 1, 65535, "the server's port, from 1 to 65535")
        super().__init__(
            reconnect=reconnect,
            connect_timeout=connect_timeout,
            idle_timeout=idle_timeout,
            stall_timeout=stall_timeout,
            least_rate=least_rate,
            total_timeout=total_timeout,
            linger=linger,
            half_close=half_close,
            receive_rate=receive_rate,
            buffers=buffers,
            tls=tls,
            proxied=proxied,
        )
        check_keepalive(keepalive, "TCPClient")
        self._host, self._port = host, port
        self._keepalive = keepalive

    def _set_up(self, socket: Any) -> None:
        super()._set_up(socket)
        if self._keepalive is not None:
            ask_whether_alive(socket, self._keepalive)

    async def _dial(self, make: Callable[[], asyncio.Protocol]) -> asyncio.Protocol:
        return await dial(make, self._host, self._port)

    @property
    def _server(self) -> str:
        return address_text((self._host, self._port))

    @property
    def _server_name(self) -> str | None:
        return self._host.partition("%")[0]
