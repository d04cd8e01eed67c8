"""What a server of HTTP lets its clients do: every bound that there is, in one place."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from kamaelia.axon.arguments import check_positive, check_whole
from kamaelia.axon.errors import shorten
from kamaelia.axon.units import size


@dataclass(frozen=True)
class Limits:
    """Bounds for what clients send. Sizes are bytes, or text such as ``"64 KiB"``; times are seconds.

    None stands for no limit where it is allowed.

    Example:
        >>> Limits(body="10 MiB", keep_alive_timeout=5).body
        10485760
    """

    head: int | str = "64 KiB"
    """The line of the request and its headers together; also the trailers. More is answered 431."""
    headers: int = 100
    """How many headers a request may have. More is answered 431."""
    target: int | str = "8 KiB"
    """The path and the query. A longer one is answered 414."""
    body: int | str | None = "1 MiB"
    """The body of a request to a function, which is read before that is called. More is answered 413."""
    stream: int | str | None = None
    """The body of a request to a component or handler, which takes it piece by piece."""
    unread: int | str = "64 KiB"
    """What is read on of a body that nobody wanted, so that the connection can be used again."""
    pipelined: int | str = "256 KiB"
    """What may wait of later requests while one is answered. More waits in the network."""
    header_timeout: float | None = 10.0
    """In which all of a head has come, from its first byte. Otherwise it is answered 408."""
    body_rate: float | None = 100.0
    """Bytes a second that a body has to bring at least, over each `body_window`; slower is answered 408."""
    body_window: float = 10.0
    """Seconds over which that is measured. Time in which nobody wanted to read does not count."""
    request_timeout: float | None = None
    """From the head of a request until the answer is complete. Otherwise it is answered 503 or, when the
    answer has begun, the connection is broken. (Nothing can interrupt a plain function.)"""
    keep_alive_timeout: float | None = 60.0
    """How long a connection is kept for the next request. (5 s and 75 s are usual with others. An idle one
    costs a few KiB, and a new one a round trip or three.)"""
    requests: int | None = None
    """How many requests a connection may carry; after the last it is closed."""

    def __post_init__(self) -> None:
        for field in fields(self):
            given: Any = getattr(self, field.name)
            if given is None and "None" in str(field.type):
                continue
            where = f"Limits({field.name}={shorten(given)})"
            if "str" in str(field.type):
                object.__setattr__(self, field.name, size(given, where.partition("=")[0]))
            elif "float" in str(field.type):
                check_positive(where, given, "bytes a second" if field.name == "body_rate" else "the seconds")
            else:
                check_whole(where, given, "how many there may be", 1)


DEFAULT = Limits()

__all__ = ["Limits"]
