"""Components may await any asyncio library: each one used here for real, from inside of a body.

Every test runs in several worlds: on asyncio's own loop, on the same with asyncio's debug mode, on uvloop,
and, where nothing of the machine is needed, in virtual time. Sockets are real, on 127.0.0.1, and the system
chooses the port. Time-outs that are to expire wait for what never comes, so no test depends on how fast the
machine is.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import io
import logging
import os
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from kamaelia import Component, Graphline, Inbox, Outbox, component, run, select, sleep
from kamaelia.axon import BrokenLink, Cancelled, ComponentsFailed, Link

from .parts import collect, source, stay, virtually

LONG = 30  # seconds: a time-out that does not expire
SHORT = 0.01  # one that does, because what it is for never comes


def _in_world(**options: Any) -> Callable[..., Any]:
    def run_in_world(*systems: Any, **more: Any) -> Any:
        return run(*systems, **options, **more)

    return run_in_world


def _on_uvloop(*systems: Any, **more: Any) -> Any:
    import uvloop

    return run(*systems, loop_factory=uvloop.new_event_loop, **more)


REAL = {
    "asyncio": _in_world(loop_factory=asyncio.new_event_loop),
    "debug": _in_world(loop_factory=asyncio.new_event_loop, debug=True),
    "uvloop": _on_uvloop,
}
MARKS = {"uvloop": pytest.mark.needs("module:uvloop")}


def _params(worlds: dict[str, Any]) -> list[Any]:
    return [pytest.param(runs, id=name, marks=MARKS.get(name, ())) for name, runs in worlds.items()]


@pytest.fixture(params=_params(REAL))
def world(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """`run`, in a world with real sockets."""
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(params=_params({**REAL, "virtual": virtually}))
def anywhere(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """`run`, in every world there is."""
    return request.param  # type: ignore[no-any-return]


class Waits(Component):
    """Waits for what never comes, in a way that it is given, and must be well afterwards."""

    never = Inbox[Any]("nothing comes", held=True)
    outbox = Outbox[Any]("goes to one that reads nothing yet")

    def __init__(self, use: Callable[[Waits], Any]) -> None:
        self.use = use

    async def main(self) -> Any:
        result = await self.use(self)
        assert self.cancelling() == 0  # who asked for a cancellation in `use` has taken it back again
        assert asyncio.current_task() is self
        self.never.release()
        return result


class Late(Component):
    """Reads nothing before it is told to; then returns all there is."""

    inbox = Inbox[Any]("what fills up", size=2)

    def __init__(self, gate: asyncio.Event) -> None:
        self.gate = gate

    async def main(self) -> list[Any]:
        await self.gate.wait()
        return [message async for message in self.inbox]


# -- time-outs, groups and cancellation --------------------------------------------------------------


async def _timeout(wait: Callable[[], Any]) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(SHORT):
            await wait()


async def _wait_for(wait: Callable[[], Any]) -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(wait(), SHORT)


async def _wait(wait: Callable[[], Any]) -> None:
    async def task() -> None:
        await wait()

    waiting = asyncio.ensure_future(task())
    done, pending = await asyncio.wait([waiting], timeout=SHORT)
    assert (done, pending) == (set(), {waiting})
    waiting.cancel()
    with pytest.raises(Cancelled):
        await waiting


async def _group(wait: Callable[[], Any]) -> None:
    async def fails() -> None:
        await asyncio.sleep(0)
        raise ValueError("on purpose")

    with pytest.raises(ExceptionGroup) as caught:
        async with asyncio.TaskGroup() as group:
            group.create_task(fails())
            await wait()
    assert [type(error) for error in caught.value.exceptions] == [ValueError]


async def _nested(wait: Callable[[], Any]) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(SHORT):  # the outer one expires
            async with asyncio.timeout(LONG):
                await wait()
    async with asyncio.timeout(LONG):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(SHORT):  # the inner one expires
                await wait()


async def _group_in_timeout(wait: Callable[[], Any]) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(SHORT):
            async with asyncio.TaskGroup() as group:
                group.create_task(asyncio.sleep(LONG))
                await wait()


async def _cancelled_by_itself(wait: Callable[[], Any]) -> None:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().call_soon(task.cancel, "enough")
    with pytest.raises(Cancelled, match="enough"):
        await wait()
    assert task.cancelling() == 1
    assert task.uncancel() == 0


async def _cancelled_before_waiting(wait: Callable[[], Any]) -> None:
    task = asyncio.current_task()
    assert task is not None
    task.cancel("beforehand")
    with pytest.raises(Cancelled, match="beforehand"):
        await wait()
    assert task.uncancel() == 0


async def _expired_already(wait: Callable[[], Any]) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(-1):
            await wait()


async def _rescheduled(wait: Callable[[], Any]) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(None) as scope:
            scope.reschedule(asyncio.get_running_loop().time() + SHORT)
            await wait()
    assert scope.expired()


WAYS_OUT = [
    _timeout,
    _wait_for,
    _wait,
    _group,
    _nested,
    _group_in_timeout,
    _cancelled_by_itself,
    _cancelled_before_waiting,
    _expired_already,
    _rescheduled,
]


@pytest.mark.parametrize("leave", WAYS_OUT, ids=lambda leave: leave.__name__.strip("_"))
@pytest.mark.parametrize("what", ["receive", "iterate", "select", "sleep", "send", "foreign", "child"])
def test_every_wait_can_be_left_in_every_way(anywhere, what, leave):
    """Whatever a component waits for, and however that wait is cut short: it goes on, and nothing is lost."""
    sent: list[int] = []

    gate = asyncio.Event()

    async def use(waits: Waits) -> None:
        async def iterate() -> None:
            async for _ in waits.never:
                raise AssertionError("nothing ever comes")

        async def send() -> None:
            while True:  # at the mark after two
                number = len(sent)
                sent.append(number)
                await waits.outbox.send(number)

        ways = {
            "receive": waits.never.receive,
            "iterate": iterate,
            "select": lambda: select(waits.never).receive(),
            "sleep": lambda: sleep(LONG),
            "send": send,
            "foreign": lambda: asyncio.sleep(LONG),
            "child": lambda: stay().run(),
        }
        await leave(ways[what])
        await leave(ways[what])  # and again: nothing of the first time is left
        gate.set()

    assert anywhere(Waits(use) | Late(gate)) == sent
    assert not sent or len(sent) >= 3


def test_a_time_out_does_not_make_a_component_forget_that_nobody_listens(anywhere):
    """The reader goes while the component awaits something foreign, and the time-out of that comes first."""

    class Unheard(Component):
        never = Inbox[Any]("nothing comes", held=True)

        async def main(self) -> None:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(SHORT):
                    await asyncio.get_running_loop().create_future()
            with pytest.raises(BrokenLink):
                await self.never.receive()
            log.append("told")

    log: list[str] = []
    unheard = Unheard()
    anywhere(unheard | leaves_at_once)
    assert log == ["told"]


@component
async def leaves_at_once(inbox, outbox):
    """Read nothing."""


def test_the_cancellation_of_a_component_goes_through_time_outs_and_groups(anywhere):
    """`Cancelled` from outside is no time-out, and no group swallows it."""
    log: list[str] = []

    class Nested(Component):
        never = Inbox[Any]("nothing comes", held=True)

        async def main(self) -> None:
            try:
                async with asyncio.timeout(LONG), asyncio.TaskGroup() as group:
                    group.create_task(asyncio.sleep(LONG))
                    async with asyncio.timeout(LONG):
                        ready.set()
                        await self.never.receive()
            except BaseException as error:
                log.append(type(error).__name__)
                raise

    @component
    async def cancels(inbox, outbox):
        await ready.wait()
        nested.cancel("from outside")

    ready = asyncio.Event()
    nested = Nested()
    anywhere(nested, cancels())
    assert log == ["CancelledError"]
    assert nested.cancelled() and nested.done() and nested.cancelling() == 1
    assert not nested.cancel()  # it is over


def test_a_cancellation_that_comes_with_a_time_out_wins(anywhere):
    """Cancelled by somebody in the turn in which its time-out expires: it is cancelled, not timed out."""

    @component
    async def both(inbox, outbox):
        task = asyncio.current_task()
        async with asyncio.timeout(None) as scope:
            scope.reschedule(asyncio.get_running_loop().time())
            asyncio.get_running_loop().call_soon(task.cancel)
            await asyncio.get_running_loop().create_future()

    one = both()
    anywhere(one)
    assert one.cancelled()


def test_shield_keeps_what_it_shields(anywhere):
    class Shields(Component):
        inbox = Inbox[Any]("comes late")

        async def main(self) -> Any:
            receiving = asyncio.ensure_future(self.receive_one())
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.shield(receiving), SHORT)
            gate.set()
            return await receiving

        async def receive_one(self) -> Any:
            return await self.inbox.receive()

    @component
    async def late(inbox, outbox):
        await gate.wait()
        await outbox.send("late")

    gate = asyncio.Event()
    assert anywhere(late | Shields()) == "late"


def test_gather_and_as_completed_over_boxes(anywhere):
    @component
    async def gathers(inbox, outbox):
        got = await asyncio.gather(inbox.receive(), inbox.receive(), asyncio.sleep(0, "slept"))
        for next_one in asyncio.as_completed([receive_in_task(inbox), receive_in_task(inbox)]):
            got.append(await next_one)
        results = await asyncio.gather(inbox.receive(), failing(), return_exceptions=True)
        return got, [type(result).__name__ for result in results]

    async def receive_in_task(inbox):
        return await inbox.receive()

    async def failing():
        raise ValueError("on purpose")

    assert anywhere(source(range(5)) | gathers()) == ([0, 1, "slept", 2, 3], ["int", "ValueError"])


def test_a_failing_group_is_the_failure_of_the_component(anywhere):
    @component
    async def groups(inbox, outbox):
        async with asyncio.TaskGroup() as group:
            group.create_task(fails("first"))
            await inbox.receive()

    async def fails(what):
        raise ValueError(what)

    class Feeds(Component):
        async def main(self) -> None:
            await sleep(LONG)

    with pytest.raises(ComponentsFailed) as caught:
        anywhere(Feeds() | groups())
    assert [str(error) for error in caught.value.exceptions] == ["first"]
    assert caught.value.exceptions[0].__notes__ == ["in Pipeline/groups"]


if sys.version_info >= (3, 12):  # from then on there are eager tasks

    def eager_task_factory(loop, coro, *, eager_start=True, **options):
        """As asyncio's, with an option that uvloop gives from 3.13 on, and asyncio takes from 3.13.3 on."""
        return asyncio.eager_task_factory(loop, coro, **options)

    def test_eager_tasks(anywhere):
        """An eager task takes its first step within that of the component that makes it."""

        @component
        async def eager(inbox, outbox):
            loop = asyncio.get_running_loop()
            loop.set_task_factory(eager_task_factory)
            me = asyncio.current_task()
            seen: list[Any] = []

            async def take():
                seen.append(asyncio.current_task())
                message = await inbox.receive()
                await outbox.send(message)
                return message

            async def at_once():
                return "at once"

            done = loop.create_task(at_once())
            assert done.done() and done.result() == "at once"
            one = loop.create_task(take())
            assert seen == [one] and asyncio.current_task() is me
            two = loop.create_task(take())
            async with asyncio.TaskGroup() as group:
                three = group.create_task(take())
            got = [await one, await two, three.result()]
            got += await asyncio.gather(take(), take())
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(SHORT), asyncio.TaskGroup() as group:
                    group.create_task(asyncio.sleep(LONG))
            assert asyncio.current_task() is me
            return got

        part = eager()
        end = collect()
        anywhere(source(range(5)) | part | end)
        assert part._axon.result == end._axon.result == [0, 1, 2, 3, 4]


