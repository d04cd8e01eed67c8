"""httpx, which is built on anyio and h11: its client against our servers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import httpx

from ..judge import Judge
from ..site import PAGE, TEXT
from ..workshop import Workshop, equal, film

judge = Judge("httpx", modules=["httpx"])


@judge.case("HTTPServer", "pages, redirects, cookies, a form with a file", "all as it was meant")
def pages(shop: Workshop) -> None:
    url = shop.site()
    with httpx.Client(follow_redirects=True, trust_env=False) as client:
        equal(client.get(url).text, PAGE)
        equal(client.get(f"{url}/text").text, TEXT)
        equal(client.get(f"{url}/redirect/307").status_code, 405)
        equal(client.post(f"{url}/redirect/308", content=b"tea").content, b"tea")
        client.get(f"{url}/cookies/set")
        equal(client.get(f"{url}/cookies").json(), {"cup": "blue"})
        files = {"file": ("film.bin", b"film" * 1000, "video/x-film")}
        said = client.post(f"{url}/form", data={"drink": "tea & milk"}, files=files).json()
        equal(said, {"drink": "tea & milk", "file": ["film.bin", "video/x-film", 4000]})
        equal(client.head(f"{url}/files/film.bin").headers["content-length"], "1000000")
        equal(client.get(f"{url}/files/film.bin", headers={"Range": "bytes=-4"}).content, film()[-4:])
    equal(shop.server.statistics().accepted, 1, "connections")


@judge.case("HTTPServer(tls=...)", "an upload in chunks, and a stream, protected", "all of it")
def streams(shop: Workshop) -> None:
    import ssl

    url = shop.site(tls=shop.server_tls())

    def pieces() -> Iterator[bytes]:
        for _ in range(4):
            yield film()

    context = ssl.create_default_context(cafile=shop.certificates.authorities)
    with httpx.Client(verify=context, trust_env=False) as client:
        equal(
            client.put(f"{url}/measure", content=pieces()).text,
            f"4000000 {hashlib.sha256(film() * 4).hexdigest()}",
        )
        with client.stream("GET", f"{url}/blocks/50") as answer:
            equal(sum(map(len, answer.iter_bytes())), 3_276_800)
