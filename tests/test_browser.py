"""Pages of the examples in a real browser.

`KAMAELIA_KEEP=1 pytest tests/test_browser.py` makes the picture for the documentation anew; look at it
before you commit it.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_examples import ROOT
from tests.test_server_examples import WAIT, served
from tools.browser import Browser, Tab, chromium

PICTURE = ROOT / "docs" / "pictures" / "web-chat.png"
LARGEST = 200_000  # bytes of a picture
SIZE = (640, 460)

pytestmark = [pytest.mark.slow, pytest.mark.once, pytest.mark.needs("program:chromium")]


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    with chromium(tmp_path / "profile") as browser:
        yield browser


def lines_of(tab: Tab, count: int) -> list[str]:
    """Return what is said on a page, as soon as it is so many lines."""
    lines = '[...document.querySelectorAll("#said p")].map(line => line.innerText)'
    tab.wait_for(f"{lines}.length >= {count}")
    shown: list[str] = tab.evaluate(lines)
    return shown


@pytest.mark.one_core("compiled")
def test_two_pages_and_a_terminal_chat_with_each_other(browser: Browser) -> None:
    with served("web_chat", [8080, 1500], None, None, listening=2) as example:
        web, nc = example.ports
        address = ("127.0.0.1", nc)
        anna, bert = (browser.open(f"http://127.0.0.1:{web}/", width=SIZE[0], height=SIZE[1]) for _ in "ab")
        for tab in (anna, bert):
            tab.wait_for("room.readyState == WebSocket.OPEN")
        assert anna.evaluate("document.title") == "A chat"
        with socket.create_connection(address, WAIT) as terminal, terminal.makefile("rw") as cleo:
            anna.type("#name", "Anna")
            anna.type("#text", "is anybody there?\n")
            assert lines_of(bert, 1) == ["Anna: is anybody there?"]
            bert.type("#name", "Bert")
            bert.type("#text", "I am, in another window\n")
            assert lines_of(anna, 2)[1] == "Bert: I am, in another window"
            assert [cleo.readline(), cleo.readline()] == [
                "Anna: is anybody there?\n", "Bert: I am, in another window\n"
            ]  # fmt: skip
            cleo.write("Cleo: and I am in a terminal, with nc\n")
            cleo.flush()
            bert.type("#text", "<b>nice</b> to meet you\n")
            said = [
                "Anna: is anybody there?",
                "Bert: I am, in another window",
                "Cleo: and I am in a terminal, with nc",
                "Bert: <b>nice</b> to meet you",  # text stays text
            ]
            assert sorted(lines_of(anna, 4)) == sorted(lines_of(bert, 4)) == sorted(said)
            assert [cleo.readline(), cleo.readline()] == [f"{line}\n" for line in lines_of(anna, 4)[2:]]
        assert anna.evaluate("document.querySelectorAll('#said b').length") == 0
        assert anna.evaluate("document.getElementById('text').value") == ""
        picture = anna.screenshot()
        check_picture(picture)
        late = browser.open(f"http://127.0.0.1:{web}/")
        assert lines_of(late, 4) == lines_of(anna, 4)  # who comes late is told what was said before
        assert [tab.complaints for tab in (anna, bert, late)] == [[], [], []]
    for tab in (anna, bert, late):  # the server has ended, and has said so
        assert lines_of(tab, 5)[4] == "(The chat is over.)"


def check_picture(picture: bytes) -> None:
    """See that a screenshot is one, and not an empty page; keep it if that is asked for."""
    assert picture.startswith(b"\x89PNG\r\n") and len(picture) < LARGEST
    if os.environ.get("KAMAELIA_KEEP") == "1":
        PICTURE.write_bytes(picture)
    kept = PICTURE.read_bytes()
    assert len(kept) < LARGEST
    assert struct.unpack(">II", picture[16:24]) == struct.unpack(">II", kept[16:24])
    # Letters are drawn a little differently on each machine, so the pictures are only about the same.
    assert len(kept) / 2 < len(picture) < len(kept) * 2


@pytest.mark.one_core("compiled")
def test_a_dashboard_draws_what_happens_and_comes_back(browser: Browser) -> None:
    with served("dashboard", [8080], None, 0.05) as example:
        address = f"http://127.0.0.1:{example.ports[0]}/"
        first = browser.open(address)
        first.wait_for("document.getElementById('answered').textContent == '2'")  # the page, and its figures
        second = browser.open(address)
        first.wait_for("document.getElementById('answered').textContent == '4'")
        first.wait_for("document.getElementById('open').textContent >= 2")  # a stream of figures for each
        drawn = "document.getElementById('line').getAttribute('points').split(' ').length"
        second.wait_for(f"{drawn} == 60")  # a minute of figures
        second.evaluate("{ window.more = 0; figures.addEventListener('message', () => window.more++) }")
        second.wait_for("window.more >= 3")
        assert second.evaluate(drawn) == 60  # and no more
        assert [first.complaints, second.complaints] == [[], []]
    first.wait_for("document.getElementById('state').textContent == 'The server is gone.'")
