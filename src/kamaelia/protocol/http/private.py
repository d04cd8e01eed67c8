"""Boxes of a component for as long as it needs them: for a part that it has made, and that will end soon.

`Component.add_box` keeps a box until its component ends. Who makes a part for each of many requests would
have more and more of them; these go when they are closed, as those do that lead to transports
(`kamaelia.axon.outlet.lead_outside`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from kamaelia.axon import Inbox, Outbox, postman
from kamaelia.axon.box import Box
from kamaelia.axon.inbox import DEFAULT_SIZE
from kamaelia.axon.process import Process

_TO_PART: Outbox[Any] = Outbox("to a part, for one request")


@lru_cache(maxsize=16)
def _from_part(size: int | str) -> Inbox[Any]:
    return Inbox("from a part, for one request", size=size)


def private_outbox(owner: Process, target: Box[Any]) -> Outbox[Any]:
    """Return an outbox of a running component that leads to a box; close it when it is done with."""
    outbox = _TO_PART.attached(owner, "_to part")
    outbox.own = outbox.settled = True
    postman.link(outbox, target)
    return outbox


def private_inbox(owner: Process, source: Box[Any], size: int | str = DEFAULT_SIZE) -> Inbox[Any]:
    """Return an inbox of a running component into which a box leads; close it when it is done with."""
    inbox = _from_part(size).attached(owner, "_from part")
    inbox.own = inbox.settled = True
    assert owner.system is not None
    inbox.prepare(owner.system)
    postman.link(source, inbox)
    return inbox


__all__ = ["private_inbox", "private_outbox"]
