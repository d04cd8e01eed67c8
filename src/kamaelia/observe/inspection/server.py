"""The server of an inspection socket: one thread beside the system, which answers however stuck that is.

The thread owns the socket, all connections, and all looking at the system. It waits for nobody: who does not
read is skipped, and let go in the end; what has to be done on the system's own thread is asked for, and
answered when it has been done, or when that takes too long.

**Who does not read.** What a client has not taken yet waits in its buffer. While that is full nothing is made
for it and nothing is read from it, so each client costs its buffer and one line at most. Frames of a system
are not even put in line when another waits: who reads slowly gets fewer of them, and none that is old.
"""

from __future__ import annotations

import logging
import os
import selectors
import socket
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from kamaelia.axon.clock import monotonic
from kamaelia.axon.errors import suggestion

from ..watch import watch_of
from . import places
from .answers import Answers
from .logs import Keeper
from .protocol import (
    LONGEST_REQUEST,
    VERSION,
    Arguments,
    Malformed,
    RequestError,
    Splitter,
    encode,
    read_request,
)
from .target import After, Later, Stream, SystemTarget, Target, program, stuck_text

if TYPE_CHECKING:
    from kamaelia.axon import System

    from .protocol import Request

log = logging.getLogger("kamaelia")

BUFFER = 4 * 1024 * 1024  # bytes that wait for one client
CLIENTS = 200
STREAMS = 50  # of one client
LET_GO = 30.0  # seconds after which a client is let go that has read nothing, though much waits for it
FRESH_ENOUGH = 64 * 1024  # bytes that a client may have left unread and still be told what is new
AT_ONCE = 20  # requests of one client that are answered before others have their turn
PAUSE = 1.0  # seconds before somebody is let in again when there were too many open files


def serve(system: System) -> Callable[[], None]:
    """Open an inspection socket for a system; return what closes it.

    This is the service ``inspect``: `System` calls it when it starts, and what it returns when it is over.
    """
    server = Server(SystemTarget(system))
    watch_of(system)  # from now on it is known what happens
    server.start()
    system.announce(f"{server.target.name} can be looked at: kamaelia top {server.address}")
    return server.close


def serve_target(target: Target, **limits: Any) -> Server:
    """Open an inspection socket for one or several systems, and serve it; `Server.close` ends that.

    Arguments:
        target: what is looked at
        limits: those of `Server`
    """
    server = Server(target, **limits)
    server.start()
    return server


