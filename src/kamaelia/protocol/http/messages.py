"""Requests and responses: what handlers and clients are given, and give.

Both are values. The body of a `Request` has been read; who wants it as it comes takes it from a component's
inbox (see `routes`). The body of a `Response` is bytes, or a component whose messages become the body, at the
pace of the peer.
"""

from __future__ import annotations

import http
import json
import re
from dataclasses import dataclass, field, replace
from encodings.aliases import aliases
from functools import cached_property, lru_cache
from typing import Any
from urllib.parse import parse_qsl, unquote

from kamaelia.axon.errors import LocalProtocolError, RemoteProtocolError, shorten

from .headers import TOKEN, Given, Headers, with_parameters
from .refusal import Refused

TEXT = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"
JSON = "application/json"
BYTES = "application/octet-stream"
NO_HEADERS = Headers()
TARGET = re.compile(r"[\x21-\x7e]+")  # what can be asked for, as it stands in a request
# As RFC 9110 has them, which Python's own follow only from 3.13 on.
WORDS = {
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}
# A stranger names the encoding: Python has some that take a time with the square of the length, are none of
# text, or raise what they like; and it keeps each name that it was ever asked for.
_CODECS = """
    utf_8 utf_16 utf_16_le utf_16_be ascii latin_1 iso8859_2 iso8859_3 iso8859_4 iso8859_5 iso8859_6 iso8859_7
    iso8859_8 iso8859_9 iso8859_10 iso8859_11 iso8859_13 iso8859_14 iso8859_15 iso8859_16 cp437 cp850 cp866
    cp1250 cp1251 cp1252 cp1253 cp1254 cp1255 cp1256 cp1257 cp1258 koi8_r koi8_u mac_roman tis_620 big5
    big5hkscs gb2312 gbk gb18030 euc_jp iso2022_jp shift_jis cp932 euc_kr cp949
"""
CODECS = frozenset(_CODECS.split())
"""The encodings of text that are read, as Python calls them."""


@dataclass(frozen=True, eq=False)
class Request:
    """What a client asks for.

    Example:
        >>> request = Request("GET", "/find%20it?word=tea&word=milk")
        >>> request.path, request.query, request.query_all("word")
        ('/find it', {'word': 'tea'}, ['tea', 'milk'])
    """

    method: str
    """``"GET"``, ``"POST"`` or another, in capitals."""
    target: str
    """What stands in the request: usually the path and the query, as they were escaped."""
    headers: Headers = field(default_factory=Headers)
    """See `Headers`."""
    body: bytes = b""
    """What came with it. Empty where a component gets the body as it comes."""
    version: str = "1.1"
    """Of HTTP: ``"1.0"`` or ``"1.1"``."""
    scheme: str = "http"
    """``"http"`` or ``"https"``, whichever the connection is."""
    peer: Any = None
    """Who asks: the address, for TCP host and port. None where it is not known."""
    arguments: dict[str, str] = field(default_factory=dict)
    """What stands in the path for the ``{names}`` of its route."""

    def __post_init__(self) -> None:
        method: Any = self.method
        if not isinstance(method, str) or not TOKEN.fullmatch(method):
            raise LocalProtocolError(f"{shorten(method)} is no method of HTTP: give 'GET' or another")
        target: Any = self.target
        if not isinstance(target, str) or not TARGET.fullmatch(target):
            raise LocalProtocolError(
                f"{shorten(target)} is nothing that can be asked for: give a path such as '/a/b?c=d', in "
                "which blanks, control characters and letters beyond ASCII are escaped (urllib.parse.quote)"
            )

    @classmethod
    def from_wire(
        cls, method: str, target: str, headers: Headers, version: str, scheme: str = "http", peer: Any = None
    ) -> Request:
        """Make a request of what a machine has parsed, and checked."""
        request = cls.__new__(cls)
        request.__dict__.update(
            method=method,
            target=target,
            headers=headers,
            body=b"",
            version=version,
            scheme=scheme,
            peer=peer,
            arguments={},
        )
        return request

    @cached_property
    def path(self) -> str:
        """The path, unescaped: ``/a b`` for ``/a%20b?c``. It is no path of a file: see `static`."""
        path = self.raw_path
        return unquote(path) if "%" in path else path

    @property
    def raw_path(self) -> str:
        """The path as it was escaped."""
        path = self.target.partition("?")[0].partition("#")[0]
        if (
            not path.startswith("/") and "://" in path
        ):  # a whole address, of which the machine has seen the host
            path = "/" + path.partition("://")[2].partition("/")[2]
        return path

    @cached_property
    def query_string(self) -> str:
        """What stands behind the question mark, as it was escaped."""
        return self.target.partition("?")[2].partition("#")[0]

    @cached_property
    def query(self) -> dict[str, str]:
        """What stands behind the question mark, by name; of a name that occurs twice, the first."""
        found: dict[str, str] = {}
        for name, value in self._query_pairs:
            found.setdefault(name, value)
        return found

    def query_all(self, name: str) -> list[str]:
        """Return all values of a name in the query."""
        return [value for each, value in self._query_pairs if each == name]

    @cached_property
    def _query_pairs(self) -> list[tuple[str, str]]:
        try:
            return parse_qsl(self.query_string, keep_blank_values=True, max_num_fields=1000)
        except ValueError as error:
            raise Refused(f"the query of the request cannot be read: {error}") from error

    @property
    def host(self) -> str:
        """Which host is asked, with the port if one was given: what ``Host`` says."""
        return self.headers.get("host", "")

    def text(self) -> str:
        """Return the body as text, in the encoding that the request names, or else UTF-8.

        Raises `Refused`, a `RemoteProtocolError`, if it is none: so the client is answered 400.
        """
        return decoded(self.body, self.headers, Refused)

    def json(self) -> Any:
        """Return what the body says in JSON. Raises `Refused` if it is none, see `text`."""
        return from_json(self.body, Refused)


