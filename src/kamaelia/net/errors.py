"""What goes wrong between a component and a network."""

from __future__ import annotations

import errno
import socket

from kamaelia.axon import KamaeliaError, ProtocolError


class CannotListen(KamaeliaError, OSError):
    """A server did not get the address that it is to listen on; the message says why and what to do."""


class CannotConnect(KamaeliaError, ConnectionError):
    """A client did not get through to its server; the message says why and what to do."""


class ConnectionLost(KamaeliaError, ConnectionError):
    """A connection broke before both sides had said that they were finished.

    ``__cause__`` is what the operating system said (`ConnectionResetError`, `BrokenPipeError`), or a
    `TimeoutError` of ours for a connection that was idle, or whose peer took nothing, for too long.
    """


def why_no_socket_at(error: OSError, path: str) -> str:
    """Say why a Unix socket could not be made, and what to do.

    >>> why_no_socket_at(PermissionError(errno.EACCES, "denied"), "/run/clock")
    'this user may not make a socket at /run/clock: choose another folder, or have it made writable'
    """
    if error.errno == errno.EADDRINUSE:
        return f"another program listens on {path}, or it is no socket: stop it or choose another path"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"this user may not make a socket at {path}: choose another folder, or have it made writable"
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return f"there is no folder for {path}: make it, or choose another path"
    return f"it cannot listen on {path}: {error}"


def why_not_listening(error: OSError | UnicodeError, address: str) -> str:
    """Say why an address could not be had, and what to do.

    >>> why_not_listening(OSError(errno.EADDRINUSE, "in use"), "127.0.0.1:1500")
    'another program listens on 127.0.0.1:1500: stop it or choose another port=... (0 for a free one)'
    """
    if isinstance(error, UnicodeError):
        return f"{address} is no name that could be looked up: check how it is spelt ({error})"
    if error.errno == errno.EADDRINUSE:
        return f"another program listens on {address}: stop it or choose another port=... (0 for a free one)"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"this user may not listen on {address}: choose a port above 1023"
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return (
            f'this machine has no address {address}: choose host="127.0.0.1" (for itself only) or None (any)'
        )
    return f"it cannot listen on {address}: {error}"


def why_not_connected(error: Exception, address: str) -> str:
    """Say why a server was not reached, and what to do.

    >>> why_not_connected(ConnectionRefusedError(errno.ECONNREFUSED, "refused"), "example.org:1500")
    'nothing listens on example.org:1500: start it or check the port; reconnect=True waits for it'
    """
    if isinstance(error, UnicodeError):
        return f"the name in {address} is none that could be looked up: check how it is spelt ({error})"
    if isinstance(error, ProtocolError):
        text = str(error).removeprefix("TLS: ")
        advice = "; ClientTLS(authorities=...) says who else is believed" if "certificate" in text else ""
        return f"{address} and this client do not agree on TLS: {text}{advice}"
    if isinstance(error, socket.gaierror):
        return f"the name in {address} is not known: check how it is spelt ({error.strerror})"
    if isinstance(error, TimeoutError):
        return f"{address} does not answer: check the address, and whether a firewall is between ({error})"
    if isinstance(error, ConnectionRefusedError) or "refused" in str(error).lower():
        return f"nothing listens on {address}: start it or check the port; reconnect=True waits for it"
    return f"there is no way to {address}: {error}"
