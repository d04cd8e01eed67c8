"""Threads of the tests that talk to the loop over sockets which block.

They become jobs under the baton (`kamaelia.axon.baton`): each has a thread, only one of them is at work, and
so they may use the host's simulated sockets. When the main thread waits for one, or blocks itself while no
loop is running, it lets the host's clock go on.
"""

from __future__ import annotations

import asyncio
import select
import ssl
import threading
import time
import traceback
from asyncio import events
from typing import Any

from test.test_asyncio import functional

from kamaelia.axon import baton
from kamaelia.testbed.sockets import SimulatedSocket
from kamaelia.testbed.stack import Stack

from .loops import Instead, SimulatedLoop
from .servers import newest_loop


class JobThread(threading.Thread):
    """A thread that is a job."""

    _loop: SimulatedLoop
    _job: baton.Job

    def start(self) -> None:
        """Begin at once, and come back when it has ended or waits."""
        self._loop = newest_loop()
        crew = self._loop._crew_of(None)
        crew._unfinished += 1
        self._job = baton.Job(crew, self.run, ())
        crew.begin(self._job)

    def join(self, timeout: float | None = None) -> None:
        """Let the clock go on until it has ended."""
        while self.is_alive():
            self._loop.clock.turn()
        error = self._job.future.exception()
        if error is not None:  # which is for people to read
            traceback.print_exception(error)

    def is_alive(self) -> bool:
        """Say whether it has begun, and not ended."""
        return "_job" in vars(self) and not self._job.future.done()


class Thread(threading.Thread):
    """What the name ``threading.Thread`` means to the tests, some of whose threads need no sockets."""

    def __new__(cls, *args: Any, target: Any = None, **options: Any) -> Any:
        if cls is Thread and getattr(target, "__name__", "") in ("client", "server"):
            return JobThread(*args, target=target, **options)
        return super().__new__(cls)


class Event(threading.Event):
    """What the name ``threading.Event`` means to the tests: a job that waits for one lets the loop go on."""

    def wait(self, timeout: float | None = None) -> bool:
        if baton.holder_for(newest_loop().clock) is None:
            return super().wait(timeout)

        async def wait() -> None:
            while not self.is_set():  # noqa: ASYNC110
                await asyncio.sleep(0.01)

        answer = asyncio.run_coroutine_threadsafe(wait(), newest_loop())
        try:
            answer.result(timeout)
        except TimeoutError:
            answer.cancel()
        return self.is_set()


def be_jobs(module: Any) -> None:
    """Have the kinds of threads that a module has be jobs."""
    for kind in list(vars(module).values()):
        if isinstance(kind, type) and issubclass(kind, threading.Thread) and kind is not threading.Thread:
            for name in ("start", "join", "is_alive"):
                setattr(kind, name, getattr(JobThread, name))


def let_clock_go_on(self: Stack, sock: SimulatedSocket, what: str) -> None:
    """A call of a socket would block the main thread: let it, if no loop is running there."""
    if events._get_running_loop() is not None:
        raise RuntimeError(f"{what}() of {sock!r} would block the loop")
    self.simulation.clock.turn()


def sleep(seconds: float) -> None:
    """See `time.sleep`; in a job it takes virtual time."""
    if baton.holder_for(newest_loop().clock) is None:
        time.sleep(seconds)
    else:
        asyncio.run_coroutine_threadsafe(asyncio.sleep(seconds), newest_loop()).result()


def wait_for_any(reading: list[Any], writing: Any, other: Any, timeout: float | None = None) -> Any:
    """See `select.select`; of a job."""

    async def wait() -> None:
        await asyncio.wait([one.wait(to_write=False) for one in reading], return_when=asyncio.FIRST_COMPLETED)

    if not any(one.is_readable() for one in reading):
        asyncio.run_coroutine_threadsafe(wait(), newest_loop()).result(timeout)
    return [one for one in reading if one.is_readable()], [], []


class TLSSocket:
    """A socket of a job that speaks TLS: what `ssl.SSLContext.wrap_socket` makes of a simulated one."""

    def __init__(
        self, sock: Any, context: ssl.SSLContext, *, server_side: bool, server_hostname: Any
    ) -> None:
        self._sock = taken_over(sock)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side, server_hostname)
        self.context = context

    def _do(self, call: Any, *args: Any) -> Any:
        while True:
            try:
                result = call(*args)
            except ssl.SSLWantReadError:
                self._flush()
                data = self._sock.recv(65536)
                if data:
                    self._in.write(data)
                else:
                    self._in.write_eof()
            except BaseException:
                self._flush()
                raise
            else:
                self._flush()
                return result

    def _flush(self) -> None:
        if self._out.pending:
            self._sock.sendall(self._out.read())

    def connect(self, address: Any) -> None:
        self._sock.connect(address)
        self.do_handshake()

    def do_handshake(self) -> None:
        self._do(self._tls.do_handshake)

    def recv(self, size: int) -> bytes:
        try:
            return self._do(self._tls.read, size)  # type: ignore[no-any-return]
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    read = recv

    def recv_into(self, buffer: Any, size: int = 0) -> int:
        data = self.recv(size or len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def send(self, data: bytes) -> int:
        return self._do(self._tls.write, data)  # type: ignore[no-any-return]

    write = send

    def sendall(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self.send(view) :]  # type: ignore[arg-type]

    def unwrap(self) -> Any:
        self._do(self._tls.unwrap)
        return self._sock

    def close(self) -> None:
        self._sock.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tls if hasattr(self._tls, name) else self._sock, name)

    def __enter__(self) -> TLSSocket:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def taken_over(sock: Any) -> Any:
    """Return another socket with the connection of this one, which is as if closed."""
    if isinstance(sock, TLSSocket):
        return sock
    other = SimulatedSocket(sock.node, sock.type, sock.local, sock.remote, sock.family)
    other.settimeout(sock.gettimeout())
    end, sock.end = sock.end, None
    if end is not None:
        end.socket = other
        other.own_end(end)
    return other


_wrap = ssl.SSLContext.wrap_socket


def wrap_socket(
    self: ssl.SSLContext,
    sock: Any,
    server_side: bool = False,
    do_handshake_on_connect: bool = True,
    suppress_ragged_eofs: bool = True,
    server_hostname: Any = None,
    session: Any = None,
) -> Any:
    """See `ssl.SSLContext`."""
    sock = getattr(sock, "_TestSocketWrapper__sock", sock)  # which the tests put around a socket
    if not isinstance(sock, (SimulatedSocket, TLSSocket)):
        return _wrap(
            self, sock, server_side, do_handshake_on_connect, suppress_ragged_eofs, server_hostname, session
        )
    made = TLSSocket(sock, self, server_side=server_side, server_hostname=server_hostname)
    if do_handshake_on_connect and made._sock.end is not None:
        made.do_handshake()
    return made


def replace_threads(tests: Any) -> None:
    """Have threads of tests be jobs, in a module of tests and in what all of them use."""
    Stack.refuse_to_block = let_clock_go_on  # type: ignore[method-assign]
    ssl.SSLContext.wrap_socket = wrap_socket  # type: ignore[method-assign]
    for module in (tests, functional):
        be_jobs(module)
        if getattr(module, "threading", None) is threading:
            module.threading = Instead(threading, Thread=Thread, Event=Event)
        if getattr(module, "time", None) is time:
            module.time = Instead(time, sleep=sleep)
        if getattr(module, "select", None) is select:
            module.select = Instead(select, select=wait_for_any)