class Server:
    """Serves one inspection socket, in a thread of its own.

    Arguments:
        target: what is looked at
        buffer: bytes that may wait for one client
        clients: how many may be connected
        streams: how many one client may have
        let_go: seconds after which a client is let go that reads nothing
        may_look: says whether the user at the other end, as the kernel says it, may look
    """

    def __init__(
        self,
        target: Target,
        *,
        buffer: int = BUFFER,
        clients: int = CLIENTS,
        streams: int = STREAMS,
        let_go: float = LET_GO,
        may_look: Callable[[int | None], bool] = places.may_look,
    ) -> None:
        self.target = target
        self.buffer = buffer
        self.most_streams = streams
        self.keeper = Keeper(target)
        self.answers = Answers(target, self.keeper)
        self._most_clients = clients
        self._let_go = let_go
        self._may_look = may_look
        self._handlers: dict[str, Any] = {}
        self._clients: dict[socket.socket, Client] = {}
        self._let_in_again: float | None = None
        self._closing = False
        self._woken: deque[Callable[[], None]] = deque()
        self._listener, self.path, number = places.listen()
        self.address = str(os.getpid()) if number == 1 else f"{os.getpid()}-{number}"
        """What `kamaelia top` is told to look at it."""
        self._alarm, self._alarmed = socket.socketpair()
        for one in (self._alarm, self._alarmed):
            one.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ, self._let_in)
        self._selector.register(self._alarmed, selectors.EVENT_READ, self._wake_up)
        self._thread = threading.Thread(target=self._run, name="kamaelia inspection", daemon=True)
        _servers.add(self)

    def start(self) -> None:
        """Begin to serve."""
        self._handlers = dict(self.answers.handlers)
        self.keeper.start()
        self._thread.start()

    def close(self) -> None:
        """Take the socket away and let all clients go; the thread is gone when this returns."""
        self._closing = True
        self.wake()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()
        self._take_away()

    def wake(self, function: Callable[[], None] | None = None) -> None:
        """Have something done soon on the server's thread; may be called from any."""
        if function is not None:
            self._woken.append(function)
        with suppress(OSError):  # it has been woken already, or is over
            self._alarm.send(b"!")

    # -- the thread ------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._closing:
                for key, events in self._selector.select(self._next_due()):
                    key.data(events)
                self._tick(monotonic())
        except Exception:  # whoever is looked at must not be harmed; nobody can look any more
            log.exception("the inspection socket %s has failed, and is closed", self.path)
        finally:
            for client in list(self._clients.values()):
                client.say_goodbye(
                    "the system is over" if self._closing else "the inspection socket has failed"
                )
            self.keeper.stop()
            for looker in self.answers.lookers:
                looker.stop()
            self._take_away()

    def _tick(self, now: float) -> None:
        while self._woken:
            self._woken.popleft()()
        for looker in self.answers.lookers:
            looker.tick(now)
        for client in list(self._clients.values()):
            client.tick(now)
        if self._let_in_again is not None and now >= self._let_in_again:
            self._let_in_again = None
            self._selector.register(self._listener, selectors.EVENT_READ, self._let_in)

    def _next_due(self) -> float | None:
        due = [one for looker in self.answers.lookers if (one := looker.next_due()) is not None]
        for client in self._clients.values():
            one = client.next_due()
            if one is not None:
                due.append(one)
        if self._let_in_again is not None:
            due.append(self._let_in_again)
        return max(0.0, min(due) - monotonic()) if due else None

    def _wake_up(self, events: int) -> None:
        with suppress(BlockingIOError):
            self._alarmed.recv(4096)

    def _take_away(self) -> None:
        with suppress(OSError):
            os.unlink(self.path)
        self._close_files()

    def _close_files(self) -> None:
        for one in (self._selector, self._listener, self._alarm, self._alarmed):
            one.close()

    # -- clients ---------------------------------------------------------------------------------------------

    def _let_in(self, events: int) -> None:
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, ConnectionError):
            return
        except OSError as error:  # too many open files
            log.warning("nobody can look into the system at present: %s", error)
            self._selector.unregister(self._listener)
            self._let_in_again = monotonic() + PAUSE
            return
        try:
            peer = places.peer_of(connection)
        except OSError:  # it has gone already
            connection.close()
            return
        connection.setblocking(False)
        client = Client(self, connection)
        self._clients[connection] = client
        self._selector.register(connection, selectors.EVENT_READ, client.on_events)
        if not self._may_look(peer):
            client.refuse("this system belongs to another user")
        elif len(self._clients) > self._most_clients:
            client.refuse(f"{self._most_clients} clients are connected already")
        else:
            client.greet()

    def greeting(self) -> dict[str, Any]:
        """Return the first line for a client."""
        target = self.target
        return {
            "kamaelia_inspection": VERSION,
            "pid": os.getpid(),
            "name": target.name,
            "kind": target.kind,
            "program": program(),
            "core": target.core,
        }

    def has_gone(self, client: Client) -> None:
        """Forget a client."""
        if self._clients.pop(client.connection, None) is not None:
            self.listen_for(client, 0)
            client.connection.close()

    def listen_for(self, client: Client, events: int) -> None:
        """Say what is waited for at a client's socket."""
        if client.connection in self._selector.get_map():
            if events:
                self._selector.modify(client.connection, events, client.on_events)
            else:
                self._selector.unregister(client.connection)
        elif events:
            self._selector.register(client.connection, events, client.on_events)

    def handler(self, do: str) -> Any:
        """Return what answers a request; raises `RequestError` if nothing does."""
        handler = self._handlers.get(do)
        if handler is None:
            hint = suggestion(do[:50], [*self._handlers, "cancel"])
            raise RequestError(f"nothing is called {do[:50]!r} here; {hint}")
        return handler

    @property
    def lets_go_after(self) -> float:
        """Seconds after which a client is let go that reads nothing."""
        return self._let_go


