"""What may be given to the parts of this room, and what to say about the rest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kamaelia.axon.errors import shorten


def check_texts(given: Any, where: str, what: str, kinds: tuple[type, ...] = (str,)) -> None:
    """Refuse what is no list of texts, or of other things that are allowed.

    >>> check_texts("chat", "WebSocketServer(subprotocols=...)", "names")
    Traceback (most recent call last):
    TypeError: WebSocketServer(subprotocols='chat'): give names in a list
    """
    where = where.replace("...", shorten(given))
    if isinstance(given, (str, bytes)) or not isinstance(given, Sequence):
        raise TypeError(f"{where}: give {what} in a list")
    for one in given:
        if not isinstance(one, kinds):
            raise TypeError(f"{where}: {shorten(one)} cannot be one of the {what}")


__all__ = ["check_texts"]