# -- asyncio's own things ----------------------------------------------------------------------------


def test_locks_and_queues_between_components(anywhere):
    """They are no way to design a system, but a library may have them inside."""

    @component
    async def uses(inbox, outbox, things):
        lock, semaphore, condition, event, queue, log = things
        for _ in range(3):
            async with lock, semaphore:
                log.append("in")
                await asyncio.sleep(0)
                log.append("out")
        async with condition:
            if queue.empty():
                await condition.wait_for(lambda: not queue.empty())
            queue.get_nowait()
            condition.notify_all()
        await event.wait()

    @component
    async def feeds(inbox, outbox, things):
        _, _, condition, event, queue, _ = things
        for number in range(3):
            await queue.put(number)
            async with condition:
                condition.notify_all()
        event.set()

    things = (
        asyncio.Lock(),
        asyncio.Semaphore(1),
        asyncio.Condition(),
        asyncio.Event(),
        asyncio.Queue(1),
        log := [],
    )
    anywhere(uses(things), uses(things), uses(things), feeds(things))
    assert log == ["in", "out"] * 9


def test_barrier_and_future(anywhere):
    barrier = asyncio.Barrier(3)

    @component
    async def meets(inbox, outbox):
        async with barrier as position:
            return position

    assert sorted(anywhere(meets(), meets(), meets())) == [0, 1, 2]


