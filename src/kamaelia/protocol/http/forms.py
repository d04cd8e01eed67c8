"""Forms: what a page, or a client, sends of fields and files (RFC 7578, WHATWG URL 5, WHATWG HTML 4.10.22).

There are two formats. ``application/x-www-form-urlencoded`` is ``name=value&name=value`` with escapes;
``multipart/form-data`` has a part for each field, with a head of its own, between lines that occur in none of
them:

    --the-boundary
    Content-Disposition: form-data; name="picture"; filename="cup.png"
    Content-Type: image/png

    (bytes)
    --the-boundary--

A parser of either takes bytes as they come, and gives the same events: a `FormPart` for the head of each, its
bytes in pieces, and `END_OF_PART`. So nothing has to be kept in memory but what the user keeps. It moves from
state to state so (``multipart``):

    preamble --boundary--> delimiter --CRLF--> head --empty line--> body --boundary--> delimiter
                           delimiter --"--"--> epilogue

For a form that has been read, `read_form` does all of that; for one that is still coming, `stream_form`.
"""

from __future__ import annotations

import enum
import io
import re
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes, urlencode

from kamaelia.axon import LocalProtocolError, RemoteProtocolError
from kamaelia.axon.errors import shorten

from .headers import TOKEN, VALUE, Headers, with_parameters
from .messages import Request, codec_of
from .refusal import Refused

if TYPE_CHECKING:
    from .exchange import Exchange

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"

MOST_PARTS = 1000
MOST_HEAD = 8192  # bytes of the head of a part
MOST_NAME = 200  # bytes of the name of a field
MOST_FIELD = 1024 * 1024  # bytes that `StreamedPart.read_all` reads

