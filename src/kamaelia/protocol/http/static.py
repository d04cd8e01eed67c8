"""Files of a folder, by their paths.

Theory
------
A file goes through `answer` in three steps, of which only the middle one knows HTTP: what is there is looked
up on the disk, in a thread, since that may take as long as it likes (`_look`); what to answer is found out
(`_decide`), from validators, conditions and ranges; and then it is sent, small files from memory, large ones
by the operating system, which copies them without us (`SendFile`).

Small files are the hot path. They are kept, with their compressed forms, as long as there is room, and looked
at again when that was a second ago. What is kept is not more than ``cache`` bytes; what was not asked for for
the longest time goes first.

**Paths** come from strangers. What was escaped is unescaped once, by the route. Of what is left each segment
is taken literally: one that is empty, ``.`` or ``..``, that has a backslash, a NUL or another control
character, or that begins with a dot, is simply not there. A link leads out of the folder only if it may.

**Lengths** are promises. That of a small file is the length of what was read. A large one that has become
shorter while it is sent breaks the connection.
"""

from __future__ import annotations

import asyncio
import errno
import html
import logging
import os
import re
import stat
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from io import FileIO
from typing import ParamSpec, TypeVar
from urllib.parse import quote

from kamaelia.axon import VirtualLoop, random
from kamaelia.axon.arguments import check_not_negative
from kamaelia.axon.errors import shorten
from kamaelia.axon.here import calendar
from kamaelia.axon.units import size as bytes_of
from kamaelia.net import SendFile

from .compression import LEAST, Compressor, is_compressible
from .conditional import KEPT_IN_304, check, if_range_holds, weak
from .dates import format_date
from .exchange import Exchange
from .headers import Given, Headers
from .messages import BYTES, HTML, Request, Response
from .negotiation import choose_coding
from .ranges import ByteRanges, Span, content_range, parse_range

P = ParamSpec("P")
R = TypeVar("R")

log = logging.getLogger("kamaelia")

FRESH = 1.0  # seconds for which what was looked up is taken to be so
OVERHEAD = 1000  # bytes that an entry of the cache has besides the file
MOST_LISTED = 10_000  # names on the page of a folder
SIBLINGS = {"br": ".br", "gzip": ".gz"}  # codings, and what the names of files that have them end with
METHODS = "GET, HEAD, OPTIONS"
NOT_THERE = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL, errno.ENXIO}
)

_TEXT = "; charset=utf-8"
TYPES: Mapping[str, str] = {
    ".7z": "application/x-7z-compressed",
    ".aac": "audio/aac",
    ".atom": "application/atom+xml",
    ".avif": "image/avif",
    ".bmp": "image/bmp",
    ".bz2": "application/x-bzip2",
    ".css": "text/css" + _TEXT,
    ".csv": "text/csv" + _TEXT,
    ".epub": "application/epub+zip",
    ".flac": "audio/flac",
    ".gif": "image/gif",
    ".gz": "application/gzip",
    ".htm": HTML,
    ".html": HTML,
    ".ico": "image/x-icon",
    ".ics": "text/calendar" + _TEXT,
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".js": "text/javascript" + _TEXT,
    ".json": "application/json",
    ".jsonl": "application/jsonl",
    ".m3u8": "application/vnd.apple.mpegurl",
    ".m4a": "audio/mp4",
    ".m4s": "video/iso.segment",
    ".map": "application/json",
    ".md": "text/markdown" + _TEXT,
    ".mjs": "text/javascript" + _TEXT,
    ".mkv": "video/matroska",
    ".mp3": "audio/mpeg",
    ".mp4": "video/mp4",
    ".mpd": "application/dash+xml",
    ".oga": "audio/ogg",
    ".ogg": "audio/ogg",
    ".ogv": "video/ogg",
    ".opus": "audio/ogg",
    ".otf": "font/otf",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".rss": "application/rss+xml",
    ".srt": "application/x-subrip",
    ".svg": "image/svg+xml",
    ".tar": "application/x-tar",
    ".toml": "application/toml",
    ".ts": "video/mp2t",
    ".ttf": "font/ttf",
    ".ttml": "application/ttml+xml",
    ".txt": "text/plain" + _TEXT,
    ".vtt": "text/vtt" + _TEXT,
    ".wasm": "application/wasm",
    ".wav": "audio/wav",
    ".webm": "video/webm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
    ".xml": "application/xml",
    ".xz": "application/x-xz",
    ".yaml": "application/yaml",
    ".yml": "application/yaml",
    ".zip": "application/zip",
    ".zst": "application/zstd",
}
"""What files are, by the end of their names. (The table of the machine would be another one on each.)"""


