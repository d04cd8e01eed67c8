"""Where inspection sockets are, and who may use them."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys

import pytest

from kamaelia.axon.errors import UsageError
from kamaelia.observe.inspection import places

pytestmark = pytest.mark.one_core


@pytest.fixture
def opened(home):
    made = []

    def listen():
        one, path, number = places.listen()
        made.append((one, path))
        return path, number

    yield listen
    for one, path in made:
        one.close()
        if os.path.exists(path):
            os.unlink(path)


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


def test_only_the_owner_may_use_a_socket_and_its_folder(home, opened):
    path, number = opened()
    assert path == f"{home}/{os.getpid()}-1.sock"
    assert number == 1
    assert (mode(home), mode(path)) == (0o700, 0o600)
    assert opened() == (f"{home}/{os.getpid()}-2.sock", 2)
    assert [found[1:] for found in places.sockets()][:2] == [(os.getpid(), 1), (os.getpid(), 2)]


def test_without_a_runtime_folder_it_is_in_tmp(monkeypatch):
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert places.own_folder() == f"/tmp/kamaelia-{os.geteuid()}"
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/no/such/folder")
    assert places.own_folder() == f"/tmp/kamaelia-{os.geteuid()}"


def test_a_path_that_is_too_long_for_a_socket_is_not_taken(monkeypatch, tmp_path):
    deep = tmp_path / ("x" * 90)
    deep.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(deep))
    assert places.own_folder() == f"/tmp/kamaelia-{os.geteuid()}"


def test_a_folder_that_is_open_to_others_is_refused(home):
    home.mkdir(mode=0o755)
    home.chmod(0o755)
    with pytest.raises(
        UsageError, match=rf"{home} is open to others \(mode 755\), so no .*: remove it, or set"
    ):
        places.listen()


def test_a_folder_that_is_none_is_refused(home, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    home.symlink_to(elsewhere)
    with pytest.raises(UsageError, match="is no folder"):
        places.listen()


def test_a_folder_of_somebody_else_is_refused(home, monkeypatch):
    home.mkdir(mode=0o700)
    monkeypatch.setattr(places, "_uid", lambda: os.geteuid() + 1)
    with pytest.raises(UsageError, match=f"belongs to user {os.geteuid()}"):
        places.check_folder(str(home))


def test_what_killed_processes_have_left_is_removed(home, opened):
    home.mkdir(mode=0o700)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left = home / f"{ended.pid}-1.sock"
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(left))
        other = home / "notes.txt"
        other.touch()
        own = home / f"{os.getpid()}-1.sock"  # of a process that had our number
        with socket.socket(socket.AF_UNIX) as two:
            two.bind(str(own))
    assert opened() == (str(own), 1)
    assert sorted(os.listdir(home)) == sorted([own.name, "notes.txt"])
    assert places.is_answered(str(own))


def test_a_live_socket_is_left_alone(home, opened):
    path, _ = opened()
    elsewhere = home / "99999999-1.sock"  # as of a process in another container
    os.link(path, elsewhere)
    opened()
    assert elsewhere.exists()
    elsewhere.unlink()


def test_without_unix_sockets_it_says_so(monkeypatch):
    monkeypatch.delattr(socket, "AF_UNIX")
    with pytest.raises(UsageError, match="opens a Unix socket, and Python has none on this system"):
        places.listen()


def test_the_kernel_says_who_asks():
    one, other = socket.socketpair(socket.AF_UNIX)
    with one, other:
        assert places.peer_of(one) == os.geteuid()


@pytest.mark.parametrize(
    ("peer", "own", "may"),
    [(1000, 1000, True), (0, 1000, True), (1001, 1000, False), (1001, 0, False), (None, 1000, True)],
)
def test_only_the_owner_and_root_may_look(peer, own, may):
    assert places.may_look(peer, own) is may