def test_threads(anywhere):
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")

    @component
    async def asks(inbox, outbox):
        variable.set("mine")
        here = threading.get_ident()
        in_thread = await asyncio.to_thread(lambda: (threading.get_ident(), variable.get()))
        loop = asyncio.get_running_loop()
        in_pool = await loop.run_in_executor(None, sum, [1, 2, 3])
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 // 0)
        got = await asyncio.to_thread(inbox.receive)  # a box call from a thread blocks until it is done
        await asyncio.to_thread(outbox.send, got)
        return in_thread[0] != here, in_thread[1], in_pool

    part, end = asks(), collect()
    anywhere(source(["from a thread"]) | part | end)
    assert part._axon.result == (True, "mine", 6)
    assert end._axon.result == ["from a thread"]


def test_generator_bodies_yield_any_of_it(anywhere):
    @component
    def generator(inbox, outbox):
        got = yield asyncio.gather(inbox.receive(), inbox.receive())
        got.append((yield asyncio.wait_for(inbox.receive(), LONG)))
        got.append((yield asyncio.to_thread(lambda: "thread")))
        got.append((yield asyncio.create_task(answer())))
        got.append((yield answer()))
        try:
            yield asyncio.wait_for(asyncio.get_running_loop().create_future(), SHORT)
        except TimeoutError:
            got.append("time-out")
        lock = asyncio.Lock()
        yield lock.acquire()
        got.append(lock.locked())
        scope = asyncio.timeout(SHORT)
        yield scope.__aenter__()
        try:
            yield inbox.receive()
        except BaseException as error:
            try:
                yield scope.__aexit__(type(error), error, error.__traceback__)
            except TimeoutError:
                got.append("scope")
        assert asyncio.current_task().cancelling() == 0
        return got

    async def answer():
        await asyncio.sleep(0)
        return 42

    @component
    async def three(inbox, outbox):
        for number in range(3):
            await outbox.send(number)
        await sleep(LONG)  # it keeps the box open, and ends when its reader has gone

    part = generator()
    anywhere(three | part)
    assert part._axon.result == [0, 1, 2, "thread", 42, 42, "time-out", True, "scope"]


