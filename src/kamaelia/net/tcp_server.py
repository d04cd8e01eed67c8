"""TCP servers."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from typing import Any, Literal

from kamaelia.axon import Outbox

from .arguments import KEEPALIVE, check_keepalive, check_server_host, check_whole
from .connection import SIZE, address_text
from .errors import CannotListen, why_not_listening
from .kernel import ask_whether_alive
from .server import BUFFERS, StreamServer
from .serving import reachable
from .tls.settings import ServerTLS


class TCPServer(StreamServer):
    """Listens on a TCP port, and makes a protocol component for each who connects.

    What the peer sends arrives in the component's inbox, what it sends goes to the peer, both in bytes. The
    end of one is the end of the other's half; the connection closes when both have ended. A connection that
    breaks (reset, a time-out) is a failed source: the component gets `SourceFailed`, whose cause is a
    `ConnectionError` or `TimeoutError`. When the peer has gone, the component's outbox has lost its reader. A
    component that fails breaks its own connection and no other's: its peer gets what was sent before, and
    then a reset. The children of the server are called ``client-1``, ``client-2``, ...

    A peer that leaves in an orderly way looks like one that has only finished sending. So a component ends
    when its inbox has ended, as most do by themselves; one that does not, and is silent, is found by
    ``idle_timeout``.

    A stalled peer is noticed at the latest a quarter later. A component whose inbox declares a ``size`` of
    its own keeps that one. Besides bytes the component may send `SendFile` and `StartTLS`.

    With ``tls`` each connection is protected, and an end that was not said in the protected stream is a
    break: somebody between may have cut it. With ``proxies``, connections from these begin with the header of
    the PROXY protocol, version 1 or 2, and `peer` says who is behind.

    Arguments:
        protocol: the component for a connection: a class, a component (made again from its recipe), a factory
        port: to listen on; 0 for any that is free, see `address`
        host: name or address to listen on, several in a list, or None for every address of the machine
        limit: connections at a time; those beyond are closed at once, and counted
        limit_per_address: connections at a time from one address; None for any number
        accept_rate: connections a second, those beyond are closed at once; None for any number
        idle_timeout: seconds without a byte in either direction after which a connection is ended; None for
            never. While what has come waits for the component, the peer is not idle
        stall_timeout: seconds for which a peer may take nothing of what is sent; None for ever
        least_rate: bytes a second, such as ``"1 kB/s"``, that a peer has to take of what waits for it, over
            that time; None for any that is more than nothing
        total_timeout: seconds that a connection may last; None for ever
        handshake_timeout: seconds for the handshake of TLS and the header of a proxy
        keepalive: seconds of silence after which the operating system asks whether the peer is still there;
            one that does not answer within as long again is given up. None for never
        linger: seconds to wait for the peer's end of stream once nobody reads what it sends
        size: bytes that may wait for the component, and for the peer, and one message more
        receive_rate: what is read of each connection a second, such as ``"1 MB/s"``; None for all that comes
        buffers: bytes that the operating system keeps each way for a connection, beside those of ``size``;
            None for what it wants, which is some MB for peers that do not read. With a long way to the peer
            more is faster: rate times round trip
        backlog: connections that may wait in the operating system to be accepted
        reuse_port: other processes, or servers, may listen on the port too, and share who connects
        tls: protect connections: a `ServerTLS`, or an `ssl.SSLContext`
        proxies: addresses or networks of the proxies that say for whom they speak; ``"*"`` for all
        on_failure: ``"isolate"`` ends only the connection whose component failed; ``"stop"`` the server too
        quiet: do not say on standard error where the server listens

    Boxes: ``listening`` sends the address once the server listens, ``failures`` a `Failure` for each
    component that failed. Raises `CannotListen`; `LinkError` for a protocol that does not take and send
    bytes; `TypeError` and `ValueError` for arguments that cannot be meant.

    Example:
        >>> from kamaelia import background, run
        >>> from kamaelia.flow import Collect, Map, Source
        >>> from kamaelia.net import TCPClient, TCPServer
        >>> with background(TCPServer(Map(bytes.upper), port=0, quiet=True)) as server:
        ...     host, port = server.receive("listening")
        ...     run(Source([b"hello"]) | TCPClient(host, port) | Collect())
        [b'HELLO']
    """

    listening = Outbox[tuple[str, int]]("the address, once, when the server listens", optional=True)

    def __init__(
        self,
        protocol: Any,
        *,
        port: int,
        host: str | Sequence[str] | None = "127.0.0.1",
        limit: int = 1000,
        limit_per_address: int | None = None,
        accept_rate: float | None = None,
        idle_timeout: float | None = 300.0,
        stall_timeout: float | None = 60.0,
        least_rate: float | str | None = None,
        total_timeout: float | None = None,
        handshake_timeout: float = 10.0,
        keepalive: float | None = KEEPALIVE,
        linger: float = 1.0,
        size: int | str = SIZE,
        receive_rate: float | str | None = None,
        buffers: int | str | None = BUFFERS,
        backlog: int = 100,
        reuse_port: bool = False,
        tls: ServerTLS | ssl.SSLContext | None = None,
        proxies: Sequence[str] = (),
        on_failure: Literal["isolate", "stop"] = "isolate",
        quiet: bool = False,
    ) -> None:
        super().__init__(
            protocol,
            limit=limit,
            limit_per_address=limit_per_address,
            accept_rate=accept_rate,
            idle_timeout=idle_timeout,
            stall_timeout=stall_timeout,
            least_rate=least_rate,
            total_timeout=total_timeout,
            handshake_timeout=handshake_timeout,
            linger=linger,
            size=size,
            receive_rate=receive_rate,
            buffers=buffers,
            backlog=backlog,
            tls=tls,
            proxies=proxies,
            on_failure=on_failure,
            quiet=quiet,
        )
        check_whole(port, "TCPServer(port=...)", 0, 65535, "a port from 0 (any that is free) to 65535")
        check_server_host(host, "TCPServer(host=...)")
        check_keepalive(keepalive, "TCPServer")
        self._keepalive = keepalive
        self._host, self._port = host, port
        self._reuse_port = reuse_port

    async def _listen(self, make: Callable[[], asyncio.BaseProtocol]) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        try:
            server = await loop.create_server(
                make,
                self._host,
                self._port,
                backlog=self._backlog,
                reuse_port=self._reuse_port or None,
                start_serving=False,
            )
            try:
                self._set_up(server)  # before the first is accepted
                await server.start_serving()
            except BaseException:
                server.close()
                raise
        except (OSError, UnicodeError) as error:  # the latter comes of names that cannot be looked up
            hosts = self._host if isinstance(self._host, (list, tuple)) else [self._host or "*"]
            address = " or ".join(address_text((host, self._port)) for host in hosts)
            why = why_not_listening(error, address)
            raise CannotListen(f"{self.path}: {why}") from error
        return server

    def _set_up(self, server: Any) -> None:
        super()._set_up(server)
        if self._keepalive is not None:
            for socket in server.sockets:
                ask_whether_alive(socket, self._keepalive)

    def _addresses_of(self, server: asyncio.Server) -> list[tuple[str, int]]:
        return sorted(socket.getsockname()[:2] for socket in server.sockets)

    def _hint(self) -> str:
        host, port = self.addresses[0]
        host = reachable(host)
        return f"nc {host} {port}" if self.tls is None else f"openssl s_client -connect {host}:{port}"
