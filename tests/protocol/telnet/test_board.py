"""The bulletin board of examples/, served as a reader would, and visited with nc."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from kamaelia import background
from kamaelia.net import TCPServer
from kamaelia.protocol import Conversation
from kamaelia.testing import drive

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / "examples" / "bulletin_board.py"
WAIT = 20


def example() -> Any:
    spec = importlib.util.spec_from_file_location("bulletin_board", EXAMPLE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def visit(address: tuple[str, int], *lines: str) -> str:
    """Return what somebody sees who types these lines into nc."""
    done = subprocess.run(
        ["nc", address[0], str(address[1])],
        input="".join(f"{line}\n" for line in lines).encode(),
        capture_output=True,
        timeout=WAIT,
    )
    return re.sub(rb"\xff..", b"", done.stdout).decode().replace("\r\n", "\n")


@pytest.mark.needs("program:nc")
def test_two_people_with_nc(tmp_path: Path) -> None:
    path = tmp_path / "board.json"
    server = TCPServer(Conversation(example().Board(path).talk), port=0, quiet=True)
    with background(server) as handle:
        address = handle.receive("listening", timeout=WAIT)
        posted = visit(
            address, "anna", "apple", "enter lego", "post", "Bricks", "Who has", "red ones?", ".", "quit"
        )
        assert posted.endswith(
            "lego> Title? Now the text. A single full stop ends it.\nIt is posted.\nlego> Good bye, anna!\n"
        )
        assert visit(address, "bert", "plum", "enter lego", "read 1", "reply 1", "I!", ".", "list", "q") == (
            "Your name? You are new here: choose a password.\n"
            "Password? Hello bert! Type help to see what there is.\n"
            "general> lego> Bricks (by anna)\nWho has\nred ones?\n"
            "lego> Now the text. A single full stop ends it.\nIt is posted.\n"
            "lego>   1 anna         Bricks\n  2 bert         Re: Bricks\n"
            "lego> Good bye, bert!\n"
        )
        assert visit(address, "anna", "a guess", "apple", "folders", "quit") == (
            "Your name? Password? That is not it.\n"
            "Password? Hello anna! Type help to see what there is.\n"
            "general> general    0 messages\nlego       2 messages\n"
            "general> Good bye, anna!\n"
        )
        assert server.statistics().failed == 0
    accounts, folders = json.loads(path.read_text())
    assert [message["text"] for message in folders["lego"]] == ["Who has\nred ones?", "I!"]
    assert list(accounts) == ["anna", "bert"]
    assert "apple" not in path.read_text() and "plum" not in path.read_text()
    assert [one.name for one in tmp_path.iterdir()] == ["board.json"]


@pytest.mark.one_core()
def test_what_was_posted_is_there_after_a_restart(tmp_path: Path) -> None:
    board = example().Board(tmp_path / "board.json")
    with drive(Conversation(board.talk)) as anna:
        anna.send(b"anna\napple\npost\nHello\n.\n")
    again = example().Board(tmp_path / "board.json")
    asyncio.run(again.check_password("anna", "apple"))
    with pytest.raises(ValueError, match="That is not it"):
        asyncio.run(again.check_password("anna", "pear"))
    assert [message["title"] for message in again.folders["general"]] == ["Hello"]


@pytest.mark.one_core()
def test_two_cannot_open_one_account(tmp_path: Path) -> None:
    board = example().Board(tmp_path / "board.json")
    with drive(Conversation(board.talk)) as one, drive(Conversation(board.talk)) as other:
        one.send(b"anna\n")
        other.send(b"anna\n")
        one.send(b"apple\n")
        other.send(b"plum\n")
        assert b"Somebody was faster" in b"".join(other.take_all())
    asyncio.run(board.check_password("anna", "apple"))


@pytest.mark.one_core()
def test_while_a_password_is_hashed_others_are_served(tmp_path: Path, monkeypatch: Any) -> None:
    module = example()
    board, hashing, go_on = module.Board(tmp_path / "board.json"), threading.Event(), threading.Event()

    def work(password: str, salt: str) -> str:
        hashing.set()
        assert go_on.wait(WAIT)
        return password

    monkeypatch.setattr(module, "work", work)
    with background(TCPServer(Conversation(board.talk), port=0, quiet=True)) as handle:
        address = handle.receive("listening", timeout=WAIT)
        with (
            socket.create_connection(address, timeout=WAIT) as anna,
            socket.create_connection(address, timeout=WAIT) as bert,
        ):
            anna.sendall(b"anna\napple\n")
            assert hashing.wait(WAIT)
            bert.sendall(b"Bert\n")
            seen = b""
            while b"small letters" not in seen:
                seen += bert.recv(1000)
            go_on.set()
            while b"Hello anna!" not in seen:
                seen += anna.recv(1000)


@pytest.mark.one_core()
@pytest.mark.needs("program:nc")
def test_it_serves_as_its_first_lines_say(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, EXAMPLE, "serve", "0"],  # at a port that is free
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        stderr=subprocess.PIPE,
    )
    try:
        assert process.stderr is not None
        line = process.stderr.readline().decode()
        listens = re.search(r"TCPServer listens on 127\.0\.0\.1:(\d+)\.", line)
        assert listens, line
        assert visit(("127.0.0.1", int(listens[1])), "anna", "apple", "quit").endswith("Good bye, anna!\n")
    finally:
        process.terminate()
        process.wait(WAIT)
        process.stderr.close()
    assert (tmp_path / "board.json").exists()
