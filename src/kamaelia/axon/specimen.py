"""Specimens: parts ready-made, with messages that suit them, for tests and pictures.

A room keeps those of its parts in a module ``specimens``, which nobody imports but who asks for them
(`kamaelia.catalogue`). The class is here because every room makes some.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .component import Component


@dataclass(frozen=True)
class Specimen:
    """One way to make a part, what to send to it, and what comes of that.

    A package keeps those of its parts in a module ``specimens`` in it, a plain module in itself::

        SPECIMENS = {"Double": (Specimen(Double, {"inbox": (1, 2)}, {"outbox": (2, 4)}),)}

    Whoever runs one sends everything of `feed`, box by box and message by message, each as soon as the part
    can do no more about the one before; then ends all inboxes; then lets time pass until the part has ended.
    """

    make: Callable[[], Component]
    """Makes a new component; a class will do that is made without arguments."""
    feed: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """Messages for each inbox."""
    gives: Mapping[str, tuple[Any, ...]] | None = field(default_factory=dict)
    """What then comes out of each outbox that anything comes out of. None if that is left to chance, to the
    time, or to what is outside."""
    returns: Any = None
    """What its ``main`` returns, if `gives` is not None."""
    endless: bool = False
    """It goes on for as long as it is let: its inboxes are not ended, and `gives` is only what comes
    first."""
    outside: str = ""
    """Why it cannot run in virtual time alone, such as "it connects to a server"."""
    holds: int = 0
    """How many messages it may keep besides those in its boxes (and in those of what it is made of), and the
    one that it is working on; bytes, where its inbox counts bytes."""
    unbounded: str = ""
    """Why it may keep any number of them, such as "to keep all is what it is for"."""
    by_time: str = ""
    """Why a stop may come to something else than the end of its inboxes, such as "what has not come round by
    then is left"."""
    forgives: str = ""
    """Why a failure of what feeds it is none of what it sends, such as "others may still speak"."""
    stays: str = ""
    """Why it goes on when nobody listens to it any more, such as "its work lies elsewhere"."""


__all__ = ["Specimen"]
