"""Conversations over TCP: with nc, a telnet client by hand, and several people in a simulated network."""

from __future__ import annotations

import socket
import subprocess
from typing import Any

import pytest

from kamaelia import background, component, sleep
from kamaelia.flow import Collect, Encode
from kamaelia.net import TCPClient, TCPServer
from kamaelia.protocol import Commands, Conversation
from kamaelia.testbed import Network

WAIT = 20
IS_HERE: set[str] = set()


async def talk(visitor: Conversation) -> None:
    name = await visitor.ask("login: ")
    password = await visitor.ask("password: ", hidden=True)
    if password != "secret":
        return await visitor.say("No.")
    IS_HERE.add(name)
    try:
        await Commands({"who": lambda: ", ".join(sorted(IS_HERE))}).serve(visitor)
    finally:
        IS_HERE.remove(name)
    await visitor.say(f"Good bye, {name}!")


@pytest.fixture(autouse=True)
def nobody_is_here() -> None:
    IS_HERE.clear()


def serving() -> Any:
    return background(TCPServer(Conversation(talk), port=0, quiet=True))


@pytest.mark.needs("program:nc")
def test_with_nc() -> None:
    with serving() as handle:
        host, port = handle.receive("listening", timeout=WAIT)
        typed = b"anna\nsecret\nwho\nquit\n"
        done = subprocess.run(["nc", host, str(port)], input=typed, capture_output=True, timeout=WAIT)
    assert done.returncode == 0
    assert done.stdout == b"login: password: \xff\xfb\x01> anna\r\n> Good bye, anna!\r\n"


def test_with_a_telnet_client() -> None:
    with serving() as handle:
        with socket.create_connection(handle.receive("listening", timeout=WAIT), timeout=WAIT) as sock:

            def until(what: bytes) -> bytes:
                got = b""
                while not got.endswith(what):
                    got += sock.recv(1)
                return got

            # As PuTTY begins, of its own accord.
            sock.sendall(
                b"\xff\xfb\x1f\xff\xfb\x20\xff\xfb\x18\xff\xfb\x27\xff\xfd\x01\xff\xfb\x03\xff\xfd\x03"
            )
            assert until(b"\xff\xfb\x03") == (
                b"login: \xff\xfd\x1f\xff\xfe\x20\xff\xfe\x18\xff\xfe\x27\xff\xfc\x01\xff\xfd\x03\xff\xfb\x03"
            )
            for byte in b"bertt\x7f\r\0":
                sock.sendall(bytes([byte]))
            assert until(b"\xff\xfb\x01") == b"password: \xff\xfb\x01"
            sock.sendall(b"\xff\xfd\x01secret\r\0")
            assert until(b"> ") == b"\xff\xfc\x01\r\n> "
            sock.sendall(b"\xff\xfe\x01who\r\n")
            assert until(b"> ") == b"bert\r\n> "
            sock.sendall(b"\xff\xf4\xff\xfd\x06")  # Ctrl-C
            assert sock.recv(100) == b""


@component
async def typist(inbox: Any, outbox: Any, name: str, second: float) -> None:
    await sleep(second)
    for line in (name, "secret", "who"):
        await outbox.send(line)
        await sleep(1)
    await sleep(5)
    await outbox.send("who")
    await sleep(1)


def test_several_at_a_time_in_a_network_that_loses_packets() -> None:
    network = Network()
    network.host("server").run(TCPServer(Conversation(talk), port=2323, quiet=True))
    for number, name in enumerate(("anna", "bert", "cleo")):
        person = typist(name, number * 2) | Encode(end="\r\n") | TCPClient("server", 2323) | Collect()
        network.host(name).run(person)
        network.link("server", name, delay="50 ms", loss="5 %")
    trace = network.simulate(seconds=60, seed=5)
    seen = {
        name: b"".join(trace.results[name]).split(b"\xff\xfb\x01")[1].decode().replace("\r\n", " ")
        for name in ("anna", "bert", "cleo")
    }
    assert seen == {
        "anna": "> anna > anna, bert, cleo > ",
        "bert": "> anna, bert > bert, cleo > ",
        "cleo": "> anna, bert, cleo > cleo > ",
    }
    assert not IS_HERE
