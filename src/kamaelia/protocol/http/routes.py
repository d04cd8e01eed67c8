"""Which of the things that answer is asked for: paths, methods, and what stands for an answer.

Theory
------
Routes are a mapping of *keys* to *answers*. A key is a path, ``"/users"``, or a method and a path,
``"POST /users"`` or ``("POST", "/users")``. In a path ``{name}`` stands for one segment, whatever that is,
and ``/*`` at its end for the rest; both come unescaped, in ``request.arguments``, the rest as ``"rest"``.
Where several keys fit, the most exact one answers, whatever their order: in each segment text before
``{name}`` before ``*``.

What stands for an answer is one of these:

| answer | how it answers |
| --- | --- |
| text, bytes, a `Response`, a dict or list | with just that: HTML, bytes, JSON |
| a function, plain or ``async`` | with what it returns for the `Request`, which is again one of these |
| a component, its class, a `component` function | one is made for each request, see `HTTPProtocol` |
| a `Handler` | as it likes, see `exchange` |
| another such mapping | it is mounted there: ``{"/api": {"/users": ...}}`` has ``/api/users`` |

A value answers GET and HEAD; everything else every method, unless its key names one. HEAD is answered as GET
is, without the body. A path that is there for other methods is answered 405, with those it has in Allow, and
OPTIONS likewise; one that is not there 404.

Looking up takes the same time however many routes there are: paths without ``{name}`` and ``*`` stand in a
dict, and the others in a tree by their segments.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from kamaelia.axon import Component, ComponentFunction, LinkError, as_part
from kamaelia.axon.errors import shorten
from kamaelia.axon.typecheck import advice, fits, name_of

from .exchange import Exchange, Handler
from .headers import TOKEN
from .machine import PreparedHead
from .messages import BYTES, Response

PARAMETER = re.compile(r"\{([A-Za-z_]\w*)\}")
ANY = ""  # in place of a method: every one that has no answer of its own


class Plan:
    """What stands for an answer, found out once. Exactly one of ``head``, ``function``, ``part`` and
    ``handler`` is there."""

    __slots__ = ("body", "function", "handler", "head", "is_async", "is_plain", "part")

    def __init__(self) -> None:
        self.head: PreparedHead | None = None
        """Of a fixed answer, with ``body``."""
        self.body: Any = b""
        """Of a fixed answer: bytes."""
        self.function: Callable[[Any], Any] | None = None
        """What is called with the request."""
        self.is_async = False
        """Whether what that returns is awaited."""
        self.is_plain = False
        """Whether there is a function, and it is not async."""
        self.part: Any = None
        """A component, or a Response whose body is one: the pattern of what answers."""
        self.handler: Any = None
        """A `Handler`."""


def as_response(value: Any) -> Response | None:
    """Return what a value answers with; None for what is no value."""
    if isinstance(value, Response):
        return value
    if isinstance(value, str):
        return Response(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return Response(bytes(value), type=BYTES)
    if isinstance(value, (dict, list)):
        return Response.json(value)
    return None


def plan_of(value: Any, where: str = "") -> Plan:
    """Find out how something answers. Raises `TypeError` for what does not, and for a component that takes
    no bytes `LinkError`."""
    plan = Plan()
    if isinstance(value, (Component, ComponentFunction)) or (
        isinstance(value, type) and issubclass(value, Component)
    ):
        part = as_part(value)
        check_part(part, where)
        plan.part = part
        return plan
    if callable(getattr(type(value), "answer", None)):
        plan.handler = value
        return plan
    if isinstance(value, type) and callable(getattr(value, "answer", None)):
        raise TypeError(f"{where}: {value.__name__} is a class: make one, {value.__name__}(...)")
    response = as_response(value)
    if response is not None:
        if isinstance(response.body, bytes):
            plan.head, plan.body = PreparedHead(response), response.body
        else:
            check_part(as_part(response.body), where)
            plan.part = response
        return plan
    if callable(value):
        check_function(value, where)
        plan.function = value
        plan.is_async = inspect.iscoroutinefunction(value) or inspect.iscoroutinefunction(
            getattr(value, "__call__", None)  # noqa: B004  # an object may have an async one
        )
        plan.is_plain = not plan.is_async
        return plan
    raise TypeError(
        f"{where}: {shorten(value)} answers nothing: give text, bytes, a Response, a dict or list, "
        "a function of the request, a component or a handler"
    )


def check_part(part: Component, where: str) -> None:
    """Raise `LinkError` for a component that can neither take a body nor send one."""
    boxes = part.boxes
    if "inbox" not in boxes and "outbox" not in boxes:
        raise LinkError(f"{where}: {part!r} has neither inbox nor outbox, so it cannot answer")
    if "inbox" in boxes and not fits(bytes, boxes["inbox"].type):
        kind = boxes["inbox"].type
        ends = f"the body of a request is bytes, which do not fit into {boxes['inbox']} ({name_of(kind)})"
        raise LinkError(f"{where}: {ends}: {advice(bytes, kind)}")


def check_function(function: Callable[..., Any], where: str) -> None:
    """Raise `TypeError` for a function that cannot be called with a request."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # one written in C need not have any
        return
    try:
        signature.bind(None)
    except TypeError as error:
        name = getattr(function, "__name__", repr(function))
        raise TypeError(f"{where}: {name}{signature} is to be called with the request: {error}") from None