_BOUNDARY = re.compile(r"[\x20-\x7e]{0,69}[\x21-\x7e]")  # RFC 2046, 5.1.1
_ESCAPE = re.compile("%(22|0D|0A)", re.IGNORECASE)  # HTML 4.10.22.8: what browsers escape of names
_UNSEEN = re.compile("[\0-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


class _EndOfPart(enum.Enum):
    END_OF_PART = "END_OF_PART"

    def __repr__(self) -> str:
        return self.name


END_OF_PART: Final = _EndOfPart.END_OF_PART
"""The event after the last bytes of a part."""


@dataclass(frozen=True)
class FormPart:
    """The head of a part of a form."""

    name: str
    """Of the field."""
    filename: str | None = None
    """What the sender calls the file; None for a field that is none. It is no path: see `display_name`."""
    type: str = "text/plain"
    """What it says about its content; anybody may say anything."""
    headers: Headers = field(default_factory=Headers, compare=False)
    """All headers of its head; none in the urlencoded format."""


FormEvent = FormPart | bytes | _EndOfPart


@dataclass(frozen=True)
class Upload:
    """A file in a form.

    Arguments:
        body: what is in it
        filename: what the sender calls it
        type: of its content
    """

    body: bytes
    filename: str
    type: str = "application/octet-stream"

    @property
    def display_name(self) -> str:
        """What to call it on a page or in a log; see `display_name`."""
        return display_name(self.filename)


def display_name(filename: str) -> str:
    """Return the name of a file as it can be shown: without folders, and what cannot be seen or turns text.

    Where it is kept should depend on nothing that the sender says.

    >>> display_name("C:\\\\secret\\\\../cup\\u202egnp.exe")
    'cupgnp.exe'
    """
    name = _UNSEEN.sub("", re.split(r"[/\\]", filename)[-1]).strip(" .")
    return name[:100] or "unnamed"


def content_type(headers: Headers) -> tuple[str, dict[str, str]]:
    """Return the type of a body, in lower case, and what is said with it.

    >>> content_type(Headers({"Content-Type": 'Multipart/Form-Data; Boundary="a b"'}))
    ('multipart/form-data', {'boundary': 'a b'})
    """
    return with_parameters(headers.get("content-type", ""))


def form_parser(headers: Headers, **bounds: Any) -> MultipartParser | UrlencodedParser:
    """Return a parser for the form that a request has; bounds are those of the parsers.

    Raises `RemoteProtocolError` if it has none.
    """
    kind, parameters = content_type(headers)
    if kind == URLENCODED:
        bounds.pop("most_head", None)
        return UrlencodedParser(**bounds)
    if kind == MULTIPART:
        if "boundary" not in parameters:
            raise RemoteProtocolError("the form has no boundary: its Content-Type has to name one")
        return MultipartParser(parameters["boundary"], **bounds)
    raise RemoteProtocolError(f"{shorten(kind)} is no form: it is {MULTIPART} or {URLENCODED}")


class _Parser:
    """What the parsers of both formats have in common."""

    def __init__(self, most_parts: int, most_name: int) -> None:
        self._most_parts = most_parts
        self._most_name = most_name
        self._parts = 0
        self._left = bytearray()  # what was not enough to go on

    def feed(self, data: bytes) -> list[FormEvent]:
        """Take some more, and return what was in it."""
        raise NotImplementedError

    def end(self) -> list[FormEvent]:
        """Say that nothing more will come, and return what is left. Raises if something is cut off."""
        raise NotImplementedError

    def _begin(self, name: bytes) -> str:
        self._parts += 1
        if self._parts > self._most_parts:
            raise RemoteProtocolError(f"the form has more than {self._most_parts} parts")
        self._check_name(len(name))
        return name.decode("utf-8", "replace")

    def _check_name(self, length: int) -> None:
        if length > self._most_name:
            raise RemoteProtocolError(f"the name of a field has more than {self._most_name} bytes")


class UrlencodedParser(_Parser):
    """Takes a form of the urlencoded format as it comes.

    Raises `RemoteProtocolError` for what is over a bound; anything else is a form.

    Arguments:
        most_parts: fields
        most_name: bytes of a name

    Example:
        >>> parser = UrlencodedParser()
        >>> [*parser.feed(b"drink=black+te%6"), *parser.feed(b"1"), *parser.end()][1:]
        [b'black te', b'a', END_OF_PART]
    """

    def __init__(self, *, most_parts: int = MOST_PARTS, most_name: int = MOST_NAME) -> None:
        super().__init__(most_parts, most_name)
        self._in_value = False

    def feed(self, data: bytes) -> list[FormEvent]:
        """See `form_parser`."""
        events: list[FormEvent] = []
        at = 0
        while (found := data.find(b"&", at)) >= 0:
            events += self._take(data[at:found])
            events += self.end()
            at = found + 1
        return events + self._take(data[at:])

    def end(self) -> list[FormEvent]:
        """See `form_parser`."""
        events: list[FormEvent] = []
        if not self._in_value:
            if not self._left:
                return events  # as between two "&"
            events.append(self._part())
        if self._left:
            events.append(self._unescaped(len(self._left)))
        self._in_value = False
        return [*events, END_OF_PART]

    def _take(self, data: bytes) -> list[FormEvent]:
        events: list[FormEvent] = []
        if not self._in_value:
            name, equals, data = data.partition(b"=")
            self._left += name
            self._check_name(len(self._left) // 3)  # where all is escaped, three bytes are one
            if not equals:
                return events
            events.append(self._part())
            self._in_value = True
        self._left += data
        escape = self._left.find(b"%", max(0, len(self._left) - 2))
        if length := len(self._left) if escape < 0 else escape:
            events.append(self._unescaped(length))
        return events

    def _part(self) -> FormPart:
        return FormPart(self._begin(self._unescaped(len(self._left))))

    def _unescaped(self, length: int) -> bytes:
        data = bytes(self._left[:length])
        del self._left[:length]
        return unquote_to_bytes(data.replace(b"+", b" "))


class MultipartParser(_Parser):
    """Takes a form of the format ``multipart/form-data`` as it comes.

    Raises `RemoteProtocolError` for what is none, what is cut off, and what is over a bound.

    Arguments:
        boundary: what the ``Content-Type`` of the form names
        most_parts: fields and files
        most_head: bytes of the head of each
        most_name: bytes of the name of each

    Example:
        >>> parser = MultipartParser("x")
        >>> head = b'--x\\r\\nContent-Disposition: form-data; name="drink"\\r\\n\\r\\n'
        >>> part, *rest = [*parser.feed(head + b"tea\\r\\n--x--"), *parser.end()]
        >>> part.name, rest
        ('drink', [b'tea', END_OF_PART])
    """

    def __init__(
        self,
        boundary: str,
        *,
        most_parts: int = MOST_PARTS,
        most_head: int = MOST_HEAD,
        most_name: int = MOST_NAME,
    ) -> None:
        super().__init__(most_parts, most_name)
        if not _BOUNDARY.fullmatch(boundary):
            raise RemoteProtocolError(f"{shorten(boundary)} is no boundary: that has 1 to 70 characters")
        self._most_head = most_head
        self._delimiter = b"\r\n--" + boundary.encode()
        self._left += b"\r\n"  # so the first one is like the others
        self._state: Callable[[MultipartParser], list[FormEvent]] = MultipartParser._preamble
        self._searched = 0  # bytes that are left, and the end of a head is not in them

    def feed(self, data: bytes) -> list[FormEvent]:
        """See `form_parser`."""
        self._left += data
        events: list[FormEvent] = []
        while True:
            state = self._state
            events += state(self)
            if self._state is state:
                return events

    def end(self) -> list[FormEvent]:
        """See `form_parser`."""
        if self._state is not MultipartParser._epilogue:
            raise RemoteProtocolError("the form is cut off: its last boundary has not come")
        return []

    # Each state takes what it can, and has moved to another one if there may be more to do.

    def _preamble(self) -> list[FormEvent]:
        self._up_to_delimiter()
        return []

    def _body(self) -> list[FormEvent]:
        events: list[FormEvent] = [data] if (data := self._up_to_delimiter()) else []
        if self._state is not MultipartParser._body:
            events.append(END_OF_PART)
        return events

    def _up_to_delimiter(self) -> bytes:
        left, delimiter = self._left, self._delimiter
        end = left.find(delimiter)
        after = end + len(delimiter)
        if end >= 0:
            self._state = MultipartParser._after_delimiter
        else:
            # What might be the beginning of it is kept.
            end = left.find(b"\r", max(0, len(left) - len(delimiter) + 1))
            while end >= 0 and not delimiter.startswith(left[end:]):
                end = left.find(b"\r", end + 1)
            after = end = end if end >= 0 else len(left)
        data = bytes(left[:end])
        del left[:after]
        return data

    def _after_delimiter(self) -> list[FormEvent]:
        left = self._left
        blanks = len(left) - len(left.lstrip(b" \t"))  # RFC 2046, 5.1.1: they may be there
        if blanks > self._most_head:
            raise RemoteProtocolError("there is no end to the blanks behind a boundary")
        follows = bytes(left[blanks : blanks + 2])
        if follows == b"\r\n":
            del left[: blanks + 2]
            self._state = MultipartParser._head
        elif follows == b"--" and not blanks:
            self._state = MultipartParser._epilogue
        elif len(follows) == 2 or follows not in (b"", b"\r", b"-"):
            raise RemoteProtocolError(f"behind a boundary there is {shorten(follows)}, and no end of a line")
        return []

    def _head(self) -> list[FormEvent]:
        left = self._left
        end = 0 if left.startswith(b"\r\n") else left.find(b"\r\n\r\n", max(0, self._searched - 3))
        if (end if end >= 0 else len(left) - 3) > self._most_head:
            raise RemoteProtocolError(f"the head of a part has more than {self._most_head} bytes")
        self._searched = len(left)
        if end < 0:
            return []
        head = bytes(left[:end])
        del left[: end + 4]
        self._searched = 0
        self._state = MultipartParser._body
        return [self._part(head)]

    def _epilogue(self) -> list[FormEvent]:
        self._left.clear()
        return []

    def _part(self, head: bytes) -> FormPart:
        raw: list[tuple[bytes, bytes]] = []
        known: dict[str, str] = {}
        for line in head.split(b"\r\n"):
            name, colon, value = line.partition(b":")
            if not colon or not TOKEN.fullmatch(name.decode("latin-1")) or re.search(rb"[\0\r\n]", value):
                raise RemoteProtocolError(f"the head of a part has a line that is no header: {shorten(line)}")
            value = value.strip(b" \t")
            known.setdefault(name.decode().lower(), value.decode("utf-8", "replace"))
            if VALUE.fullmatch(value.decode("latin-1")):  # a file's name may have what no header has
                raw.append((name, value))
        kind, parameters = with_parameters(known.get("content-disposition", ""))
        if kind != "form-data" or "name" not in parameters:
            raise RemoteProtocolError(
                "a part of the form has no name: 'Content-Disposition: form-data; name='"
            )
        coding = known.get("content-transfer-encoding", "binary").lower()
        if coding not in ("7bit", "8bit", "binary"):  # RFC 7578, 4.7: there is to be none
            raise RemoteProtocolError(f"a part of the form is encoded as {shorten(coding)}")
        filename = parameters.get("filename")
        return FormPart(
            self._begin(_as_meant(parameters["name"]).encode("utf-8", "replace")),
            None if filename is None else _as_meant(filename),
            known.get("content-type", "text/plain" if filename is None else "application/octet-stream"),
            Headers.from_wire(raw),
        )


def _as_meant(name: str) -> str:
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)), name)


