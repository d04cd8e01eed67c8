"""Files of a folder: what is there and what is not, conditions, ranges, compression, and what changes."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gzip
import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kamaelia import background
from kamaelia.axon import Component, UsageError, VirtualLoop, run, sleep
from kamaelia.net import SendFile
from kamaelia.protocol.http import Headers, HTTPServer
from kamaelia.protocol.http.dates import format_date
from kamaelia.protocol.http.static import StaticFiles, in_thread
from tests.protocol.http.exchanges import Answered, NotedExchange, answered, ask, request

pytestmark = pytest.mark.one_core("compiled")

WHEN = 784111777  # Sun, 06 Nov 1994 08:49:37 GMT
LARGE = bytes(range(256)) * 1000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder in a folder, with files in it, and a secret beside it."""
    root = tmp_path / "public"
    for name, body in {
        "index.html": b"<p>home",
        "a.txt": b"0123456789",
        "large.bin": LARGE,
        "long.css": b"p { color: black }\n" * 100,
        "empty.txt": b"",
        "docs/index.html": b"<p>docs",
        "docs/b c.txt": b"b c",
        "docs/\N{SNOWMAN}.txt": b"snow",
        "pictures/cup.PNG": b"\x89PNG",
        ".hidden": b"hidden",
        ".git/config": b"hidden",
        ".well-known/x": b"known",
        "docs/.well-known": b"hidden",
        "../secret.txt": b"secret",
        "../public-too/x.txt": b"secret",
    }.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        os.utime(path, (WHEN, WHEN))
    return root


def get(files: StaticFiles, target: str, **headers: Any) -> Answered:
    return ask(
        files, request("GET", target, {name.replace("_", "-"): value for name, value in headers.items()})
    )[0]


# --- paths -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("/", b"<p>home"),
        ("/a.txt", b"0123456789"),
        ("/a.txt?x=y", b"0123456789"),
        ("/docs/", b"<p>docs"),
        ("/docs/index.html", b"<p>docs"),
        ("/docs/b%20c.txt", b"b c"),
        ("/docs/%E2%98%83.txt", b"snow"),
        ("/d%6Fcs/b%20c.txt", b"b c"),
        ("/docs%2Fb%20c.txt", b"b c"),
        ("/empty.txt", b""),
        ("/large.bin", LARGE),
        ("/.well-known/x", b"known"),
    ],
)
def test_what_is_there(folder: Path, target: str, body: bytes) -> None:
    found = get(StaticFiles(folder), target)
    assert (found.status, found.body) == (200, body)


@pytest.mark.parametrize(
    "target",
    [
        "/none.txt",
        "/a.txt/",
        "/a.txt/x",
        "/docs/none/",
        "/pictures/",  # has no index.html
        "//a.txt",
        "/docs//b%20c.txt",
        "/docs//",
        "//",
        "/./a.txt",
        "/docs/.",
        "/docs/./",
        "/../secret.txt",
        "/docs/../../secret.txt",
        "/docs/../a.txt",
        "/..",
        "/../",
        "/%2e%2e/secret.txt",
        "/%2e%2e%2fsecret.txt",
        "/..%2fsecret.txt",
        "/..%5csecret.txt",
        "/docs%5cb%20c.txt",
        "/docs\\index.html",
        "/%252e%252e/secret.txt",  # unescaped once, and no more
        "/docs/%2562%20c.txt",
        "/%c0%ae%c0%ae/secret.txt",  # an overlong form of dots is none in UTF-8
        "/..%c0%afsecret.txt",
        "/../public-too/x.txt",
        "/%00",
        "/a.txt%00",
        "/a.txt%00.html",
        "/a.txt%0a",
        "/a.txt%7f",
        "/.hidden",
        "/%2ehidden",
        "/.git/config",
        "/.git/",
        "/docs/.well-known",
        "/" + "x" * 300,
        "/" + "x/" * 3000,
        "/%ff.txt",
        "/etc/passwd",
        "//etc/passwd",
        "/C:/x",
        "/~root/x",
    ],
)
def test_what_is_not_there(folder: Path, target: str) -> None:
    found = get(StaticFiles(folder), target)
    assert (found.status, found.body) == (404, b"404 Not Found\n")


