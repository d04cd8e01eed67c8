"""The words of the inspection protocol: lines, requests, answers, streams. No sockets here.

Both sides write one JSON object a line, in UTF-8. The server begins with a greeting; then the client asks,
and each answer bears the number of its question. An answer may begin a *stream*: lines that bear that
number and come by themselves, until one says why it was the last.

>>> words = Dialogue()
>>> question = words.ask("snapshot", {})
>>> question
b'{"id":1,"do":"snapshot"}\\n'
>>> words.receive(b'{"kamaelia_inspection":1,"pid":7,"name":"Echo"}\\n{"id":1,"ok":{"steps":3}}\\n')
[Said(number=1, what='ok', value={'steps': 3})]
>>> words.greeting["name"]
'Echo'
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kamaelia.axon.errors import KamaeliaError, shorten

VERSION = 1
LONGEST_REQUEST = 64 * 1024  # bytes of a client's line
LONGEST_ANSWER = 256 * 1024 * 1024  # bytes of a server's line that a client takes


class InspectionError(KamaeliaError):
    """What was asked of a running system cannot be had; the message says why."""


class RequestError(Exception):
    """A request cannot be met; the message goes back to who has asked."""


def encode(message: Mapping[str, Any]) -> bytes:
    """Return one line."""
    text = json.dumps(message, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return text.encode(errors="replace") + b"\n"


def body_of(message: Mapping[str, Any]) -> bytes:
    """Return one line without its opening brace: what follows the number of its stream.

    >>> body_of({"time": 1.5})
    b'"time":1.5}\\n'
    """
    return encode(message)[1:]


class Splitter:
    """Cuts what comes from a socket into lines.

    Arguments:
        longest: bytes that a line may have
    """

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._rest = bytearray()
        self._looked = 0  # so far there is no end of a line in the rest

    def feed(self, data: bytes) -> list[bytes]:
        """Return the lines that are complete now. Raises `OverflowError` when one is too long."""
        rest = self._rest
        rest += data
        lines = []
        begin = 0
        while (end := rest.find(b"\n", max(begin, self._looked))) >= 0:
            if end - begin > self._longest:
                raise OverflowError
            lines.append(bytes(rest[begin:end]))
            begin = end + 1
            self._looked = begin
        del rest[:begin]
        self._looked = len(rest)
        if len(rest) > self._longest:
            raise OverflowError
        return lines


# -- the server's side --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks."""

    id: int | str
    do: str
    arguments: Mapping[str, Any]


