"""Clients of inspection sockets: one for ordinary code, and one for code on an event loop.

>>> from kamaelia import background
>>> from kamaelia.flow import Map
>>> with background(Map(str.upper), inspect=True, announce=str) as handle:
...     mine = [one for one in running() if one.pid == os.getpid()]
...     with connect(mine[-1].path) as inspector:
...         shot = inspector.ask("snapshot")
>>> mine[-1].name, shot["components"][-1]["path"]
('Map', 'Map')
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from kamaelia.axon.clock import monotonic
from kamaelia.axon.errors import UsageError

from . import places
from .protocol import Dialogue, InspectionError, Said

TIMEOUT = 10.0  # seconds in which an answer has to be there
UNREAD = 10_000  # lines of streams that wait for whoever reads them
PIECE = 256 * 1024  # bytes that are read at once


@dataclass(frozen=True, slots=True)
class Running:
    """A system, or a simulated network, that can be looked at."""

    address: str
    """What `connect` and ``kamaelia top`` take: ``4711``, or ``4711-2`` for the second of a process."""
    path: str
    """Its socket."""
    pid: int
    """Its process."""
    name: str
    """What it is called."""
    kind: str
    """``system`` or ``network``."""
    program: str
    """The program that it runs in."""

    def __str__(self) -> str:
        return f"{self.address}  {self.name} ({self.program})"


def running(timeout: float = 1.0) -> list[Running]:
    """Return all that can be looked at by this user, on this machine.

    Arguments:
        timeout: seconds that each has to say who it is; who does not is left out
    """
    found = []
    for path, pid, number in places.sockets():
        try:
            with connect(path, timeout=timeout) as inspector:
                said = inspector.greeting
        except (InspectionError, OSError):
            continue
        address = str(pid) if number == 1 else f"{pid}-{number}"
        found.append(
            Running(
                address,
                path,
                pid,
                str(said.get("name", "")),
                str(said.get("kind", "")),
                str(said.get("program", "")),
            )
        )
    return found


def find(address: str | int | None = None) -> str:
    """Return the path of the socket that an address means.

    Arguments:
        address: the number of a process, ``PID-N`` for the Nth system in it, the path of a socket, or None
            for the only one that there is (in ``$XDG_RUNTIME_DIR``, if there are any)

    Raises `InspectionError` if there is none, or which of several is not said.
    """
    _check_platform()
    text = "" if address is None else str(address)
    if os.sep in text or text.endswith(".sock"):
        if not os.path.exists(text):
            raise InspectionError(f"there is no socket {text}")
        return text
    if text:
        pid, _, number = text.partition("-")
        if not pid.isdecimal() or (number and not number.isdecimal()):
            raise InspectionError(
                f"{text!r} is no address: give the number of a process (4711), of a system in it (4711-2), "
                "or the path of a socket"
            )
        paths = [
            path
            for path, one, which in places.sockets()
            if one == int(pid) and (not number or which == int(number))
        ]
        live = [path for path in paths if places.is_answered(path)]
        if len(live) == 1:
            return live[0]
        if live:
            raise InspectionError(f"several systems run in process {pid}; say which:\n{_listed()}")
        raise InspectionError(f"process {text} has no inspection socket; {_hint()}")
    there = running()
    own = places.folders()[0]
    here = [one for one in there if os.path.dirname(one.path) == own]
    there = here or there  # those elsewhere were started in another way than this
    if len(there) == 1:
        return there[0].path
    if there:
        raise InspectionError(f"several systems can be looked at; say which:\n{_listed(there)}")
    raise InspectionError(f"no running system can be looked at; {_hint(there)}")


def _listed(there: list[Running] | None = None) -> str:
    return "\n".join(f"  {one}" for one in (running() if there is None else there))


def _hint(there: list[Running] | None = None) -> str:
    there = running() if there is None else there
    if there:
        return f"these can be looked at:\n{_listed(there)}"
    return "start one with run(..., inspect=True), or with KAMAELIA_INSPECT=1 in its environment"


def _check_platform() -> None:
    if not hasattr(socket, "AF_UNIX"):
        raise UsageError(
            "running systems are looked at through Unix sockets, and Python has none on this system"
        )


# -- for ordinary code ---------------------------------------------------------------------------------------


def connect(address: str | int | None = None, *, timeout: float = TIMEOUT) -> Inspector:
    """Connect to a running system; use what this returns in a ``with`` block.

    Arguments:
        address: as `find` has it
        timeout: seconds in which each answer has to be there

    Raises `InspectionError` if nobody is there, or may not be looked at, and `UsageError` where there are no
    Unix sockets.
    """
    return Inspector(find(address), timeout=timeout)


class Inspector:
    """Looks into a running system, for ordinary code; it is for one thread. Made by `connect`.

    Arguments:
        path: of the socket
        timeout: seconds in which each answer has to be there
    """

    def __init__(self, path: str, *, timeout: float = TIMEOUT) -> None:
        _check_platform()
        self.path = path
        self.timeout = timeout
        self._words = Dialogue()
        self._answers: dict[Any, Said | None] = {}  # those that are waited for
        self._lines: dict[Any, deque[Said]] = {}
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(timeout)
            try:
                self._socket.connect(path)
            except OSError as error:
                raise InspectionError(_no_connection(path, error)) from None
            end = monotonic() + timeout
            while self._words.greeting is None:
                self._receive(end)
        except BaseException:
            self._socket.close()
            raise

    @property
    def greeting(self) -> Mapping[str, Any]:
        """What the system has said about itself: ``name``, ``pid``, ``kind``, ``program``, ``core``."""
        assert self._words.greeting is not None
        return self._words.greeting

    def ask(self, do: str, **arguments: Any) -> Any:
        """Ask something, and return the answer.

        Raises `InspectionError` with the answer if that is an error, and when there is none in time, or the
        system has ended.
        """
        self._send(self._words.ask(do, arguments))
        return self._answer(self._words.last)

    def stream(
        self, do: str, *, wait: float | None = None, **arguments: Any
    ) -> Iterator[Mapping[str, Any] | None]:
        """Ask for a stream, and return what yields its lines until it ends; closing that cancels it.

        Arguments:
            do: which stream
            wait: seconds, after which None is yielded if there is no line; None waits for ever
            arguments: of the request

        Raises `InspectionError` as `ask` does, and when the connection ends before the stream has.
        """
        self._send(self._words.ask(do, arguments))
        number = self._words.last
        self._lines[number] = deque()
        try:
            self._answer(number)
        except InspectionError:
            del self._lines[number]
            raise
        return self._lines_of(number, wait)

    def _lines_of(self, number: int, wait: float | None) -> Iterator[Mapping[str, Any] | None]:
        lines = self._lines[number]
        ended = False
        try:
            while True:
                end = None if wait is None else monotonic() + wait
                while not lines:
                    try:
                        self._receive(end)
                    except TimeoutError:
                        break
                if not lines:
                    yield None
                    continue
                said = lines.popleft()
                if said.what == "end":
                    ended = True
                    return
                yield said.value
        finally:
            if not ended:
                with suppress(InspectionError, OSError):
                    self.ask("cancel", stream=number)
            self._lines.pop(number, None)

    def _answer(self, number: int) -> Any:
        end = monotonic() + self.timeout
        self._answers[number] = None
        try:
            while (said := self._answers[number]) is None:
                try:
                    self._receive(end)
                except TimeoutError:
                    text = f"the system has not answered within {self.timeout:g} s"
                    raise InspectionError(text) from None
        finally:
            del self._answers[number]
        if said.what == "error":
            raise InspectionError(str(said.value))
        return said.value

    def _send(self, data: bytes) -> None:
        try:
            self._socket.settimeout(self.timeout)
            self._socket.sendall(data)
        except OSError as error:
            raise InspectionError(
                f"the connection to the system has ended: {error.strerror or error}"
            ) from None

    def _receive(self, end: float | None) -> None:
        """Take in what comes next; raises `TimeoutError` when nothing does."""
        if end is not None and end <= monotonic():
            raise TimeoutError
        self._socket.settimeout(None if end is None else max(0.001, end - monotonic()))
        try:
            data = self._socket.recv(PIECE)
        except TimeoutError:
            if self._words.greeting is None:
                raise InspectionError(f"nobody answers at {self.path}") from None
            raise
        except OSError as error:
            raise InspectionError(
                f"the connection to the system has ended: {error.strerror or error}"
            ) from None
        if not data:
            raise InspectionError("the system has ended, or has let this connection go")
        for said in self._words.receive(data):
            if said.what in ("ok", "error"):
                if said.number in self._answers:  # else it has come too late
                    self._answers[said.number] = said
            elif said.number in self._lines:
                lines = self._lines[said.number]
                lines.append(said)
                if len(lines) > UNREAD:
                    raise InspectionError(
                        f"{UNREAD} lines of a stream have not been read: read them, or cancel it"
                    )

    def close(self) -> None:
        """Let the system go; calling it twice is harmless."""
        self._socket.close()

    def __enter__(self) -> Inspector:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self.close()


def _no_connection(path: str, error: OSError) -> str:
    if isinstance(error, PermissionError):
        return f"you may not look into this system: {path} belongs to another user"
    if isinstance(error, (ConnectionRefusedError, FileNotFoundError)):
        return f"nobody answers at {path}: the system has ended"
    return f"no connection to {path}: {error.strerror or error}"


# -- on an event loop ----------------------------------------------------------------------------------------


async def open_inspector(address: str | int | None = None, *, timeout: float = TIMEOUT) -> AsyncInspector:
    """Connect to a running system, on the event loop that runs; use what this returns in an ``async with``.

    Arguments are those of `connect`, and so is what is raised.
    """
    path = await asyncio.to_thread(find, address)
    inspector = AsyncInspector(path, timeout=timeout)
    await inspector.open()
    return inspector


class AsyncInspector:
    """Looks into a running system, for code on an event loop. Made by `open_inspector`.

    Any number of tasks may ask at the same time. A stream that nobody reads is given up when `unread` of its
    lines wait; all else goes on.

    Arguments:
        path: of the socket
        timeout: seconds in which each answer has to be there
        unread: lines that may wait of each stream
    """

    def __init__(self, path: str, *, timeout: float = TIMEOUT, unread: int = 1000) -> None:
        _check_platform()
        self.path = path
        self.timeout = timeout
        self._unread = unread
        self._words = Dialogue()
        self._answers: dict[Any, asyncio.Future[Any]] = {}
        self._streams: dict[Any, asyncio.Queue[Said]] = {}
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._task: asyncio.Task[None] | None = None
        self._over: str | None = None
        self._greeted = asyncio.Event()

    async def open(self) -> None:
        """Connect, and wait for the greeting."""
        try:
            async with asyncio.timeout(self.timeout):
                self._reader, self._writer = await asyncio.open_unix_connection(self.path)
        except OSError as error:  # which a time-out is, too
            raise InspectionError(_no_connection(self.path, error)) from None
        self._task = asyncio.get_running_loop().create_task(self._receive())
        try:
            async with asyncio.timeout(self.timeout):
                await self._greeted.wait()
        except TimeoutError:
            self._over = f"nobody answers at {self.path}"
        if self._words.greeting is None:
            await self.aclose()
            raise InspectionError(self._over or "the system has ended")

    @property
    def greeting(self) -> Mapping[str, Any]:
        """What the system has said about itself: ``name``, ``pid``, ``kind``, ``program``, ``core``."""
        assert self._words.greeting is not None
        return self._words.greeting

    @property
    def over(self) -> str | None:
        """Why the connection has ended, if it has."""
        return self._over

    async def ask(self, do: str, **arguments: Any) -> Any:
        """Ask something, and return the answer; raises `InspectionError` as `Inspector.ask` does."""
        return await self._question(do, arguments)

    async def stream(self, do: str, **arguments: Any) -> AsyncGenerator[Mapping[str, Any], None]:
        """Ask for a stream, and yield its lines until it ends.

        Leaving it early cancels it: use ``contextlib.aclosing`` where you do. Raises `InspectionError` as
        `Inspector.stream` does.
        """
        queue: asyncio.Queue[Said] = asyncio.Queue()
        number = self._words.last + 1
        self._streams[number] = queue
        ended = False
        try:
            await self._question(do, arguments)
            while True:
                said = await queue.get()
                if said.what == "end":
                    ended = True
                    return
                if said.what == "error":
                    raise InspectionError(str(said.value))
                yield said.value
        finally:
            self._streams.pop(number, None)
            if not ended and self._over is None:
                self._cancel(number)

    def _cancel(self, number: int) -> None:
        assert self._writer is not None
        with suppress(RuntimeError):  # the loop is closed
            self._writer.write(self._words.ask("cancel", {"stream": number}))

    async def _question(self, do: str, arguments: Mapping[str, Any]) -> Any:
        if self._over is not None:
            raise InspectionError(self._over)
        assert self._writer is not None
        text = self._words.ask(do, arguments)
        number = self._words.last
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._answers[number] = future
        try:
            async with asyncio.timeout(self.timeout):
                self._writer.write(text)
                await self._writer.drain()
                return await future
        except TimeoutError:
            raise InspectionError(f"the system has not answered within {self.timeout:g} s") from None
        except ConnectionError as error:
            raise InspectionError(f"the connection to the system has ended: {error}") from None
        finally:
            self._answers.pop(number, None)

    async def _receive(self) -> None:
        assert self._reader is not None
        why = "the system has ended, or has let this connection go"
        try:
            while data := await self._reader.read(PIECE):
                for said in self._words.receive(data):
                    self._take(said)
                if self._words.greeting is not None:
                    self._greeted.set()
        except InspectionError as error:
            why = str(error)
        except OSError as error:
            why = f"the connection to the system has ended: {error.strerror or error}"
        finally:
            self._end(why)

    def _take(self, said: Said) -> None:
        if said.what in ("ok", "error"):
            future = self._answers.get(said.number)
            if future is not None and not future.done():
                if said.what == "ok":
                    future.set_result(said.value)
                else:
                    future.set_exception(InspectionError(str(said.value)))
            return
        queue = self._streams.get(said.number)
        if queue is None:
            return
        if queue.qsize() >= self._unread:
            text = f"{self._unread} lines of a stream have not been read: it is given up"
            queue.put_nowait(Said(said.number, "error", text))
            del self._streams[said.number]
            self._cancel(said.number)
        else:
            queue.put_nowait(said)

    def _end(self, why: str) -> None:
        if self._over is None:
            self._over = why
        self._greeted.set()
        for future in self._answers.values():
            if not future.done():
                future.set_exception(InspectionError(self._over))
        for number, queue in self._streams.items():
            queue.put_nowait(Said(number, "error", self._over))

    async def aclose(self) -> None:
        """Let the system go; calling it twice is harmless."""
        if self._writer is not None:
            self._writer.close()  # first: who cancels this does not leave it open
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._writer is not None:
            with suppress(OSError):
                await self._writer.wait_closed()

    async def __aenter__(self) -> AsyncInspector:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self.aclose()
