"""A server that may open no more files: whom it has it goes on to serve, and others when there are some."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import sys

import pytest

from .conftest import WAIT

FILES = 300  # that the server's process may have open

SERVER = """
import resource, sys
from kamaelia import run
from kamaelia.net import TCPServer
from kamaelia.protocol import Echo
resource.setrlimit(resource.RLIMIT_NOFILE, ({files}, {files}))
server = TCPServer(Echo, port=0, limit=1000)
factory = None
if {loop!r} == "asyncio":
    import asyncio
    factory = asyncio.new_event_loop
run(server, loop_factory=factory)
print(server.statistics(), file=sys.stderr)
"""


@pytest.mark.slow
@pytest.mark.one_core
@pytest.mark.parametrize(
    "loop", ["asyncio", pytest.param("uvloop", marks=pytest.mark.needs("module:uvloop"))]
)
def test_a_famine_of_descriptors_is_survived(loop):
    program = SERVER.format(files=FILES, loop=loop)
    with subprocess.Popen(
        [sys.executable, "-c", program], stderr=subprocess.PIPE, text=True
    ) as server:  # fmt: skip
        assert server.stderr is not None
        address = server.stderr.readline().partition(" listens on ")[2].partition(". ")[0].split(":")
        try:
            with contextlib.ExitStack() as stack:
                socks = [
                    stack.enter_context(socket.create_connection((address[0], int(address[1])), timeout=WAIT))
                    for _ in range(FILES)
                ]
                served = [sock for sock in socks if echoes(sock, WAIT)]
                assert FILES // 3 < len(served) < FILES - 100
                assert all(echoes(sock, WAIT) for sock in served)
            refused = FILES - len(served)
            while True:  # until the server has seen that some have gone
                with socket.create_connection((address[0], int(address[1])), timeout=WAIT) as sock:
                    if echoes(sock, WAIT):
                        break
                    refused += 1
        finally:
            server.send_signal(signal.SIGINT)
            said = server.stderr.read()
    assert said.count("refuses connections: the process may hardly open more files") == 1
    assert f"reasons={{'files': {refused}}}" in said


def echoes(sock: socket.socket, timeout: float) -> bool:
    sock.settimeout(timeout)
    try:
        sock.sendall(b"x")
        return sock.recv(1) == b"x"
    except (TimeoutError, ConnectionError):
        return False