def test_programs(world):
    @component
    async def shell(inbox, outbox):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            "import sys; sys.stdout.write(sys.stdin.read().upper()); sys.exit(3)",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        out, _ = await process.communicate(await inbox.receive())
        stuck = await asyncio.create_subprocess_exec(sys.executable, "-c", "input()", stdin=subprocess.PIPE)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(SHORT):
                await stuck.wait()
        stuck.kill()
        await stuck.wait()
        return out, process.returncode, stuck.returncode

    assert world(source([b"hello"]) | shell()) == (b"HELLO", 3, -9)


class LineServer(Component):
    """A server of asyncio streams whose handlers use the component's boxes."""

    inbox = Inbox[bytes]("what to answer")
    outbox = Outbox[bytes]("what was asked")
    port = Outbox[int]("where it listens")

    async def main(self) -> None:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        async with server:
            await self.port.send(server.sockets[0].getsockname()[1])
            self.done = asyncio.Event()
            await self.done.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert asyncio.current_task() in asyncio.all_tasks()
        await self.outbox.send((await reader.readline()).strip())
        await sleep(0.001)  # it finds the component that started the server
        writer.write(await self.inbox.receive() + b"\n")
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        self.done.set()


@component
async def ask_line(inbox, outbox):
    port = await inbox.receive()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"question\n")
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


