"""Where typed text comes from: the ways to read a stream without holding anybody up.

Theory
------
A terminal or a pipe gives something when somebody else feels like it, perhaps never. There are three ways to
read, tried in this order by `ConsoleReader`:

**At once.** Regular files have everything there already, and so have lists and `io.StringIO`. In virtual time
everything is read in this way, because the clock stands still for the world outside.

**When the loop says so** (`Watched`): the loop watches the file descriptor and calls us when there is
something, and one read of a descriptor that has something never waits. This needs no thread, so nothing is
left when the reader ends, and it takes nothing from the stream that nobody has asked for.

**In a thread** (`Threaded`), where the loop cannot watch files: on Windows, and devices such as /dev/null on
Linux. A thread that waits in ``read`` cannot be called back, by anything: it is a daemon, left where it is
when the reader ends (rule 21's exception to rule 30), and the process exits all the same. It makes a single
read. What it gets when its reader has gone it keeps for the next reader of the same stream, so it steals
nothing.

All of them read the *raw* stream, one system call a time. `sys.stdin.buffer` would wait until its buffer is
full, and has a lock: a daemon thread that holds it when the interpreter exits makes Python abort.
"""

from __future__ import annotations

import asyncio
import contextvars
import io
import os
import stat
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any, Protocol

CHUNK = 64 * 1024  # bytes that are read at once, at most

News = bytes | OSError  # what reading has given: some bytes, none at the end, or an error


class Waiting(Protocol):
    """A way to wait for input."""

    def ask(self) -> None:
        """Have the next input delivered, once."""

    def forget(self) -> None:
        """Nobody wants it any more; twice is harmless."""


def raw_of(stream: Any) -> io.RawIOBase | None:
    """Return what is under a stream of text or bytes, if that is a file of the operating system."""
    stream = getattr(stream, "buffer", stream)
    stream = getattr(stream, "raw", stream)
    try:
        stream.fileno()
    except (AttributeError, OSError, ValueError):  # no file, such as a list or a StringIO
        return None
    return stream if isinstance(stream, io.RawIOBase) else None


def is_regular(raw: io.RawIOBase) -> bool:
    """Say whether it is a file on a disk, which never makes anybody wait."""
    return stat.S_ISREG(os.fstat(raw.fileno()).st_mode)


def read(raw: io.RawIOBase) -> News | None:
    """Read once: some bytes, none at the end, None when there is nothing just now."""
    try:
        return raw.read(CHUNK)
    except OSError as error:
        return error
    except ValueError:  # somebody has closed it
        return b""


class Watched:
    """Input that the event loop watches for. Raises what ``add_reader`` raises where that is impossible."""

    def __init__(
        self, raw: io.RawIOBase, loop: asyncio.AbstractEventLoop, deliver: Callable[[News], object]
    ) -> None:
        self._raw = raw
        self._fd = raw.fileno()
        self._loop = loop
        self._deliver = deliver
        self._watching = False
        self.ask()

    def ask(self) -> None:
        if not self._watching:
            if sys.platform == "win32":  # there the loop that has add_reader takes nothing but sockets
                raise NotImplementedError
            blocking = os.get_blocking(self._fd)
            self._loop.add_reader(self._fd, self._on_readable)
            self._watching = True
            # uvloop makes what it watches non-blocking. In a terminal standard output is the same file, and
            # so is the shell's: printing would fail with what it has not taken at once.
            os.set_blocking(self._fd, blocking)

    def forget(self) -> None:
        if self._watching:
            self._watching = False
            self._loop.remove_reader(self._fd)

    def _on_readable(self) -> None:
        news = read(self._raw)
        if news is not None:
            self.forget()
            self._deliver(news)


class Threaded:
    """Input that a thread waits for."""

    def __init__(
        self, raw: io.RawIOBase, loop: asyncio.AbstractEventLoop, deliver: Callable[[News], object]
    ) -> None:
        self._thread = _threads.setdefault(raw, _Thread())
        self._raw = raw
        self._loop = loop
        self._deliver = deliver
        # In a copy of the caller's context what is called later would keep a component that is over.
        self._context = contextvars.Context()
        self._over = False
        self.ask()

    def ask(self) -> None:
        self._thread.ask(self._raw, self._from_thread)

    def forget(self) -> None:
        self._over = True
        self._thread.ask(self._raw, None)

    def _from_thread(self, news: News) -> None:
        self._loop.call_soon_threadsafe(self._arrive, news, context=self._context)

    def _arrive(self, news: News) -> None:
        if self._over:  # while it was on its way
            self._thread.keep(news)
        else:
            self._deliver(news)


class _Thread:
    """The reading of one stream in threads, never more than one at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reading = False
        self._kept: News | None = None  # what came when nobody wanted it
        self._deliver: Callable[[News], object] | None = None

    def ask(self, raw: io.RawIOBase, deliver: Callable[[News], object] | None) -> None:
        with self._lock:
            self._deliver = deliver
            if deliver is None:
                return
            if self._kept is not None:
                self._hand_over()
            elif not self._reading:
                self._reading = True
                threading.Thread(
                    target=self._read, args=(raw,), name="reads for ConsoleReader", daemon=True
                ).start()

    def keep(self, news: News) -> None:
        with self._lock:
            self._kept = news
            self._hand_over()

    def _read(self, raw: io.RawIOBase) -> None:
        news = read(raw)
        with self._lock:
            self._reading = False
            # Nothing just now, of a file that does not block and cannot be watched: there is no way to wait.
            self._kept = BlockingIOError("a file that nobody can wait for") if news is None else news
            self._hand_over()

    def _hand_over(self) -> None:
        deliver, self._deliver = self._deliver, None
        if deliver is not None and self._kept is not None:
            try:
                deliver(self._kept)
            except RuntimeError:  # the loop of that reader is closed: for the next one, then
                return
            self._kept = None


_threads: weakref.WeakKeyDictionary[io.RawIOBase, _Thread] = weakref.WeakKeyDictionary()


__all__ = ["CHUNK", "News", "Threaded", "Waiting", "Watched", "is_regular", "raw_of", "read"]