def test_all_that_can_be_asked_for_is_in_the_folder(folder: Path) -> None:
    parts = [
        "..",
        ".",
        "",
        "%2e%2e",
        "docs",
        "secret.txt",
        "public-too",
        "x.txt",
        "..%2f",
        "%5c..",
        "%00",
        "public",
    ]
    targets = [f"/{a}/{b}/{c}" for a in parts for b in parts for c in parts]
    found = ask(StaticFiles(folder, hidden=True, listing=True), *(request("GET", one) for one in targets))
    assert not [one for one in found if b"secret" in one.body]


def test_hidden_files_are_there_if_they_are_asked_for(folder: Path) -> None:
    files = StaticFiles(folder, hidden=True)
    assert [get(files, one).status for one in ("/.hidden", "/.git/config", "/docs/.well-known")] == [200] * 3
    assert get(files, "/.git/../../secret.txt").status == 404


def test_names_that_nobody_means_well_are_not_there_even_if_they_are(folder: Path) -> None:
    for name in ("a\n.txt", "a\x01", "a\x7f", "a\\b"):
        (folder / name).write_bytes(b"x")
    files = StaticFiles(folder, hidden=True)
    for target in ("/a%0a.txt", "/a%01", "/a%7f", "/a%5cb", "/docs/../a.txt", "/docs/./b%20c.txt"):
        assert get(files, target).status == 404


def test_links_stay_in_the_folder_unless_they_may_leave_it(folder: Path) -> None:
    (folder / "inside").symlink_to("docs")
    (folder / "outside").symlink_to("..")
    (folder / "secret").symlink_to(folder.parent / "secret.txt")
    (folder / "round").symlink_to("round")
    (folder / "broken").symlink_to("none")
    for allowed, status in ((False, 404), (True, 200)):
        files = StaticFiles(folder, follow_links=allowed)
        assert get(files, "/inside/b%20c.txt").body == b"b c"
        assert get(files, "/outside/secret.txt").status == status
        assert get(files, "/secret").status == status
        assert get(files, "/round").status == 404
        assert get(files, "/broken").status == 404


def test_the_folder_itself_may_be_a_link_and_be_given_relatively(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder.parent / "link").symlink_to(folder)
    monkeypatch.chdir(folder.parent)
    files = StaticFiles("link")
    monkeypatch.chdir("/")
    assert get(files, "/a.txt").status == 200


def test_what_is_no_file_is_not_there(folder: Path) -> None:
    os.mkfifo(folder / "pipe")
    assert get(StaticFiles(folder), "/pipe").status == 404


@pytest.mark.parametrize(
    ("target", "where"),
    [
        ("/docs", "./docs/"),
        ("/docs?x=y&z", "./docs/?x=y&z"),
        ("/a%20b", "./a%20b/"),
        ("/x:y", "./x%3Ay/"),
        ("/docs/deeper", "./deeper/"),
    ],
)
def test_a_folder_is_sent_on_to_its_slash(folder: Path, target: str, where: str) -> None:
    for name in ("a b", "x:y", "docs/deeper"):
        (folder / name).mkdir()
    found = get(StaticFiles(folder), target)
    assert (found.status, found.headers["Location"]) == (301, where)


def test_another_index_or_none(folder: Path) -> None:
    assert get(StaticFiles(folder, index="a.txt"), "/").body == b"0123456789"
    assert get(StaticFiles(folder, index=None), "/").status == 404


def test_a_page_of_what_is_in_a_folder(folder: Path) -> None:
    (folder / "pictures" / "<b>&.txt").touch()
    (folder / "pictures" / ".hidden").touch()
    (folder / "pictures" / "more").mkdir()
    found = get(StaticFiles(folder, listing=True), "/pictures/")
    assert found.headers["Content-Type"] == "text/html; charset=utf-8"
    assert found.body.decode() == (
        "<!doctype html><meta charset=utf-8><title>/pictures/</title><h1>/pictures/</h1><ul>\n"
        '<li><a href="../">../</a>\n'
        '<li><a href="./%3Cb%3E%26.txt">&lt;b&gt;&amp;.txt</a>\n'
        '<li><a href="./cup.PNG">cup.PNG</a>\n'
        '<li><a href="./more/">more/</a>\n'
        "</ul>\n"
    )
    assert get(StaticFiles(folder, listing=True), "/").body == b"<p>home"
    top = get(StaticFiles(folder, listing=True, index=None), "/")
    assert b"../" not in top.body and b".hidden" not in top.body