def test_streams(world):
    class Both(Component):
        async def main(self) -> Any:
            server, client, answers = self.add(LineServer()), self.add(ask_line()), self.add(capitals())
            self.link(server.port, client.inbox)
            self.link(server.outbox, answers.inbox)
            self.link(answers.outbox, server.inbox)
            finished = asyncio.get_running_loop().create_future()
            client.add_done_callback(finished.set_result)
            assert (await finished) is client
            return client._axon.result

    @component
    async def capitals(inbox, outbox):
        async for message in inbox:
            await outbox.send(message.upper())

    assert world(Both()) == b"QUESTION\n"


# -- other people's libraries ------------------------------------------------------------------------


class Wired(Component):
    """A server, and a client that is told its port; returns what the client returns."""

    def __init__(self, server: Component, client: Component) -> None:
        self.server, self.client = self.add(server), self.add(client)
        self.link(self.server.boxes["port"], self.client.boxes["inbox"])
        self.link(self.client.boxes["outbox"], self.server.boxes["over"])

    async def main(self) -> Any:
        finished = asyncio.get_running_loop().create_future()
        self.client.add_done_callback(finished.set_result)
        await finished
        return self.client._axon.result


class AiohttpServer(Component):
    """Answers what comes back for the path it sent; `/never` is never answered."""

    inbox = Inbox[str]("answers")
    outbox = Outbox[str]("paths that were asked for")
    port = Outbox[int]("where it listens")
    over = Inbox[Any]("ends when there are no more clients")

    async def main(self) -> None:
        from aiohttp import web

        async def answer(request: web.Request) -> web.Response:
            await self.outbox.send(request.path)
            await sleep(0)  # it finds the component that serves
            return web.Response(text=await self.inbox.receive())

        async def never(request: web.Request) -> web.Response:
            await asyncio.get_running_loop().create_future()
            raise AssertionError

        async def chat(request: web.Request) -> web.WebSocketResponse:
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            async for message in socket:
                await self.outbox.send(message.data)
                await socket.send_str(await self.inbox.receive())
            return socket

        app = web.Application()
        app.add_routes([web.get("/never", never), web.get("/chat", chat), web.get("/{path}", answer)])
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            await self.port.send(runner.addresses[0][1])
            async for _ in self.over:
                pass
        finally:
            await runner.cleanup()


def with_capitals(server: Component) -> Component:
    """Answer what the server asks with the same in capitals."""

    @component
    async def capitals(inbox, outbox):
        async for message in inbox:
            await outbox.send(message.upper())

    answers = capitals()
    return Graphline(
        server.boxes["outbox"] >> answers.boxes["inbox"],
        Link(answers.boxes["outbox"], server.boxes["inbox"], feedback=True),
        server.boxes["port"] >> "self.port",
        "self.over" >> server.boxes["over"],
    )


@pytest.mark.needs("module:aiohttp")
def test_aiohttp(world):
    @component
    async def browser(inbox, outbox):
        import aiohttp

        base = f"http://127.0.0.1:{await inbox.receive()}"
        got = []
        async with aiohttp.ClientSession() as session:
            async with session.get(base + "/one", timeout=aiohttp.ClientTimeout(total=LONG)) as response:
                got.append(await response.text())
            pages = await asyncio.gather(*(fetch(session, f"{base}/page") for _ in range(3)))
            got.append(pages)
            with pytest.raises(TimeoutError):
                await session.get(base + "/never", timeout=aiohttp.ClientTimeout(total=SHORT))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(SHORT):
                    await session.get(base + "/never")
            assert asyncio.current_task().cancelling() == 0
            async with session.ws_connect(base + "/chat") as socket:
                for word in ("hello", "again"):
                    await socket.send_str(word)
                    got.append(await socket.receive_str())
        return got

    async def fetch(session, url):
        async with session.get(url) as response:
            return await response.text()

    result = world(Wired(with_capitals(AiohttpServer()), browser()))
    assert result == ["/ONE", ["/PAGE"] * 3, "HELLO", "AGAIN"]


