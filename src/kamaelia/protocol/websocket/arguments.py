"""What may be given to the parts of this room, and what to say about the rest."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Literal

from kamaelia.axon.errors import shorten

Origins = Sequence[str | re.Pattern[str] | None] | Literal["same", "any"]
"""From whose pages a browser may connect; see `WebSocketProtocol`."""


def check_texts(given: Any, where: str, what: str, kinds: tuple[type, ...] = (str,), other: str = "") -> None:
    """Refuse what is no list of texts, or of other things that are allowed.

    >>> check_texts("chat", "WebSocketServer(subprotocols=...)", "names")
    Traceback (most recent call last):
    TypeError: WebSocketServer(subprotocols='chat'): give names in a list
    """
    where = where.replace("...", shorten(given))
    if isinstance(given, (str, bytes)) or not isinstance(given, Sequence):
        raise TypeError(f"{where}: give {what} in a list{other}")
    for one in given:
        if not isinstance(one, kinds):
            raise TypeError(f"{where}: {shorten(one)} cannot be one of the {what}")


def check_origins(given: Any, where: str) -> None:
    """Refuse what does not say from whose pages a browser may connect.

    >>> check_origins("https://example.org", "WebSocketServer(origins=...)")
    Traceback (most recent call last):
    TypeError: WebSocketServer(origins='https://example.org'): give origins in a list, or 'same' or 'any'
    """
    if not isinstance(given, str) or given not in ("same", "any"):
        check_texts(given, where, "origins", (str, re.Pattern, type(None)), ", or 'same' or 'any'")


__all__ = ["Origins", "check_origins", "check_texts"]
