"""Places: what one can look at, and how it is found by its name.

A place is a box, a link, a component with all that is in it, or a whole system. As text it is

| text | what it is |
| --- | --- |
| ``radio/server.outbox`` | a box: the path of a component, a dot, the box |
| ``radio/server.outbox >> radio/log.inbox`` | a link |
| ``radio/server`` | a component |

which is looked up in a system, whose outermost components are those that were given to `run`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from kamaelia.axon import Component, System, UsageError
from kamaelia.axon.box import Box
from kamaelia.axon.errors import shorten
from kamaelia.axon.link import Link

if TYPE_CHECKING:
    from kamaelia.axon.process import Process

Place: TypeAlias = "Box[Any] | Link | Component | System | str"


def check(place: object) -> None:
    """Raise `UsageError` for what is no place."""
    if not isinstance(place, (Box, Link, Component, System, str)) or place == "":
        raise UsageError(
            f"{shorten(place)} is no place to look at: give a box, a link, a component, a system, or as text "
            "'path', 'path.box' or 'path.box >> path.box'"
        )
    if isinstance(place, Box) and place.owner is None:
        raise UsageError(f"{place} is only a declaration: look at the box of a component")
    if isinstance(place, Link) and not place.made:
        raise UsageError(f"{place!r} is not linked (any more), so nothing will pass there")


def find(system: System, text: str) -> Box[Any] | Link | Component | None:
    """Return what a text means in a system; None if there is nothing of the kind at present.

    >>> from kamaelia.axon import VirtualLoop
    >>> from kamaelia.flow import Collect, Source
    >>> row = Source("ab") | Collect()
    >>> system = System(VirtualLoop())
    >>> _ = system.start(row)
    >>> find(system, "Pipeline/Source.outbox >> Pipeline/Collect.inbox")
    <Link Pipeline/Source.outbox >> Pipeline/Collect.inbox>
    >>> find(system, "Pipeline/Tee.outbox")
    >>> system.loop.close()
    """
    start, arrow, end = text.partition(">>")
    if arrow:
        source, target = _box(system, start.strip()), _box(system, end.strip())
        if source is None or target is None:
            return None
        return next((wire for wire in source.outgoing if wire.target is target), None)
    process = _process(system, text)
    return _box(system, text) if process is None else process.component


def _box(system: System, text: str) -> Box[Any] | None:
    path, _, name = text.rpartition(".")
    process = _process(system, path)
    return None if process is None else process.boxes.get(name)


def _process(system: System, path: str) -> Process | None:
    process: Process | None = system.root
    for name in path.split("/"):
        if process is not None:
            process = next((child for child in process.children if child.name == name), None)
    return process


def process_of(place: Component | System) -> Process:
    """Return the process of a component, or that which all of a system are in."""
    return place.root if isinstance(place, System) else place._axon


def is_over(place: Box[Any] | Link | Component | System) -> bool:
    """Say whether nothing will pass a place any more."""
    if isinstance(place, Link):
        return not place.made or not place.open
    if isinstance(place, (Component, System)):
        return process_of(place).state == "ended"
    return place.ended or bool(place.is_inbox and place.gone)  # type: ignore[attr-defined]
