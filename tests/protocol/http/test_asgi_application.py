"""Our routes behind servers of ASGI: that of httpx, and one by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from kamaelia import Component, Inbox, Outbox, Pipeline, component
from kamaelia.axon import KamaeliaError
from kamaelia.chassis import Backplane, PublishTo, SubscribeTo
from kamaelia.flow import Map
from kamaelia.protocol.http import Headers, Response, Trailers, request
from kamaelia.protocol.http.asgi_application import Application, asgi_application
from kamaelia.protocol.http.events import ServerSentEvents
from kamaelia.protocol.http.static import StaticFiles

WAIT = 20


async def greet(asked: Any) -> str:
    await asyncio.sleep(0)
    return f"{asked.arguments['name']} from {asked.peer} by {asked.scheme}, {asked.query}"


@component
async def shout(inbox: Inbox[bytes], outbox: Outbox[bytes]) -> None:
    async for data in inbox:
        await outbox.send(data.upper())


def running(application: Application, work: Callable[[httpx.AsyncClient], Awaitable[Any]]) -> Any:
    """Ask an application, and stop it."""

    async def main() -> Any:
        transport = httpx.ASGITransport(application, client=("10.0.0.1", 99))
        try:
            async with asyncio.timeout(WAIT):
                async with httpx.AsyncClient(transport=transport, base_url="https://here/") as client:
                    return await work(client)
        finally:
            await application.stop()

    return asyncio.run(main())


def test_what_answers_behind_our_server_answers_here(tmp_path: Path) -> None:
    (tmp_path / "small.txt").write_bytes(b"tea")
    (tmp_path / "large.bin").write_bytes(bytes(range(256)) * 2000)
    application = asgi_application(
        {
            "/": "<h1>Hello",
            "/greet/{name}": greet,
            "/shout": shout,
            "/json": {"a": 1},
            "/headers": Response(b"", 201, Headers([("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])),
            "/files/*": StaticFiles(tmp_path),
        }
    )

    async def work(client: httpx.AsyncClient) -> None:
        found = await client.get("/")
        assert (found.status_code, found.text, dict(found.headers)) == (
            200, "<h1>Hello", {"content-type": "text/html; charset=utf-8", "content-length": "9"},
        )  # fmt: skip
        said = "Ad\xe9 L from ('10.0.0.1', 99) by https, {'x': 'y z'}"
        assert (await client.get("/greet/Ad%C3%A9%20L?x=y%20z")).text == said
        assert (await client.post("/shout", content=b"tea")).content == b"TEA"
        assert (await client.get("/json")).json() == {"a": 1}
        made = await client.get("/headers")
        assert (made.status_code, made.headers.get_list("set-cookie")) == (201, ["a=1", "b=2"])
        head = await client.head("/")
        assert (head.content, head.headers["content-length"]) == (b"", "9")
        assert (await client.get("/none")).status_code == 404
        assert (await client.delete("/")).status_code == 405
        assert (await client.get("/files/small.txt")).content == b"tea"
        assert (await client.get("/files/large.bin")).content == bytes(range(256)) * 2000
        part = await client.get("/files/large.bin", headers={"Range": "bytes=256-511"})
        assert (part.status_code, part.content) == (206, bytes(range(256)))

    running(application, work)


def test_a_body_that_comes_in_pieces() -> None:
    async def pieces() -> Any:
        for _ in range(300):
            yield b"x" * 1000

    async def work(client: httpx.AsyncClient) -> None:
        assert (await client.post("/", content=pieces())).content == b"X" * 300_000
        assert (await client.post("/size", content=pieces())).text == "300000"

    routes = {"/": shout, "/size": lambda asked: str(len(asked.body))}
    running(asgi_application(routes), work)


def test_components_beside_the_routes_run_in_the_same_system() -> None:
    routes = {
        "/say": Pipeline(Map(lambda data: data.decode()), PublishTo("news")),
        "/hear": Pipeline(SubscribeTo("news"), ServerSentEvents()),
    }
    application = asgi_application(routes, Backplane("news"))

    async def work(client: httpx.AsyncClient) -> Any:
        driver = Driver(application, "/hear")
        assert (await driver.next())["status"] == 200
        await client.post("/say", content=b"tea is ready")
        heard = await driver.next()
        await driver.leave()
        return heard

    assert running(application, work) == {
        "type": "http.response.body", "body": b"data: tea is ready\n\n", "more_body": True,
    }  # fmt: skip


class Driver:
    """A server of ASGI with one request."""

    def __init__(
        self, application: Any, path: str, *, extensions: Any = None, body: tuple[Any, ...] = ()
    ) -> None:
        self.sent: asyncio.Queue[Any] = asyncio.Queue(1)
        self.messages: asyncio.Queue[Any] = asyncio.Queue()
        for message in body or ({"type": "http.request"},):
            self.messages.put_nowait(message)
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
            "scheme": "http", "path": path, "query_string": b"", "headers": [], "extensions": extensions,
        }  # fmt: skip
        self.task = asyncio.create_task(application(scope, self.messages.get, self.sent.put))

    async def next(self) -> Any:
        async with asyncio.timeout(WAIT):
            return await self.sent.get()

    async def leave(self) -> None:
        self.messages.put_nowait({"type": "http.disconnect"})
        async with asyncio.timeout(WAIT):
            while not self.task.done():
                try:
                    self.sent.get_nowait()
                except asyncio.QueueEmpty:
                    pass
                await asyncio.sleep(0)
            await self.task


def test_a_component_hears_that_its_client_has_gone_and_waits_for_a_slow_one() -> None:
    noted: list[Any] = []

    class Counting(Component):
        async def main(self) -> None:
            number = 0
            try:
                while True:
                    await self.outbox.send(b"x" * 10_000)
                    number += 1
            finally:
                noted.append(number)

    async def main() -> None:
        application = asgi_application({"/": Counting})
        driver = Driver(application, "/")
        assert (await driver.next())["type"] == "http.response.start"
        for _ in range(1000):  # whatever fits in between is filled, and no more
            await asyncio.sleep(0)
        assert noted == []
        await driver.leave()
        await application.stop()
        assert len(noted) == 1 and noted[0] < 2000

    asyncio.run(main())


def test_trailers_are_sent_where_the_server_knows_of_them() -> None:
    @component
    async def digest(inbox: Inbox[bytes], outbox: Outbox[Any]) -> None:
        await outbox.send(b"tea")
        await outbox.send(Trailers({"X-Digest": "1"}))

    async def main(extensions: Any) -> list[Any]:
        application = asgi_application({"/": digest})
        driver = Driver(application, "/", extensions=extensions)
        messages = []
        while not (driver.task.done() and driver.sent.empty()):
            try:
                messages.append(driver.sent.get_nowait())
            except asyncio.QueueEmpty:
                await asyncio.sleep(0.001)
        await application.stop()
        return messages

    start, body, end, trailers = asyncio.run(main({"http.response.trailers": {}}))
    assert (start["trailers"], body["body"], end["more_body"]) == (True, b"tea", False)
    assert trailers == {"type": "http.response.trailers", "headers": [(b"x-digest", b"1")]}
    start, body, end = asyncio.run(main(None))
    assert (start["trailers"], body["body"], end["more_body"]) == (False, b"tea", False)


def test_a_failure_is_that_of_its_request_alone() -> None:
    @component
    async def broken(inbox: Inbox[bytes], outbox: Outbox[bytes]) -> None:
        await outbox.send(b"tea")
        raise ValueError("no milk")

    def fails(asked: Any) -> None:
        raise ValueError("no tea")

    async def work(client: httpx.AsyncClient) -> None:
        assert (await client.get("/fails")).status_code == 500
        with pytest.raises(Exception, match="the answer of the routes has been broken off"):
            await client.get("/broken")
        assert (await client.get("/")).text == "ours"

    running(asgi_application({"/": "ours", "/fails": fails, "/broken": broken}), work)


def test_what_is_asked_can_be_had_in_a_component() -> None:
    @component
    async def tell(inbox: Inbox[bytes], outbox: Outbox[str]) -> None:
        await outbox.send(request().path)

    async def work(client: httpx.AsyncClient) -> None:
        assert (await client.get("/a/b")).text == "/a/b"

    running(asgi_application({"/*": tell}), work)


def test_a_prefix_is_none_of_the_routes_business() -> None:
    async def main() -> None:
        application = asgi_application({"/x": "ours", "/": "top"})
        for path, body in (("/sub/x", b"ours"), ("/sub", b"top"), ("/subx", None)):
            transport = httpx.ASGITransport(application, root_path="/sub")
            async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
                found = await client.get(path)
                assert found.content == body if body else found.status_code == 404
        await application.stop()

    asyncio.run(main())


# --- lifespans ---------------------------------------------------------------------------------------


class Server:
    """The lifespan of a server."""

    def __init__(self, application: Any) -> None:
        self.told: asyncio.Queue[Any] = asyncio.Queue()
        self.heard: asyncio.Queue[Any] = asyncio.Queue()
        self.task = asyncio.create_task(application({"type": "lifespan"}, self.told.get, self.heard.put))

    async def tell(self, what: str) -> Any:
        await self.told.put({"type": f"lifespan.{what}"})
        async with asyncio.timeout(WAIT):
            return await self.heard.get()


def test_the_system_lives_as_long_as_the_server() -> None:
    noted = []

    class Beside(Component):
        async def main(self) -> None:
            noted.append("begin")
            try:
                await asyncio.sleep(1000)
            finally:
                noted.append("end")

    async def main() -> None:
        application = asgi_application({"/": "ours"}, Beside())
        server = Server(application)
        assert await server.tell("startup") == {"type": "lifespan.startup.complete"}
        driver = Driver(application, "/")
        assert (await driver.next())["status"] == 200
        await driver.leave()
        assert noted == ["begin"]
        assert await server.tell("shutdown") == {"type": "lifespan.shutdown.complete"}
        assert noted == ["begin", "end"]
        await server.task
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())


def test_what_has_been_asked_is_answered_before_the_end() -> None:
    go_on = asyncio.Event()

    async def slow(asked: Any) -> str:
        await go_on.wait()
        return "late"

    async def main() -> None:
        application = asgi_application({"/": slow})
        server = Server(application)
        await server.tell("startup")
        driver = Driver(application, "/")
        await asyncio.sleep(0.01)
        ending = asyncio.create_task(server.tell("shutdown"))
        await asyncio.sleep(0.01)
        go_on.set()
        assert (await driver.next())["status"] == 200
        assert (await driver.next())["body"] == b"late"
        assert (await driver.next())["more_body"] is False
        assert await ending == {"type": "lifespan.shutdown.complete"}
        driver.messages.put_nowait({"type": "http.disconnect"})
        await asyncio.gather(driver.task, server.task)

    asyncio.run(main())


def test_a_failure_beside_the_routes_is_told_at_the_end() -> None:
    class Beside(Component):
        async def main(self) -> None:
            await begun.wait()
            raise ValueError("no water")

    class Failing(Component):
        async def main(self) -> None:
            raise ValueError("no water")

    begun = asyncio.Event()

    async def main() -> None:
        early = Server(asgi_application({"/": "ours"}, Failing()))
        assert await early.tell("startup") == {"type": "lifespan.startup.failed", "message": "no water"}
        await early.task
        application = asgi_application({"/": "ours"}, Beside())
        server = Server(application)
        assert await server.tell("startup") == {"type": "lifespan.startup.complete"}
        begun.set()
        await asyncio.sleep(0.01)
        driver = Driver(application, "/")
        with pytest.raises(KamaeliaError, match="the system in which the routes answer"):
            await driver.task
        said = await server.tell("shutdown")
        assert said == {"type": "lifespan.shutdown.failed", "message": "no water"}
        await server.task

    asyncio.run(main())


def test_other_scopes() -> None:
    async def main() -> None:
        application = asgi_application({"/": "ours"})
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "websocket.connect"}

        async def send(message: Any) -> None:
            sent.append(message)

        await application({"type": "websocket"}, receive, send)
        assert sent == [{"type": "websocket.close"}]
        with pytest.raises(KamaeliaError, match="does not speak 'smtp'"):
            await application({"type": "smtp"}, receive, send)

    asyncio.run(main())


def test_routes_are_checked_at_once() -> None:
    with pytest.raises(ValueError, match="'x' is no route"):
        asgi_application({"x": "y"})
