"""The PROXY protocol: what a proxy says of the connection that it passes on, before anything else.

A server behind a proxy sees the proxy's address on every connection. With this header, versions 1 and 2 of
HAProxy's specification, the proxy says whose connection it really is: `TCPServer(proxies=...)` listens to it,
`TCPClient(proxied=...)` sends it.
"""

from .machine import NEED_DATA, HeaderReader, ProxyHeader

__all__ = ["NEED_DATA", "HeaderReader", "ProxyHeader"]