def read_request(line: bytes) -> Request:
    """Read a client's line; raises `Malformed` that says what is wrong with it."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"this is no JSON: {error}", None) from None
    if not isinstance(message, dict):
        raise Malformed('a request is an object: {"id": 1, "do": "snapshot"}', None)
    number = message.pop("id", None)
    if isinstance(number, bool) or not isinstance(number, (int, str)):
        raise Malformed('a request has an "id", an integer or a text, that its answer will bear', None)
    if len(number) > 100 if isinstance(number, str) else abs(number) > 2**53:
        raise Malformed("the id is too long: at most 2**53, or 100 characters", None)
    do = message.pop("do", None)
    if not isinstance(do, str):
        raise Malformed('a request says with "do" what is asked for, such as "snapshot"', number)
    return Request(number, do, message)


class Malformed(Exception):
    """A line is no request; ``id`` is its number, if it has one."""

    def __init__(self, text: str, number: int | str | None) -> None:
        super().__init__(text)
        self.id = number


class Arguments:
    """The arguments of a request, each of which is asked for once, with what it has to be.

    >>> given = Arguments({"every": 0.5, "color": "red"})
    >>> given.number("every", 0.25, 0.1, 10), given.text("system", None)
    (0.5, None)
    >>> try:
    ...     given.end()
    ... except RequestError as error:
    ...     print(error)
    there is no argument 'color'; there are 'every', 'system'
    """

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = dict(given)
        self._known: list[str] = []

    def take(self, name: str, default: Any = None) -> Any:
        """Return an argument, whatever it is."""
        self._known.append(name)
        return self._given.pop(name, default)

    def number(self, name: str, default: float | None, least: float, most: float) -> float:
        """Return a number from ``least`` to ``most``; without a default it has to be given."""
        value = self.take(name, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
            raise RequestError(f"{name!r} is a number from {least:g} to {most:g}, not {shorten(value)}")
        return value

    def integer(self, name: str, default: int | None, least: int, most: int) -> int:
        """Return a whole number from ``least`` to ``most``."""
        value = self.number(name, default, least, most)
        if not isinstance(value, int):
            raise RequestError(f"{name!r} is a whole number, not {shorten(value)}")
        return value

    def text(self, name: str, default: str | None = None, *, needed: bool = False) -> Any:
        """Return a text; None if it was not given and need not be."""
        value = self.take(name, default)
        if value is None and not needed:
            return None
        if not isinstance(value, str):
            raise RequestError(f"{name!r} is a text, not {shorten(value)}")
        return value

    def end(self) -> None:
        """There are no further arguments; raises `RequestError` if some are left."""
        if self._given:
            known = ", ".join(map(repr, self._known))
            verb = "are" if len(self._known) > 1 else "is only"
            there = f"there {verb} {known}" if known else "there are none"
            raise RequestError(f"there is no argument {shorten(next(iter(self._given)))}; {there}")


# -- the client's side --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Said:
    """What a server has said about one request."""

    number: int
    """Of the request."""
    what: str
    """``ok``, ``error`` (both answer it), ``line`` (of its stream) or ``end`` (of that)."""
    value: Any
    """The result, the sentence that says what is wrong, the line, or why it was the last."""


class Dialogue:
    """A client's half of a conversation, without a socket: texts to send, and what comes back.

    Arguments:
        longest: bytes that a line of the server's may have
    """

    def __init__(self, longest: int = LONGEST_ANSWER) -> None:
        self.greeting: Mapping[str, Any] | None = None
        """What the server has said about itself; None before it has."""
        self._splitter = Splitter(longest)
        self._last = 0

    def ask(self, do: str, arguments: Mapping[str, Any]) -> bytes:
        """Return what to send for a question; its number is `last`."""
        self._last += 1
        return encode({"id": self._last, "do": do, **arguments})

    @property
    def last(self) -> int:
        """The number of the last question."""
        return self._last

    def receive(self, data: bytes) -> list[Said]:
        """Return what the server has said in some more bytes.

        Raises `InspectionError` for what is not this protocol.
        """
        try:
            lines = self._splitter.feed(data)
        except OverflowError:
            raise InspectionError("the other side has sent a line that is too long") from None
        said = []
        for line in lines:
            try:
                message = json.loads(line)
            except ValueError:
                message = None
            if not isinstance(message, dict):
                raise InspectionError(
                    "what answers there is no Kamaelia system: it does not write JSON objects"
                )
            if self.greeting is None:
                self._greet(message)
            elif "stream" in message and "end" in message:
                said.append(Said(message["stream"], "end", message["end"]))
            elif "stream" in message:
                said.append(Said(message["stream"], "line", message))
            elif message.get("id") is not None:
                what = "ok" if "ok" in message else "error"
                said.append(Said(message["id"], what, message.get(what)))
            elif "error" in message:  # of nobody's: the connection ends
                raise InspectionError(str(message["error"]))
        return said

    def _greet(self, message: dict[str, Any]) -> None:
        if "kamaelia_inspection" not in message:
            if "error" in message:
                raise InspectionError(str(message["error"]))
            raise InspectionError("what answers there is no Kamaelia system: it greets in another way")
        version = message["kamaelia_inspection"]
        if version != VERSION:
            raise InspectionError(
                f"the system speaks version {version} of the inspection protocol, and this Kamaelia {VERSION}"
                ": use the same version on both sides"
            )
        self.greeting = message
