"""An application of starlette."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

heard: list[str] = []
"""What has happened behind the answers."""


async def home(request: Request) -> Response:
    assert request.client is not None
    return PlainTextResponse(f"home {request.url.path} {request.app.state.opened} {request.client.host}")


async def item(request: Request) -> Response:
    number = request.path_params["number"]
    return JSONResponse(
        {"number": number, "query": dict(request.query_params), "root": request.scope["root_path"]}
    )


async def body(request: Request) -> Response:
    count = 0
    async for piece in request.stream():
        count += len(piece)
    return JSONResponse({"count": count})


async def form(request: Request) -> Response:
    async with request.form() as fields:
        file: Any = fields["file"]
        return JSONResponse({"drink": fields["drink"], "file": [file.filename, len(await file.read())]})


async def stream(request: Request) -> Response:
    async def pieces() -> AsyncIterator[str]:
        for number in range(1000):
            yield f"{number} "

    return StreamingResponse(pieces(), media_type="text/plain")


async def count(request: Request) -> Response:
    request.session["count"] = request.session.get("count", 0) + 1
    return PlainTextResponse(str(request.session["count"]))


async def later(request: Request) -> Response:
    return PlainTextResponse("now", background=BackgroundTask(heard.append, "later"))


async def fail(request: Request) -> Response:
    raise RuntimeError("as asked")


def make(folder: str) -> Starlette:
    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        app.state.opened = "open"
        heard.append("begun")
        yield
        heard.append("ended")

    return Starlette(
        routes=[
            Route("/", home),
            Route("/items/{number:int}", item),
            Route("/body", body, methods=["PUT"]),
            Route("/form", form, methods=["POST"]),
            Route("/stream", stream),
            Route("/count", count),
            Route("/later", later),
            Route("/fail", fail),
            Mount("/files", StaticFiles(directory=folder, html=True)),
        ],
        middleware=[
            Middleware(GZipMiddleware, minimum_size=100),
            Middleware(SessionMiddleware, secret_key="tea"),
        ],
        lifespan=lifespan,
    )