# --- a whole form -------------------------------------------------------


class Form(Mapping[str, Any]):
    """The fields of a form: a mapping of text, or an `Upload` where it is a file.

    Of a name that occurs twice it has the first; `all` has all.
    """

    def __init__(self, pairs: Iterable[tuple[str, str | Upload]] = ()) -> None:
        self.pairs = list(pairs)
        """All of them, in order."""
        self._first: dict[str, str | Upload] = {}
        for name, value in self.pairs:
            self._first.setdefault(name, value)

    def all(self, name: str) -> list[str | Upload]:
        """Return all values of a name."""
        return [value for each, value in self.pairs if each == name]

    def __getitem__(self, name: str) -> str | Upload:
        return self._first[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._first)

    def __len__(self) -> int:
        return len(self._first)

    def __repr__(self) -> str:
        return f"Form({self.pairs!r})"


def read_form(request: Request, **bounds: Any) -> Form:
    """Return the form that a request has, whose body has been read; bounds are those of the parsers.

    Raises `Refused`, a `RemoteProtocolError`, if it has none: so the client is answered 400.

    >>> request = Request("POST", "/", Headers({"Content-Type": URLENCODED}), b"drink=tea&drink=milk&cups=2")
    >>> form = read_form(request)
    >>> form["cups"], form.all("drink")
    ('2', ['tea', 'milk'])
    """
    try:
        return _form_of(request, bounds)
    except RemoteProtocolError as error:
        raise Refused(str(error)) from error


