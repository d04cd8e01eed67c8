"""JSON-RPC 2.0 (jsonrpc.org/specification): texts in, events out.

Theory
------
A conversation has two ends that are alike: each may call the other. An `Endpoint` is one of them. It is given
each text that has come, and says what that means: somebody calls us, has answered us, or has said something
that has to be answered at once (`Send`). It makes the texts of our own calls, and of our answers; it sends
nothing, and knows no time.

What has a ``method`` is a request, and what has none but a ``result`` or an ``error`` is an answer; the rest
is taken for a request that is wrong. That matters because a wrong request is answered with an error, and a
wrong answer with nothing: two ends that do not understand each other must not go on about it for ever.

The peer's calls get *numbers* of ours here, since what it uses for ids need not differ. Calls that came in
one text, a batch, are answered in one text, when the last of them is. So `Endpoint.answer` and
`Endpoint.refuse` return a text or None: not yet.

Everything that is kept is bounded: the length and depth of a text, the members of a batch, the calls that are
open in either direction. An id goes back with the answer, so it is bounded too, and so far below the length
of a text that an error of the standard, without data, can always be sent (the answer to a batch has so much
room for each member, beyond the length of a text).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, NoReturn

from kamaelia.axon.errors import KamaeliaError, LocalProtocolError, RemoteProtocolError, shorten

PARSE_ERROR: Final = -32700
INVALID_REQUEST: Final = -32600
METHOD_NOT_FOUND: Final = -32601
INVALID_PARAMS: Final = -32602
INTERNAL_ERROR: Final = -32603
SERVER_ERROR: Final = -32000  # to -32099: left by the standard to servers
MESSAGES: Final = {
    PARSE_ERROR: "Parse error",
    INVALID_REQUEST: "Invalid Request",
    METHOD_NOT_FOUND: "Method not found",
    INVALID_PARAMS: "Invalid params",
    INTERNAL_ERROR: "Internal error",
    SERVER_ERROR: "Server error",
}

LONGEST: Final = 1024 * 1024  # characters, or bytes, of a text
DEEPEST: Final = 100  # lists and objects within each other
BATCH: Final = 100  # members of a batch
LIMIT: Final = 1000  # calls that are open, each way
LONGEST_ID: Final = 1000  # characters of an id, as JSON; where texts are short, a fifth of the longest

# A string or a bracket. A string that is never closed goes on to the end, so nothing is ever tried in another
# way, and the time it takes grows with the text and no faster.
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"?|[\[{]|[\]}]', re.DOTALL)

Params = Sequence[Any] | Mapping[str, Any]


class RPCError(KamaeliaError):
    """A call that was refused: with a code, a message, and perhaps more in ``data``.

    A method raises it to say which code the caller is to get, and what else; of what else a method raises the
    caller gets nothing but the code -32000. Who calls gets it when the peer has refused.
    """

    def __init__(self, code: int, message: str | None = None, data: Any = None) -> None:
        if type(code) is not int:
            raise TypeError(f"RPCError({shorten(code)}): give a whole number, such as -32000")
        self.code = code
        self.message = MESSAGES.get(code, "Server error") if message is None else str(message)
        self.data = data
        super().__init__(f"{self.message} ({code})" + ("" if data is None else f": {shorten(data, 200)}"))

    def __reduce__(self) -> Any:
        return type(self), (self.code, self.message, self.data)


@dataclass(frozen=True)
class Notification:
    """Tells the peer something, and has no answer.

    Arguments:
        method: the name of the method
        params: a list, or a mapping of names
    """

    method: str
    params: Params = ()

    def __post_init__(self) -> None:
        if not isinstance(self.method, str):
            raise TypeError(f"{type(self).__name__}({shorten(self.method)}): give the name of a method")
        if isinstance(self.params, (str, bytes)) or not isinstance(self.params, (list, tuple, Mapping)):
            raise TypeError(
                f"{type(self).__name__}({self.method!r}, {shorten(self.params)}): give what it is called "
                "with, in a list or, by names, a mapping"
            )


@dataclass(frozen=True)
class Call(Notification):
    """Calls a method of the peer; for each there is a reply.

    Arguments:
        method: the name of the method
        params: a list, or a mapping of names
        timeout: seconds that an answer may take, if not as long as is usual there
    """

    timeout: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        seconds: Any = self.timeout
        if seconds is None:
            return
        where = f"Call({self.method!r}, timeout={shorten(seconds)}): give seconds, more than 0"
        if not isinstance(seconds, (int, float)):
            raise TypeError(where)
        if not (math.isfinite(seconds) and seconds > 0):
            raise ValueError(where)


class Called(NamedTuple):
    """The peer calls: answer with `Endpoint.answer` or `Endpoint.refuse`."""

    number: int
    method: str
    params: Any
    """A list or a dict."""


class Notified(NamedTuple):
    """The peer tells something, and wants no answer."""

    method: str
    params: Any


class Answered(NamedTuple):
    """The answer to a call of ours."""

    number: int
    result: Any


class Refused(NamedTuple):
    """A call of ours was refused, or answered in a way that nobody understands."""

    number: int
    error: RPCError | RemoteProtocolError


class Late(NamedTuple):
    """An answer to a call of ours that nobody waits for any more."""

    number: int


class Strange(NamedTuple):
    """An answer to nothing."""

    reason: str


class Send(NamedTuple):
    """This is to be sent to the peer."""

    text: str


Event = Called | Notified | Answered | Refused | Late | Strange | Send


class _Batch:
    """Calls that came together, whose answers go together."""

    __slots__ = ("answers", "open", "size")

    def __init__(self) -> None:
        self.open = 0
        self.answers: list[str] = []
        self.size = 0  # characters of all answers


class Endpoint:
    """One end of a conversation.

    Arguments:
        longest: characters (or bytes) of the longest text that is taken, and made
        deepest: how many lists and objects may be within each other, in what is taken
        batch: members of the longest batch that is taken
        limit: calls that may be open, in each direction; those of the peer that came in one last batch may
            go beyond that

    Example:
        >>> endpoint = Endpoint()
        >>> endpoint.receive('{"jsonrpc": "2.0", "method": "add", "params": [1, 2], "id": "x"}')
        [Called(number=1, method='add', params=[1, 2])]
        >>> endpoint.answer(1, 3)
        '{"jsonrpc":"2.0","result":3,"id":"x"}'
    """

    def __init__(
        self, *, longest: int = LONGEST, deepest: int = DEEPEST, batch: int = BATCH, limit: int = LIMIT
    ) -> None:
        import json  # here, because most programs never need it

        self.longest = longest
        self.deepest = deepest
        self.batch = batch
        self.limit = limit
        # Only ASCII, so that half a surrogate pair, which JSON can say, can be sent on any transport.
        self._dumps = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode
        self._loads = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite).decode
        self._numbers = 0  # of the peer's calls, so far
        self._longest_id = min(LONGEST_ID, longest // 5)
        self._calls: dict[int, tuple[str, _Batch | None]] = {}  # of the peer, that are open; ids are JSON
        self._ids = 0  # of our calls, so far
        self._asked: set[int] = set()  # our calls that are open

    @property
    def open(self) -> int:
        """Calls of the peer that are not answered."""
        return len(self._calls)

    @property
    def asked(self) -> int:
        """Calls of ours that are not answered."""
        return len(self._asked)

    # -- what comes -------------------------------------------------------------------------------

    def receive(self, text: str | bytes) -> list[Event]:
        """Take one text, and return what it means. Nothing that a peer may send raises anything."""
        try:
            value = self._parse(text)
        except RPCError as error:
            return [Send(self._error_text(error))]
        events: list[Event] = []
        if not isinstance(value, list):
            self._take(value, None, events)
        elif not value:
            events.append(Send(self._error_text(RPCError(INVALID_REQUEST))))
        elif len(value) > self.batch:
            why = f"a batch has {len(value)} members, and no more than {self.batch} are taken"
            events.append(Send(self._error_text(RPCError(INVALID_REQUEST, data=why))))
        else:
            batch = _Batch()
            batch.open += 1  # as long as we read it
            for one in value:
                self._take(one, batch, events)
            if (answer := self._closed(batch)) is not None:
                events.append(Send(answer))
        return events

    def _parse(self, text: str | bytes) -> Any:
        if len(text) > self.longest:
            why = f"a text has more than {self.longest} characters"
            raise RPCError(INVALID_REQUEST, data=why)
        try:
            if not isinstance(text, str):
                text = str(text, "utf-8")
            elif not text.isascii():
                text.encode()  # half a surrogate pair stands for what was no UTF-8, see `JSONRPCLines`
            if self._is_too_deep(text):
                why = f"there are more than {self.deepest} lists and objects within each other"
                raise RPCError(INVALID_REQUEST, data=why)
            return self._loads(text)
        except (ValueError, RecursionError):
            raise RPCError(PARSE_ERROR) from None

    def _is_too_deep(self, text: str) -> bool:
        if text.count("[") + text.count("{") <= self.deepest:  # as it is most of the time
            return False
        depth = 0
        for token in TOKEN.finditer(text):
            first = token[0][0]
            if first in "[{":
                depth += 1
                if depth > self.deepest:
                    return True
            elif first in "]}":
                depth -= 1
        return False

    def _take(self, value: Any, batch: _Batch | None, events: list[Event]) -> None:
        """Take one request or answer."""
        if not isinstance(value, dict):
            self._refuse_now(RPCError(INVALID_REQUEST), "null", batch, events)
        elif "method" not in value and ("result" in value or "error" in value):
            events.append(self._take_answer(value))
        else:
            self._take_request(value, batch, events)

    def _take_request(self, value: dict[str, Any], batch: _Batch | None, events: list[Event]) -> None:
        method, params = value.get("method"), value.get("params", [])
        if not _is_id(value.get("id")):
            self._refuse_now(RPCError(INVALID_REQUEST), "null", batch, events)
            return
        id = self._dumps(value.get("id"))
        if len(id) > self._longest_id:
            why = f"an id has {len(id)} characters, and no more than {self._longest_id} are taken"
            self._refuse_now(RPCError(INVALID_REQUEST, data=why), "null", batch, events)
        elif value.get("jsonrpc") != "2.0" or type(method) is not str or type(params) not in (list, dict):
            self._refuse_now(RPCError(INVALID_REQUEST), id, batch, events)
        elif "id" not in value:
            events.append(Notified(method, params))
        elif len(self._calls) >= self.limit + self.batch:
            why = f"{len(self._calls)} calls are open, and no more than that are taken"
            self._refuse_now(RPCError(SERVER_ERROR, data=why), id, batch, events)
        else:
            self._numbers += 1
            self._calls[self._numbers] = (id, batch)
            if batch is not None:
                batch.open += 1
            events.append(Called(self._numbers, method, params))

    def _take_answer(self, value: dict[str, Any]) -> Event:
        id = value.get("id")
        if type(id) not in (int, float) or id not in self._asked:
            if type(id) is int and 0 < id <= self._ids:
                return Late(id)
            told = f": {shorten(value['error'], 200)}" if "error" in value and id is None else ""
            return Strange(f"an answer to nothing that was asked, with the id {shorten(id)}{told}")
        number = int(id)
        self._asked.remove(number)
        if value.get("jsonrpc") != "2.0" or ("result" in value) == ("error" in value):
            return Refused(number, RemoteProtocolError(f"this is no answer: {shorten(value, 200)}"))
        if "result" in value:
            return Answered(number, value["result"])
        error = value["error"]
        if not (isinstance(error, dict) and type(error.get("code")) is int):
            return Refused(number, RemoteProtocolError(f"this is no error: {shorten(error, 200)}"))
        message = error.get("message")
        if not isinstance(message, str):
            return Refused(number, RemoteProtocolError(f"this is no error: {shorten(error, 200)}"))
        return Refused(number, RPCError(error["code"], message, error.get("data")))

    def _refuse_now(self, error: RPCError, id: str, batch: _Batch | None, events: list[Event]) -> None:
        text = self._error_text(error, id)
        if batch is None:
            events.append(Send(text))
        else:
            self._add(text, id, batch)

    # -- our answers ------------------------------------------------------------------------------

    def answer(self, number: int, result: Any) -> str | None:
        """Answer a call of the peer; return what is to be sent now, if anything is.

        Raises `LocalProtocolError` for a result that cannot be written as JSON, or is too long. The call is
        open then as it was.
        """
        id, batch = self._open_call(number)
        text = f'{{"jsonrpc":"2.0","result":{self._json(result, "a result")},"id":{id}}}'
        self._check_length(text, "an answer")
        return self._finish(number, text, id, batch)

    def refuse(self, number: int, error: RPCError) -> str | None:
        """Answer a call of the peer with an error; see `answer`. One of the standard, with a message of the
        standard and without data, is never too long."""
        id, batch = self._open_call(number)
        text = self._error_text(error, id)
        self._check_length(text, "an error")
        return self._finish(number, text, id, batch)

    def _open_call(self, number: int) -> tuple[str, _Batch | None]:
        try:
            return self._calls[number]
        except KeyError:
            raise LocalProtocolError(f"no call has the number {shorten(number)}, or it is answered") from None

    def _finish(self, number: int, text: str, id: str, batch: _Batch | None) -> str | None:
        del self._calls[number]
        if batch is None:
            return text
        self._add(text, id, batch)
        return self._closed(batch)

    def _add(self, text: str, id: str, batch: _Batch) -> None:
        if batch.size + len(text) > self.longest:
            why = f"the answers to a batch have more than {self.longest} characters"
            text = self._error_text(RPCError(INTERNAL_ERROR, data=why), id)
        batch.size += len(text)
        batch.answers.append(text)

    def _closed(self, batch: _Batch) -> str | None:
        """One member less to wait for; the last of them brings the answer, if there is any."""
        batch.open -= 1
        if batch.open or not batch.answers:
            return None
        return f"[{','.join(batch.answers)}]"

    def _error_text(self, error: RPCError, id: str = "null") -> str:
        data = "" if error.data is None else f',"data":{self._json(error.data, "the data of an error")}'
        return (
            f'{{"jsonrpc":"2.0","error":{{"code":{error.code},"message":{self._dumps(error.message)}{data}}},'
            f'"id":{id}}}'
        )

    # -- our calls --------------------------------------------------------------------------------

    def call(self, call: Call) -> tuple[int, str]:
        """Return the number of a call of ours, and the text to send.

        Raises `LocalProtocolError` when its params cannot be written as JSON, it is too long, or too many
        calls are open.
        """
        if len(self._asked) >= self.limit:
            raise LocalProtocolError(f"{self.limit} calls wait for their answers: no more than that may")
        number = self._ids + 1
        text = self._request(call, f',"id":{number}')
        self._ids = number
        self._asked.add(number)
        return number, text

    def notify(self, notification: Notification) -> str:
        """Return the text of a notification of ours; raises as `call` does."""
        return self._request(notification, "")

    def forget(self, number: int) -> None:
        """Nobody waits any more for the answer to a call of ours."""
        self._asked.discard(number)

    def _request(self, call: Notification, id: str) -> str:
        given: Any = dict(call.params) if isinstance(call.params, Mapping) else call.params
        params = f',"params":{self._json(given, f"what {call.method!r} is called with")}' if given else ""
        text = f'{{"jsonrpc":"2.0","method":{self._dumps(call.method)}{params}{id}}}'
        self._check_length(text, f"a call of {shorten(call.method)}")
        return text

    def _json(self, value: Any, what: str) -> str:
        try:
            return self._dumps(value)
        except (TypeError, ValueError, RecursionError) as error:
            raise LocalProtocolError(
                f"{what} cannot be written as JSON: {error}: {shorten(value, 200)}"
            ) from None

    def _check_length(self, text: str, what: str) -> None:
        if len(text) > self.longest:
            raise LocalProtocolError(
                f"{what} has {len(text)} characters, and longest={self.longest} allows no more than that"
            )


def _is_id(id: Any) -> bool:
    return id is None or type(id) in (str, int, float)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):  # it could not be sent back
        raise ValueError(f"{digits} is too large")
    return number


__all__ = [
    "INTERNAL_ERROR",
    "INVALID_PARAMS",
    "INVALID_REQUEST",
    "METHOD_NOT_FOUND",
    "PARSE_ERROR",
    "SERVER_ERROR",
    "Answered",
    "Call",
    "Called",
    "Endpoint",
    "Event",
    "Late",
    "Notification",
    "Notified",
    "RPCError",
    "Refused",
    "Send",
    "Strange",
]