# --- answers -----------------------------------------------------------------------------------------


def test_the_head_of_an_answer(folder: Path) -> None:
    found = get(StaticFiles(folder, max_age=60, headers={"X-Content-Type-Options": "nosniff"}), "/a.txt")
    assert found.headers.pairs == [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("ETag", f'"a-{WHEN * 10**9:x}"'),
        ("Last-Modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("Accept-Ranges", "bytes"),
        ("X-Content-Type-Options", "nosniff"),
        ("Cache-Control", "public, max-age=60"),
    ]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("/index.html", "text/html; charset=utf-8"),
        ("/pictures/cup.PNG", "image/png"),
        ("/large.bin", "application/octet-stream"),
        ("/.hidden", "application/octet-stream"),
        ("/x.lua", "text/x-lua"),
        ("/x.tar.gz", "application/gzip"),
    ],
)
def test_types(folder: Path, name: str, kind: str) -> None:
    for new in ("x.lua", "x.tar.gz"):
        (folder / new).touch()
    files = StaticFiles(folder, hidden=True, types={".lua": "text/x-lua"})
    assert get(files, name).headers["Content-Type"] == kind


@pytest.mark.parametrize("target", ["/a.txt", "/large.bin", "/long.css", "/", "/none", "/docs"])
def test_head_is_answered_as_get_is_without_the_body(folder: Path, target: str) -> None:
    files = StaticFiles(folder)
    one, other = ask(files, request("GET", target), request("HEAD", target))
    assert one.response.headers == other.response.headers
    assert (other.status, other.body, other.pieces, other.length) == (one.status, b"", [], one.length)


