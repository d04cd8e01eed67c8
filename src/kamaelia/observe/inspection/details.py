"""All that is known about one component: what it is, what it was made with, where it is, what it did last."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from kamaelia.axon import Component, ComponentFunction, body
from kamaelia.axon.errors import suggestion

from .. import snapshot
from ..snapshot import Reader
from .frames import as_list
from .logs import Line
from .protocol import RequestError
from .shown import short

if TYPE_CHECKING:
    from kamaelia.axon import System
    from kamaelia.axon.process import Process

    from ..watch import Watch

CODE_LINES = 200
EVENTS = 50
LONGEST = 200  # characters of an argument
MOST_PATHS = 500  # among which one is looked for that is like a wrong one


def find_process(system: System, path: str) -> Process:
    """Return the component of a path; raises `RequestError` if there is none."""
    paths = []
    for process in snapshot.processes_of(system):
        if process.name:
            if process.path == path:
                return process
            paths.append(process.path)
    hint = suggestion(path[:200], paths[:MOST_PATHS])
    raise RequestError(f"there is no component {path[:200]!r} (any more); {hint}")


def details(watch: Watch, path: str, lines: Iterable[Line]) -> dict[str, Any]:
    """Return all that is known about one component, as JSON has it.

    Arguments:
        watch: that looks at the system
        path: of the component
        lines: what it has logged
    """
    process = find_process(watch.system, path)
    component = process.component
    maker = vars(type(component)).get("_function", type(component))
    shot = asdict(Reader(watch.system, watch).component(process))
    docs = {box.name: box.doc for box in list(process.each_box())}
    file, line, code = source_of(maker)
    return {
        "path": path,
        "time": round(watch.system.loop.time(), 6),
        "type": shot["type"],
        "doc": doc_of(maker),
        "file": file,
        "line": line,
        "code": code,
        "arguments": arguments_of(maker, component),
        "boxes": [one | {"doc": docs.get(one["name"], "")} for one in shot["boxes"]],
        "where": where_of(process),
        "component": shot,
        "events": [as_list(event) for event in list(watch.events) if event.path == path][-EVENTS:],
        "log": [one.as_dict() for one in lines],
    }


def where_of(process: Process) -> str | None:
    """Return at which line of its code a component is; None for one without code."""
    if not process.has_body:
        return None
    scheduler = process.scheduler
    if scheduler is not None and scheduler.running is process:
        frame = body.user_frame(sys._current_frames().get(scheduler.thread))
        return body.describe_frame(frame)
    try:
        return body.where(process)
    except (AttributeError, ValueError):  # it has gone on while we looked
        return None


def doc_of(maker: Any) -> str:
    """Return the docstring of a component's class or function; nothing if it has none of its own."""
    text = inspect.getdoc(maker)
    return "" if text is None or text == inspect.getdoc(Component) else text[:20_000]


def source_of(maker: Any) -> tuple[str | None, int | None, str | None]:
    """Return where a component's class or function is written, and how, as far as that is known."""
    thing = maker.function if isinstance(maker, ComponentFunction) else maker
    try:
        file = inspect.getsourcefile(thing) or inspect.getfile(thing)
    except TypeError:  # it is compiled, or was typed in
        return None, None, None
    try:
        lines, first = inspect.getsourcelines(thing)
    except (OSError, TypeError, SyntaxError, IndexError):
        return file, None, None
    return file, first, "".join(lines[:CODE_LINES])


def arguments_of(maker: Any, component: Component) -> dict[str, str]:
    """Return what a component was made with, by name."""
    args, kwargs = component._recipe
    given: dict[str, Any] = {str(index): value for index, value in enumerate(args)} | kwargs
    try:
        if isinstance(maker, ComponentFunction):
            given = dict(maker.signature.bind(*args, **kwargs).arguments)
        elif maker.__init__ is not object.__init__:
            given = dict(inspect.signature(maker.__init__).bind(component, *args, **kwargs).arguments)
            del given[next(iter(given))]
    except (TypeError, ValueError):  # its signature cannot be found out
        pass
    return {name: short(value, LONGEST) for name, value in given.items()}