@dataclass(frozen=True, eq=False)
class Response:
    """An answer.

    Arguments:
        body: bytes; or text, or a component, whose messages (bytes or text) become the body as they come
        status: the number, such as 404
        headers: see `Headers`; what is missing of ``Content-Type``, ``Content-Length`` and ``Date`` is added
        type: what the body is, for ``Content-Type``; for text ``text/html`` unless it is said

    Example:
        >>> Response("<p>hello", 201).body, Response("<p>hello").headers["Content-Type"]
        (b'<p>hello', 'text/html; charset=utf-8')
    """

    body: Any = b""
    status: int = 200
    headers: Headers = field(default_factory=lambda: NO_HEADERS)
    type: str | None = None

    def __post_init__(self) -> None:
        status: Any = self.status
        if not isinstance(status, int) or not 100 <= status <= 999:
            raise LocalProtocolError(f"{shorten(status)} is no status: give a number such as 404")
        given: Given = self.headers
        headers = given if isinstance(given, Headers) else Headers(given)
        kind, body = self.type, self.body
        if isinstance(body, str):
            body, kind = body.encode(), kind or HTML
        if headers is NO_HEADERS:
            if kind is not None:
                headers = _only_type(kind)
        elif kind is not None and "content-type" not in headers:
            headers = headers.with_({"Content-Type": kind})
        else:
            kind = headers.get("content-type")
        vars(self).update(headers=headers, body=body, type=kind)

    @classmethod
    def json(cls, value: Any, status: int = 200, headers: Given = ()) -> Response:
        """Make a response that says something in JSON.

        >>> Response.json({"a": [1, None]}).body
        b'{"a":[1,null]}'
        """
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        return cls(text, status, Headers(headers), JSON)

    @classmethod
    def redirect(cls, where: str, status: int = 303) -> Response:
        """Make a response that sends the client elsewhere: 303 asks it to GET, 307 to ask the same there."""
        return cls(b"", status, Headers({"Location": where}))

    @classmethod
    def error(cls, status: int, text: str = "") -> Response:
        """Make a plain page for an error.

        >>> Response.error(404).body
        b'404 Not Found\\n'
        """
        said = f"{status} {reason(status)}\n" + (f"{text}\n" if text else "")
        return cls(said, status, Headers(), TEXT)

    def with_(self, **changes: Any) -> Response:
        """Return a response that differs in what is named."""
        return replace(self, **changes)

    def text(self) -> str:
        """Return the body as text, in the encoding that the response names, or else UTF-8."""
        return decoded(self.body, self.headers)

    def from_json(self) -> Any:
        """Return what the body says in JSON. Raises `RemoteProtocolError` if it is none."""
        return from_json(self.body)


@lru_cache(maxsize=100)
def _only_type(kind: str) -> Headers:
    """Return the headers of very many responses."""
    return Headers({"Content-Type": kind})


def reason(status: int) -> str:
    """Return the words for a status.

    >>> reason(404), reason(799)
    ('Not Found', '')
    """
    try:
        return WORDS.get(status) or http.HTTPStatus(status).phrase
    except ValueError:
        return ""


def decoded(body: bytes, headers: Headers, refusal: type[RemoteProtocolError] = RemoteProtocolError) -> str:
    """Return a body as text; raise the refusal if it is none."""
    encoding = with_parameters(headers.get("content-type", TEXT))[1].get("charset", "utf-8")
    codec = codec_of(encoding)
    if codec is None:
        raise refusal(f"the body is in {shorten(encoding)}, which is not read here")
    try:
        return body.decode(codec)
    except UnicodeDecodeError as error:
        raise refusal(f"the body is no text in {encoding}: {error}") from error


def codec_of(encoding: str) -> str | None:
    """Return what Python calls an encoding of text, None for one that is not to be read.

    >>> codec_of("ISO-8859-1"), codec_of("punycode")
    ('latin_1', None)
    """
    name = encoding.lower().replace("-", "_")
    codec = aliases.get(name, name)
    return codec if codec in CODECS else None


def from_json(body: bytes, refusal: type[RemoteProtocolError] = RemoteProtocolError) -> Any:
    """Return what a body says in JSON; raise the refusal if it is none."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise refusal(f"the body is no JSON: {error}") from error