def test_other_methods_are_refused(folder: Path) -> None:
    files = StaticFiles(folder)
    refused, asked = ask(files, request("POST", "/a.txt"), request("OPTIONS", "/a.txt"))
    assert (refused.status, refused.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")
    assert (asked.status, asked.headers["Allow"], asked.body) == (204, "GET, HEAD, OPTIONS", b"")


def test_a_large_file_is_sent_by_the_operating_system(folder: Path) -> None:
    found = get(StaticFiles(folder), "/large.bin")
    assert found.length == len(LARGE)
    assert [type(piece) for piece in found.pieces] == [SendFile]
    assert found.pieces[0].file.closed
    limits = StaticFiles(folder, small="10 B")
    assert get(limits, "/a.txt").pieces == []
    (folder / "a.txt").write_bytes(b"x" * 11)
    assert len(get(StaticFiles(folder, small=10), "/a.txt").pieces) == 1


# --- conditions and ranges ---------------------------------------------------------------------------

DATE = format_date(WHEN)


@pytest.mark.parametrize("target", ["/a.txt", "/large.bin"])
def test_what_a_client_has_already_is_not_sent_again(folder: Path, target: str) -> None:
    files = StaticFiles(folder, max_age=5)
    first = get(files, target)
    for headers in ({"If_None_Match": first.headers["ETag"]}, {"If_Modified_Since": DATE}):
        again = get(files, target, **headers)
        assert (again.status, again.body, again.pieces) == (304, b"", [])
        assert again.headers.pairs == [
            ("ETag", first.headers["ETag"]),
            ("Last-Modified", DATE),
            ("Cache-Control", "public, max-age=5"),
        ]
    assert get(files, target, If_None_Match='"other"').status == 200
    failed = get(files, target, If_Match='"other"')
    assert (failed.status, failed.body) == (412, b"412 Precondition Failed\n")
    assert get(files, target, If_Unmodified_Since=DATE).status == 200


@pytest.mark.parametrize(("target", "whole"), [("/a.txt", b"0123456789"), ("/large.bin", LARGE)])
@pytest.mark.parametrize(
    ("said", "start", "stop"), [("0-4", 0, 5), ("3-3", 3, 4), ("-3", -3, None), ("2-", 2, None)]
)
def test_a_part_of_a_file(
    folder: Path, target: str, whole: bytes, said: str, start: int, stop: int | None
) -> None:
    found = get(StaticFiles(folder), target, Range=f"bytes={said}")
    piece = whole[start:stop]
    first = start % len(whole)
    assert (found.status, found.body) == (206, piece)
    assert found.headers["Content-Range"] == f"bytes {first}-{first + len(piece) - 1}/{len(whole)}"
    assert found.headers["ETag"] == get(StaticFiles(folder), target).headers["ETag"]


@pytest.mark.parametrize(
    ("target", "whole"), [("/long.css", b"p { color: black }\n" * 100), ("/large.bin", LARGE)]
)
def test_several_parts_of_a_file(folder: Path, target: str, whole: bytes) -> None:
    found = get(StaticFiles(folder), target, Range="bytes=0-4, 1000-1009")
    kind = found.headers["Content-Type"]
    boundary = kind.removeprefix("multipart/byteranges; boundary=")
    assert (found.status, len(boundary)) == (206, 24)
    own = "text/css; charset=utf-8" if target == "/long.css" else "application/octet-stream"
    head = f"--{boundary}\r\nContent-Type: {own}\r\nContent-Range: bytes"
    assert found.body == (
        f"{head} 0-4/{len(whole)}\r\n\r\n".encode()
        + whole[:5]
        + f"\r\n{head} 1000-1009/{len(whole)}\r\n\r\n".encode()
        + whole[1000:1010]
        + f"\r\n--{boundary}--\r\n".encode()
    )
    assert found.length == len(found.body)
    assert "Content-Range" not in found.headers
    assert all(piece.file.closed for piece in found.pieces if isinstance(piece, SendFile))


def test_parts_that_are_not_there_or_not_asked_for_well(folder: Path) -> None:
    files = StaticFiles(folder)
    beyond = get(files, "/a.txt", Range="bytes=10-")
    assert (beyond.status, beyond.headers["Content-Range"]) == (416, "bytes */10")
    for said in ("lines=1-2", "bytes=5-4", "bytes=" + "1-1," * 50):
        assert get(files, "/a.txt", Range=said).status == 200
    assert get(files, "/empty.txt", Range="bytes=0-").status == 200
    assert ask(files, request("HEAD", "/a.txt", {"Range": "bytes=0-4"}))[0].status == 200


def test_a_part_is_sent_only_if_it_fits_to_the_others(folder: Path) -> None:
    files = StaticFiles(folder)
    etag = get(files, "/a.txt").headers["ETag"]
    for condition, status in [(etag, 206), ('"other"', 200), (f"W/{etag}", 200), (DATE, 206)]:
        assert get(files, "/a.txt", Range="bytes=0-0", If_Range=condition).status == status
    assert get(files, "/a.txt", Range="bytes=0-0", If_None_Match=etag).status == 304


# --- compression -------------------------------------------------------------------------------------


def test_text_is_compressed_for_those_who_take_it(folder: Path) -> None:
    files = StaticFiles(folder)
    plain, packed = get(files, "/long.css"), get(files, "/long.css", Accept_Encoding="gzip, br")
    assert gzip.decompress(packed.body) == plain.body == b"p { color: black }\n" * 100
    assert "Content-Encoding" not in plain.headers
    assert plain.headers["Vary"] == packed.headers["Vary"] == "Accept-Encoding"
    assert (packed.headers["Content-Encoding"], packed.headers["Content-Type"]) == (
        "gzip",
        "text/css; charset=utf-8",
    )
    assert packed.headers["ETag"] == "W/" + plain.headers["ETag"]
    assert get(files, "/long.css", Accept_Encoding="gzip", If_None_Match=packed.headers["ETag"]).status == 304


def test_short_files_and_pictures_are_not_compressed(folder: Path) -> None:
    (folder / "long.png").write_bytes(b"x" * 5000)
    for target in ("/a.txt", "/large.bin", "/long.png"):
        found = get(StaticFiles(folder), target, Accept_Encoding="gzip")
        assert "Vary" not in found.headers and "Content-Encoding" not in found.headers


def test_a_part_is_always_one_of_the_plain_file(folder: Path) -> None:
    found = get(StaticFiles(folder), "/long.css", Accept_Encoding="gzip", Range="bytes=0-3")
    assert (found.status, found.body) == (206, b"p { ")
    assert "Content-Encoding" not in found.headers


def test_a_compressed_file_beside_it_is_sent(folder: Path) -> None:
    (folder / "a.txt.gz").write_bytes(b"gzip of it")
    (folder / "a.txt.br").write_bytes(b"brotli of it")
    (folder / "large.bin.gz").write_bytes(b"gzip of it")
    files = StaticFiles(folder)
    for accept, body in [("gzip", b"gzip of it"), ("br, gzip", b"brotli of it"), ("", b"0123456789")]:
        found = get(files, "/a.txt", Accept_Encoding=accept)
        assert (found.body, found.headers["Vary"]) == (body, "Accept-Encoding")
        assert found.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert not found.headers["ETag"].startswith("W/")
    assert len({get(files, "/a.txt", Accept_Encoding=one).headers["ETag"] for one in ("gzip", "br", "")}) == 3
    assert get(files, "/large.bin", Accept_Encoding="gzip").body == LARGE  # no text
    assert get(files, "/a.txt.gz").headers["Content-Type"] == "application/gzip"


def test_a_compressed_file_that_is_older_is_not_the_same(folder: Path) -> None:
    (folder / "a.txt.gz").write_bytes(b"gzip of it")
    os.utime(folder / "a.txt.gz", (WHEN - 1, WHEN - 1))
    found = get(StaticFiles(folder), "/a.txt", Accept_Encoding="gzip")
    assert (found.body, "Vary" in found.headers) == (b"0123456789", False)


def test_a_link_beside_a_file_leads_nowhere_else(folder: Path) -> None:
    (folder / "a.txt.gz").symlink_to(folder.parent / "secret.txt")
    assert get(StaticFiles(folder), "/a.txt", Accept_Encoding="gzip").body == b"0123456789"


def test_a_large_text_has_only_what_is_beside_it(folder: Path) -> None:
    (folder / "large.txt").write_bytes(LARGE)
    files = StaticFiles(folder)
    assert get(files, "/large.txt", Accept_Encoding="gzip").body == LARGE
    (folder / "large.txt.gz").write_bytes(gzip.compress(LARGE))
    found = get(files, "/large.txt", Accept_Encoding="gzip")
    assert (gzip.decompress(found.body), found.headers["Content-Encoding"]) == (LARGE, "gzip")
    assert get(files, "/large.txt").body == LARGE


# --- what is kept, and what changes meanwhile ----------------------------------------------------------


class Changing(Component):
    """Asks, does something, lets time pass, and asks again."""

    inbox = None
    outbox = None

    def __init__(self, files: StaticFiles, *steps: Any) -> None:
        self.files = files
        self.steps = steps

    async def main(self) -> list[Any]:
        found = []
        for step in self.steps:
            if isinstance(step, str):
                answer = await answered(self.files, NotedExchange(request("GET", step)))
                found.append(answer.body if answer.status == 200 else answer.status)
            elif isinstance(step, float):
                await sleep(step)
            else:
                step()
        return found


def changing(files: StaticFiles, *steps: Any) -> list[Any]:
    return run(Changing(files, *steps), loop_factory=VirtualLoop)  # type: ignore[no-any-return]


def test_a_small_file_is_looked_at_again_when_a_second_has_passed(folder: Path) -> None:
    def change() -> None:
        (folder / "a.txt").write_bytes(b"new")

    def remove() -> None:
        (folder / "a.txt").unlink()

    files = StaticFiles(folder)
    steps = ["/a.txt", change, 0.9, "/a.txt", 0.2, "/a.txt", remove, "/a.txt", 1.1, "/a.txt"]
    assert changing(files, *steps) == [b"0123456789", b"0123456789", b"new", b"new", 404]
    assert (files._kept, files._weight) == ({}, 0)


def test_what_is_kept_is_not_read_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = StaticFiles(folder)
    read: list[str] = []
    original = StaticFiles._form
    monkeypatch.setattr(
        StaticFiles, "_form", lambda self, *args: read.append(args[0]) or original(self, *args)
    )
    assert changing(files, "/a.txt", "/a.txt", 5.0, "/a.txt", "/a.txt") == [b"0123456789"] * 4
    assert read == [str(folder / "a.txt")]


def test_when_a_second_has_passed_it_is_looked_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = StaticFiles(folder)
    looks: list[str] = []
    original = StaticFiles._look
    monkeypatch.setattr(
        StaticFiles, "_look", lambda self, *args: looks.append(args[0]) or original(self, *args)
    )
    changing(files, "/a.txt", 0.5, "/a.txt", 1.0, "/a.txt", 0.9, "/a.txt", 0.1, "/a.txt")
    assert looks == ["a.txt"] * 3


def test_a_compressed_file_that_comes_later_is_seen(folder: Path) -> None:
    def add() -> None:
        (folder / "a.txt.gz").write_bytes(b"gzip of it")

    files = StaticFiles(folder)
    changing(files, "/a.txt", add, 2.0, "/a.txt")
    assert get(files, "/a.txt", Accept_Encoding="gzip").body == b"gzip of it"


def test_what_is_kept_has_a_bound_and_the_last_used_stays(folder: Path) -> None:
    for n in range(4):
        (folder / f"{n}.bin").write_bytes(b"x" * 1000)
    files = StaticFiles(folder, cache=6000)
    changing(files, "/0.bin", "/1.bin", "/2.bin", "/0.bin", "/3.bin")
    assert (list(files._kept), files._weight) == (["2.bin", "0.bin", "3.bin"], 6000)
    nothing = StaticFiles(folder, cache=0)
    assert changing(nothing, "/0.bin", "/0.bin") == [b"x" * 1000] * 2
    assert (nothing._kept, nothing._weight) == ({}, 0)


def test_many_names_that_are_not_there_are_not_kept(folder: Path) -> None:
    files = StaticFiles(folder)
    ask(files, *(request("GET", f"/none-{n}") for n in range(100)))
    assert files._kept == {}


def test_a_large_file_that_is_replaced_meanwhile_is_looked_up_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = StaticFiles(folder)
    original = StaticFiles._decide
    changes = [b"a" * 100_000, b"b" * 100_000]

    def decide(self: StaticFiles, *args: Any) -> Any:
        decided = original(self, *args)
        if changes:
            (folder / "large.bin").write_bytes(changes.pop(0))
        return decided

    monkeypatch.setattr(StaticFiles, "_decide", decide)
    found = get(files, "/large.bin")
    assert (found.status, found.body, found.length) == (200, b"b" * 100_000, 100_000)
    changes += [b"%d" % n * 100_000 for n in range(3)]
    assert get(files, "/large.bin").status == 503


def test_files_that_were_not_sent_are_closed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Any] = []

    class Breaking(NotedExchange):
        async def begin(self, response: Any, length: int | None = None) -> None:
            raise ConnectionError("gone")

    import kamaelia.protocol.http.static as module

    original = module._open
    monkeypatch.setattr(module, "_open", lambda *args: opened.extend(original(*args) or []) or list(opened))

    class Ask(Component):
        inbox = None
        outbox = None

        async def main(self) -> None:
            exchange = Breaking(request("GET", "/large.bin", {"Range": "bytes=0-0,1000-1000"}))
            with pytest.raises(ConnectionError):
                await answered(StaticFiles(folder), exchange)

    run(Ask(), loop_factory=VirtualLoop)
    assert len(opened) == 2 and all(file.closed for file in opened)


