"""starlette: an application of ASGI, mounted on our server."""

from __future__ import annotations

import json

from kamaelia.protocol.http import ASGI, HTTPServer

from ..judge import Judge
from ..workshop import Workshop, contains, equal, film
from .curl import CURL

judge = Judge("starlette", modules=["starlette"])


def mounted(shop: Workshop, route: str = "/*") -> str:
    from ..peers import starlette_shop

    starlette_shop.heard.clear()
    application = starlette_shop.make(str(shop.files))
    host, port = shop.serve(HTTPServer({route: ASGI(application)}, port=0, quiet=True))
    return f"http://{host}:{port}"


@judge.case(
    "ASGI", "pages, parameters, JSON, what fails, what it does behind the answer", "all as it was meant"
)
def pages(shop: Workshop) -> None:
    from ..peers.starlette_shop import heard

    url = mounted(shop)
    equal(shop.run(*CURL, url).text, "home / open 127.0.0.1")
    said = json.loads(shop.run(*CURL, f"{url}/items/7?word=tea").out)
    equal(said, {"number": 7, "query": {"word": "tea"}, "root": ""})
    contains(shop.run(*CURL, "-i", f"{url}/items/seven").text, "404 Not Found")
    contains(shop.run(*CURL, "-i", "-X", "DELETE", url).text, "405 Method Not Allowed")
    contains(shop.run(*CURL, "-i", f"{url}/fail").text, "500 Internal Server Error")
    equal(shop.run(*CURL, f"{url}/later").text, "now")
    shop.until(lambda: heard == ["begun", "later"], "what is behind the answer was done")


@judge.case("ASGI", "an upload, a form, a stream, its gzip, its sessions", "all as it was meant")
def streams(shop: Workshop) -> None:
    url, jar = mounted(shop), shop.folder / "jar"
    said = json.loads(shop.run(*CURL, "-T", "-", f"{url}/body", given=film() * 4).out)
    equal(said, {"count": 4_000_000})
    fields = ("-F", "drink=tea", "-F", f"file=@{shop.files / 'tea.txt'}")
    equal(
        json.loads(shop.run(*CURL, *fields, f"{url}/form").out), {"drink": "tea", "file": ["tea.txt", 13000]}
    )
    whole = "".join(f"{number} " for number in range(1000))
    equal(shop.run(*CURL, f"{url}/stream").text, whole)
    said = shop.run(*CURL, "-v", "--compressed", f"{url}/stream")
    contains(said.err.lower(), "content-encoding: gzip")
    equal(said.text, whole)
    counts = [shop.run(*CURL, "-b", jar, "-c", jar, f"{url}/count").text for _ in range(3)]
    equal(counts, ["1", "2", "3"])


@judge.case("ASGI", "its `StaticFiles`, below a path of ours", "files, 304, a range; nothing beside them")
def files(shop: Workshop) -> None:
    url = mounted(shop, "/shop/*") + "/shop"
    equal(shop.run(*CURL, f"{url}/files/film.bin").out == film(), True, "that the film is whole")
    equal(shop.run(*CURL, "-L", f"{url}/files/cups").text, "<h1>Cups</h1>\n")
    tag = shop.folder / "tag"
    shop.run(*CURL, "--etag-save", tag, "-o", "/dev/null", f"{url}/files/tea.txt")
    contains(shop.run(*CURL, "-i", "--etag-compare", tag, f"{url}/files/tea.txt").text, "304 Not Modified")
    equal(shop.run(*CURL, "-r", "0-2", f"{url}/files/tea.txt").text, "Tea")
    equal(json.loads(shop.run(*CURL, f"{url}/items/7").out)["root"], "/shop")
    contains(shop.run(*CURL, "--path-as-is", f"{url}/files/../secret.txt").text, "Not Found")