def _form_of(request: Request, bounds: dict[str, Any]) -> Form:
    parser = form_parser(request.headers, **bounds)
    pairs: list[tuple[str, str | Upload]] = []
    part: FormPart | None = None
    pieces: list[bytes] = []
    for event in (*parser.feed(request.body), *parser.end()):
        if isinstance(event, FormPart):
            part, pieces = event, []
        elif isinstance(event, bytes):
            pieces.append(event)
        elif part is not None:
            pairs.append((part.name, _value(part, b"".join(pieces))))
    return Form(pairs)


def _value(part: FormPart, body: bytes) -> str | Upload:
    if part.filename is not None:
        return Upload(body, part.filename, part.type)
    encoding = with_parameters(part.type)[1].get("charset", "utf-8")
    codec = codec_of(encoding)
    if codec is None:
        raise RemoteProtocolError(f"a field of the form is in {shorten(encoding)}, which is not read here")
    return body.decode(codec, "replace")


# --- a form that is still coming ------------------------------------------


class _Stream:
    """Feeds a parser with the body of a request."""

    def __init__(self, exchange: Exchange, bounds: dict[str, Any]) -> None:
        self._exchange = exchange
        self._events: deque[FormEvent] = deque()
        self._refused = ""  # why it is no form
        self._over = False
        try:
            self._parser = form_parser(exchange.request.headers, **bounds)
        except RemoteProtocolError as error:
            raise Refused(str(error)) from error

    async def next_event(self) -> FormEvent | None:
        """Return what comes next; None at the end. Raises `Refused`, and again after that."""
        while not self._events and not self._over:
            if self._refused:
                raise Refused(self._refused)
            piece = await self._exchange.read()
            try:
                self._events.extend(self._parser.feed(piece) if piece else self._parser.end())
            except RemoteProtocolError as error:
                self._refused = str(error)
                raise Refused(self._refused) from error
            self._over = not piece
        return self._events.popleft() if self._events else None