class _Form:
    """A file in one of its forms: as it is, or compressed."""

    __slots__ = ("body", "etag", "modified", "path", "response", "size", "stamp")

    def __init__(self, path: str, size: int, stamp: int, body: bytes | None = None) -> None:
        self.path = path
        self.size = size
        self.stamp = stamp  # nanoseconds since 1970
        self.modified = stamp / 1e9  # seconds
        self.etag = f'"{size:x}-{stamp:x}"'
        self.body = body  # None where it is too large to keep
        self.response: Response  # the whole of it


class _Found:
    """What is at some path: a file."""

    __slots__ = ("checked", "codings", "forms", "marks", "weight")

    def __init__(self, forms: dict[str | None, _Form], marks: list[tuple[str, int, int]]) -> None:
        self.forms = forms  # by coding
        self.codings = tuple(coding for coding in forms if coding is not None)
        self.marks = marks  # what would be others if it had changed
        self.checked = 0.0  # when that was seen last
        self.weight = sum(OVERHEAD + len(form.body or b"") for form in forms.values())

    @property
    def is_small(self) -> bool:
        return all(form.body is not None for form in self.forms.values())


class StaticFiles:
    """Answers with the files of a folder: a route, whose key ends with ``/*``.

    It answers GET and HEAD, conditions and ranges. The path of a folder that has no slash at its end is sent
    on to the one with it. Text is sent compressed to those who take that: from a file beside it whose name
    has ``.br`` or ``.gz`` behind it, if there is one that is no older; a small one is compressed here.

    What the disk does not give is answered 404 (not there), 403 (not to be read) or 500, and that is logged.

    Arguments:
        folder: where they are
        index: the name of the file that stands for its folder; None for none
        listing: a folder without such a file is answered with a page of what is in it
        hidden: files and folders that begin with a dot are there as well; ``.well-known`` always is
        follow_links: links may lead out of the folder
        max_age: seconds for which clients need not ask again; None to leave that to them
        headers: for every answer that has a file
        types: what files are, by the end of their names, such as ``{".lua": "text/x-lua"}``
        small: files up to so many bytes are kept in memory
        cache: bytes of files that are kept in memory

    Raises `ValueError` for what is no folder.

    Example:
        ``HTTPServer({"/": home, "/static/*": StaticFiles("public", max_age=3600)})``
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        index: str | None = "index.html",
        listing: bool = False,
        hidden: bool = False,
        follow_links: bool = False,
        max_age: float | None = None,
        headers: Given = (),
        types: Mapping[str, str] | None = None,
        small: int | str = "64 KiB",
        cache: int | str = "16 MiB",
    ) -> None:
        what = f"StaticFiles({shorten(folder)}"
        self._root = os.path.realpath(folder)
        if not os.path.isdir(self._root):
            raise ValueError(f"{what}): there is no such folder")
        if index is not None and (not index or set(index) & set("/\\\0") or index in (".", "..")):
            raise ValueError(f"{what}, index={index!r}): give the name of a file, or None")
        if max_age is not None:
            check_not_negative(f"{what}, max_age={shorten(max_age)})", max_age, "the seconds it is good for")
            headers = Headers(headers).with_({"Cache-Control": f"public, max-age={int(max_age)}"})
        self._index = index
        self._listing = listing
        self._hidden = hidden
        self._follow_links = follow_links
        self._headers = Headers(headers)
        self._types = {**TYPES, **(types or {})}
        self._small = bytes_of(small, "StaticFiles: small")
        self._room = bytes_of(cache, "StaticFiles: cache")
        self._kept: OrderedDict[str, _Found] = OrderedDict()
        self._weight = 0

    def answer(self, exchange: Exchange) -> Response | Awaitable[Response | None]:
        """See `Handler`."""
        request = exchange.request
        if request.method not in ("GET", "HEAD"):
            return _other_method(request.method)
        path = request.arguments.get("rest")
        if path is None:
            path = request.path.lstrip("/")
        kept = self._kept.get(path)
        if kept is not None and asyncio.get_running_loop().time() - kept.checked < FRESH:
            self._kept.move_to_end(path)
            answer, form, _ = self._decide(request, kept)
            if form is None:
                return answer
        return self._answer(exchange, path)

    async def _answer(self, exchange: Exchange, path: str) -> Response | None:
        request = exchange.request
        if not self._is_allowed(path):
            return Response.error(404)
        for _ in range(3):  # a file that changes just now is looked up again
            try:
                found = await self._look_up(path)
                if isinstance(found, Response):
                    return _with_query(found, request.query_string)
                answer, form, spans = self._decide(request, found)
                if form is None:
                    return answer
                files = [] if exchange.bodiless else await in_thread(_open, form, len(spans))
            except OSError as error:
                return self._failed(path, error)
            if files is not None:
                await self._send(exchange, answer, form, spans, files)
                return None
        return Response.error(503)

    def _is_allowed(self, path: str) -> bool:
        if _CONTROL.search(path):
            return False
        segments = path.split("/")
        if path.endswith("/") or not path:
            del segments[-1]
        for number, segment in enumerate(segments):
            if segment in ("", ".", "..") or "\\" in segment or (os.name == "nt" and ":" in segment):
                return False
            if segment[0] == "." and not self._hidden and not (number == 0 and segment == ".well-known"):
                return False
        return True

    def _failed(self, path: str, error: OSError) -> Response:
        if error.errno in NOT_THERE:
            return Response.error(404)
        if error.errno in (errno.EACCES, errno.EPERM):
            return Response.error(403)
        log.error("%r in %s cannot be read: %s", path, self._root, error)
        return Response.error(500)

    # -- what there is ------------------------------------------------------------------------------

    async def _look_up(self, path: str) -> _Found | Response:
        """Return what is at a path: a file, or what to answer where there is none. Raises `OSError`."""
        now = asyncio.get_running_loop().time()
        kept = self._kept.get(path)
        if kept is not None:
            if now - kept.checked < FRESH:
                self._kept.move_to_end(path)
                return kept
            kept.checked = now  # who comes meanwhile need not look as well
        try:
            found = await in_thread(self._look, path, kept)
        except OSError:
            self._forget(path)
            raise
        if kept is not None and found is kept:
            if path in self._kept:
                self._kept.move_to_end(path)
            return found
        self._forget(path)
        if isinstance(found, _Found) and found.is_small and found.weight <= self._room:
            found.checked = now
            self._kept[path] = found
            self._weight += found.weight
            while self._weight > self._room:
                self._forget(next(iter(self._kept)))
        return found

    def _forget(self, path: str) -> None:
        gone = self._kept.pop(path, None)
        if gone is not None:
            self._weight -= gone.weight

    def _look(self, path: str, kept: _Found | None) -> _Found | Response:
        """Look at the disk; in a thread."""
        place = self._real(self._place(path.rstrip("/")))
        status = os.stat(place)
        if stat.S_ISDIR(status.st_mode):
            if path and not path.endswith("/"):
                return Response.redirect(_with_slash(path), 301)
            if self._index is not None:
                try:
                    place = self._real(os.path.join(place, self._index))
                    status = os.stat(place)
                except FileNotFoundError:
                    pass
            if stat.S_ISDIR(status.st_mode):
                return self._page(place, path) if self._listing else Response.error(404)
        elif path.endswith("/"):
            return Response.error(404)
        if not stat.S_ISREG(status.st_mode):
            return Response.error(404)
        return self._file(place, status, kept)

    def _place(self, path: str) -> str:
        return os.path.join(self._root, *path.split("/"))

    def _real(self, place: str) -> str:
        """Return where something is when all links have been followed. Raises `OSError`."""
        try:
            place = os.path.realpath(place, strict=True)
        except ValueError as error:  # letters that no name of a file can have
            raise FileNotFoundError(errno.ENOENT, str(error)) from None
        inside = place == self._root or place.startswith(os.path.join(self._root, ""))
        if not (inside or self._follow_links):
            raise FileNotFoundError(errno.ENOENT, "a link leads out of the folder")
        return place

    def _file(self, place: str, status: os.stat_result, kept: _Found | None) -> _Found:
        kind = self._types.get(os.path.splitext(place)[1].lower(), BYTES)
        places = {"": (place, status)}
        if is_compressible(kind):
            for coding, ending in SIBLINGS.items():
                try:
                    beside = self._real(place + ending)
                    its_status = os.stat(beside)
                except OSError:
                    continue
                if stat.S_ISREG(its_status.st_mode) and its_status.st_mtime_ns >= status.st_mtime_ns:
                    places[coding] = (beside, its_status)
        marks = [(coding, one.st_size, one.st_mtime_ns) for coding, (_, one) in places.items()]
        if kept is not None and kept.marks == marks:
            return kept
        forms: dict[str | None, _Form] = {coding or None: self._form(*one) for coding, one in places.items()}
        body = forms[None].body
        if body is not None and "gzip" not in forms and is_compressible(kind) and len(body) >= LEAST:
            machine = Compressor("gzip", 9)
            packed = machine.feed(body) + machine.end()
            form = forms["gzip"] = _Form(place, len(packed), status.st_mtime_ns, packed)
            form.etag = weak(forms[None].etag)
        found = _Found(forms, marks)
        for coding_, form in forms.items():
            form.response = self._response(form, kind, coding_, bool(found.codings))
        return found

    def _form(self, place: str, status: os.stat_result) -> _Form:
        if status.st_size > self._small:
            return _Form(place, status.st_size, status.st_mtime_ns)
        with open(place, "rb", buffering=0, opener=_opener) as file:
            body = file.read(self._small + 1) or b""
        return _Form(place, len(body), status.st_mtime_ns, body)

    def _response(self, form: _Form, kind: str, coding: str | None, varies: bool) -> Response:
        headers = {
            "Content-Type": kind,
            "ETag": form.etag,
            "Last-Modified": format_date(form.modified),
            "Accept-Ranges": "bytes",
        }
        if coding is not None:
            headers["Content-Encoding"] = coding
        if varies:
            headers["Vary"] = "Accept-Encoding"
        return Response(form.body or b"", headers=Headers(headers).with_(self._headers))

    def _page(self, place: str, path: str) -> Response:
        names = []
        with os.scandir(place) as entries:
            for entry in entries:
                if (self._hidden or not entry.name.startswith(".")) and entry.name.isprintable():
                    names.append(entry.name + ("/" if entry.is_dir() else ""))
                if len(names) == MOST_LISTED:
                    break
        title = html.escape("/" + path)
        lines = [f'<li><a href="./{quote(name)}">{html.escape(name)}</a>' for name in sorted(names)]
        if path:
            lines.insert(0, '<li><a href="../">../</a>')
        return Response(
            f"<!doctype html><meta charset=utf-8><title>{title}</title><h1>{title}</h1><ul>\n"
            + "\n".join(lines)
            + "\n</ul>\n"
        )

    # -- what to answer -----------------------------------------------------------------------------

    def _decide(self, request: Request, found: _Found) -> tuple[Response, _Form | None, list[Span]]:
        """Return the answer; and, where more than that is to be sent, of which form, and which pieces."""
        headers = request.headers
        # Most have none, and to look for one by its name is to read all of them first.
        has_conditions = any(name[:1] in b"IiRr" for name, _ in headers.raw)
        coding = None
        if found.codings and not (has_conditions and "range" in headers):  # a part is one of the plain file
            coding = _chosen(headers.get("accept-encoding"), found.codings)
        form = found.forms[coding]
        whole = form.response
        if has_conditions:
            now = calendar()
            status = check(request.method, headers, form.etag, form.modified, now=now)
            if status is not None:
                return _without_body(whole, status), None, []
            wanted = headers.get("range") if request.method == "GET" else None
            condition = headers.get("if-range")
            if wanted is not None and (
                condition is None or if_range_holds(condition, form.etag, form.modified, now=now)
            ):
                spans = parse_range(wanted, form.size)
                if spans is not None:
                    return _partial(whole, form, spans)
        if form.body is not None:
            return whole, None, []
        return whole, form, [Span(0, form.size)]

    # -- sending it ---------------------------------------------------------------------------------

    async def _send(
        self, exchange: Exchange, response: Response, form: _Form, spans: list[Span], files: list[FileIO]
    ) -> None:
        unsent = list(files)
        try:
            parts, length = None, sum(span.length for span in spans)
            if len(spans) > 1:
                kind = response.type
                parts = ByteRanges(spans, form.size, kind, f"{random.getrandbits(96):024x}")
                response = response.with_(headers=response.headers.with_({"Content-Type": parts.type}))
                length = parts.length
            await exchange.begin(response, length)
            for number, span in enumerate(spans):
                if exchange.bodiless:
                    break
                if parts is not None:
                    await exchange.send(parts.heads[number])
                if form.body is not None:
                    await exchange.send(form.body[span.start : span.stop])
                else:
                    await exchange.send(SendFile(unsent.pop(0), span.start, span.length))
            if parts is not None:
                await exchange.send(parts.end)
            await exchange.finish()
        finally:
            for file in unsent:
                file.close()


_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@lru_cache(maxsize=256)
def _chosen(accept: str | None, codings: tuple[str, ...]) -> str | None:
    return choose_coding(accept, codings)


def _other_method(method: str) -> Response:
    response = Response(b"", 204) if method == "OPTIONS" else Response.error(405)
    return response.with_(headers=response.headers.with_({"Allow": METHODS}))


def _with_slash(path: str) -> str:
    # Relative, and so that nothing in it can be taken for a scheme or a host.
    return f"./{quote(path.rpartition('/')[2])}/"


def _with_query(response: Response, query: str) -> Response:
    where = response.headers.get("location")
    if where is None or not query:
        return response
    return response.with_(headers=response.headers.with_({"Location": f"{where}?{query}"}))


def _without_body(whole: Response, status: int) -> Response:
    if status != 304:
        return Response.error(status)
    kept = [pair for pair in whole.headers.pairs if pair[0].lower() in KEPT_IN_304]
    return Response(b"", 304, Headers(kept))


def _partial(whole: Response, form: _Form, spans: list[Span]) -> tuple[Response, _Form | None, list[Span]]:
    if not spans:
        refused = Response.error(416)
        said = {"Content-Range": content_range(None, form.size)}
        return refused.with_(headers=refused.headers.with_(said)), None, []
    response = whole.with_(body=b"", status=206)
    if len(spans) == 1:
        said = {"Content-Range": content_range(spans[0], form.size)}
        response = response.with_(headers=whole.headers.with_(said))
        if form.body is not None:
            return response.with_(body=form.body[spans[0].start : spans[0].stop]), None, []
    return response, form, spans


# --- the disk ----------------------------------------------------------------------------------------


def _opener(path: str, flags: int) -> int:
    # What is no file, by now, must not make us wait until somebody writes into it.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _open(form: _Form, count: int) -> list[FileIO] | None:
    """Open a large file, once for each piece; None if it is another one by now. In a thread."""
    files: list[FileIO] = []
    if form.body is not None:
        return files
    try:
        for _ in range(count):
            file = open(form.path, "rb", buffering=0, opener=_opener)  # noqa: SIM115  # a message has it
            files.append(file)
            status = os.fstat(file.fileno())
            if (status.st_size, status.st_mtime_ns) != (form.size, form.stamp):
                raise FileNotFoundError
    except OSError as error:
        for file in files:
            file.close()
        if isinstance(error, FileNotFoundError):
            return None
        raise
    return files


async def in_thread(call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call something that may block, in a thread of the loop's; in virtual time, at once.

    When who waits is cancelled, files that it returns are closed.
    """
    loop = asyncio.get_running_loop()
    if isinstance(loop, VirtualLoop):
        return call(*args, **kwargs)
    given_up = False
    results: list[R] = []

    def work() -> None:
        results.append(call(*args, **kwargs))
        if given_up:
            close()

    def close() -> None:
        for result in results:
            for file in result if isinstance(result, list) else ():
                file.close()

    try:
        await loop.run_in_executor(None, work)
    except BaseException:
        given_up = True
        close()
        raise
    return results[0]


__all__ = ["StaticFiles"]
