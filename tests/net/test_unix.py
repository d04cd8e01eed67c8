"""Unix sockets: what cannot be had, and names in no folder, which only Linux has."""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import socket
from collections.abc import Callable
from typing import Any

import pytest

from kamaelia import background, run
from kamaelia.axon import ComponentsFailed
from kamaelia.flow import Collect, Map, Source
from kamaelia.net import CannotConnect, CannotListen, UnixClient, UnixServer

from .conftest import WAIT

NewLoop = Callable[[], asyncio.AbstractEventLoop]
NUMBERS = itertools.count()


@pytest.fixture
def name() -> str:
    return f"\0kamaelia-{os.getpid()}-{next(NUMBERS)}"


def upper(name: str) -> UnixServer:
    return UnixServer(Map(bytes.upper), name, quiet=True)


def asked(name: str) -> bytes:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(WAIT)
        client.connect(name)
        client.sendall(b"tea")
        client.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: client.recv(100), b""))


def failure(system: Any, **options: Any) -> Exception:
    with pytest.raises(ComponentsFailed) as caught:
        run(system, **options)
    (error,) = caught.value.exceptions
    return error


def test_a_server_is_found_by_a_name_in_no_folder(new_loop: NewLoop, name: str) -> None:
    with background(upper(name), loop_factory=new_loop) as server:
        assert server.receive("listening", timeout=WAIT) == name
        assert asked(name) == b"TEA"
    with pytest.raises(ConnectionRefusedError):
        asked(name)


def test_a_name_in_no_folder_is_not_taken_from_who_has_it(new_loop: NewLoop, name: str) -> None:
    with background(upper(name), loop_factory=new_loop) as server:
        server.receive("listening", timeout=WAIT)
        error = failure(upper(name), loop_factory=new_loop)
        assert isinstance(error, CannotListen)
        assert "another program listens" in str(error)
        assert asked(name) == b"TEA"


def test_a_client_connects_to_a_name_in_no_folder(name: str) -> None:
    with background(upper(name)) as server:
        system = Source([b"tea"]) | UnixClient(server.receive("listening", timeout=WAIT)) | Collect()
        assert run(system, loop_factory=asyncio.new_event_loop) == [b"TEA"]


@pytest.mark.needs("module:uvloop")
def test_uvloop_connects_to_no_such_name_and_the_error_says_what_does(name: str) -> None:
    import uvloop

    with background(upper(name)) as server:
        server.receive("listening", timeout=WAIT)
        error = failure(Source([b"tea"]) | UnixClient(name) | Collect(), loop_factory=uvloop.new_event_loop)
        assert isinstance(error, CannotConnect)
        assert "use run(..., loop_factory=asyncio.new_event_loop)" in str(error)


def test_a_path_that_cannot_be_had_is_an_error_that_speaks_of_paths(new_loop: NewLoop, tmp_path: Any) -> None:
    error = failure(upper(str(tmp_path / "none" / "socket")), loop_factory=new_loop)
    assert isinstance(error, CannotListen)
    assert str(error).endswith("/none/socket: make it, or choose another path")


@pytest.mark.one_core()
@pytest.mark.parametrize(
    "number, says",
    [
        (errno.EACCES, "this user may not make a socket at clock: choose another folder"),
        (errno.EROFS, "this user may not make a socket at clock: choose another folder"),
        (
            errno.EADDRINUSE,
            "another program listens on clock, or it is no socket: stop it",
        ),
        (errno.ENOTDIR, "there is no folder for clock"),
        (errno.ENOSPC, "it cannot listen on clock: "),
    ],
)
def test_of_a_unix_socket_no_port_is_spoken(monkeypatch: Any, number: int, says: str) -> None:
    """Whatever the path, and whoever runs the tests: the error is what the loop raises."""

    async def refuse(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(asyncio.SelectorEventLoop, "create_unix_server", refuse)
    error = failure(upper("clock"), loop_factory=asyncio.SelectorEventLoop)
    assert str(error).startswith(f"UnixServer: {says}")
