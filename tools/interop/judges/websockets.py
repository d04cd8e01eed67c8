"""websockets: its client and its server. Our machine is theirs; what carries it is not."""

from __future__ import annotations

import sys
import threading
from typing import Any

from websockets.exceptions import ConnectionClosedError, ConnectionClosedOK, InvalidStatus
from websockets.sync.client import connect
from websockets.sync.server import serve

from kamaelia import run
from kamaelia.flow import Collect, Map, Source, Take
from kamaelia.protocol.websocket import WebSocketClient, WebSocketServer

from ..judge import Judge
from ..workshop import HOST, Workshop, Wrong, contains, equal, film

judge = Judge("websockets", modules=["websockets"])


def same(message: Any) -> Any:
    return message


@judge.case(
    "WebSocketServer", "its client: text, bytes, fragments, 900 KB, pings, subprotocols", "all come back"
)
def client(shop: Workshop) -> None:
    server = WebSocketServer(Map(same), port=0, subprotocols=["tea", "milk"], quiet=True)
    host, port = shop.serve(server)
    with connect(f"ws://{host}:{port}/", subprotocols=["soup", "milk"], proxy=None) as socket:  # type: ignore[list-item]
        equal(socket.subprotocol, "milk")
        for message in ("tea", "", "Grüße 🫖", b"", b"\0\1\2", film()[:900_000], "x" * 900_000):
            socket.send(message)
            equal(socket.recv(timeout=10), message)
        socket.send(["in ", "three ", "pieces"])
        equal(socket.recv(timeout=10), "in three pieces")
        if not socket.ping().wait(10):
            raise Wrong("no pong")
        contains(str(socket.response and socket.response.headers), "permessage-deflate")
    equal(socket.close_code, 1000)


@judge.case(
    "WebSocketServer", "its client: a message above the limit, a subprotocol that is not ours", "1009; 400"
)
def refusals(shop: Workshop) -> None:
    server = WebSocketServer(Map(same), port=0, subprotocols=["tea"], message_limit=1000, quiet=True)
    host, port = shop.serve(server)
    with connect(f"ws://{host}:{port}/", subprotocols=["tea"], proxy=None) as socket:  # type: ignore[list-item]
        socket.send("x" * 2000)
        try:
            socket.recv(timeout=10)
        except ConnectionClosedError as error:
            equal(error.rcvd and error.rcvd.code, 1009)
        else:
            raise Wrong("a message above the limit has come back")
    try:
        connect(f"ws://{host}:{port}/", subprotocols=["soup"], proxy=None)  # type: ignore[list-item]
    except InvalidStatus as error:
        equal(error.response.status_code, 400)
    else:
        raise Wrong("it speaks soup")


@judge.case("WebSocketServer", "its program: `python -m websockets URL`", "what was typed comes back")
def program(shop: Workshop) -> None:
    host, port = shop.serve(WebSocketServer(Map(str.upper), port=0, quiet=True))
    said = shop.run(sys.executable, "-m", "websockets", f"ws://{host}:{port}/", given=b"tea\n")
    contains(said.text, "Connected to", "Connection closed: 1000")


@judge.case("WebSocketClient", "its server: text and bytes", "all come back")
def server(shop: Workshop) -> None:
    def echo(socket: Any) -> None:
        try:
            for message in socket:
                socket.send(message)
        except ConnectionClosedOK:
            pass

    with serve(echo, HOST, 0) as theirs:
        thread = threading.Thread(target=theirs.serve_forever)
        thread.start()
        try:
            port = theirs.socket.getsockname()[1]
            given = ["tea", b"\0\1", "Grüße 🫖", film()[:900_000]]
            client = WebSocketClient(f"ws://{HOST}:{port}/")
            equal(run(Source(given, then="stay") | client | Take(len(given)) | Collect()), given)
        finally:
            theirs.shutdown()
            thread.join()