# --- the disk ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "status", "logged"),
    [
        (errno.ENOENT, 404, 0),
        (errno.ENAMETOOLONG, 404, 0),
        (errno.EACCES, 403, 0),
        (errno.EPERM, 403, 0),
        (errno.EIO, 500, 1),
        (errno.EMFILE, 500, 1),
    ],
)
@pytest.mark.parametrize("target", ["/a.txt", "/large.bin"])
def test_what_the_disk_does_not_give(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
    code: int, status: int, logged: int, target: str,
) -> None:  # fmt: skip
    files = StaticFiles(folder)

    def fail(*args: Any, **kwargs: Any) -> Any:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr("builtins.open", fail)
    with caplog.at_level(logging.WARNING, "kamaelia"):
        found = get(files, target)
    # A large file that has just gone is looked for again, and then it is time to give up.
    assert found.status == (503 if code == errno.ENOENT and target == "/large.bin" else status)
    assert len(caplog.records) == logged
    if logged:
        assert f"{target[1:]!r} in {folder} cannot be read" in caplog.text


def test_a_real_disk_is_asked_in_threads(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[str] = set()
    original = os.stat

    def stat(*args: Any, **kwargs: Any) -> Any:
        seen.add(threading.current_thread().name)
        return original(*args, **kwargs)

    files = StaticFiles(folder)
    monkeypatch.setattr(os, "stat", stat)
    found = ask(files, *(request("GET", one) for one in ("/a.txt", "/large.bin", "/none")), loop_factory=None)
    assert [(one.status, one.body) for one in found][:2] == [(200, b"0123456789"), (200, LARGE)]
    assert found[2].status == 404
    assert seen and threading.main_thread().name not in seen


def test_a_file_that_was_opened_for_nobody_is_closed(folder: Path) -> None:
    file = (folder / "a.txt").open("rb")
    begun, go_on = threading.Event(), threading.Event()

    def work() -> list[Any]:
        begun.set()
        go_on.wait(10)
        return [file]

    async def main() -> None:
        task = asyncio.create_task(in_thread(work))
        await asyncio.to_thread(begun.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()

    asyncio.run(main())
    assert file.closed


# --- behind a real server ----------------------------------------------------------------------------


@contextlib.contextmanager
def asked(folder: Path, path: str) -> Iterator[socket.socket]:
    """Ask a real server for a file; gives the connection."""
    server = HTTPServer({"/files/*": StaticFiles(folder)}, port=0, quiet=True, linger=0.01)
    with background(server) as handle, socket.socket() as peer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 20_000)
        peer.settimeout(20)
        peer.connect(handle.receive("listening"))
        peer.sendall(f"GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n".encode())
        yield peer


def all_of(peer: socket.socket) -> bytes:
    received = []
    with contextlib.suppress(ConnectionResetError):
        while data := peer.recv(1_000_000):
            received.append(data)
    return b"".join(received)


@pytest.mark.parametrize(("name", "body"), [("a.txt", b"0123456789"), ("large.bin", LARGE)])
def test_a_server_sends_a_file(folder: Path, name: str, body: bytes) -> None:
    with asked(folder, f"/files/{name}") as peer:
        head, _, received = all_of(peer).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert f"Content-Length: {len(body)}".encode() in head.split(b"\r\n")
    assert received == body


def test_a_file_that_becomes_shorter_breaks_the_connection(folder: Path) -> None:
    (folder / "huge.bin").write_bytes(bytes(30_000_000))
    with asked(folder, "/files/huge.bin") as peer:
        head = peer.recv(1000)
        assert b"Content-Length: 30000000\r\n" in head
        os.truncate(folder / "huge.bin", 20_000_000)
        assert 0 < len(all_of(peer)) <= 20_000_000


def test_a_file_that_vanishes_is_sent_all_the_same(folder: Path) -> None:
    (folder / "huge.bin").write_bytes(bytes(10_000_000))
    with asked(folder, "/files/huge.bin") as peer:
        head = peer.recv(1000)
        (folder / "huge.bin").unlink()
        rest = all_of(peer)
    assert len((head + rest).partition(b"\r\n\r\n")[2]) == 10_000_000


# --- arguments ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        ({"folder": "/none"}, ValueError, r"StaticFiles\('/none'\): there is no such folder"),
        ({"index": "a/b"}, ValueError, r"index='a/b'\): give the name of a file, or None"),
        ({"index": ""}, ValueError, r"index=''\): give the name"),
        ({"max_age": -1}, ValueError, r"max_age=-1\): give the seconds it is good for, 0 or more"),
        ({"small": "much"}, UsageError, "StaticFiles: small='much': write a number"),
        ({"cache": -1}, UsageError, "StaticFiles: cache=-1 is no quantity"),
    ],
)
def test_arguments(folder: Path, given: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        StaticFiles(**{"folder": folder, **given})


def test_headers_that_are_made_of_headers_are_the_same() -> None:
    given = Headers([("Set-Cookie", "a=1"), ("X-More", "1"), ("set-cookie", "b=2")])
    assert Headers(given).pairs == Headers().with_(given).pairs == given.pairs


def test_headers_are_checked_at_once(folder: Path) -> None:
    make: Callable[[], Any] = lambda: StaticFiles(folder, headers={"a b": "c"})  # noqa: E731
    with pytest.raises(Exception, match="'a b' is no name of a header"):
        make()
    assert Headers(StaticFiles(folder)._headers.pairs) == Headers()