class HttpServer(Component):
    """HTTP in ten lines, for clients to be tried: answers, or never answers."""

    inbox = None
    outbox = None
    port = Outbox[int]("where it listens")
    over = Inbox[Any]("ends when there are no more clients")

    async def main(self) -> None:
        tasks: set[asyncio.Task[Any]] = set()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            try:
                while request := await reader.readline():
                    while await reader.readline() != b"\r\n":
                        pass
                    if b"never" in request:
                        await reader.read()
                        break
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
                    await writer.drain()
            finally:
                tasks.discard(task)
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        await self.port.send(server.sockets[0].getsockname()[1])
        async for _ in self.over:
            pass
        server.close()
        await asyncio.gather(*tasks)


@pytest.mark.needs("module:httpx")
def test_httpx(world):
    @component
    async def browser(inbox, outbox):
        import httpx

        base = f"http://127.0.0.1:{await inbox.receive()}"
        async with httpx.AsyncClient(trust_env=False) as client:
            got = [(await client.get(base + "/")).text]
            answers = await asyncio.gather(*(client.get(base + "/") for _ in range(5)))
            got += [answer.text for answer in answers]
            with pytest.raises(httpx.ReadTimeout):
                await client.get(base + "/never", timeout=httpx.Timeout(LONG, read=SHORT))
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(SHORT):
                    await client.get(base + "/never")
            async with client.stream("GET", base + "/") as response:
                got.append(b"".join([chunk async for chunk in response.aiter_bytes()]).decode())
        assert asyncio.current_task().cancelling() == 0
        return got

    assert world(Wired(HttpServer(), browser())) == ["hello"] * 7


class WebsocketsServer(Component):
    """Sends what visitors say to its outbox, and what comes back to them."""

    inbox = Inbox[str]("answers")
    outbox = Outbox[str]("what was said")
    port = Outbox[int]("where it listens")
    over = Inbox[Any]("ends when there are no more clients")

    async def main(self) -> None:
        from websockets.asyncio.server import serve

        async def visitor(connection: Any) -> None:
            async for message in connection:
                await self.outbox.send(message)
                await connection.send(await self.inbox.receive())

        async with serve(visitor, "127.0.0.1", 0) as server:
            await self.port.send(server.sockets[0].getsockname()[1])
            async for _ in self.over:
                pass


@pytest.mark.needs("module:websockets")
def test_websockets(world):
    @component
    async def visitor(inbox, outbox):
        from websockets.asyncio.client import connect

        got = []
        async with connect(f"ws://127.0.0.1:{await inbox.receive()}", proxy=None) as connection:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(SHORT):
                    await connection.recv()
            for word in ("hello", "again"):
                await connection.send(word)
                got.append(await connection.recv())
            await (await connection.ping())
        return got

    assert world(Wired(with_capitals(WebsocketsServer()), visitor())) == ["HELLO", "AGAIN"]


# -- anyio -------------------------------------------------------------------------------------------


def in_component(runs: Callable[..., Any], use: Callable[[Waits], Any]) -> Any:
    """Run `use` as the body of a component that has an inbox into which nothing comes."""
    gate = asyncio.Event()
    gate.set()
    waits = Waits(use)
    runs(waits | Late(gate))
    return waits._axon.result