class StreamedPart:
    """A part of a form while it comes, see `stream_form`: a field, or a file if it has a ``filename``."""

    def __init__(self, head: FormPart, stream: _Stream) -> None:
        self.name = head.name
        """Of the field."""
        self.filename = head.filename
        """What the sender calls the file; None for a field that is none. No path: see `display_name`."""
        self.type = head.type
        """What it says about its content; anybody may say anything."""
        self.headers = head.headers
        """All headers of its head; none in the urlencoded format."""
        self._stream = stream
        self._whole = False

    @property
    def display_name(self) -> str:
        """What to call the file on a page or in a log; see `display_name`."""
        return display_name(self.filename or "")

    async def read(self) -> bytes:
        """Return the next piece as it comes, b"" at its end (and again after that). Raises `Refused` when the
        form is none, or breaks off."""
        if not self._whole:
            event = await self._stream.next_event()
            if isinstance(event, bytes):
                return event
            self._whole = True
        return b""

    async def read_all(self, limit: int = MOST_FIELD) -> bytes:
        """Return the rest of it. Raises `Refused`, with the status 413, for more bytes than the limit."""
        body = io.BytesIO()
        while piece := await self.read():
            body.write(piece)
            if body.tell() > limit:
                raise Refused(f"the field {shorten(self.name)} is larger than {limit} bytes", 413)
        return body.getvalue()

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._pieces()

    async def _pieces(self) -> AsyncIterator[bytes]:
        while piece := await self.read():
            yield piece


async def stream_form(exchange: Exchange, **bounds: Any) -> AsyncIterator[StreamedPart]:
    """Give the parts of the form that a request has as they come, for a `Handler`; bounds are those of the
    parsers.

    Nothing is kept but the piece that came last, so files may have any length: `Limits.stream` bounds the
    whole form, `Limits.body_rate` the time. What was not read of a part is passed over when the next is asked
    for. Raises `Refused`, a `RemoteProtocolError`, for what is no form: so the client is answered 400.

    Example:
        >>> from kamaelia.protocol.http import HTTPProtocol
        >>> from kamaelia.testing import drive
        >>> class TakeFiles:
        ...     async def answer(self, exchange):
        ...         sizes = {}
        ...         async for part in stream_form(exchange):
        ...             async for piece in part:  # here it might be written to a file
        ...                 sizes[part.name] = sizes.get(part.name, 0) + len(piece)
        ...         return sizes
        >>> kind, body = write_form({"picture": Upload(bytes(100_000), "cup.png")}, "x")
        >>> lines = f"Host: here\\r\\nContent-Type: {kind}\\r\\nContent-Length: {len(body)}\\r\\n\\r\\n"
        >>> with drive(HTTPProtocol({"POST /up": TakeFiles()})) as http:
        ...     http.send(b"POST /up HTTP/1.1\\r\\n" + lines.encode(), body)
        ...     http.take().split(b"\\r\\n")[-1]
        b'{"picture":100000}'
    """
    stream = _Stream(exchange, bounds)
    while (event := await stream.next_event()) is not None:
        if isinstance(event, FormPart):
            part = StreamedPart(event, stream)
            yield part
            while await part.read():
                pass