class _Open:
    """A stream of a client's."""

    __slots__ = ("due", "head", "missed", "number", "stream")

    def __init__(self, number: int | str, stream: Stream, now: float) -> None:
        self.number = number
        self.stream = stream
        self.head = encode({"stream": number})[:-2]  # without its brace
        self.due = now
        self.missed = 0


class _Pending:
    """An answer that is not there yet."""

    def __init__(self, request: Request, until: float, work: Callable[[], None]) -> None:
        self.request = request
        self.until = until
        self.work = work  # that is to be done then


class Client:
    """One who looks: its connection, what it has asked, and what waits to be read by it."""

    def __init__(self, server: Server, connection: socket.socket) -> None:
        self.connection = connection
        self._server = server
        self._splitter = Splitter(LONGEST_REQUEST)
        self._asked: deque[bytes] = deque()  # lines that have not been answered
        self._out: deque[memoryview] = deque()
        self._waiting = 0  # bytes in it
        self._moved = monotonic()  # when it has last read something
        self._streams: dict[int | str, _Open] = {}
        self._pending: list[_Pending] = []
        self._leaving = False  # when all has been sent
        self._asks_no_more = False  # it has closed its half: what it has asked is still answered
        self._listens_for = selectors.EVENT_READ
        self._looks = False

    # -- coming and going ------------------------------------------------------------------------------------

    def greet(self) -> None:
        """Say who is here; from now on the system is looked at, where there is but one."""
        with suppress(RequestError):
            looker = self._server.answers.looker()
            looker.users += 1
            self._looks = True
        self._put(encode(self._server.greeting()))
        self._flush()

    def refuse(self, why: str) -> None:
        """Say why it is not let in, and let it go."""
        self._put(encode({"error": why}))
        self._leaving = True
        self._flush()

    def say_goodbye(self, why: str) -> None:
        """End all streams, answer what it waits for, and let it go, whether it reads that or not."""
        for pending in self._pending:
            self._put(encode({"id": pending.request.id, "error": why}))
        for line in self._asked:
            with suppress(Malformed):
                self._put(encode({"id": read_request(line).id, "error": why}))
        for one in list(self._streams.values()):
            self._put(one.head + b"," + encode({"end": why})[1:])
        self._leaving = True
        self._flush()
        self._leave()

    def _leave(self) -> None:
        for one in list(self._streams.values()):
            self._close(one)
        self._pending.clear()
        self._out.clear()
        self._asked.clear()
        self._waiting = 0
        if self._looks:
            self._looks = False
            with suppress(RequestError):
                self._server.answers.looker().users -= 1
        self._server.has_gone(self)

    # -- reading and writing ---------------------------------------------------------------------------------

    def on_events(self, events: int) -> None:
        """Something can be read, or written."""
        if events & selectors.EVENT_WRITE:
            self._flush()
        if events & selectors.EVENT_READ and self.connection.fileno() >= 0:
            self._read()

    def _read(self) -> None:
        try:
            data = self.connection.recv(LONGEST_REQUEST)
        except BlockingIOError:
            return
        except OSError:
            self._leave()
            return
        if self._leaving:
            return
        if not data:
            self._asks_no_more = True
            for one in list(self._streams.values()):
                self._close(one)
            self._flush()
            return
        try:
            self._asked += self._splitter.feed(data)
        except OverflowError:
            self._put(encode({"error": f"a line may have {LONGEST_REQUEST} bytes"}))
            self._leaving = True
            self._flush()

    def _put(self, *pieces: bytes) -> None:
        if not self._waiting:
            self._moved = monotonic()
        for piece in pieces:
            self._out.append(memoryview(piece))
            self._waiting += len(piece)

    def _flush(self) -> None:
        out = self._out
        try:
            while out:
                if len(out) == 1 or not hasattr(self.connection, "sendmsg"):
                    sent = self.connection.send(out[0])
                else:
                    sent = self.connection.sendmsg([out[index] for index in range(min(len(out), 64))])
                self._waiting -= sent
                self._moved = monotonic()
                while out and sent >= len(out[0]):
                    sent -= len(out.popleft())
                if sent:
                    out[0] = out[0][sent:]
        except BlockingIOError:
            pass
        except OSError:  # it has gone
            self._leave()
            return
        if self._leaving and not out:
            self._leave()
            return
        wanted = selectors.EVENT_WRITE if out else 0
        if self._asks_no_more:
            if not (out or self._asked or self._pending):
                self._leave()
                return
        elif self._waiting < self._server.buffer:
            wanted |= selectors.EVENT_READ
        if wanted != self._listens_for:
            self._listens_for = wanted
            self._server.listen_for(self, wanted)

    # -- what is due -----------------------------------------------------------------------------------------

    def next_due(self) -> float | None:
        """Return when `tick` has something to do next; None for never."""
        patience = self._moved + self._server.lets_go_after
        if self._waiting >= self._server.buffer or self._leaving:
            return patience
        if self._asked:
            return 0.0
        due = [one.due for one in self._streams.values()] + [one.until for one in self._pending]
        if self._waiting >= FRESH_ENOUGH:
            due.append(patience)
        return min(due) if due else None

    def tick(self, now: float) -> None:
        """Do what is due."""
        if self._waiting >= FRESH_ENOUGH or self._leaving:
            if now >= self._moved + self._server.lets_go_after:
                self._leave()
                return
            if self._waiting >= self._server.buffer or self._leaving:
                return
        for pending in [one for one in self._pending if now >= one.until]:
            self._pending.remove(pending)
            pending.work()
        for _ in range(AT_ONCE):
            if not self._asked or self._waiting >= self._server.buffer:
                break
            self._answer(self._asked.popleft())
        for one in list(self._streams.values()):
            if now >= one.due:
                # At the same moments for all of the same pace, so that they are told the same.
                one.due = (now // one.stream.every + 1) * one.stream.every
                self._continue(one)
        if self._asks_no_more or (self._out and not self._listens_for & selectors.EVENT_WRITE):
            self._flush()

    def _continue(self, one: _Open) -> None:
        stream = one.stream
        if stream.latest_only and self._waiting >= FRESH_ENOUGH:
            one.missed += 1
            return
        try:
            for pieces in stream.lines():
                self._put_line(one, pieces)
                if self._waiting >= self._server.buffer:
                    break
        except Exception as error:  # who looks is told, and whoever is looked at is not harmed
            log.exception("a stream of the inspection socket has failed")
            stream.over = f"{type(error).__name__}: {error}"[:500]
        if stream.over is not None and self._waiting < self._server.buffer:
            self._put(one.head + b"," + encode({"end": stream.over})[1:])
            self._close(one)

    def _put_line(self, one: _Open, pieces: Sequence[bytes]) -> None:
        head = one.head + b","
        if one.missed:
            head += b'"missed":%d,' % one.missed
            one.missed = 0
        self._put(head + pieces[0], *pieces[1:])

    def _close(self, one: _Open) -> None:
        self._streams.pop(one.number, None)
        self._quietly(one.stream.close)

    def _quietly(self, work: Callable[[], object]) -> None:
        try:
            work()
        except Exception:
            log.exception("the inspection socket could not put something away")

    # -- requests --------------------------------------------------------------------------------------------

    def _answer(self, line: bytes) -> None:
        try:
            request = read_request(line)
        except Malformed as error:
            self._put(encode({"id": error.id, "error": str(error)}))
            return
        self._meet(request, lambda: self._begin(request))

    def _begin(self, request: Request) -> Any:
        if request.id in self._streams or any(one.request.id == request.id for one in self._pending):
            raise RequestError(f"the id {request.id!r} is in use: take another one for each request")
        given = Arguments(request.arguments)
        if request.do == "cancel":
            return self._cancel(given)
        return self._server.handler(request.do)(given)

    def _meet(self, request: Request, work: Callable[[], Any]) -> None:
        """Answer a request with what some work returns or raises."""
        try:
            result = work()
            if isinstance(result, After):
                self._pending.append(
                    _Pending(request, monotonic() + result.seconds, lambda: self._meet(request, result.work))
                )
            elif isinstance(result, Later):
                self._ask_later(request, result)
            elif isinstance(result, Stream):
                self._open(request, result)
            else:
                self._put(encode({"id": request.id, "ok": result}))
        except RequestError as error:
            self._put(encode({"id": request.id, "error": str(error)}))
        except Exception as error:  # a mistake of ours, or of whoever has made the target
            log.exception("the inspection socket could not answer %r", request.do)
            self._put(encode({"id": request.id, "error": f"{type(error).__name__}: {error}"[:500]}))

    def _open(self, request: Request, stream: Stream) -> None:
        if len(self._streams) >= self._server.most_streams:
            self._quietly(stream.close)
            raise RequestError(f"a client may have {self._server.most_streams} streams: cancel one")
        self._put(encode({"id": request.id, "ok": stream.result}))
        self._streams[request.id] = _Open(request.id, stream, monotonic())

    def _cancel(self, given: Arguments) -> Any:
        number = given.take("stream")
        given.end()
        one = self._streams.get(number) if isinstance(number, (int, str)) else None
        if one is None:
            raise RequestError("'stream' is none of this connection's streams (any more)")
        self._put(one.head + b"," + encode({"end": "cancelled"})[1:])
        self._close(one)
        return {}

    def _ask_later(self, request: Request, later: Later) -> None:
        """Have something done on the system's thread, and answer when it has been, or is given up."""
        state = _Errand(later)

        def too_late() -> None:
            state.give_up()
            error = stuck_text(later.system, later.patience)
            self._put(encode({"id": request.id, "error": error}))

        def done() -> None:
            if pending in self._pending:
                self._pending.remove(pending)
                self._meet(request, state.result)
                self._flush()
            else:
                state.take_back()

        pending = _Pending(request, monotonic() + later.patience, too_late)
        later.call(lambda: state.do(lambda: self._server.wake(done)))
        self._pending.append(pending)


class _Errand:
    """Something that the system's thread does for the server's; given up, it is not done, or undone."""

    def __init__(self, later: Later) -> None:
        self._later = later
        self._lock = threading.Lock()
        self._given_up = False
        self._outcome: Any = None
        self._error: Exception | None = None

    def do(self, tell: Callable[[], None]) -> None:
        """Do it; on the system's thread."""
        with self._lock:
            if self._given_up:
                return
        try:
            self._outcome = self._later.work()
        except Exception as error:  # the server's thread raises it again
            self._error = error
        tell()

    def give_up(self) -> None:
        """Do it no more; on the server's thread."""
        with self._lock:
            self._given_up = True

    def result(self) -> Any:
        """Return what has come of it, or raise that."""
        if self._error is not None:
            raise self._error
        return self._outcome

    def take_back(self) -> None:
        """It was done, but nobody waits for that any more."""
        if self._error is None and self._later.undo is not None:
            self._later.undo(self._outcome)


_servers: weakref.WeakSet[Server] = weakref.WeakSet()


def server_of(system: System) -> Server | None:
    """Return the server of the socket at which a system of this process can be looked at, if there is one."""
    for server in list(_servers):
        if not server._closing and server.target.knows(system):
            return server
    return None


def _leave_to_parent() -> None:
    """In a process that was forked off: the sockets are those of the one that it comes from."""
    for server in list(_servers):
        for connection in list(server._clients):
            connection.close()
        server._close_files()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)
