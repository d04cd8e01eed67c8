"""Python's own modules: `http.server` and `urllib`, as people have used them for decades."""

from __future__ import annotations

import socket
import sys
import urllib.error
import urllib.request
from http.client import HTTPConnection

from kamaelia import run
from kamaelia.flow import Collect, Source
from kamaelia.protocol.http import HTTPClient
from tools.ports import free_port

from ..judge import Judge
from ..site import PAGE, TEXT
from ..workshop import HOST, Workshop, equal, film

judge = Judge("Python's http", version=[sys.executable, "--version"])


@judge.case("HTTPClient", "`python -m http.server`, which speaks HTTP/1.0", "files, a listing, 404")
def server(shop: Workshop) -> None:
    port = free_port()
    shop.python("http.server", port, "--bind", HOST, "--directory", shop.files, port=port)
    url = f"http://{HOST}:{port}"
    asked = [f"{url}/tea.txt", f"{url}/film.bin", f"{url}/cups", f"{url}/no"]
    answers = run(Source(asked) | HTTPClient() | Collect())
    equal([one.status for one in answers], [200, 200, 200, 404])
    equal(answers[0].text(), TEXT)
    equal(answers[1].body == film(), True, "that the film is whole")
    equal(answers[2].text(), "<h1>Cups</h1>\n")


@judge.case("HTTPClient", "the same with `--protocol HTTP/1.1`", "files, over connections that are kept")
def server_1_1(shop: Workshop) -> None:
    port = free_port()
    words = (port, "--bind", HOST, "--directory", shop.files, "--protocol", "HTTP/1.1")
    shop.python("http.server", *words, port=port)
    asked = [f"http://{HOST}:{port}/tea.txt"] * 20
    equal([one.text() for one in run(Source(asked) | HTTPClient() | Collect())], [TEXT] * 20)


@judge.case("HTTPServer", "`urllib.request` and `http.client`", "pages, and errors as such")
def client(shop: Workshop) -> None:
    url = shop.site()
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url) as answer:
        equal(answer.read().decode(), PAGE)
    try:
        opener.open(f"{url}/no")
    except urllib.error.HTTPError as error:
        equal(error.code, 404)
        error.close()
    connection = HTTPConnection(url.partition("//")[2], timeout=10)
    for method, path, wanted in (("GET", "/", 200), ("DELETE", "/", 405), ("HEAD", "/text", 200)):
        connection.request(method, path)
        answer = connection.getresponse()
        answer.read()
        equal(answer.status, wanted)
    assert isinstance(connection.sock, socket.socket)  # still the same
    connection.close()
    equal(shop.server.statistics().accepted, 3)