class _Node:
    """What may follow the segments of a path."""

    __slots__ = ("answers", "any", "names", "rest", "texts")

    def __init__(self) -> None:
        self.texts: dict[str, _Node] = {}
        self.any: _Node | None = None
        self.rest: _Node | None = None
        self.answers: dict[str, Plan] = {}  # by method
        self.names: dict[str, list[str]] = {}  # what the parameters are called, by method


class Routes:
    """Finds what answers a request. Pure: it knows of no connection.

    Arguments:
        mapping: of keys to answers, see above

    Raises `ValueError` for keys that are none, or clash; `TypeError` for what answers nothing.

    Example:
        >>> routes = Routes({"/": "<h1>Hello", "/users/{name}": lambda request: request.arguments["name"]})
        >>> routes.find("GET", "/users/ada%20l")[1]
        {'name': 'ada l'}
        >>> routes.find("POST", "/")[0].head.status
        405
    """

    def __init__(self, mapping: Mapping[Any, Any]) -> None:
        if not isinstance(mapping, Mapping):
            raise TypeError(f"routes are a mapping of paths, such as {{'/': page}}, not {shorten(mapping)}")
        self._tree = _Node()
        self.quick: dict[str, dict[str, Plan]] = {}
        """By target and method, those that need no looking."""
        for method, path, value in _spread(mapping, ""):
            self._add(method, path, value)

    def _add(self, method: str, path: str, value: Any) -> None:
        where = f"the route {method} {path}" if method else f"the route {path}"
        plan = plan_of(value, where)
        node, names, plain = self._tree, [], True
        segments = path[1:].split("/")
        for index, segment in enumerate(segments):
            parameter = PARAMETER.fullmatch(segment)
            if segment == "*" and index == len(segments) - 1:
                names.append("rest")
                node.rest = node = node.rest or _Node()
                plain = False
            elif parameter is not None:
                names.append(parameter[1])
                node.any = node = node.any or _Node()
                plain = False
            elif "{" in segment or "}" in segment or "*" in segment:
                raise ValueError(
                    f"{where}: a segment is text, or '{{name}}', or at the end '*'; not {segment!r}"
                )
            else:
                node = node.texts.setdefault(segment, _Node())
        if len(set(names)) < len(names):
            raise ValueError(f"{where} uses a name twice")
        methods = [method]
        if method == ANY and plan.head is not None:
            methods = ["GET"]
        for one in methods:
            if one in node.answers:
                raise ValueError(f"{where} is there twice")
            node.answers[one] = plan
            node.names[one] = names
        if plain and path.isascii() and not set(path) & set("%?# "):
            quick = self.quick.setdefault(path, {})
            quick.update(node.answers)
            if "GET" in quick:
                quick.setdefault("HEAD", quick["GET"])

    def find(self, method: str, path: str) -> tuple[Plan, dict[str, str]]:
        """Return what answers, and the arguments that stand in the path, which is given as it was escaped.

        There is always a plan: there is one for 404, and for 405, too.
        """
        if path == "*":  # OPTIONS * is about the server itself
            return EMPTY, {}
        segments = path[1:].split("/") if path.startswith("/") else [path]
        allowed: set[str] = set()
        tried = (method, "GET", ANY) if method == "HEAD" else (method, ANY)
        for node, values in _matches(self._tree, segments, 0, []):
            for one in tried:
                plan = node.answers.get(one)
                if plan is not None:
                    return plan, dict(zip(node.names[one], values, strict=True))
            allowed.update(node.answers)
        if not allowed:
            return NOT_FOUND, {}
        if "GET" in allowed:
            allowed.add("HEAD")
        allow = {"Allow": ", ".join(sorted(allowed | {"OPTIONS"}))}
        if method == "OPTIONS":
            return plan_of(Response(b"", 204, allow)), {}  # type: ignore[arg-type]  # it makes Headers of it
        page = Response.error(405)
        return plan_of(page.with_(headers=page.headers.with_(allow))), {}