@pytest.mark.needs("module:anyio")
@pytest.mark.parametrize("what", ["receive", "sleep", "foreign", "anyio", "child"])
def test_anyio_scopes(anywhere, what):
    import anyio

    async def use(waits):
        ways = {
            "receive": waits.never.receive,
            "sleep": lambda: sleep(LONG),
            "foreign": lambda: asyncio.sleep(LONG),
            "anyio": lambda: anyio.sleep(LONG),
            "child": lambda: stay().run(),
        }
        wait = ways[what]
        with anyio.move_on_after(SHORT) as scope:
            await wait()
        assert scope.cancelled_caught
        with pytest.raises(TimeoutError):
            with anyio.fail_after(SHORT):
                await wait()
        with anyio.CancelScope() as scope:
            scope.cancel()
            await wait()  # raises at once
            raise AssertionError
        assert scope.cancelled_caught
        with anyio.move_on_after(SHORT) as outer:
            with anyio.move_on_after(LONG) as inner:
                await wait()
        assert outer.cancelled_caught and not inner.cancelled_caught
        with anyio.move_on_after(SHORT):
            try:
                await wait()
            finally:
                with anyio.CancelScope(shield=True):
                    await asyncio.sleep(0)
                    await anyio.lowlevel.checkpoint()
        assert asyncio.current_task().cancelling() == 0
        await anyio.lowlevel.checkpoint()
        return "well"

    assert in_component(anywhere, use) == "well"


@pytest.mark.needs("module:anyio")
@pytest.mark.parametrize("what", ["receive", "sleep", "foreign", "anyio", "child"])
def test_anyio_groups(anywhere, what):
    import anyio

    async def use(waits):
        ways = {
            "receive": waits.never.receive,
            "sleep": lambda: sleep(LONG),
            "foreign": lambda: asyncio.sleep(LONG),
            "anyio": lambda: anyio.sleep(LONG),
            "child": lambda: stay().run(),
        }
        wait = ways[what]
        log = []

        async def waits_in_task():
            await wait()

        async def fails():
            await anyio.lowlevel.checkpoint()
            raise ValueError("on purpose")

        with pytest.raises(ExceptionGroup) as caught:
            async with anyio.create_task_group() as group:
                group.start_soon(fails)
                group.start_soon(waits_in_task)
                await wait()
        assert [type(error) for error in caught.value.exceptions] == [ValueError]

        async def serves(*, task_status):
            task_status.started("started")
            await wait()

        async with anyio.create_task_group() as group:
            log.append(await group.start(serves))
            group.cancel_scope.cancel()
        assert asyncio.current_task().cancelling() == 0
        return log

    assert in_component(anywhere, use) == ["started"]


@pytest.mark.needs("module:anyio")
def test_anyio_threads_streams_and_locks(world):
    import anyio
    import anyio.from_thread

    async def use(waits):
        got = [await anyio.to_thread.run_sync(lambda: "thread")]
        got.append(await anyio.to_thread.run_sync(lambda: anyio.from_thread.run(answer)))
        sending, receiving = anyio.create_memory_object_stream(1)
        async with anyio.create_task_group() as group, sending, receiving:
            group.start_soon(sending.send, "stream")
            got.append(await receiving.receive())
        lock, limiter = anyio.Lock(), anyio.CapacityLimiter(1)
        async with lock, limiter:  # who owns them is the current task
            with pytest.raises(RuntimeError):
                await lock.acquire()
            with pytest.raises(anyio.WouldBlock):
                limiter.acquire_on_behalf_of_nowait(object())
        info = anyio.get_current_task()
        got.append(info.name)
        assert not info.has_pending_cancellation()
        return got

    async def answer():
        await anyio.lowlevel.checkpoint()
        return "from thread"

    assert in_component(world, use) == ["thread", "from thread", "stream", "Pipeline/Waits"]


# -- what a task can be asked ------------------------------------------------------------------------


def test_a_component_answers_what_a_task_does():
    """Whatever asyncio.Task offers, the current task has."""
    missing = [
        name for name in dir(asyncio.Task) if not name.startswith("_") and not hasattr(Component, name)
    ]
    assert missing == []