class Multipart:
    """Writes a form of the format ``multipart/form-data``, part by part.

    Send `head` of each part, then its bytes; at last `end`.

    Arguments:
        boundary: a text that does not occur in any of them: letters and digits, by chance

    Example:
        >>> form = Multipart("x")
        >>> form.type
        'multipart/form-data; boundary=x'
        >>> form.head(FormPart("drink")) + b"tea" + form.end
        b'--x\\r\\nContent-Disposition: form-data; name="drink"\\r\\n\\r\\ntea\\r\\n--x--\\r\\n'
    """

    def __init__(self, boundary: str) -> None:
        if not re.fullmatch(r"[0-9A-Za-z'_-]{1,70}", boundary):
            raise LocalProtocolError(f"{shorten(boundary)} is no boundary: give 1 to 70 letters and digits")
        self.type = f"{MULTIPART}; boundary={boundary}"
        """For ``Content-Type``."""
        self.end = f"--{boundary}--\r\n".encode()
        """What comes after the last part."""
        self._boundary = boundary
        self._line_end = ""

    def head(self, part: FormPart) -> bytes:
        """Return what comes before the bytes of a part."""
        said = f'form-data; name="{_escaped(part.name)}"'
        kind = ""
        if part.filename is not None:
            said += f'; filename="{_escaped(part.filename)}"'
            Headers({"Content-Type": part.type})  # raises if it is none
            kind = f"Content-Type: {part.type}\r\n"
        head = f"{self._line_end}--{self._boundary}\r\nContent-Disposition: {said}\r\n{kind}\r\n"
        if not self._line_end:
            self._line_end = "\r\n"
            self.end = b"\r\n" + self.end
        return head.encode("utf-8", "replace")


def _escaped(name: str) -> str:
    if "\0" in name:
        raise LocalProtocolError(f"{shorten(name)} can be the name of no field or file: it has a NUL in it")
    # Browsers leave a backslash as it is, and then nobody can tell what it means before a quotation mark.
    return name.replace("\\", "\\\\").replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def write_form(fields: Mapping[str, Any] | Iterable[tuple[str, Any]], boundary: str) -> tuple[str, bytes]:
    """Return the type and the bytes of a form: urlencoded if there is no file in it, else multipart.

    Arguments:
        fields: names and values, each text or an `Upload`; a list is several of one name
        boundary: see `Multipart`

    >>> write_form({"drink": ["tea", "milk"], "cups": 2}, "x")
    ('application/x-www-form-urlencoded', b'drink=tea&drink=milk&cups=2')
    """
    pairs: list[tuple[str, Any]] = []
    for name, value in fields.items() if isinstance(fields, Mapping) else fields:
        pairs += [(name, one) for one in (value if isinstance(value, (list, tuple)) else [value])]
    if not any(isinstance(value, Upload) for _, value in pairs):
        return URLENCODED, urlencode([(name, str(value)) for name, value in pairs]).encode()
    form, pieces = Multipart(boundary), []
    for name, value in pairs:
        if isinstance(value, Upload):
            part, body = FormPart(name, value.filename, value.type), value.body
        else:
            part, body = FormPart(name), str(value).encode()
        if boundary.encode() in body:
            raise LocalProtocolError(
                f"the boundary {boundary!r} occurs in {shorten(value)}: give another one"
            )
        pieces += [form.head(part), body]
    return form.type, b"".join([*pieces, form.end])


__all__ = [
    "END_OF_PART",
    "Form",
    "FormEvent",
    "FormPart",
    "Multipart",
    "MultipartParser",
    "StreamedPart",
    "Upload",
    "UrlencodedParser",
    "content_type",
    "display_name",
    "form_parser",
    "read_form",
    "stream_form",
    "write_form",
]