def _matches(
    node: _Node, segments: list[str], at: int, values: list[str]
) -> Iterator[tuple[_Node, list[str]]]:
    """Yield where a path leads and with what values, the most exact first."""
    if at == len(segments):
        if node.answers:
            yield node, values
        return
    segment = unquote(segments[at])
    following = node.texts.get(segment)
    if following is not None:
        yield from _matches(following, segments, at + 1, values)
    if node.any is not None and segment:
        yield from _matches(node.any, segments, at + 1, [*values, segment])
    if node.rest is not None:
        yield node.rest, [*values, unquote("/".join(segments[at:]))]


def _spread(mapping: Mapping[Any, Any], prefix: str) -> Iterator[tuple[str, str, Any]]:
    """Yield method, path and value of each route, also of those in mappings that are mounted."""
    for key, value in mapping.items():
        method, path = _parts_of(key)
        if isinstance(value, Mapping) and _is_routes(value):
            if method:
                raise ValueError(f"the route {key!r}: routes are mounted at a path, without a method")
            yield from _spread(value, prefix + path.rstrip("/"))
        else:
            yield method, prefix + path, value


def _is_routes(mapping: Mapping[Any, Any]) -> bool:
    return bool(mapping) and all(_KEY.fullmatch(key) if isinstance(key, str) else isinstance(key, tuple)
                                 for key in mapping)  # fmt: skip


_KEY = re.compile(r"(?:(" + TOKEN.pattern + r") +)?(/.*)")


def _parts_of(key: Any) -> tuple[str, str]:
    parts: Any = key
    if isinstance(key, str):
        match = _KEY.fullmatch(key)
        parts = match and (match[1] or ANY, match[2])
    if not (
        isinstance(parts, tuple)
        and len(parts) == 2
        and all(isinstance(one, str) for one in parts)
        and (not parts[0] or TOKEN.fullmatch(parts[0]))
        and parts[1].startswith("/")
    ):
        raise ValueError(f"{shorten(key)} is no route: write '/path', 'POST /path' or ('POST', '/path')")
    if parts[0] != parts[0].upper():
        raise ValueError(f"the route {shorten(key)}: methods are in capitals: {parts[0].upper()}")
    return parts


EMPTY = plan_of(Response(b"", 204))
NOT_FOUND = plan_of(Response.error(404))

__all__ = ["Exchange", "Handler", "Plan", "Routes", "as_response", "plan_of"]