def test_asking_a_component_as_a_task(anywhere):
    log: list[Any] = []

    @component
    async def asked(inbox, outbox, way):
        me = asyncio.current_task()
        me.add_done_callback(lambda task: log.append((way, task.done(), task.cancelled())))
        assert weakref.ref(me)() is me and {me: 1}[me] == 1
        assert me.get_loop() is asyncio.get_running_loop()
        assert me.get_coro().cr_running
        assert me.get_name() == me.path
        with pytest.raises(asyncio.InvalidStateError):
            me.result()
        with pytest.raises(asyncio.InvalidStateError):
            me.exception()
        assert not me.done() and not me.cancelled()
        await asyncio.sleep(0)
        if way == "fails":
            raise ValueError("on purpose")
        if way == "cancelled":
            me.cancel("enough")
            await asyncio.sleep(LONG)
        return way

    parts = [asked("ends"), asked("fails"), asked("cancelled")]
    ends, fails, cancelled = parts
    with pytest.raises(ComponentsFailed):
        anywhere(*parts)
    assert ends.result() == "ends" and ends.exception() is None
    assert isinstance(fails.exception(), ValueError)
    with pytest.raises(ValueError, match="on purpose"):
        fails.result()
    for question in (cancelled.result, cancelled.exception):
        with pytest.raises(Cancelled):
            question()
    assert sorted(log) == [("cancelled", True, True), ("ends", True, False), ("fails", True, False)]


def test_the_stack_of_a_component_is_where_it_waits(anywhere):
    class Inner(Component):
        never = Inbox[Any]("nothing comes", held=True)

        async def main(self) -> None:
            await self.deeper()

        async def deeper(self) -> None:
            ready.set()
            await self.never.receive()

    @component
    async def looks(inbox, outbox):
        await ready.wait()
        await asyncio.sleep(0)
        text = io.StringIO()
        inner.print_stack(file=text)
        inner.cancel()
        return [frame.f_code.co_name for frame in inner.get_stack()], text.getvalue()

    ready = asyncio.Event()
    inner = Inner()
    looker = looks()
    anywhere(inner, looker)
    frames, text = looker._axon.result
    assert frames[0] == "main"
    assert "await self.deeper()" in text
    assert inner.get_stack() == []


def test_log_records_name_the_component(anywhere, caplog):
    @component
    async def logs(inbox, outbox):
        logging.getLogger("test").warning("from %s", asyncio.current_task().get_name())

    anywhere(logs())
    (record,) = [record for record in caplog.records if record.name == "test"]
    assert record.message == "from logs"
    if sys.version_info >= (3, 12):
        assert record.taskName == "logs"


def test_debug_mode_by_environment():
    """PYTHONASYNCIODEBUG=1 is what a user sets when something is strange; it may not become stranger."""
    program = """
import asyncio
from kamaelia import component, run
@component
async def one(inbox, outbox):
    assert asyncio.get_running_loop().get_debug()
    async with asyncio.timeout(30), asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(0))
    await outbox.send(1)
@component
async def two(inbox, outbox):
    return [message async for message in inbox]
print(run(one | two, loop_factory=asyncio.new_event_loop))
"""
    environment = {**os.environ, "PYTHONASYNCIODEBUG": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("[1]\n", "", 0)


@pytest.mark.parametrize("wrapped", ["exit stack", "context manager", "both", "sync exit stack"])
def test_a_time_out_inside_of_another_manager_is_no_deadlock(wrapped):
    """Nobody but the time-out can end this wait: the system must see that it is there and let it expire."""

    @contextlib.asynccontextmanager
    async def limit():
        async with asyncio.timeout(LONG):
            yield

    class Scope:
        """As anyio's: a plain context manager with a deadline."""

        deadline = LONG

        def __enter__(self):
            self.timer = asyncio.get_running_loop().call_later(LONG, asyncio.current_task().cancel)

        def __exit__(self, kind, error, traceback):
            asyncio.current_task().uncancel()
            raise TimeoutError from error

    async def wait(waits):
        with pytest.raises(TimeoutError):
            if wrapped == "context manager":
                async with limit():
                    await waits.never.receive()
            elif wrapped == "sync exit stack":
                with contextlib.ExitStack() as stack:
                    stack.enter_context(Scope())
                    await waits.never.receive()
            else:
                async with contextlib.AsyncExitStack() as stack:
                    await stack.enter_async_context(
                        asyncio.timeout(LONG) if wrapped == "exit stack" else limit()
                    )
                    await waits.never.receive()
        return asyncio.get_running_loop().time()

    assert in_component(virtually, wait) == LONG
